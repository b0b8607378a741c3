//! Sends frames to the worker: whole frames, from any thread, and none of a run after its last one.
//!
//! A worker that receives a frame of a run that it does not hold treats the runner as broken and ends it. A thread that
//! an operation left behind must not be able to cause that, so frames of ended runs are dropped here.
//!
//! While short runs follow one another, their last frames are collected and sent together, at most [`MAX_DELAY_US`]
//! later. Until then they lie in the send buffer, memory that is shared with the worker, where the worker finds them
//! if this process dies.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rework_wire::frame::{FrameError, encode};
use rework_wire::runner::FromRunner;
use rework_wire::send_buffer::SendBuffer;

use crate::exit::{self, ExitReason};
use crate::long_run::LongRunTimer;

/// The longest time, in microseconds, for which a last frame is deferred while runs follow one another. It is the
/// interval in which a worker polls its runner, so that deferring makes the worker notice an end little later.
const MAX_DELAY_US: i64 = 1_000;

/// Sends frames to the worker. Shared by all threads of the process.
#[derive(Debug)]
pub(crate) struct FrameSender {
    channel: Mutex<Channel>,
    long_run: Arc<LongRunTimer>,
}

/// The socket, and the frames that are deferred.
#[derive(Debug)]
struct Channel {
    socket: UnixStream,
    send_buffer: Option<SendBuffer>,
    /// The frames that are not sent yet. They are also in the send buffer, where the worker finds them if this process
    /// dies.
    unsent: Vec<u8>,
    /// When the first of the unsent frames was added, in microseconds of the monotonic clock. It
    /// has no meaning while `unsent` is empty.
    unsent_since_us: i64,
}

/// Whether the last frame of a run was sent. [`FrameSender`] alone reads and writes it, under its lock.
#[derive(Debug, Default)]
pub(crate) struct RunEnded(AtomicBool);

impl FrameSender {
    pub(crate) fn new(
        socket: UnixStream,
        send_buffer: Option<SendBuffer>,
        long_run: Arc<LongRunTimer>,
    ) -> FrameSender {
        let channel = Channel { socket, send_buffer, unsent: Vec::new(), unsent_since_us: 0 };
        FrameSender { channel: Mutex::new(channel), long_run }
    }

    /// Wakes the listener thread, so that it receives the answer for which the current run waits.
    pub(crate) fn await_answer(&self) {
        self.long_run.listen_now();
    }

    /// Sends a frame that does not belong to a run that has started: `hello` or `revoked`.
    pub(crate) fn send(&self, message: &FromRunner) -> Result<(), FrameError> {
        let frame = encode(message, &[])?;
        self.write(|channel| channel.send(&frame), || true);
        Ok(())
    }

    /// Sends a frame of a run. Returns `false`, without sending, if the run has ended.
    pub(crate) fn send_within(&self, ended: &RunEnded, frame: &[u8]) -> bool {
        self.write(|channel| channel.send(frame), || !ended.0.load(Ordering::Relaxed))
    }

    /// Sends the last frame of a run. If `defer_now_us` is given, the frame may wait to be sent together with others:
    /// until a frame is sent at once, until [`FrameSender::flush`] is called, or until a frame is deferred
    /// [`MAX_DELAY_US`] after the first. `defer_now_us` is the present time, in microseconds.
    pub(crate) fn send_last(&self, ended: &RunEnded, frame: &[u8], defer_now_us: Option<i64>) {
        let action = |channel: &mut Channel| match defer_now_us {
            Some(now_us) => channel.defer(frame, now_us),
            None => channel.send(frame),
        };
        self.write(action, || !ended.0.swap(true, Ordering::Relaxed));
    }

    /// Sends the frames that are deferred.
    pub(crate) fn flush(&self) {
        self.write(Channel::flush, || true);
    }

    /// Performs an action on the channel. Returns `false`, without performing it, if `is_allowed` returns `false`
    /// under the lock. Ends the process if the worker has closed the socket.
    fn write(
        &self,
        action: impl FnOnce(&mut Channel) -> io::Result<()>,
        is_allowed: impl FnOnce() -> bool,
    ) -> bool {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_allowed() {
            return false;
        }
        let sent = action(&mut channel);
        // Unlocked first: the exit handlers of the program run during the exit, and they may log.
        drop(channel);
        if sent.is_err() {
            exit::now(ExitReason::WorkerGone);
        }
        true
    }
}

impl Channel {
    /// Sends a frame at once, after those that are deferred.
    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.socket.write_all(frame)?;
        self.record_sent(frame.len());
        Ok(())
    }

    /// Puts a frame into the send buffer, to be sent with those that follow. Sends it at once if the buffer is full or
    /// there is none.
    fn defer(&mut self, frame: &[u8], now_us: i64) -> io::Result<()> {
        if !self.send_buffer.as_ref().is_some_and(|buffer| buffer.append(frame)) {
            return self.send(frame);
        }
        if self.unsent.is_empty() {
            self.unsent_since_us = now_us;
        }
        self.unsent.extend_from_slice(frame);
        if now_us - self.unsent_since_us >= MAX_DELAY_US { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        self.socket.write_all(&self.unsent)?;
        self.unsent.clear();
        self.record_sent(0);
        Ok(())
    }

    /// Records in the send buffer that its frames were sent, and `more` bytes that were not in it.
    fn record_sent(&self, more: usize) {
        if let Some(buffer) = &self.send_buffer {
            buffer.record_sent(more);
        }
    }
}
