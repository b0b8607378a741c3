//! The files with certificates, keys and lists of revoked certificates.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject as _,
};

/// A chain of certificates and the private key of the first one.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Returns the path that was named, or else the file `default` in `~/.postgresql`. `None` if that
/// does not exist.
pub(super) fn named_or_default(named: Option<&Path>, default: &str) -> Option<PathBuf> {
    named.map(Path::to_owned).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".postgresql").join(default)).filter(|path| path.exists())
    })
}

/// Reads the certificates in a file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = fs::read(path).map_err(|error| format!("`{shown}`: {error}"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("`{shown}` contains no certificate"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{shown}`: {error}")),
    }
}

/// Reads the certificate and the key of the client. `None` if one of the two files is missing.
pub(super) fn identity(
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<Identity>, String> {
    let certificate = named_or_default(certificate, "postgresql.crt");
    let key = named_or_default(key, "postgresql.key");
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
    let read = PrivateKeyDer::from_pem_file(&key);
    let secret = read.map_err(|error| format!("`{}`: {error}", key.display()))?;
    Ok(Some((certificates(&certificate)?, secret)))
}

/// Reads the lists of revoked certificates: those in the file (default `~/.postgresql/root.crl`), and those in all
/// files of the folder.
pub(super) fn revocation_lists(
    file: Option<&Path>,
    folder: Option<&Path>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let mut paths: Vec<PathBuf> = named_or_default(file, "root.crl").into_iter().collect();
    if let Some(folder) = folder {
        let entries =
            fs::read_dir(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        paths.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    let mut lists = Vec::new();
    for path in paths {
        let failed = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
        let pem = fs::read(&path).map_err(|error| failed(&error))?;
        for list in CertificateRevocationListDer::pem_slice_iter(&pem) {
            lists.push(list.map_err(|error| failed(&error))?);
        }
    }
    Ok(lists)
}
