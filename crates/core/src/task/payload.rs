//! Inputs and outputs, as they are stored: nothing, JSON or bytes.

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Payload {
    /// None was given.
    #[default]
    None,
    /// JSON text, as it was given.
    Json(String),
    /// Bytes of no known form.
    Bytes(Vec<u8>),
}

impl Payload {
    /// How large it is.
    pub fn bytes(&self) -> u64 {
        match self {
            Payload::None => 0,
            Payload::Json(text) => text.len() as u64,
            Payload::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// From a row's two columns.
    pub fn from_columns(json: Option<String>, bytes: Option<Vec<u8>>) -> Payload {
        match (json, bytes) {
            (Some(text), _) => Payload::Json(text),
            (None, Some(bytes)) => Payload::Bytes(bytes),
            (None, None) => Payload::None,
        }
    }

    /// For a row's two columns.
    pub fn columns(&self) -> (Option<&str>, Option<&[u8]>) {
        match self {
            Payload::None => (None, None),
            Payload::Json(text) => (Some(text), None),
            Payload::Bytes(bytes) => (None, Some(bytes)),
        }
    }
}
