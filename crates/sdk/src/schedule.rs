//! Scheduling a task from within a task: asked of the worker, which has the database.
//!
//! Each request has a number within its run, so that the worker, asked twice, makes one task.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rework_wire::runner::{FromRunner, ScheduleRequest};

use crate::output::{IntoOutput, Output};
use crate::schedule_requests::failed;
use crate::{Error, Task};

/// A task to be scheduled by [`Task::schedule`]. `.await` it in an `async` function, [`wait`] for
/// it in a plain one; either gives the new task's id. Until then nothing is scheduled.
///
/// [`wait`]: Schedule::wait
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
    /// Schedules another task: `task.schedule("resize", &input).await?`, or `.wait()?` in a plain
    /// function. An input of `&()` is none.
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

    /// The domain of the operation, where its name is not enough.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Higher goes first; if left out, as the operation says.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Not before so much time has passed.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Schedules it, and waits for its id on this thread.
    pub fn wait(self) -> Result<i64, Error> {
        block_on(self.into_future())
    }

    fn request(self, number: u32) -> Result<(FromRunner, Vec<u8>), Error> {
        let input = self.input?;
        let frame = FromRunner::Schedule(ScheduleRequest {
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
        Ok((frame, input.map(|input| input.bytes).unwrap_or_default()))
    }
}

impl<'a> IntoFuture for Schedule<'a> {
    type Output = Result<i64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let task = self.task;
        Box::pin(async move {
            if !task.has_worker() {
                let why = "a task is scheduled by a worker, and this operation runs without one";
                return Err(failed(why));
            }
            let (number, answer) = task.requests().open()?;
            let sent = self.request(number).and_then(|(frame, body)| {
                task.send(&frame, &body).map_err(|error| failed(error.to_string()))
            });
            if let Err(error) = sent {
                task.requests().answer(number, Err(String::new()));
                return Err(error);
            }
            task.await_answer();
            answer.await.unwrap_or_else(|_| Err("the run ended".into())).map_err(failed)
        })
    }
}

/// Waits for a future on this thread, in a runtime or not. Ours needs nothing of a runtime.
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
