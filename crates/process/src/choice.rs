//! The methods that an operator chooses with the options `--containment` and `--memory` of `rework monitor`.

use std::str::FromStr;

/// The chosen containment method and memory method.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    pub containment: ContainmentChoice,
    pub memory: MemoryChoice,
}

/// The method that holds the processes of a tree together: `auto`, `cgroup` or `processes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContainmentChoice {
    /// A cgroup if this host allows one, otherwise `processes`.
    #[default]
    Auto,
    /// A cgroup. Without one the monitor does not start.
    Cgroup,
    /// Process groups, a subreaper and the process tag. With [`MemoryChoice::Auto`], memory is then sampled.
    Processes,
}

/// The method that limits the memory of a tree: `auto`, `cgroup` or `sampled`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MemoryChoice {
    /// A cgroup of version 2 or 1 if this host allows one, otherwise `sampled`.
    #[default]
    Auto,
    /// A cgroup of version 2 or 1. Without one the monitor does not start.
    Cgroup,
    /// No kernel limit: the worker measures the memory of the tree several times a second.
    Sampled,
}

/// The error for a word that does not name a method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not one of {known}")]
pub struct UnknownChoice {
    given: String,
    known: &'static str,
}

impl FromStr for ContainmentChoice {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<ContainmentChoice, UnknownChoice> {
        match text {
            "auto" => Ok(ContainmentChoice::Auto),
            "cgroup" => Ok(ContainmentChoice::Cgroup),
            "processes" => Ok(ContainmentChoice::Processes),
            _ => Err(UnknownChoice { given: text.to_owned(), known: "auto, cgroup, processes" }),
        }
    }
}

impl FromStr for MemoryChoice {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<MemoryChoice, UnknownChoice> {
        match text {
            "auto" => Ok(MemoryChoice::Auto),
            "cgroup" => Ok(MemoryChoice::Cgroup),
            "sampled" => Ok(MemoryChoice::Sampled),
            _ => Err(UnknownChoice { given: text.to_owned(), known: "auto, cgroup, sampled" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_parsed_from_text() {
        assert_eq!("processes".parse(), Ok(ContainmentChoice::Processes));
        assert_eq!("sampled".parse(), Ok(MemoryChoice::Sampled));
        let error = "cgroups".parse::<ContainmentChoice>().unwrap_err();
        assert_eq!(error.to_string(), "`cgroups` is not one of auto, cgroup, processes");
    }
}
