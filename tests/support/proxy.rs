//! A wire between the product and Postgres that can be cut, slowed down, reset, and made to lose the
//! reply to what was carried out.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How the wire behaves; also towards connections that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As a wire should.
    Pass,
    /// Everything comes so much later.
    Delay(Duration),
    /// Nothing comes through, and nobody is told.
    BlackHole,
    /// Connections are reset, old and new.
    Reset,
    /// A connection is reset after so many bytes from the server.
    CutAfter(usize),
    /// Every second statement with these words is carried out, and its reply lost with the connection,
    /// so many times.
    LoseReplies(&'static str, usize),
}

/// The wire.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mutex<Mode>,
    matched: Mutex<usize>,
    ended: AtomicBool,
    server: u16,
}

/// One connection.
struct Line {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// The reply that comes next is lost.
    loses: AtomicBool,
}

/// Between two looks at the mode.
const LOOK: Duration = Duration::from_millis(5);

impl Proxy {
    /// To the Postgres at this port of 127.0.0.1.
    pub(crate) fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Pass),
            matched: Mutex::new(0),
            ended: AtomicBool::new(false),
            server,
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || connect(&shared, client));
            }
        });
        Proxy { port, shared }
    }

    /// A DSN of the server, by way of this wire.
    pub(crate) fn dsn(&self, dsn: &str) -> String {
        let direct = format!("127.0.0.1:{}", self.shared.server);
        assert!(dsn.contains(&direct), "{dsn} leads to {direct}");
        dsn.replace(&direct, &format!("127.0.0.1:{}", self.port))
    }

    /// From now on it behaves so.
    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// How many replies are still to be lost.
    pub(crate) fn to_lose(&self) -> usize {
        match *self.shared.mode.lock().unwrap() {
            Mode::LoseReplies(_, left) => left,
            _ => 0,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Reset);
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes who accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn mode(&self) -> Mode {
        self.mode.lock().unwrap().clone()
    }

    /// Waits while nothing comes through; false: the connection is to be reset.
    fn may_pass(&self) -> bool {
        loop {
            match self.mode() {
                Mode::BlackHole => thread::sleep(LOOK),
                Mode::Delay(time) => {
                    thread::sleep(time);
                    return true;
                }
                mode => return mode != Mode::Reset,
            }
        }
    }

    /// Whether the reply to these bytes of a client is to be lost.
    fn loses(&self, bytes: &[u8]) -> bool {
        let Mode::LoseReplies(words, left) = self.mode() else { return false };
        if left == 0 || !bytes.windows(words.len()).any(|window| window == words.as_bytes()) {
            return false;
        }
        let mut matched = self.matched.lock().unwrap();
        *matched += 1;
        if matched.is_multiple_of(2) {
            return false;
        }
        *self.mode.lock().unwrap() = Mode::LoseReplies(words, left - 1);
        true
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream) {
    if !shared.may_pass() {
        return reset(&client);
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", shared.server)) else {
        return reset(&client);
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LOOK)).unwrap();
    }
    let shared = Arc::clone(shared);
    let line = Arc::new(Line { shared, client, server, loses: AtomicBool::new(false) });
    let back = Arc::clone(&line);
    thread::spawn(move || back.replies());
    line.asks();
}

impl Line {
    fn asks(&self) {
        while let Some(bytes) = self.read(&self.client) {
            if self.shared.loses(&bytes) {
                self.loses.store(true, Ordering::SeqCst);
            }
            if (&self.server).write_all(&bytes).is_err() {
                break;
            }
        }
        self.end();
    }

    fn replies(&self) {
        let (mut passed, mut swallowed) = (0, Vec::new());
        while let Some(mut bytes) = self.read(&self.server) {
            if self.loses.load(Ordering::SeqCst) {
                swallowed.extend(bytes);
                // Ready for the next query, and in no transaction: it is committed.
                if swallowed.windows(6).any(|window| window == b"Z\0\0\0\x05I") {
                    reset(&self.client);
                    break;
                }
                continue;
            }
            if let Mode::CutAfter(most) = self.shared.mode() {
                let left = most.saturating_sub(passed);
                if left < bytes.len() {
                    bytes.truncate(left);
                    let _ = (&self.client).write_all(&bytes);
                    reset(&self.client);
                    break;
                }
            }
            passed += bytes.len();
            if (&self.client).write_all(&bytes).is_err() {
                break;
            }
        }
        self.end();
    }

    /// What comes next; none: the connection is over.
    fn read(&self, mut from: &TcpStream) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if self.shared.mode() == Mode::Reset {
                reset(&self.client);
                return None;
            }
            match from.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => {
                    buffer.truncate(length);
                    return self.shared.may_pass().then_some(buffer);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
    }

    fn end(&self) {
        // A black hole swallows the end too.
        self.shared.may_pass();
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// Its peer hears of a reset, not of an end.
fn reset(stream: &TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &linger);
    let _ = stream.shutdown(Shutdown::Both);
}
