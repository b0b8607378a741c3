//! Modules: what declares operations. A manifest declares commands as operations.

pub mod manifest;
