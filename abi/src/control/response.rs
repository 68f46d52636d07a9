//! What a supervisor answers.

use bincode::{Decode, Encode};

use super::call_line::CallLine;
use super::control_codec::{CodecError, decode, encode};
use super::edge_row::EdgeRow;
use super::faultview::FaultView;
use super::framing::framed;
use super::inspection::Inspection;
use super::log_line::LogLine;
use super::process_row::TreeSummary;
use super::refusal::Refusal;
use super::routing::Routes;
use super::treeview::TreeView;
use crate::limits::MAX_RESPONSE_BYTES;

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// It is done.
    Done,
    /// It cannot be done.
    Refused(Refusal),
    /// To [`super::request::Request::Summary`].
    Summary(TreeSummary),
    /// To [`super::request::Request::Tree`].
    Tree(TreeView),
    /// To [`super::request::Request::Edges`] and `Trace`.
    Edges(Vec<EdgeRow>),
    /// To [`super::request::Request::Inspect`].
    Inspection(Box<Inspection>),
    /// To [`super::request::Request::Logs`]: lines, and the number to go on from.
    Lines {
        /// The lines.
        lines: Vec<LogLine>,
        /// The number after the last.
        next: u64,
        /// Whether lines that were asked for are not kept any more.
        missed: bool,
    },
    /// To [`super::request::Request::Call`]: a value in WAVE, if the function has a result.
    Returned(Option<String>),
    /// The same, if it faulted.
    Fault(Box<FaultView>),
    /// To [`super::request::Request::Route`].
    Routes(Routes),
    /// To [`super::request::Request::Traced`]: calls, and how many were too many to be kept.
    Traced {
        /// The calls.
        calls: Vec<CallLine>,
        /// How many are missing.
        lost: u64,
    },
    /// To [`super::request::Request::Dump`] and `DumpFrom`.
    Part {
        /// The bytes.
        bytes: Vec<u8>,
        /// How many there are in all.
        total: u64,
    },
    /// To [`super::request::Request::Metrics`].
    Text(String),
}

impl Response {
    /// As a frame; a refusal if it is longer than a response may be.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let bytes = encode(self, "the answer", MAX_RESPONSE_BYTES).or_else(|error| {
            let refusal = Refusal { exit: 125, what: error.to_string(), ..Refusal::default() };
            encode(&Response::Refused(refusal), "a refusal", MAX_RESPONSE_BYTES)
        });
        framed(&bytes.expect("a refusal of one sentence fits"))
    }

    /// What a frame holds.
    ///
    /// # Errors
    /// No response.
    pub fn from_bytes(bytes: &[u8]) -> Result<Response, CodecError> {
        decode(bytes, "a response")
    }
}
