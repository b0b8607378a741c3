//! A bar that shows how far something is, on standard error, where a person looks at it.

use std::io::{self, IsTerminal as _};

use indicatif::{HumanCount, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;

/// How far something is. It disappears when it is dropped: before an error is said, and at the end.
#[derive(Debug)]
pub(crate) struct ProgressBar(indicatif::ProgressBar);

impl ProgressBar {
    /// Of so many bytes that are to be read; of unknown many, it only counts. Nothing is shown with `-q`, nor
    /// where standard error is no terminal.
    pub(crate) fn of_bytes(context: &Context, bytes: Option<u64>) -> ProgressBar {
        let seen = !context.quiet && io::stderr().is_terminal();
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = indicatif::ProgressBar::with_draw_target(bytes, target);
        let template = match bytes {
            Some(_) => "{bar:40} {percent:>3} %  {msg}, {eta} left",
            None => "{msg}, {elapsed}",
        };
        ProgressBar(match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        })
    }

    /// So many bytes were read, and so many tasks scheduled.
    pub(crate) fn at(&self, bytes: u64, tasks: u64) {
        self.0.set_position(bytes);
        self.0.set_message(format!("{} tasks", HumanCount(tasks)));
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
