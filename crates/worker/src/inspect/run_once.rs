//! Runs an operation once without a task, to see what it returns: `rework schedule FLOW --plan` shows the plan of a
//! flow in this way. The program is started as it is for an inspection. Its stdout and its log lines are not shown.

use std::time::Duration;

use rework_core::task::payload::Payload;
use rework_wire::{
    frame::Frame,
    frame_socket::FrameSocketError,
    operation::{Definition, Form},
    runner::{Failure, FromRunner, RunRequest, ScheduleRequest, ToRunner},
};
use tokio::io::AsyncReadExt as _;

use super::{InspectError, Inspection, Reason, TAIL_BYTES, start_when_written};
use crate::code::Code;

/// The id of the task that the program is told. No task has it.
const NO_TASK: i64 = 0;

/// Why an operation has returned nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunOnceError {
    /// The program cannot be started, or does not speak the runner protocol.
    #[error(transparent)]
    Program(#[from] InspectError),
    /// The code reported an error.
    #[error("the code of operation `{operation}` failed: {message}")]
    Failed {
        operation: String,
        message: String,
        /// The causes and the stack. `None` if there are none.
        traceback: Option<String>,
    },
    /// The program ended before the code returned.
    #[error("the program exited ({exit}) while operation `{operation}` ran{stderr}")]
    Exited { operation: String, exit: String, stderr: String },
    /// The code ran for too long.
    #[error("the code of operation `{operation}` has not returned within {seconds} s")]
    TimedOut { operation: String, seconds: u64 },
}

/// Runs an operation with an input, and returns its output. Must be called on the main thread, inside a tokio runtime.
/// `Err` if it does not return within `timeout`.
pub async fn run_once(
    code: &Code,
    operation: &Definition,
    input: &Payload,
    timeout: Duration,
) -> Result<Payload, RunOnceError> {
    let failed = |reason| InspectError { code: code.clone(), reason };
    let mut inspection = start_when_written(code, super::TIMEOUT).await.map_err(failed)?;
    let running = async {
        inspection.hello().await?;
        inspection.run(operation, input).await
    };
    let ended = tokio::time::timeout(timeout, running).await;
    let is_over = matches!(&ended, Ok(Ok(_)));
    inspection.stop(is_over).await.map_err(failed)?;
    match ended {
        Ok(Ok(result)) => result,
        Ok(Err(reason)) => Err(failed(reason).into()),
        Err(_) => Err(RunOnceError::TimedOut {
            operation: operation.name.clone(),
            seconds: timeout.as_secs(),
        }),
    }
}

impl Inspection {
    /// Sends a run to the program, and returns how it ended.
    async fn run(
        &mut self,
        operation: &Definition,
        input: &Payload,
    ) -> Result<Result<Payload, RunOnceError>, Reason> {
        let (json, bytes) = input.columns();
        let body = json.map(str::as_bytes).or(bytes);
        let request = RunRequest {
            task: NO_TASK,
            run: 1,
            slot: 0,
            attempt: 1,
            domain: operation.domain.clone(),
            operation: operation.name.clone(),
            deadline_ms: None,
            raw: bytes.is_some(),
            has_input: body.is_some(),
            metadata: None,
            boundary: None,
        };
        let sent = self.frames.send(&ToRunner::Run(request), body.unwrap_or_default());
        sent.map_err(FrameSocketError::from)?;
        self.result_of_run(&operation.name).await
    }

    /// Waits for the end of the run.
    async fn result_of_run(
        &mut self,
        operation: &str,
    ) -> Result<Result<Payload, RunOnceError>, Reason> {
        let operation = operation.to_owned();
        let mut output = Payload::None;
        loop {
            let Some(frame) = self.next_frame().await? else {
                let exit = self.child.wait().await?.to_string();
                let stderr = self.stderr_tail();
                return Ok(Err(RunOnceError::Exited { operation, exit, stderr }));
            };
            match frame.message().map_err(FrameSocketError::from)? {
                FromRunner::Output { raw, .. } => output = payload(raw, frame.body),
                FromRunner::Done(done) => {
                    let last = done.output.map(|form| payload(form == Form::Bytes, frame.body));
                    return Ok(Ok(last.unwrap_or(output)));
                }
                FromRunner::Failed(Failure { message, traceback, .. }) => {
                    return Ok(Err(RunOnceError::Failed { operation, message, traceback }));
                }
                FromRunner::Schedule(request) => self.refuse_to_schedule(&request)?,
                _ => {}
            }
        }
    }

    /// Waits for the next frame. Keeps the end of what the program writes to stderr meanwhile.
    async fn next_frame(&mut self) -> Result<Option<Frame>, Reason> {
        let mut stderr = [0; TAIL_BYTES];
        let mut stderr_open = true;
        loop {
            tokio::select! {
                frame = self.frames.next() => return Ok(frame?),
                read = self.stderr.read(&mut stderr), if stderr_open => {
                    let count = read?;
                    stderr_open = count > 0;
                    self.keep_last(&stderr[..count]);
                }
            }
        }
    }

    /// Answers that no task is scheduled, so that the code does not wait for the answer.
    fn refuse_to_schedule(&mut self, request: &ScheduleRequest) -> Result<(), Reason> {
        let answer = ToRunner::Scheduled {
            parent: request.task,
            parent_run: request.run,
            number: request.number,
            task: None,
            error: Some("this run has no task, so it cannot schedule another one".to_owned()),
        };
        Ok(self.frames.send(&answer, &[]).map_err(FrameSocketError::from)?)
    }
}

fn payload(raw: bool, body: Vec<u8>) -> Payload {
    if raw {
        return Payload::Bytes(body);
    }
    Payload::Json(String::from_utf8_lossy(&body).into_owned())
}
