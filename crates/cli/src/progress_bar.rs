//! A progress bar on standard error. It is shown only if standard error is a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{HumanCount, ProgressDrawTarget, ProgressStyle};

use crate::context::Context;

/// A progress bar. It disappears when it is dropped, so that an error message does not follow it.
#[derive(Debug)]
pub(crate) struct ProgressBar(indicatif::ProgressBar);

impl ProgressBar {
    /// Starts a progress bar for reading `bytes` bytes. If the number is unknown, only counts tasks and time.
    ///
    /// Nothing is shown with `-q`, or if standard error is not a terminal.
    pub(crate) fn new(context: &Context, bytes: Option<u64>) -> ProgressBar {
        let is_visible = !context.quiet && io::stderr().is_terminal();
        let target =
            if is_visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
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

    /// Shows the number of bytes read and of tasks scheduled so far.
    pub(crate) fn update(&self, bytes: u64, tasks: u64) {
        self.0.set_position(bytes);
        self.0.set_message(format!("{} tasks", HumanCount(tasks)));
    }
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
