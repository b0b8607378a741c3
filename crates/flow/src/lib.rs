//! Turns the description of a flow, which its code returns, into a plan, which the database carries out.
//!
//! A flow is a task that consists of other tasks, its steps. Its code runs once, and returns a description: JSON that
//! names the steps, the patterns that they form, and the values that they pass on. [`compile()`] makes a plan of it:
//! numbered steps, the edges between them, and the sources of each argument. The functions in `migrations/V24__flow.sql`
//! and the files after it carry out plans.
//!
//! This crate uses neither a database nor processes. The SDK writes descriptions with it, and the worker compiles them.

#![warn(missing_docs)]

mod json;
mod fault;
mod names;
pub mod description;
pub mod operations;
pub mod plan;
pub mod values;
pub mod model;
mod tree;
mod uses;
mod ports;
mod order;
mod numbers;
mod bind;
mod compile;
#[cfg(test)]
mod scene;

pub use self::compile::compile;
pub use self::fault::Fault;
pub use self::json::Json;
