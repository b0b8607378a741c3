//! Packed inputs of the Python `rework`: a zstd frame of names and values. What a value is, only the
//! operation's declaration says.
//!
//! In the frame: how many items there are and the size of each, big-endian in 32 bits, then the items,
//! all names before all values.

use std::io::Read as _;

use ruzstd::decoding::StreamingDecoder;

use rework_wire::operation::MAX_PAYLOAD_BYTES;

/// With what every frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why bytes are no packed input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("is damaged: {0}")]
    Frame(String),
    #[error("is larger than 100 MiB")]
    TooLarge,
    #[error("is damaged: its parts do not add up")]
    Sizes,
    #[error("is damaged: a name in it is not UTF-8")]
    Name,
}

/// Whether bytes are meant as a packed input.
pub(super) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Names and values, in the order in which they were packed.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    let plain = decompress(packed, MAX_PAYLOAD_BYTES)?;
    let items = items(&plain).ok_or(Fault::Sizes)?;
    if items.len() % 2 != 0 {
        return Err(Fault::Sizes);
    }
    let (names, values) = items.split_at(items.len() / 2);
    let pair = |(name, value): (&&[u8], &&[u8])| {
        let name = std::str::from_utf8(name).map_err(|_| Fault::Name)?;
        Ok((name.to_owned(), value.to_vec()))
    };
    names.iter().zip(values).map(pair).collect()
}

fn decompress(packed: &[u8], most: u64) -> Result<Vec<u8>, Fault> {
    let mut rest = packed;
    let mut plain = Vec::new();
    let decoder = StreamingDecoder::new(&mut rest).map_err(|e| Fault::Frame(e.to_string()))?;
    // A frame of a few bytes may unfold into any number of them.
    let read = decoder.take(most + 1).read_to_end(&mut plain);
    if read.map_err(|error| Fault::Frame(error.to_string()))? as u64 > most {
        return Err(Fault::TooLarge);
    }
    if !rest.is_empty() {
        return Err(Fault::Frame("something follows it".to_owned()));
    }
    Ok(plain)
}

/// The items; none, where the sizes do not lead exactly to the end.
fn items(plain: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, rest) = number(plain)?;
    let (sizes, mut rest) = rest.split_at_checked(count.checked_mul(4)?)?;
    let mut items = Vec::with_capacity(count);
    for size in sizes.chunks_exact(4) {
        let (size, _) = number(size)?;
        let (item, after) = rest.split_at_checked(size)?;
        items.push(item);
        rest = after;
    }
    rest.is_empty().then_some(items)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*head) as usize, rest))
}

#[cfg(test)]
pub(super) mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    /// Packs as the Python `rework` does.
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
    fn what_was_packed_is_unpacked() {
        let large = vec![0; 100_000];
        // The first two were packed by the original itself.
        let nothing = b"(\xb5/\xfd \x04!\0\0\0\0\0\0";
        let two = b"(\xb5/\xfd \x1b\xd9\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x01\0\0\0\x02\0\0\0\x03ns42h\xc3\xa9";
        for (packed, expected) in [
            (two.to_vec(), vec![("n", b"42".as_slice()), ("s", "hé".as_bytes())]),
            (nothing.to_vec(), vec![]),
            (pack(&[("photo", &large), ("x", b"")]), vec![("photo", &large), ("x", b"")]),
        ] {
            assert!(is_packed(&packed));
            let found = unpack(&packed).unwrap();
            let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let whole =
            pack(&[("n", b"42"), ("text", &b"some text, some text, some text, ".repeat(9))]);
        for length in 0..whole.len() {
            assert!(unpack(&whole[..length]).is_err(), "cut after {length}");
        }
        assert!(unpack(&[&whole[..], b"x"].concat()).is_err(), "followed by something");
        for chance in 0..20_000_u64 {
            let mut random = fastrand::Rng::with_seed(chance);
            let mut hurt = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..hurt.len());
                hurt[at] = random.u8(..);
            }
            // Frames have no checksum: what is hurt may unpack into something else, and never panics.
            let _ = unpack(&hurt);
            let garbage: Vec<u8> = (0..random.usize(..200)).map(|_| random.u8(..)).collect();
            let _ = unpack(&[&MAGIC[..], &garbage].concat());
            let _ = items(&garbage);
        }
    }

    #[test]
    fn sizes_that_lie_are_an_error() {
        let good = plain(&[("n", b"42")]);
        assert_eq!(items(&good).unwrap(), [b"n".as_slice(), b"42"]);
        let lies: [&[u8]; 6] = [
            b"",
            b"\0\0\0",
            b"\xff\xff\xff\xff",
            b"\0\0\0\x01\xff\xff\xff\xffx",
            &good[..good.len() - 1],
            &[&good[..], b"x"].concat(),
        ];
        for lie in lies {
            assert_eq!(items(lie), None, "{lie:?}");
        }
        let odd = compress_to_vec(b"\0\0\0\x01\0\0\0\x01n".as_slice(), CompressionLevel::Fastest);
        assert_eq!(unpack(&odd), Err(Fault::Sizes));
        assert_eq!(unpack(&pack(&[("n", b"1")])).unwrap().len(), 1);
    }

    #[test]
    fn what_unfolds_without_end_is_refused() {
        let zeros = vec![0; 1 << 20];
        let bomb = compress_to_vec(zeros.as_slice(), CompressionLevel::Fastest);
        assert!(bomb.len() < 1000);
        assert_eq!(decompress(&bomb, 1 << 20), Ok(zeros));
        assert_eq!(decompress(&bomb, (1 << 20) - 1), Err(Fault::TooLarge));
    }
}
