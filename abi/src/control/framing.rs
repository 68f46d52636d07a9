//! Messages out of a stream of bytes: four bytes of length, little-endian, and so many bytes.

use super::control_codec::CodecError;

/// Bytes of a length.
const PREFIX: usize = 4;

/// Bytes that have arrived and are no message yet. It holds what did arrive, never what a length promises.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    allowed: usize,
    what: &'static str,
}

impl Inbox {
    /// For messages of so many bytes at most.
    #[must_use]
    pub fn new(what: &'static str, allowed: usize) -> Inbox {
        Inbox { bytes: Vec::new(), allowed, what }
    }

    /// More bytes have arrived. Whoever pushes takes the frames out before pushing again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a message has begun to arrive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next message, if all of it has arrived.
    ///
    /// # Errors
    /// It says that it is longer than allowed.
    pub fn frame(&mut self) -> Result<Option<Vec<u8>>, CodecError> {
        let Some(prefix) = self.bytes.first_chunk::<PREFIX>() else { return Ok(None) };
        let length = u32::from_le_bytes(*prefix) as usize;
        if length > self.allowed {
            return Err(CodecError::TooLong { what: self.what, bytes: length, allowed: self.allowed });
        }
        if self.bytes.len() - PREFIX < length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(PREFIX + length);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.drain(..PREFIX);
        Ok(Some(frame))
    }

    /// The first bytes, if so many have arrived: what is no frame.
    pub(super) fn head<const N: usize>(&self) -> Option<[u8; N]> {
        self.bytes.first_chunk::<N>().copied()
    }

    /// Whether what has arrived can become something that begins with `head`.
    pub(super) fn begins_as(&self, head: &[u8]) -> bool {
        let both = self.bytes.len().min(head.len());
        self.bytes[..both] == head[..both]
    }

    /// Takes the first bytes, if so many have arrived.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        if self.bytes.len() < count {
            return None;
        }
        let rest = self.bytes.split_off(count);
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}

/// A message with its length before it.
///
/// # Panics
/// It has 4 GiB; what was encoded within a limit has not.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("messages are encoded within a limit");
    let mut bytes = Vec::with_capacity(PREFIX + message.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(message);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Inbox, framed};

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut inbox = Inbox::new("a message", 10);
        let stream = [framed(b"one"), framed(b""), framed(b"ten bytes.")].concat();
        let mut frames = Vec::new();
        for byte in stream {
            inbox.push(&[byte]);
            frames.extend(inbox.frame().unwrap());
        }
        assert_eq!(frames, [&b"one"[..], b"", b"ten bytes."]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_length_is_not_believed() {
        let mut inbox = Inbox::new("a request", 10);
        inbox.push(&[11, 0, 0, 0]);
        let error = inbox.frame().unwrap_err();
        assert_eq!(error.to_string(), "a request has 11 bytes, more than the 10 of a frame");
    }
}
