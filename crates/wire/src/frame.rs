//! Frames: the format of all messages between a worker and its runner or its monitor.
//!
//! A frame is two little-endian `u32` lengths, a JSON object of the first length, and raw bytes of the second length.
//! The JSON object is the message. The raw bytes, which may be empty, are an input or output without any encoding. This
//! file does not use sockets, because the SDK reads in a thread and the worker in an event loop.

use serde::{Serialize, de::DeserializeOwned};

/// The most bytes of the JSON part. Names, limits and messages are small; large data is in the body.
pub const MAX_HEAD_BYTES: usize = 4 << 20;

/// The most bytes of the body: the largest input or output (100 MiB), with room for larger ones that are then refused
/// with a reason.
pub const MAX_BODY_BYTES: usize = 256 << 20;

const HEADER_BYTES: usize = 8;

/// The reason why bytes are not a frame, or a frame is not a message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length exceeds its limit, so the bytes are not a frame.
    #[error("a frame of {head} + {body} bytes exceeds the limits")]
    TooLarge {
        /// The length of the JSON part, in bytes.
        head: usize,
        /// The length of the body, in bytes.
        body: usize,
    },
    /// The JSON part is not a valid message of the expected kind.
    #[error("a frame with an invalid message: {0}")]
    InvalidMessage(#[from] serde_json::Error),
}

/// One frame: its JSON part, not parsed yet, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    head: Vec<u8>,
    /// The raw bytes after the JSON part.
    pub body: Vec<u8>,
}

impl Frame {
    /// Parses the JSON part as a message. `Err` if it is not a message of the type `M`.
    pub fn message<M: DeserializeOwned>(&self) -> Result<M, FrameError> {
        Ok(serde_json::from_slice(&self.head)?)
    }

    /// Parses the JSON part as a message of the type `name`, if it begins with that type. `None` does not mean that it
    /// has another type, since a peer may write the keys in another order. This is faster than [`Frame::message`],
    /// which spends half of its time to find the type.
    pub fn message_of_type<M: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Option<Result<M, FrameError>> {
        let rest = self.head.strip_prefix(br#"{"type":""#)?.strip_prefix(name.as_bytes())?;
        rest.starts_with(br#"","#).then(|| Ok(serde_json::from_slice(&self.head)?))
    }
}

/// Returns the bytes of one frame. `Err` if a part exceeds its limit, or if the message cannot be
/// written as JSON.
pub fn encode<M: Serialize>(message: &M, body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let head = serde_json::to_vec(message)?;
    check_limits(head.len(), body.len())?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + head.len() + body.len());
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// Collects bytes as they arrive and splits them into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes that arrived.
    buffer: Vec<u8>,
    /// The number of bytes at the start of `buffer` that were returned as frames.
    decoded: usize,
}

impl Decoder {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.decoded > 0 {
            self.buffer.drain(..self.decoded);
            self.decoded = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete frame; `None` until more bytes arrive. `Err` if a length exceeds
    /// its limit.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let buffer = &self.buffer[self.decoded..];
        let Some((head, rest)) = read_length(buffer) else { return Ok(None) };
        let Some((body, rest)) = read_length(rest) else { return Ok(None) };
        check_limits(head, body)?;
        if rest.len() < head + body {
            return Ok(None);
        }
        let frame = Frame { head: rest[..head].to_vec(), body: rest[head..head + body].to_vec() };
        self.decoded += HEADER_BYTES + head + body;
        Ok(Some(frame))
    }
}

/// Reads a length, and returns it with the rest of the bytes; `None` if there are fewer than four
/// bytes.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*length) as usize, rest))
}

fn check_limits(head: usize, body: usize) -> Result<(), FrameError> {
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
    fn frames_are_decoded_wherever_reads_cut_them() {
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
    fn a_message_of_an_expected_type_is_decoded() {
        #[derive(serde::Deserialize)]
        struct Exit {
            code: i32,
        }
        let read = |head: &str, name: &str| {
            let frame = Frame { head: head.into(), body: Vec::new() };
            frame.message_of_type::<Exit>(name).map(|exit| exit.map(|exit| exit.code).ok())
        };
        let exit = r#"{"type":"exit","code":3}"#;
        assert_eq!(read(exit, "exit"), Some(Some(3)));
        assert_eq!([read(exit, "exi"), read(exit, "leave")], [None, None]);
        assert_eq!(read(r#"{"code":3}"#, "exit"), None);
        assert_eq!(read(r#"{"type":"exit","code":"x"}"#, "exit"), Some(None));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_its_bytes_arrive() {
        let mut decoder = Decoder::default();
        decoder.push(b"GET / HTTP/1.1\r\n");
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLarge { .. })));
    }
}
