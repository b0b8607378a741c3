//! A worker's side of the runner protocol, for tests: a real process, a real socket pair, a real
//! page. Every wait ends: with what was waited for, or after [`PATIENCE`].

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
use rework_wire::outbox::{OUTBOX_BYTES, Outbox, Unsent};
use rework_wire::runner::{
    Done, FromRunner, OUTBOX_FD_VAR, PAGE_FD_VAR, RunRequest, SOCKET_FD_VAR, ToRunner, VERSION,
};
use rework_wire::worker::{PAGE_SLOTS, SLOT_BYTES};
use serde_json::Value;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A runner, as its worker holds it.
pub(crate) struct Runner {
    child: Child,
    socket: Option<UnixStream>,
    decoder: Decoder,
    stdout: ChildStdout,
    page: File,
    outbox: Outbox,
    /// Bytes that came over the socket.
    received: u64,
    /// What it said in `hello`.
    pub(crate) operations: Vec<Definition>,
}

impl Runner {
    /// Starts the fixture and hears its `hello`.
    pub(crate) fn start() -> Runner {
        let mut runner = Runner::spawn();
        let (hello, _) = runner.hear();
        let FromRunner::Hello { version: VERSION, sdk, operations, ahead: true } = hello else {
            panic!("no hello: {hello:?}");
        };
        assert!(sdk.starts_with("rework-rust "), "{sdk}");
        runner.operations = operations;
        runner.say(&ToRunner::Hello { version: VERSION }, b"");
        runner
    }

    /// Starts the fixture.
    pub(crate) fn spawn() -> Runner {
        // One at a time: what one child may inherit, another one, started meanwhile, must not.
        static SPAWNING: Mutex<()> = Mutex::new(());
        let _alone = SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let page = tempfile::tempfile().unwrap();
        page.set_len(u64::from(PAGE_SLOTS) * SLOT_BYTES).unwrap();
        let their_page = page.try_clone().unwrap();
        let their_outbox = tempfile::tempfile().unwrap();
        their_outbox.set_len(OUTBOX_BYTES).unwrap();
        let outbox = Outbox::of(&their_outbox).unwrap();
        bequeath(&theirs);
        bequeath(&their_page);
        bequeath(&their_outbox);
        let mut child = Command::new(fixture())
            .env(SOCKET_FD_VAR, theirs.as_raw_fd().to_string())
            .env(PAGE_FD_VAR, their_page.as_raw_fd().to_string())
            .env(OUTBOX_FD_VAR, their_outbox.as_raw_fd().to_string())
            .env_remove("RUST_LOG")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        fcntl(&stdout, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = Some(ours);
        let (decoder, operations) = (Decoder::default(), Vec::new());
        Runner { child, socket, decoder, stdout, page, outbox, received: 0, operations }
    }

    /// Sends a frame.
    pub(crate) fn say(&mut self, message: &ToRunner, body: &[u8]) {
        let bytes = encode(message, body).unwrap();
        self.socket.as_mut().unwrap().write_all(&bytes).unwrap();
    }

    /// Sends bytes that may be no frame.
    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// The next frame.
    pub(crate) fn hear(&mut self) -> (FromRunner, Vec<u8>) {
        let mut bytes = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return (frame.message().unwrap(), frame.body);
            }
            // A socket with a time limit is interrupted by signals, such as the end of a child.
            let read = match self.socket.as_mut().unwrap().read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            assert_ne!(read, 0, "the runner closed its socket");
            self.received += read as u64;
            self.decoder.push(&bytes[..read]);
        }
    }

    /// Hands over a run whose input is JSON.
    pub(crate) fn hand_over(&mut self, task: i64, operation: &str, input: &Value) {
        let request = RunRequest { has_input: true, ..request(task, operation) };
        self.say(&ToRunner::Run(request), input.to_string().as_bytes());
    }

    /// Runs an operation to its end: all its frames, the last one is `done` or `failed`.
    pub(crate) fn run(
        &mut self,
        task: i64,
        operation: &str,
        input: &Value,
    ) -> Vec<(FromRunner, Vec<u8>)> {
        self.hand_over(task, operation, input);
        self.hear_to_end()
    }

    /// All frames up to `done` or `failed`.
    pub(crate) fn hear_to_end(&mut self) -> Vec<(FromRunner, Vec<u8>)> {
        let mut frames = Vec::new();
        loop {
            frames.push(self.hear());
            if let Some((FromRunner::Done(Done { .. }) | FromRunner::Failed(_), _)) = frames.last()
            {
                return frames;
            }
        }
    }

    /// All frames of a runner that has ended, those that it had not sent among them.
    pub(crate) fn last_words(&mut self) -> Vec<FromRunner> {
        let mut bytes = Vec::new();
        self.socket.as_mut().unwrap().read_to_end(&mut bytes).unwrap();
        let received = self.received + bytes.len() as u64;
        let Unsent::Next(unsent) = self.outbox.unsent(received) else { panic!("sent before") };
        self.decoder.push(&[bytes, unsent].concat());
        let frames = std::iter::from_fn(|| self.decoder.next_frame().unwrap());
        frames.map(|frame| frame.message().unwrap()).collect()
    }

    /// What stands in the pipe at this moment.
    pub(crate) fn printed(&mut self) -> String {
        let mut text = Vec::new();
        match self.stdout.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        String::from_utf8(text).unwrap()
    }

    /// (task, run) of the page.
    pub(crate) fn begun(&self) -> (i64, i64) {
        let mut note = [0; 16];
        self.page.read_exact_at(&mut note, 0).unwrap();
        let (task, run) = note.split_at(8);
        (i64::from_le_bytes(task.try_into().unwrap()), i64::from_le_bytes(run.try_into().unwrap()))
    }

    /// Sends frames that the runner finds all at once.
    pub(crate) fn say_together(&mut self, frames: &[(ToRunner, Vec<u8>)]) {
        let bytes = frames.iter().map(|(message, body)| encode(message, body).unwrap());
        let bytes: Vec<u8> = bytes.flatten().collect();
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, Signal::SIGSTOP).unwrap();
        self.say_bytes(&bytes);
        kill(pid, Signal::SIGCONT).unwrap();
    }

    /// Closes our end of the socket.
    pub(crate) fn hang_up(&mut self) {
        self.socket = None;
    }

    /// How the process ended.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the runner does not end");
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

/// A run without an input, of an operation in the default domain.
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
        mark: None,
    }
}

/// The program of `examples/fixture.rs`, which cargo builds with the tests.
pub(crate) fn fixture() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/fixture");
    assert!(path.exists(), "no {}: cargo build -p rework --examples", path.display());
    path
}

fn bequeath(fd: &impl AsFd) {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
}
