//! Values: inputs and outputs against their schemas, and the quantities that people type.
//! Nothing here knows the database.

pub mod validate;
pub mod short_schema;
pub mod io_specs;
pub mod quantity;
