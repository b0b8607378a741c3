//! The revision of an operation's code: the number of its registration, and the identity of the file. So a replaced
//! file is noticed even if nobody registered it again.

use std::{fs, io, os::unix::fs::MetadataExt};

use crate::code::Code;

/// The registration and the metadata of a file, which change when its content is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Revision {
    /// The file and its interpreter.
    pub code: Code,
    registration: i32,
    device: u64,
    inode: u64,
    bytes: u64,
    changed_ns: i128,
}

impl Revision {
    /// Reads the metadata of the file. Symlinks are followed, so that a link such as `current/bin/ops` is noticed when
    /// it points to a new release.
    pub(crate) fn of(code: &Code, registration: i32) -> io::Result<Revision> {
        let file = fs::metadata(&code.path)?;
        Ok(Revision {
            code: code.clone(),
            registration,
            device: file.dev(),
            inode: file.ino(),
            bytes: file.size(),
            changed_ns: i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec()),
        })
    }
}

impl std::fmt::Display for Revision {
    /// Writes the number of the registration and a hash of the file's identity: `3.5f2c81a9`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let identity = format!("{}:{}:{}:{}", self.device, self.inode, self.bytes, self.changed_ns);
        write!(f, "{}.{:08x}", self.registration, fnv1a(identity.as_bytes()))
    }
}

/// Returns the FNV-1a hash of `bytes`, which is the same on every machine and in every version of rework.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_put_in_place_of_another_is_another_revision() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ops");
        let code = Code::from(path.clone());
        fs::write(&path, "one").unwrap();
        let before = Revision::of(&code, 1).unwrap();
        assert_eq!(before, Revision::of(&code, 1).unwrap());
        let next = folder.path().join("next");
        fs::write(&next, "two").unwrap();
        fs::rename(&next, &path).unwrap();
        let after = Revision::of(&code, 1).unwrap();
        assert_ne!(before, after);
        assert_ne!(before.to_string(), after.to_string());
        assert_ne!(after, Revision::of(&code, 2).unwrap());
    }
}
