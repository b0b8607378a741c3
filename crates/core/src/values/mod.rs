//! Values that users give: inputs and outputs, which are validated against schemas, names, durations and sizes.
//!
//! Nothing here uses the database.

pub mod name;
pub mod number;
pub mod json;
pub mod validate;
pub mod short_schema;
pub mod io_specs;
pub mod quantity;
