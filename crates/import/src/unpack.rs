//! Unpacks inputs that the Python `rework` has packed: names and values, compressed as a zstd frame.
//!
//! The decompressed bytes are: the number of items; the size of each item; all names; all values. Numbers have 32 bits,
//! the highest byte first. The types of the values are not part of it: the declaration of the operation gives them.

use std::io::Read as _;

use ruzstd::decoding::StreamingDecoder;

use rework_wire::operation::MAX_PAYLOAD_BYTES;

/// The first bytes of every zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The error of a packed input that cannot be unpacked. The message completes the phrase `its input …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnpackError {
    #[error("is damaged: {0}")]
    Frame(String),
    #[error("is larger than 100 MiB")]
    TooLarge,
    #[error("is damaged: the sizes of its parts are wrong")]
    Sizes,
    #[error("is damaged: a name in it is not UTF-8")]
    Name,
}

/// Returns whether an input is packed, judging by its first bytes.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&ZSTD_MAGIC)
}

/// Returns the names and values of a packed input, in the order in which they were packed.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<(String, Vec<u8>)>, UnpackError> {
    let plain = decompress(packed, MAX_PAYLOAD_BYTES)?;
    let items = items(&plain).ok_or(UnpackError::Sizes)?;
    if items.len() % 2 != 0 {
        return Err(UnpackError::Sizes);
    }
    let (names, values) = items.split_at(items.len() / 2);
    let pair = |(name, value): (&&[u8], &&[u8])| {
        let name = std::str::from_utf8(name).map_err(|_| UnpackError::Name)?;
        Ok((name.to_owned(), value.to_vec()))
    };
    names.iter().zip(values).map(pair).collect()
}

/// Decompresses a zstd frame. `Err` if the result has more than `max_bytes`, or if bytes follow the frame.
fn decompress(packed: &[u8], max_bytes: u64) -> Result<Vec<u8>, UnpackError> {
    let mut unread = packed;
    let mut plain = Vec::new();
    let decoder =
        StreamingDecoder::new(&mut unread).map_err(|e| UnpackError::Frame(e.to_string()))?;
    // A frame of a few bytes may decompress to gigabytes. Reading stops one byte above the limit.
    let read = decoder.take(max_bytes + 1).read_to_end(&mut plain);
    if read.map_err(|error| UnpackError::Frame(error.to_string()))? as u64 > max_bytes {
        return Err(UnpackError::TooLarge);
    }
    if !unread.is_empty() {
        return Err(UnpackError::Frame("there are bytes after its end".to_owned()));
    }
    Ok(plain)
}

/// Splits the decompressed bytes into items. `None` if the sizes do not add up to the length of the data.
fn items(plain: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, unread) = number(plain)?;
    let (sizes, mut unread) = unread.split_at_checked(count.checked_mul(4)?)?;
    let mut items = Vec::with_capacity(count);
    for size in sizes.chunks_exact(4) {
        let (size, _) = number(size)?;
        let (item, after) = unread.split_at_checked(size)?;
        items.push(item);
        unread = after;
    }
    unread.is_empty().then_some(items)
}

/// Reads a number of 32 bits. Returns it with the bytes after it; `None` if there are fewer than
/// four bytes.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, after) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number) as usize, after))
}

#[cfg(test)]
pub(super) mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    /// Packs an input as the Python `rework` does.
    pub(crate) fn pack(fields: &[(&str, &[u8])]) -> Vec<u8> {
        compress_to_vec(plain(fields).as_slice(), CompressionLevel::Fastest)
    }

    fn plain(fields: &[(&str, &[u8])]) -> Vec<u8> {
        let names = fields.iter().map(|(name, _)| name.as_bytes());
        let items: Vec<&[u8]> = names.chain(fields.iter().map(|(_, value)| *value)).collect();
        let mut plain = (items.len() as u32).to_be_bytes().to_vec();
        plain.extend(items.iter().flat_map(|item| (item.len() as u32).to_be_bytes()));
        plain.extend(items.concat());
        plain
    }

    #[test]
    fn a_packed_input_is_unpacked() {
        let large = vec![0; 100_000];
        // These two were packed by the Python rework itself.
        let nothing = b"(\xb5/\xfd \x04!\0\0\0\0\0\0";
        let two = b"(\xb5/\xfd \x1b\xd9\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0\x03ns42h\xc3\xa9";
        for (packed, expected) in [
            (two.to_vec(), vec![("n", b"42".as_slice()), ("s", "hé".as_bytes())]),
            (nothing.to_vec(), vec![]),
            (pack(&[("photo", &large), ("x", b"")]), vec![("photo", &large), ("x", b"")]),
        ] {
            assert!(is_packed(&packed));
            let fields = unpack(&packed).unwrap();
            let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
            assert_eq!(fields, expected);
        }
    }

    #[test]
    fn damaged_input_never_panics() {
        let whole =
            pack(&[("n", b"42"), ("text", &b"some text, some text, some text, ".repeat(9))]);
        for length in 0..whole.len() {
            assert!(unpack(&whole[..length]).is_err(), "cut after {length}");
        }
        assert!(unpack(&[&whole[..], b"x"].concat()).is_err(), "followed by something");
        for seed in 0..20_000_u64 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut damaged = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..damaged.len());
                damaged[at] = random.u8(..);
            }
            // These frames have no checksum, so damaged bytes may unpack to another input. Only panics are errors here.
            let _ = unpack(&damaged);
            let garbage: Vec<u8> = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
            let _ = unpack(&[&ZSTD_MAGIC[..], &garbage].concat());
            let _ = items(&garbage);
        }
    }

    #[test]
    fn wrong_sizes_are_an_error() {
        let good = plain(&[("n", b"42")]);
        assert_eq!(items(&good).unwrap(), [b"n".as_slice(), b"42"]);
        let wrong_sizes: [&[u8]; 6] = [
            b"",
            b"\0\0\0",
            b"\xff\xff\xff\xff",
            b"\0\0\0\x01\xff\xff\xff\xffx",
            &good[..good.len() - 1],
            &[&good[..], b"x"].concat(),
        ];
        for bytes in wrong_sizes {
            assert_eq!(items(bytes), None, "{bytes:?}");
        }
        let odd = compress_to_vec(b"\0\0\0\x01\0\0\0\x01n".as_slice(), CompressionLevel::Fastest);
        assert_eq!(unpack(&odd), Err(UnpackError::Sizes));
        assert_eq!(unpack(&pack(&[("n", b"1")])).unwrap().len(), 1);
    }

    #[test]
    fn an_input_that_decompresses_beyond_the_limit_is_refused() {
        let zeros = vec![0; 1 << 20];
        let bomb = compress_to_vec(zeros.as_slice(), CompressionLevel::Fastest);
        assert!(bomb.len() < 1000);
        assert_eq!(decompress(&bomb, 1 << 20), Ok(zeros));
        assert_eq!(decompress(&bomb, (1 << 20) - 1), Err(UnpackError::TooLarge));
    }
}
