//! Frames: how a worker speaks with its runner and with its monitor.
//!
//! A frame is two little-endian `u32` lengths, a JSON object of the first length, then raw bytes
//! of the second, which may be none: inputs and outputs travel there as they are. Encoding and
//! decoding know nothing of sockets, so that the SDK reads in a thread and the worker in a loop.

use serde::{Serialize, de::DeserializeOwned};

/// Most bytes of the JSON part. Names, limits and messages are small; what is large is the body.
pub const MAX_HEAD_BYTES: usize = 4 << 20;

/// Most bytes of the body: the greatest input or output, and room for what wraps it.
pub const MAX_BODY_BYTES: usize = 256 << 20;

const LENGTHS_BYTES: usize = 8;

/// Why bytes could not become a frame, or a frame not a message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length is past its limit: the peer is not one of ours, or is broken.
    #[error("a frame of {head} + {body} bytes is past the limits")]
    TooLarge {
        /// Bytes of the JSON part.
        head: usize,
        /// Bytes of the body.
        body: usize,
    },
    /// The JSON part is not the message that was expected.
    #[error("a frame that is not of this protocol: {0}")]
    NotOurs(#[from] serde_json::Error),
}

/// One frame: its JSON part, still text, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    head: Vec<u8>,
    /// The raw bytes that follow the JSON part.
    pub body: Vec<u8>,
}

impl Frame {
    /// Reads the JSON part as a message.
    pub fn message<M: DeserializeOwned>(&self) -> Result<M, FrameError> {
        Ok(serde_json::from_slice(&self.head)?)
    }

    /// Reads what a message of this type says, where it is one: for what comes by the thousand, since to
    /// find out which of many types it is costs as much as to read it. None says nothing: a peer may
    /// write the same message in another way.
    pub fn of_type<M: DeserializeOwned>(&self, name: &str) -> Option<Result<M, FrameError>> {
        let rest = self.head.strip_prefix(br#"{"type":""#)?.strip_prefix(name.as_bytes())?;
        rest.starts_with(br#"","#).then(|| Ok(serde_json::from_slice(&self.head)?))
    }
}

/// The bytes of one frame.
pub fn encode<M: Serialize>(message: &M, body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let head = serde_json::to_vec(message)?;
    within_limits(head.len(), body.len())?;
    let mut bytes = Vec::with_capacity(LENGTHS_BYTES + head.len() + body.len());
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// Collects bytes as they arrive and gives whole frames.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    read: usize,
}

impl Decoder {
    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.pending.drain(..self.read);
            self.read = 0;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame, or none until more bytes arrive.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let pending = &self.pending[self.read..];
        let Some((head, rest)) = length(pending) else { return Ok(None) };
        let Some((body, rest)) = length(rest) else { return Ok(None) };
        within_limits(head, body)?;
        if rest.len() < head + body {
            return Ok(None);
        }
        let frame = Frame { head: rest[..head].to_vec(), body: rest[head..head + body].to_vec() };
        self.read += LENGTHS_BYTES + head + body;
        Ok(Some(frame))
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length) as usize, rest))
}

fn within_limits(head: usize, body: usize) -> Result<(), FrameError> {
    if head > MAX_HEAD_BYTES || body > MAX_BODY_BYTES {
        return Err(FrameError::TooLarge { head, body });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let first = encode(&json!({"type": "run", "task": 7}), b"\x00\xff raw").unwrap();
        let second = encode(&json!({"type": "exit"}), b"").unwrap();
        let whole = [first, second].concat();
        for cut in 0..=whole.len() {
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            for part in [&whole[..cut], &whole[cut..]] {
                decoder.push(part);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.len(), 2, "cut at {cut}");
            assert_eq!(frames[0].body, b"\x00\xff raw");
            assert_eq!(frames[1].message::<Value>().unwrap(), json!({"type": "exit"}));
        }
    }

    #[test]
    fn a_type_that_is_expected_is_read_without_its_name() {
        #[derive(serde::Deserialize)]
        struct Exit {
            code: i32,
        }
        let read = |head: &str, name: &str| {
            let frame = Frame { head: head.into(), body: Vec::new() };
            frame.of_type::<Exit>(name).map(|exit| exit.map(|exit| exit.code).ok())
        };
        let exit = r#"{"type":"exit","code":3}"#;
        assert_eq!(read(exit, "exit"), Some(Some(3)));
        assert_eq!([read(exit, "exi"), read(exit, "leave")], [None, None]);
        assert_eq!(read(r#"{"code":3}"#, "exit"), None);
        assert_eq!(read(r#"{"type":"exit","code":"x"}"#, "exit"), Some(None));
    }

    #[test]
    fn a_length_past_the_limit_is_refused_before_its_bytes_arrive() {
        let mut decoder = Decoder::default();
        decoder.push(b"GET / HTTP/1.1\r\n");
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLarge { .. })));
    }
}
