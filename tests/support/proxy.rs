//! A TCP proxy between `rework` and Postgres that can block, delay, reset and refuse connections and lose replies.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::cluster::free_port;

/// The way in which the proxy treats connections, both existing and new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProxyMode {
    /// Forwards everything at once.
    Pass,
    /// Forwards everything after this time.
    Delay(Duration),
    /// Forwards nothing and keeps the connections open, as a network does that loses all packets.
    BlackHole,
    /// Resets all connections.
    Reset,
    /// Resets all connections, and listens for no new ones, so that the kernel refuses them.
    Refuse,
    /// Resets each connection after this number of bytes from the server.
    CutAfter(usize),
    /// Forwards every second statement that contains this text, discards its reply and resets the connection.
    /// The number says how many replies are still to be discarded. Every second one only, so that a retry succeeds.
    LoseReplies(&'static str, usize),
}

/// A running proxy. Its connections are reset when the value is dropped.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<ProxyState>,
}

/// State that the threads of all connections share.
struct ProxyState {
    mode: Mutex<ProxyMode>,
    /// The number of statements that contained the text of `LoseReplies`.
    matches: Mutex<usize>,
    is_closed: AtomicBool,
    server_port: u16,
}

/// One client connection and its connection to the server.
struct ProxiedConnection {
    shared: Arc<ProxyState>,
    client: TcpStream,
    server: TcpStream,
    /// Whether the next reply of the server is discarded.
    loses_reply: AtomicBool,
}

/// Time between two checks of the mode. Short, because a change of the mode takes effect after this time.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The message `ReadyForQuery` of Postgres with status `I`: the statement is complete and no transaction is open.
const READY_FOR_QUERY: &[u8] = b"Z\0\0\0\x05I";

