//! Write operations for rework, the task system that needs Postgres and nothing else.
//!
//! An operation is a function. A worker runs it in a process of its own, which can be killed at any
//! moment; what it prints and logs is kept, and so is how it ended.
//!
//! ```no_run
//! use rework::{Task, operation};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Resize {
//!     path: String,
//!     width: u32,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Thumbnail {
//!     bytes: u64,
//! }
//!
//! #[operation(domain = "images", timeout = "5m", attempts = 3)]
//! async fn resize(task: &Task, input: Resize) -> anyhow::Result<Thumbnail> {
//!     println!("every line of this is kept");
//!     tracing::info!(width = input.width, "and so is every event");
//!     task.progress(1, 2, "reading");
//!     let image = std::fs::metadata(&input.path)?;
//!     Ok(Thumbnail { bytes: image.len() / u64::from(input.width) })
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rework::run()
//! }
//! ```
//!
//! `rework register-operations ./my-operations` makes them known. Started by hand the program lists
//! its operations, and `./my-operations resize --path a.png --width 300` runs one, without a
//! database.

#![warn(missing_docs)]

mod abort;
mod bytes;
mod clock;
mod current;
mod direct;
mod listener;
mod error;
mod execution;
mod inbox;
mod inherited;
mod input;
mod leave;
mod link;
mod logging;
mod operation;
mod output;
mod page;
mod panics;
mod progress;
mod reader;
mod runner;
mod stderr;
mod schedule;
mod schedule_requests;
mod serve;
mod streams;
mod task;
mod watch;

pub use rework_macros::operation;
pub use tracing::Level;
pub use {schemars, serde};

pub use self::bytes::Bytes;
pub use self::error::{Error, Result};
pub use self::input::FromInput;
pub use self::logging::{TaskLog, layer};
pub use self::output::{IntoOutput, Output};
pub use self::progress::Amount;
pub use self::runner::{Runner, run};
pub use self::schedule::Schedule;
pub use self::task::Task;

/// What `#[operation]` writes refers to these; they may change with any version.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use rework_wire::operation::{DEFAULT_DOMAIN, Limits};

    pub use crate::input::FromInput;
    pub use crate::operation::{Call, Operation};
    pub use crate::output::{PlainReturn, Returned};
}
