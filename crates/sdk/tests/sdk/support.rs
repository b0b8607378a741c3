//! The worker's side of the runner protocol, for tests: it starts the fixture as a real process, with a real socket and
//! real shared memory. Every wait fails after [`TIMEOUT`].

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rework_wire::frame::{Decoder, encode};
use rework_wire::operation::Definition;
use rework_wire::runner::{
    Done, FromRunner, RunRequest, SEND_BUFFER_FD_VAR, SOCKET_FD_VAR, STARTED_RUNS_FD_VAR, ToRunner,
    VERSION,
};
use rework_wire::send_buffer::{SEND_BUFFER_BYTES, SendBuffer, Unsent};
use rework_wire::worker::{SLOT_BYTES, STARTED_RUNS_SLOTS};
use serde_json::Value;

/// The longest wait for anything. It is generous, because tests also run on busy machines.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running fixture, and the worker's end of everything that the two share.
pub(crate) struct Runner {
    child: Child,
    socket: Option<UnixStream>,
    decoder: Decoder,
    stdout: ChildStdout,
    started_runs: File,
    send_buffer: SendBuffer,
    /// Number of bytes received over the socket.
    received: u64,
    /// The operations that `hello` named.
    pub(crate) operations: Vec<Definition>,
}

impl Runner {
    /// Starts the fixture and exchanges `hello` with it.
    pub(crate) fn start() -> Runner {
        let mut runner = Runner::spawn();
        let (hello, _) = runner.receive();
        let FromRunner::Hello { version: VERSION, sdk, operations, accepts_runs_ahead: true } =
            hello
        else {
            panic!("no hello: {hello:?}");
        };
        assert!(sdk.starts_with("rework-rust "), "{sdk}");
        runner.operations = operations;
        runner.send(&ToRunner::Hello { version: VERSION }, b"");
        runner
    }

