//! What an operator wishes of both ladders: `--containment` and `--memory`.

use std::str::FromStr;

/// What is wished of both ladders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// What holds the trees.
    pub containment: ContainmentWish,
    /// What limits their memory.
    pub memory: MemoryWish,
}

/// What is to hold the trees: `auto`, `cgroup` or `processes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContainmentWish {
    /// The best that can be had.
    #[default]
    Auto,
    /// A cgroup, or an error.
    Cgroup,
    /// Process groups, a subreaper and a mark; and sampled memory, if nothing else is wished.
    Processes,
}

/// What is to limit memory: `auto`, `cgroup` or `sampled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MemoryWish {
    /// The best that can be had.
    #[default]
    Auto,
    /// A cgroup of either version, or an error.
    Cgroup,
    /// Looking at the tree.
    Sampled,
}

/// A word that names no rung.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is none of {known}")]
pub struct UnknownWish {
    given: String,
    known: &'static str,
}

impl FromStr for ContainmentWish {
    type Err = UnknownWish;

    fn from_str(text: &str) -> Result<ContainmentWish, UnknownWish> {
        match text {
            "auto" => Ok(ContainmentWish::Auto),
            "cgroup" => Ok(ContainmentWish::Cgroup),
            "processes" => Ok(ContainmentWish::Processes),
            _ => Err(UnknownWish { given: text.to_owned(), known: "auto, cgroup, processes" }),
        }
    }
}

impl FromStr for MemoryWish {
    type Err = UnknownWish;

    fn from_str(text: &str) -> Result<MemoryWish, UnknownWish> {
        match text {
            "auto" => Ok(MemoryWish::Auto),
            "cgroup" => Ok(MemoryWish::Cgroup),
            "sampled" => Ok(MemoryWish::Sampled),
            _ => Err(UnknownWish { given: text.to_owned(), known: "auto, cgroup, sampled" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_from_text() {
        assert_eq!("processes".parse(), Ok(ContainmentWish::Processes));
        assert_eq!("sampled".parse(), Ok(MemoryWish::Sampled));
        let error = "cgroups".parse::<ContainmentWish>().unwrap_err();
        assert_eq!(error.to_string(), "`cgroups` is none of auto, cgroup, processes");
    }
}
