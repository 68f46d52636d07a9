//! `wasi:http`: a guest can put a request together, and sending it is denied, because no network is granted.
//!
//! What only a sent or received message would give (incoming requests, responses and bodies) no guest ever holds;
//! the functions of those have the refusal that the generator gives them.
//!
//! - [`fields`]: headers and trailers
//! - [`outgoing`]: messages that a guest makes, and the handler that denies them

pub mod fields;
pub mod outgoing;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};

use crate::Wasi;
use crate::bindings::wasi::http::types::{
    ErrorCode, FutureIncomingResponse, FutureTrailers, Host, HostFutureIncomingResponse, HostFutureTrailers,
    HostIncomingBody, HostIncomingRequest, HostIncomingResponse, HostResponseOutparam, IncomingBody,
    IncomingRequest, IncomingResponse, IoError, ResponseOutparam,
};
use crate::slab::Slab;
use fields::FieldList;
use outgoing::{Body, Request, RequestTimes, Response};

/// The messages that a tree is making.
pub(crate) struct Http {
    fields: Slab<FieldList>,
    requests: Slab<Request>,
    options: Slab<RequestTimes>,
    responses: Slab<Response>,
    bodies: Slab<Body>,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            fields: Slab::new("fields"),
            requests: Slab::new("outgoing-request"),
            options: Slab::new("request-options"),
            responses: Slab::new("outgoing-response"),
            bodies: Slab::new("outgoing-body"),
        }
    }
}

impl Host for Wasi {
    fn http_error_code(&mut self, _: Borrow<IoError>) -> Result<Option<ErrorCode>, Trap> {
        Ok(None)
    }
}

/// What no guest holds cannot be dropped.
macro_rules! never_made {
    ($($host:ident for $resource:ident),*) => {$(
        impl $host for Wasi {
            fn dropped(&mut self, this: Own<$resource>) -> Result<(), Trap> {
                Err(Trap::Host(format!("no {this:?} was ever made")))
            }
        }
    )*};
}

never_made!(HostIncomingRequest for IncomingRequest, HostIncomingResponse for IncomingResponse);
never_made!(HostIncomingBody for IncomingBody, HostResponseOutparam for ResponseOutparam);
never_made!(HostFutureTrailers for FutureTrailers, HostFutureIncomingResponse for FutureIncomingResponse);