    /// Starts the fixture without an exchange of `hello`.
    pub(crate) fn spawn() -> Runner {
        // One at a time: a child that another test starts meanwhile must not inherit these descriptors.
        static SPAWN_LOCK: Mutex<()> = Mutex::new(());
        let _guard = SPAWN_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let started_runs = tempfile::tempfile().unwrap();
        started_runs.set_len(u64::from(STARTED_RUNS_SLOTS) * SLOT_BYTES).unwrap();
        let their_started_runs = started_runs.try_clone().unwrap();
        let their_send_buffer = tempfile::tempfile().unwrap();
        their_send_buffer.set_len(SEND_BUFFER_BYTES).unwrap();
        let send_buffer = SendBuffer::map(&their_send_buffer).unwrap();
        make_inheritable(&theirs);
        make_inheritable(&their_started_runs);
        make_inheritable(&their_send_buffer);
        let mut child = Command::new(fixture())
            .env(SOCKET_FD_VAR, theirs.as_raw_fd().to_string())
            .env(STARTED_RUNS_FD_VAR, their_started_runs.as_raw_fd().to_string())
            .env(SEND_BUFFER_FD_VAR, their_send_buffer.as_raw_fd().to_string())
            .env_remove("RUST_LOG")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        fcntl(&stdout, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        ours.set_read_timeout(Some(TIMEOUT)).unwrap();
        let socket = Some(ours);
        let (decoder, operations) = (Decoder::default(), Vec::new());
        Runner {
            child,
            socket,
            decoder,
            stdout,
            started_runs,
            send_buffer,
            received: 0,
            operations,
        }
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, message: &ToRunner, body: &[u8]) {
        let bytes = encode(message, body).unwrap();
        self.socket.as_mut().unwrap().write_all(&bytes).unwrap();
    }

    /// Sends bytes, which need not be a valid frame.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Receives the next frame.
    pub(crate) fn receive(&mut self) -> (FromRunner, Vec<u8>) {
        let mut bytes = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return (frame.message().unwrap(), frame.body);
            }
            // Signals such as SIGCHLD interrupt a read that has a timeout.
            let read = match self.socket.as_mut().unwrap().read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            assert_ne!(read, 0, "the runner closed its socket");
            self.received += read as u64;
            self.decoder.push(&bytes[..read]);
        }
    }

    /// Dispatches a run whose input is JSON.
    pub(crate) fn dispatch(&mut self, task: i64, operation: &str, input: &Value) {
        let request = RunRequest { has_input: true, ..request(task, operation) };
        self.send(&ToRunner::Run(request), input.to_string().as_bytes());
    }

    /// Runs an operation, and returns all its frames. The last one is `done` or `failed`.
    pub(crate) fn run(
        &mut self,
        task: i64,
        operation: &str,
        input: &Value,
    ) -> Vec<(FromRunner, Vec<u8>)> {
        self.dispatch(task, operation, input);
        self.receive_to_end()
    }

    /// Receives frames up to `done` or `failed`.
    pub(crate) fn receive_to_end(&mut self) -> Vec<(FromRunner, Vec<u8>)> {
        let mut frames = Vec::new();
        loop {
            frames.push(self.receive());
            if let Some((FromRunner::Done(Done { .. }) | FromRunner::Failed(_), _)) = frames.last()
            {
                return frames;
            }
        }
    }

    /// Returns the remaining frames of a runner that has ended, also those that it had not sent.
    pub(crate) fn remaining_frames(&mut self) -> Vec<FromRunner> {
        let mut bytes = Vec::new();
        self.socket.as_mut().unwrap().read_to_end(&mut bytes).unwrap();
        let received = self.received + bytes.len() as u64;
        let Unsent::Next(unsent) = self.send_buffer.unsent(received) else {
            panic!("the send buffer misses frames")
        };
        self.decoder.push(&[bytes, unsent].concat());
        let frames = std::iter::from_fn(|| self.decoder.next_frame().unwrap());
        frames.map(|frame| frame.message().unwrap()).collect()
    }

    /// Returns what is in the pipe of stdout now.
    pub(crate) fn printed(&mut self) -> String {
        let mut text = Vec::new();
        match self.stdout.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        String::from_utf8(text).unwrap()
    }

    /// Returns task and run of the first slot of the started runs.
    pub(crate) fn started_run(&self) -> (i64, i64) {
        let mut slot = [0; 16];
        self.started_runs.read_exact_at(&mut slot, 0).unwrap();
        let (task, run) = slot.split_at(8);
        (i64::from_le_bytes(task.try_into().unwrap()), i64::from_le_bytes(run.try_into().unwrap()))
    }

    /// Sends several frames. The runner is stopped meanwhile, so that it finds all of them at once.
    pub(crate) fn send_together(&mut self, frames: &[(ToRunner, Vec<u8>)]) {
        let bytes = frames.iter().map(|(message, body)| encode(message, body).unwrap());
        let bytes: Vec<u8> = bytes.flatten().collect();
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, Signal::SIGSTOP).unwrap();
        self.send_bytes(&bytes);
        kill(pid, Signal::SIGCONT).unwrap();
    }

    /// Closes the worker's end of the socket.
    pub(crate) fn close_socket(&mut self) {
        self.socket = None;
    }

    /// Waits for the end of the process, and returns its status.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < TIMEOUT, "the runner does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a run of an operation in the default domain, without an input.
pub(crate) fn request(task: i64, operation: &str) -> RunRequest {
    RunRequest {
        slot: 0,
        task,
        run: 1,
        attempt: 1,
        domain: "default".to_owned(),
        operation: operation.to_owned(),
        deadline_ms: None,
        raw: false,
        has_input: false,
        metadata: None,
        boundary: None,
    }
}

/// Returns the path of the program `examples/fixture.rs`. Cargo builds it with the tests.
pub(crate) fn fixture() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/fixture");
    assert!(path.exists(), "{} is missing: cargo build -p rework --examples", path.display());
    path
}

/// Lets a child process inherit a descriptor: Rust opens all descriptors with close-on-exec.
fn make_inheritable(fd: &impl AsFd) {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
}
