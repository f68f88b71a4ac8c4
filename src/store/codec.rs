//! Values: one version byte and JSON. A large one is split, since sled puts leaves beyond 128 KiB into files of their
//! own that it never syncs (measured: values up to 7.6 kB are safe; ours stay below 4 KiB).

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::layout::{Tree, chunk_key};

/// The most bytes of one row's value, version byte included.
const ROW_BYTES_MAX: usize = 3 * 1024;

/// The row holds the JSON.
const INLINE: u8 = 1;

/// The row holds the number of pieces, and [`Tree::Chunk`] the pieces of the JSON.
const CHUNKED: u8 = 2;

/// A value as rows: the row itself and the pieces beside it.
pub(super) struct Encoded {
    /// The row's value.
    pub(super) head: Vec<u8>,
    /// The pieces, in order.
    pub(super) pieces: Vec<Vec<u8>>,
}

/// What rows can be read from: the trees, or the trees with a plan on top.
pub(super) trait Rows {
    /// Why a row could not be read.
    type Error: From<String>;

    /// The value of a row as stored.
    fn row(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// Encodes a value. Fails only for values that JSON cannot express, which the model has none of.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Encoded, String> {
    let mut head = vec![INLINE];
    serde_json::to_writer(&mut head, value).map_err(|error| format!("a value cannot be encoded: {error}"))?;
    if head.len() <= ROW_BYTES_MAX {
        return Ok(Encoded { head, pieces: Vec::new() });
    }
    let pieces: Vec<_> = head[1..].chunks(ROW_BYTES_MAX).map(<[u8]>::to_vec).collect();
    let count = u32::try_from(pieces.len()).map_err(|_| "a value is larger than 12 TiB".to_owned())?;
    let head = [&[CHUNKED], &count.to_be_bytes()[..]].concat();
    Ok(Encoded { head, pieces })
}

/// How many pieces a row's value has beside it.
pub(super) fn piece_count(head: &[u8]) -> u32 {
    match head {
        [CHUNKED, count @ ..] => count.try_into().map_or(0, u32::from_be_bytes),
        _ => 0,
    }
}

/// Reads and decodes the value at a key.
pub(super) fn load<T, R>(rows: &R, tree: Tree, key: &[u8]) -> Result<Option<T>, R::Error>
where
    T: DeserializeOwned,
    R: Rows,
{
    let Some(head) = rows.row(tree, key)? else { return Ok(None) };
    decode(rows, tree, key, &head).map(Some)
}

/// Decodes a row's value, with the pieces beside it where it has some.
pub(super) fn decode<T, R>(rows: &R, tree: Tree, key: &[u8], head: &[u8]) -> Result<T, R::Error>
where
    T: DeserializeOwned,
    R: Rows,
{
    let unreadable = |why: String| {
        R::Error::from(format!("row {} of `{}` cannot be read: {why}", hexadecimal(key), tree.name()))
    };
    let assembled;
    let json = match head {
        [INLINE, json @ ..] => json,
        [CHUNKED, ..] => {
            let mut bytes = Vec::new();
            for piece in 0..piece_count(head) {
                let chunk = rows.row(Tree::Chunk, &chunk_key(tree, key, piece))?;
                bytes.extend(chunk.ok_or_else(|| unreadable(format!("its piece {piece} is missing")))?);
            }
            assembled = bytes;
            &assembled
        }
        _ => return Err(unreadable("its encoding is not known to this version".to_owned())),
    };
    serde_json::from_slice(json).map_err(|error| unreadable(error.to_string()))
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Fake(BTreeMap<(Tree, Vec<u8>), Vec<u8>>);

    impl Rows for Fake {
        type Error = String;
        fn row(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
            Ok(self.0.get(&(tree, key.to_vec())).cloned())
        }
    }

    fn stored(text: &str) -> Fake {
        let encoded = encode(&text).unwrap();
        let mut rows = BTreeMap::from([((Tree::Inbox, b"k".to_vec()), encoded.head)]);
        for (piece, bytes) in (0..).zip(encoded.pieces) {
            rows.insert((Tree::Chunk, chunk_key(Tree::Inbox, b"k", piece)), bytes);
        }
        Fake(rows)
    }

    #[test]
    fn values_of_every_size_read_back_and_no_row_is_large() {
        for size in [0, 1, ROW_BYTES_MAX - 3, ROW_BYTES_MAX - 2, ROW_BYTES_MAX, 10 * ROW_BYTES_MAX, 1 << 20] {
            let text = "x".repeat(size);
            let rows = stored(&text);
            assert!(rows.0.values().all(|value| value.len() <= ROW_BYTES_MAX));
            assert_eq!(load::<String, _>(&rows, Tree::Inbox, b"k"), Ok(Some(text)));
        }
    }

    #[test]
    fn a_missing_piece_and_an_unknown_encoding_are_named() {
        let mut rows = stored(&"x".repeat(10_000));
        rows.0.remove(&(Tree::Chunk, chunk_key(Tree::Inbox, b"k", 1)));
        let error = load::<String, _>(&rows, Tree::Inbox, b"k").unwrap_err();
        assert_eq!(error, "row 6b of `inbox` cannot be read: its piece 1 is missing");
        rows.0.insert((Tree::Inbox, b"k".to_vec()), vec![9]);
        assert!(load::<String, _>(&rows, Tree::Inbox, b"k").unwrap_err().contains("not known"));
    }
}
