//! What a supervisor is asked.

use bincode::{Decode, Encode};

use super::control_codec::{CodecError, decode, encode};
use super::framing::framed;
use crate::limits::MAX_REQUEST_BYTES;

/// One request. Processes are named by path: who asks has found that out with [`Request::Summary`] before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Whether anybody is there.
    Alive,
    /// The tree, in short.
    Summary,
    /// The tree, with what its processes have loaded and import.
    Tree,
    /// The edges of the tree that are counted.
    Edges,
    /// Everything about a process.
    Inspect {
        /// Its path.
        path: String,
    },
    /// End the life of the domain of a process, as a fault would.
    Kill {
        /// Its path.
        path: String,
        /// Who asks for it, in a few words.
        by: String,
        /// Whether nobody is to start it again.
        for_good: bool,
    },
    /// End it and begin the next.
    Restart {
        /// Its path.
        path: String,
        /// Who asks for it, in a few words.
        by: String,
    },
    /// Shut the tree down, in order.
    Down {
        /// Who asks for it, in a few words.
        by: String,
    },
    /// What was printed.
    Logs {
        /// By which process; by all if none is named.
        path: Option<String>,
        /// From which number on.
        from: u64,
        /// The last so many instead.
        tail: Option<u32>,
        /// How long to wait if there is nothing yet, milliseconds.
        wait_ms: u32,
    },
    /// Call a function that the tree exports.
    Call {
        /// `interface#function(arguments)`, in WAVE.
        call: String,
    },
    /// Who provides the imports of a process.
    Route {
        /// Its path.
        path: String,
    },
    /// Trace calls from now on, until the connection ends. The answer is the edges that are traced.
    Trace {
        /// Only calls that this process makes or serves.
        path: Option<String>,
        /// Only edges that fit this pattern.
        edge: Option<String>,
        /// Only count and time them, also those that are not counted otherwise.
        only_count: bool,
    },
    /// The calls that were traced since the last such request.
    Traced {
        /// How long to wait if there is nothing yet, milliseconds.
        wait_ms: u32,
    },
    /// A core dump of a process; more of it is asked for with [`Request::DumpFrom`].
    Dump {
        /// Its path.
        path: String,
    },
    /// The next part of the dump that was made last on this connection.
    DumpFrom {
        /// Where the part begins.
        offset: u64,
    },
    /// The meters in Prometheus' text format.
    Metrics,
}

impl Request {
    /// As a frame.
    ///
    /// # Errors
    /// It is longer than a request may be.
    pub fn to_frame(&self) -> Result<Vec<u8>, CodecError> {
        Ok(framed(&encode(self, "a request", MAX_REQUEST_BYTES)?))
    }

    /// What a frame holds.
    ///
    /// # Errors
    /// No request.
    pub fn from_bytes(bytes: &[u8]) -> Result<Request, CodecError> {
        decode(bytes, "a request")
    }
}

#[cfg(test)]
mod tests {
    use super::Request;
    use crate::control::framing::Inbox;
    use crate::limits::MAX_REQUEST_BYTES;

    #[test]
    fn a_request_comes_through() {
        let asked =
            Request::Logs { path: Some("/shop/store".to_owned()), from: 3, tail: None, wait_ms: 1000 };
        let mut inbox = Inbox::new("a request", MAX_REQUEST_BYTES);
        inbox.push(&asked.to_frame().unwrap());
        let frame = inbox.frame().unwrap().unwrap();
        assert_eq!(Request::from_bytes(&frame), Ok(asked));
        let error = Request::from_bytes(&[200]).unwrap_err().to_string();
        assert!(error.starts_with("1 bytes are not a request: "), "{error}");
        let long = Request::Call { call: "x".repeat(MAX_REQUEST_BYTES) };
        assert!(long.to_frame().unwrap_err().to_string().contains("more than the"));
    }
}
