//! Schedules a task from within a task. The worker, which has the connection to the database, does it on request.
//!
//! Each request has a number within its run. So the worker, which may have to retry a request, schedules one task only.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rework_wire::runner::{FromRunner, ScheduleRequest};

use crate::output::{IntoOutput, Output};
use crate::schedule_requests::schedule_error;
use crate::{Error, Task};

/// A task to be scheduled, made by [`Task::schedule`].
///
/// `.await` it in an `async` operation, or call [`wait`](Schedule::wait) in a plain one. Both return the id of the new
/// task. Before that nothing is scheduled.
///
/// # Errors
/// An error of kind `schedule` if the worker cannot schedule the task (for example because there is no such operation),
/// if the run has ended, or if the operation runs without a worker. An error of kind `output` if the input cannot be
/// written as JSON.
#[derive(Debug)]
#[must_use = "nothing is scheduled before `.await` or `.wait()`"]
pub struct Schedule<'a> {
    task: &'a Task,
    operation: String,
    input: Result<Option<Output>, Error>,
    domain: Option<String>,
    priority: Option<i16>,
    delay: Option<Duration>,
}

impl Task {
    /// Prepares another task to be scheduled, with this operation and input. Give `&()` for no input.
    ///
    /// ```no_run
    /// # use rework::{Task, operation};
    /// # use std::time::Duration;
    /// #[operation]
    /// async fn resize_all(task: &Task, paths: Vec<String>) -> rework::Result<Vec<i64>> {
    ///     let mut tasks = Vec::new();
    ///     for path in paths {
    ///         tasks.push(task.schedule("resize", &path).domain("images").priority(-1).await?);
    ///     }
    ///     Ok(tasks)
    /// }
    ///
    /// #[operation]
    /// fn remind(task: &Task) -> rework::Result<i64> {
    ///     task.schedule("send_reminder", &()).delay(Duration::from_secs(3600)).wait()
    /// }
    /// # fn main() {}
    /// ```
    pub fn schedule<'a>(&'a self, operation: &str, input: &impl IntoOutput) -> Schedule<'a> {
        Schedule::new(self, operation, input)
    }
}

impl<'a> Schedule<'a> {
    fn new(task: &'a Task, operation: &str, input: &impl IntoOutput) -> Schedule<'a> {
        let input = input.to_output();
        let operation = operation.to_owned();
        Schedule { task, operation, input, domain: None, priority: None, delay: None }
    }

    /// Sets the domain of the operation. Needed only if operations of several domains have this name.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets the priority of the new task; tasks with a higher one are claimed first. The default is the priority that
    /// the operation declares.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Delays the new task: no worker claims it before this time has passed since it was scheduled.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Schedules the task and blocks this thread until the worker has answered. Returns the id of the new task.
    ///
    /// # Errors
    /// The errors of awaiting the request: see [`Schedule`].
    pub fn wait(self) -> Result<i64, Error> {
        block_on(self.into_future())
    }

    /// Makes the message to the worker, and its body.
    fn request(self, number: u32) -> Result<(FromRunner, Vec<u8>), Error> {
        let input = self.input?;
        let message = FromRunner::Schedule(ScheduleRequest {
            task: self.task.id(),
            run: self.task.run(),
            number,
            operation: self.operation,
            domain: self.domain,
            priority: self.priority,
            delay_ms: self.delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
            has_input: input.is_some(),
            raw: input.as_ref().is_some_and(|input| input.raw),
        });
        Ok((message, input.map(|input| input.bytes).unwrap_or_default()))
    }
}

impl<'a> IntoFuture for Schedule<'a> {
    type Output = Result<i64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let task = self.task;
        Box::pin(async move {
            if !task.has_worker() {
                let message =
                    "only a worker can schedule a task, and this operation runs without one";
                return Err(schedule_error(message));
            }
            let (number, answer) = task.schedule_requests().add()?;
            let sent = self.request(number).and_then(|(message, body)| {
                task.send(&message, &body).map_err(|error| schedule_error(error.to_string()))
            });
            if let Err(error) = sent {
                // Removes the request, for which no answer will come.
                task.schedule_requests().answer(number, Err(String::new()));
                return Err(error);
            }
            task.await_answer();
            answer.await.unwrap_or_else(|_| Err("the run ended".into())).map_err(schedule_error)
        })
    }
}

/// Runs a future to its end on this thread. It works inside and outside of a tokio runtime, because the futures of
/// this file use nothing of tokio's runtime.
fn block_on<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
