//! The check of a command: a process of its own, whose exit code is the answer.

use std::io;

use rework_core::{
    module::manifest::CommandOperation,
    task::{claim::OperationVersion, fence::Fence, progress::NewLogLine},
};
use rework_process::Exit;

use super::{CheckAnswer, accept, in_time, one_line, wait};
use crate::{
    command,
    context::Context,
    not_started::NotStarted,
    operations::Operation,
    revision::Revision,
    runner::Runner,
    start_error::{Fault, StartError},
    warm_runners,
};

/// Runs the check of a command, unless it has answered within the last second. `fence` is the run that waits for the
/// answer; `None` if no run waits. `Err` if the run cannot start.
pub(crate) async fn of_command(
    context: &mut Context,
    operation: &Operation,
    command: &CommandOperation,
    (version, fence): (OperationVersion, Option<Fence>),
    revision: &Revision,
) -> Result<(), NotStarted> {
    let Some(program) = &command.available else { return Ok(()) };
    if context.availability.is_known(version) {
        return Ok(());
    }
    if fence.is_some() {
        context.supervisor.report_busy();
    }
    let program = command::check_program(&context.launcher, command, program)?;
    let memory_bytes = operation.definition.limits.memory_bytes;
    let started = context.launcher.start(program, revision.clone(), false, memory_bytes);
    let mut process = match started {
        Ok(process) => process,
        Err(error) if error.fault() == Fault::Host => return Err(error.into()),
        Err(error) => {
            let reason = one_line(&format!("its check cannot be started: {error}"));
            return Err(StartError::Unavailable(reason).into());
        }
    };
    let waited = wait(context, fence, in_time(exit_of(&mut process))).await;
    warm_runners::end(process).await;
    accept(context, version, waited?)
}

/// The last line of each stream that is not empty.
#[derive(Debug, Default)]
struct LastLines {
    stdout: Option<String>,
    stderr: Option<String>,
}

impl LastLines {
    /// Removes all lines, and keeps the last one of each stream.
    fn take_from(&mut self, lines: &mut Vec<NewLogLine>) {
        for line in lines.drain(..) {
            let text = one_line(&String::from_utf8_lossy(&line.bytes));
            if !text.is_empty() {
                let last =
                    if line.stream == "stderr" { &mut self.stderr } else { &mut self.stdout };
                *last = Some(text);
            }
        }
    }

    /// Returns the line that says why: programs explain errors on stderr.
    fn reason(self) -> Option<String> {
        self.stderr.or(self.stdout)
    }
}

/// Waits for the end of a process that is a check. If its exit code is not 0, the last line that it writes is the
/// reason.
async fn exit_of(process: &mut Runner) -> CheckAnswer {
    let (mut lines, mut last) = (Vec::new(), LastLines::default());
    let exit = loop {
        last.take_from(&mut lines);
        let Runner { child, stdout, stderr, .. } = &mut *process;
        let read = tokio::select! {
            exit = child.wait() => break exit,
            read = stdout.read(), if stdout.is_open() => {
                read.map(|bytes| stdout.splitter.push(&bytes, &mut lines))
            }
            read = stderr.read(), if stderr.is_open() => {
                read.map(|bytes| stderr.splitter.push(&bytes, &mut lines))
            }
        };
        if let Err(error) = read {
            break Err(error);
        }
    };
    process.finish_output(&mut lines);
    last.take_from(&mut lines);
    answer_of_exit(exit, last.reason())
}

fn answer_of_exit(exit: io::Result<Exit>, last_line: Option<String>) -> CheckAnswer {
    match exit {
        Ok(Exit::Code(0)) => CheckAnswer::Available,
        Ok(exit) => CheckAnswer::Unavailable(last_line.unwrap_or_else(|| exit.to_string())),
        Err(error) => CheckAnswer::Missing(format!("could not be observed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(stream: &str, texts: &[&str]) -> Vec<NewLogLine> {
        let line = |text: &&str| NewLogLine {
            stream: stream.to_owned(),
            bytes: text.as_bytes().to_vec(),
            ..NewLogLine::warning(String::new())
        };
        texts.iter().map(line).collect()
    }

    #[test]
    fn the_last_line_of_a_check_is_its_reason() {
        let mut last = LastLines::default();
        last.take_from(&mut lines("stdout", &["asking", "no  display ", ""]));
        last.take_from(&mut lines("stdout", &[" "]));
        let reason = last.reason();
        assert_eq!(reason.as_deref(), Some("no display"));
        let unavailable = |text: &str| CheckAnswer::Unavailable(text.to_owned());
        assert_eq!(answer_of_exit(Ok(Exit::Code(1)), reason), unavailable("no display"));
        assert_eq!(answer_of_exit(Ok(Exit::Code(1)), None), unavailable("exit code 1"));
        let printed = Some("all is well".to_owned());
        assert_eq!(answer_of_exit(Ok(Exit::Code(0)), printed), CheckAnswer::Available);
    }

    #[test]
    fn a_line_on_stderr_is_the_reason_before_one_on_stdout() {
        let mut last = LastLines::default();
        last.take_from(&mut lines("stderr", &["no licence"]));
        last.take_from(&mut lines("stdout", &["asking"]));
        assert_eq!(last.reason().as_deref(), Some("no licence"));
    }
}
