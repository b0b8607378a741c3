//! Administration: installs and upgrades the schema, creates the log's partitions, and deletes old rows.

pub mod schema;
pub mod partition;
pub mod vacuum;
