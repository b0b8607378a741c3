//! Administration: the schema, its partitions, and the removal of old rows.

pub mod schema;
pub mod partition;
pub mod vacuum;
