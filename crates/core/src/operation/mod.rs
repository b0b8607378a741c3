//! Operations: the statements that register, find, list and remove them.

pub mod kind;
pub mod register;
pub mod unregister;
pub mod find;
pub mod list;
