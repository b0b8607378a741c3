//! [`Bytes`]: inputs and outputs that are not JSON.

/// An input or output that is not JSON. The bytes are passed on unchanged.
///
/// ```
/// use rework::{Bytes, operation};
///
/// /// Reverses a file.
/// #[operation]
/// fn reversed(Bytes(mut content): Bytes) -> Bytes {
///     content.reverse();
///     Bytes(content)
/// }
///
/// fn main() {
///     assert_eq!(reversed(Bytes(vec![1, 2, 3])), Bytes(vec![3, 2, 1]));
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
