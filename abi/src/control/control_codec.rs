//! Messages as bytes: the only file that knows bincode.
//!
//! A decoder is told how much memory the lengths in a message may claim, before it allocates any: a multiple of the bytes that
//! did arrive, so that a short message with a huge length in it costs nothing.

use bincode::config::{Configuration, LittleEndian, Varint};
use bincode::{Decode, Encode};

/// Why bytes are no message, or a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not the message that was expected.
    #[error("{bytes} bytes are not {expected}: {reason}")]
    Malformed {
        /// How many there are.
        bytes: usize,
        /// What they should be.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// More than a frame holds.
    #[error("{what} has {bytes} bytes, more than the {allowed} of a frame")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// What is allowed.
        allowed: usize,
    },
}

/// A message as bytes.
///
/// # Errors
/// It is longer than `allowed`.
pub fn encode<T: Encode>(message: &T, what: &'static str, allowed: usize) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::encode_to_vec(message, config()).expect("numbers, strings and lists can be encoded");
    if bytes.len() > allowed {
        return Err(CodecError::TooLong { what, bytes: bytes.len(), allowed });
    }
    Ok(bytes)
}

/// The message that all of `bytes` are.
///
/// # Errors
/// They are none, or more than one.
pub fn decode<T: Decode<()>>(bytes: &[u8], expected: &'static str) -> Result<T, CodecError> {
    let malformed = |reason: String| CodecError::Malformed { bytes: bytes.len(), expected, reason };
    // A value takes more memory than bytes: a list of a record of empty strings some 24 times as much.
    let decoded = match bytes.len() {
        0..=0x400 => bincode::decode_from_slice(bytes, config().with_limit::<0x1_0000>()),
        0x401..=0x1_0000 => bincode::decode_from_slice(bytes, config().with_limit::<0x40_0000>()),
        0x1_0001..=0x10_0000 => bincode::decode_from_slice(bytes, config().with_limit::<0x400_0000>()),
        _ => bincode::decode_from_slice(bytes, config().with_limit::<0x2000_0000>()),
    };
    let (message, read) = decoded.map_err(|error| malformed(error.to_string()))?;
    if read != bytes.len() {
        return Err(malformed(format!("{} bytes are left over", bytes.len() - read)));
    }
    Ok(message)
}

fn config() -> Configuration<LittleEndian, Varint> {
    bincode::config::standard()
}

#[cfg(test)]
mod tests {
    use super::{CodecError, decode, encode};

    #[test]
    fn what_is_encoded_is_decoded() {
        let message = (7_u64, "text".to_owned(), vec![Some(1_u32), None]);
        let bytes = encode(&message, "a message", 100).unwrap();
        assert_eq!(decode(&bytes, "a message"), Ok(message.clone()));
        assert!(matches!(decode::<u8>(&bytes, "a byte"), Err(CodecError::Malformed { .. })));
        assert!(matches!(encode(&message, "a message", 4), Err(CodecError::TooLong { bytes: 10, .. })));
    }

    #[test]
    fn a_huge_length_allocates_nothing() {
        // 2^62 elements, and none of them there.
        let mut bytes = vec![253];
        bytes.extend((1_u64 << 62).to_le_bytes());
        let error = decode::<Vec<u64>>(&bytes, "numbers").unwrap_err();
        assert!(error.to_string().starts_with("9 bytes are not numbers: "), "{error}");
        // 2^20 elements: would be 24 MiB.
        let mut bytes = vec![252];
        bytes.extend((1_u32 << 20).to_le_bytes());
        assert!(decode::<Vec<String>>(&bytes, "texts").is_err());
    }
}
