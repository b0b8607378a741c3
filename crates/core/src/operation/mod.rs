//! Operations: the statements that register, find, list and unregister them.

pub mod module_kind;
pub mod register;
pub mod unregister;
pub mod find;
pub mod placed_module;
pub mod list;
