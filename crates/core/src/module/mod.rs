//! Modules: files that declare operations. A manifest is a module in TOML; its operations are commands.
//!
//! The other kinds of modules (Python modules and executables) describe their operations themselves, over the protocol
//! of `crates/wire`.

pub mod input_variable;
pub mod manifest;