impl Proxy {
    /// Starts a proxy to the Postgres server at this port of 127.0.0.1.
    pub(crate) fn to_port(server_port: u16) -> Proxy {
        // Not a port that the kernel chooses: it could give the port to a connection while the proxy does not listen.
        let listener = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(ProxyState {
            mode: Mutex::new(ProxyMode::Pass),
            matches: Mutex::new(0),
            is_closed: AtomicBool::new(false),
            server_port,
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept_connections(&accepting, listener, address));
        Proxy { port: address.port(), shared }
    }

    /// Replaces the server's address in a DSN by the address of the proxy.
    pub(crate) fn dsn(&self, dsn: &str) -> String {
        let direct = format!("127.0.0.1:{}", self.shared.server_port);
        assert!(dsn.contains(&direct), "{dsn} does not contain {direct}");
        dsn.replace(&direct, &format!("127.0.0.1:{}", self.port))
    }

    /// Changes what the proxy does from now on.
    pub(crate) fn set_mode(&self, mode: ProxyMode) {
        let refuses = mode == ProxyMode::Refuse;
        *self.shared.mode.lock().unwrap() = mode;
        if refuses {
            self.wake_accepting_thread();
        }
    }

    /// Makes the thread that accepts connections check the mode. It does so after it has accepted one.
    fn wake_accepting_thread(&self) {
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }

    /// Returns how many replies are still to be discarded.
    pub(crate) fn replies_to_lose(&self) -> usize {
        match *self.shared.mode.lock().unwrap() {
            ProxyMode::LoseReplies(_, left) => left,
            _ => 0,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // In this order: a thread that finds the new mode finds that the proxy is closed, too.
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.set_mode(ProxyMode::Reset);
        self.wake_accepting_thread();
    }
}

impl ProxyMode {
    /// Whether existing connections are reset.
    fn resets(&self) -> bool {
        matches!(self, ProxyMode::Reset | ProxyMode::Refuse)
    }
}

impl ProxyState {
    fn mode(&self) -> ProxyMode {
        self.mode.lock().unwrap().clone()
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Waits until data may be forwarded. Returns false if the connection must be reset instead.
    fn may_forward(&self) -> bool {
        loop {
            match self.mode() {
                ProxyMode::BlackHole => thread::sleep(POLL_INTERVAL),
                ProxyMode::Delay(time) => {
                    thread::sleep(time);
                    return true;
                }
                mode => return !mode.resets(),
            }
        }
    }

    /// Returns whether the reply to `bytes`, which a client has sent, must be discarded. Counts the reply as
    /// discarded.
    fn must_lose_reply(&self, bytes: &[u8]) -> bool {
        let ProxyMode::LoseReplies(text, left) = self.mode() else { return false };
        if left == 0 || !bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            return false;
        }
        let mut matches = self.matches.lock().unwrap();
        *matches += 1;
        if matches.is_multiple_of(2) {
            return false;
        }
        *self.mode.lock().unwrap() = ProxyMode::LoseReplies(text, left - 1);
        true
    }
}

/// Accepts connections until the proxy is closed. While it refuses connections, nobody listens at its address.
fn accept_connections(shared: &Arc<ProxyState>, mut listener: TcpListener, address: SocketAddr) {
    while !shared.is_closed() {
        let accepted = listener.accept();
        if shared.mode() == ProxyMode::Refuse {
            if let Ok((client, _)) = &accepted {
                reset(client);
            }
            drop((accepted, listener));
            let Some(next) = listen_again(shared, address) else { return };
            listener = next;
        } else if let Ok((client, _)) = accepted {
            let shared = Arc::clone(shared);
            thread::spawn(move || connect(&shared, client));
        }
    }
}

/// Waits until connections are no longer refused, and listens. `None` if the proxy is closed.
fn listen_again(shared: &ProxyState, address: SocketAddr) -> Option<TcpListener> {
    while !shared.is_closed() {
        if shared.mode() != ProxyMode::Refuse
            && let Ok(listener) = TcpListener::bind(address)
        {
            return Some(listener);
        }
        thread::sleep(POLL_INTERVAL);
    }
    None
}

/// Connects to the server and forwards in both directions until one side closes the connection.
fn connect(shared: &Arc<ProxyState>, client: TcpStream) {
    if !shared.may_forward() {
        return reset(&client);
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", shared.server_port)) else {
        return reset(&client);
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        // A read returns after this time, so that an idle connection checks the mode too.
        stream.set_read_timeout(Some(POLL_INTERVAL)).unwrap();
    }
    let shared = Arc::clone(shared);
    let connection =
        Arc::new(ProxiedConnection { shared, client, server, loses_reply: AtomicBool::new(false) });
    let replies = Arc::clone(&connection);
    thread::spawn(move || replies.forward_replies());
    connection.forward_requests();
}

impl ProxiedConnection {
    fn forward_requests(&self) {
        while let Some(bytes) = self.read(&self.client) {
            if self.shared.must_lose_reply(&bytes) {
                self.loses_reply.store(true, Ordering::SeqCst);
            }
            if (&self.server).write_all(&bytes).is_err() {
                break;
            }
        }
        self.close();
    }

    fn forward_replies(&self) {
        let (mut forwarded, mut discarded) = (0, Vec::new());
        while let Some(mut bytes) = self.read(&self.server) {
            if self.loses_reply.load(Ordering::SeqCst) {
                discarded.extend(bytes);
                // Reset only after the server has committed the statement.
                if discarded.windows(READY_FOR_QUERY.len()).any(|window| window == READY_FOR_QUERY)
                {
                    reset(&self.client);
                    break;
                }
                continue;
            }
            if let ProxyMode::CutAfter(limit) = self.shared.mode() {
                let left = limit.saturating_sub(forwarded);
                if left < bytes.len() {
                    bytes.truncate(left);
                    let _ = (&self.client).write_all(&bytes);
                    reset(&self.client);
                    break;
                }
            }
            forwarded += bytes.len();
            if (&self.client).write_all(&bytes).is_err() {
                break;
            }
        }
        self.close();
    }

    /// Reads the next bytes and waits until they may be forwarded. `None` if the connection has ended.
    fn read(&self, mut from: &TcpStream) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if self.shared.mode().resets() {
                reset(&self.client);
                return None;
            }
            match from.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => {
                    buffer.truncate(length);
                    return self.shared.may_forward().then_some(buffer);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
    }

    fn close(&self) {
        // In a black hole, the other side does not learn that the connection has ended either.
        self.shared.may_forward();
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

/// Closes a connection so that its peer receives a TCP reset, not a regular end.
fn reset(stream: &TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &linger);
    let _ = stream.shutdown(Shutdown::Both);
}
