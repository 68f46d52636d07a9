//! The first bytes of either side. Their form never changes, so that any two versions can tell each other which they are.
//!
//! ```text
//! 0  8  "atollctl"
//! 8  4  version, little-endian
//! 12 2  bytes of words, little-endian
//! 14 .. words, UTF-8: of a client its name, of a supervisor why it hangs up, or nothing
//! ```

use super::VERSION;
use super::framing::Inbox;
use crate::limits::MAX_GREETING_BYTES;

const MAGIC: [u8; 8] = *b"atollctl";
const HEAD: usize = 14;

/// What a side says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The version of the protocol that it speaks.
    pub version: u32,
    /// Of a client, which program it is; of a supervisor, why it hangs up, if it does.
    pub words: String,
}

/// Bytes that are no greeting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// They do not begin as one.
    #[error("not a greeting of atoll's console: it begins with \"atollctl\"")]
    Stranger,
    /// Its words are none.
    #[error("the words of a greeting are UTF-8, at most {MAX_GREETING_BYTES} bytes")]
    Words,
}

impl Greeting {
    /// One of this version. Words that are too long are cut.
    #[must_use]
    pub fn new(words: &str) -> Greeting {
        let end = words.floor_char_boundary(MAX_GREETING_BYTES);
        Greeting { version: VERSION, words: words[..end].to_owned() }
    }

    /// What a supervisor answers to a client's greeting, and whether it goes on listening to it.
    #[must_use]
    pub fn answer(client: &Greeting, program: &str) -> (Greeting, bool) {
        if client.version == VERSION {
            return (Greeting::new(""), true);
        }
        let words = format!(
            "this tree is run by {program}, whose console speaks version {VERSION} of the protocol; \
             the client speaks version {}: use the `atoll` that started the tree",
            client.version
        );
        (Greeting::new(&words), false)
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = u16::try_from(self.words.len()).expect("words are cut when a greeting is made");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.words.as_bytes());
        bytes
    }

    /// The greeting that a stream begins with, if all of it has arrived.
    ///
    /// # Errors
    /// It begins with something else, which is said as soon as that is certain.
    pub fn take(inbox: &mut Inbox) -> Result<Option<Greeting>, GreetingError> {
        let Some(head) = inbox.head::<HEAD>() else {
            return if inbox.begins_as(&MAGIC) { Ok(None) } else { Err(GreetingError::Stranger) };
        };
        if head[..8] != MAGIC {
            return Err(GreetingError::Stranger);
        }
        let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let length = usize::from(u16::from_le_bytes([head[12], head[13]]));
        if length > MAX_GREETING_BYTES {
            return Err(GreetingError::Words);
        }
        let Some(bytes) = inbox.take(HEAD + length) else { return Ok(None) };
        let words = String::from_utf8(bytes[HEAD..].to_vec()).map_err(|_| GreetingError::Words)?;
        Ok(Some(Greeting { version, words }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Greeting, GreetingError};
    use crate::control::VERSION;
    use crate::control::framing::Inbox;
    use crate::limits::MAX_GREETING_BYTES;

    #[test]
    fn a_greeting_arrives_byte_by_byte() {
        let sent = Greeting::new("atoll 0.1.0");
        let mut inbox = Inbox::new("a request", 10);
        let bytes = sent.to_bytes();
        let (last, first) = bytes.split_last().unwrap();
        for byte in first {
            inbox.push(&[*byte]);
            assert_eq!(Greeting::take(&mut inbox), Ok(None));
        }
        inbox.push(&[*last]);
        assert_eq!(Greeting::take(&mut inbox), Ok(Some(sent)));
        assert!(inbox.is_empty());
    }

    #[test]
    fn strangers_are_told_at_the_first_byte() {
        let taken = |bytes: &[u8]| {
            let mut inbox = Inbox::new("a request", 10);
            inbox.push(bytes);
            Greeting::take(&mut inbox)
        };
        assert_eq!(taken(b"G"), Err(GreetingError::Stranger));
        assert_eq!(taken(b"GET / HTTP/1.1\r\n"), Err(GreetingError::Stranger));
        assert_eq!(taken(b"atollctl\x01\0\0\0\xff\xff"), Err(GreetingError::Words));
        assert_eq!(taken(b"atollctl\x01\0\0\0\x01\0\xff"), Err(GreetingError::Words));
        assert_eq!(taken(b"atollctl\x01\0\0\0\x02\0a"), Ok(None));
    }

    #[test]
    fn another_version_is_told_in_words() {
        let mut other = Greeting::new("atoll 9");
        other.version = VERSION + 1;
        let (answer, goes_on) = Greeting::answer(&other, "atoll 0.1.0");
        assert!(!goes_on);
        let versions =
            format!("version {VERSION} of the protocol; the client speaks version {}", VERSION + 1);
        assert!(answer.words.contains(&versions), "{}", answer.words);
        assert!(answer.words.len() <= MAX_GREETING_BYTES);
        assert_eq!(Greeting::answer(&Greeting::new("x"), "y"), (Greeting::new(""), true));
        assert_eq!(Greeting::new(&"ä".repeat(1000)).words.len(), MAX_GREETING_BYTES);
    }
}
