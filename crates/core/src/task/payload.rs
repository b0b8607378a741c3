//! Inputs and outputs of tasks, as the database stores them: nothing, JSON text or bytes.

/// The input or output of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Payload {
    /// There is no input or output.
    #[default]
    None,
    /// JSON text, stored byte for byte as it was received.
    Json(String),
    /// Bytes that are not JSON.
    Bytes(Vec<u8>),
}

impl Payload {
    /// Returns the size in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Payload::None => 0,
            Payload::Json(text) => text.len() as u64,
            Payload::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Returns the payload of a row, which stores JSON and bytes in two columns.
    pub fn from_columns(json: Option<String>, bytes: Option<Vec<u8>>) -> Payload {
        match (json, bytes) {
            (Some(text), _) => Payload::Json(text),
            (None, Some(bytes)) => Payload::Bytes(bytes),
            (None, None) => Payload::None,
        }
    }

    /// Returns the values of the two columns of a row: JSON text and bytes. Each is `None` unless
    /// the payload has this form.
    pub fn columns(&self) -> (Option<&str>, Option<&[u8]>) {
        match self {
            Payload::None => (None, None),
            Payload::Json(text) => (Some(text), None),
            Payload::Bytes(bytes) => (None, Some(bytes)),
        }
    }
}
