//! Values: inputs and outputs against their schemas, and the words that people type for them.
//! Nothing here knows the database.

pub mod validate;
pub mod arguments;
pub mod short_schema;
pub mod io_specs;
pub mod quantity;
pub mod suggest;
