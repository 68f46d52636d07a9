//! `wasi:http/types`: messages that a guest makes; `wasi:http/outgoing-handler`, which denies them.

use abi::fault::Trap;
use abi::typed::{Borrow, Own};

use super::fields::FieldList;
use crate::Wasi;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HostOutgoingBody, HostOutgoingRequest, HostOutgoingResponse,
    HostRequestOptions, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, OutputStream,
    RequestOptions, Scheme,
};
use crate::io::streams::Sink;

/// A request being made.
#[derive(Debug)]
pub(crate) struct Request {
    headers: FieldList,
    method: Method,
    path: Option<String>,
    scheme: Option<Scheme>,
    authority: Option<String>,
    has_body: bool,
}

/// `request-options`, nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct RequestTimes {
    connect: Option<u64>,
    first_byte: Option<u64>,
    between_bytes: Option<u64>,
}

/// A response being made.
#[derive(Debug)]
pub(crate) struct Response {
    headers: FieldList,
    status: u16,
    has_body: bool,
}

/// A body being written, to nowhere: its message is never sent.
#[derive(Debug, Default)]
pub(crate) struct Body {
    has_stream: bool,
}

impl Wasi {
    /// The body of a message, which can be taken once.
    fn take_body(&mut self, has_body: bool) -> Result<Result<Own<OutgoingBody>, ()>, Trap> {
        if has_body {
            return Ok(Err(()));
        }
        Ok(Ok(Own::new(self.http.bodies.insert(Body::default())?)))
    }

    fn request(&mut self, this: Borrow<OutgoingRequest>) -> Result<&mut Request, Trap> {
        self.http.requests.at_mut(this.rep)
    }

    fn times(&mut self, this: Borrow<RequestOptions>) -> Result<&mut RequestTimes, Trap> {
        self.http.options.at_mut(this.rep)
    }
}

impl HostOutgoingRequest for Wasi {
    fn construct(&mut self, headers: Own<Fields>) -> Result<Own<OutgoingRequest>, Trap> {
        let headers = self.take_fields(headers)?;
        let (path, scheme, authority) = (None, None, None);
        let request = Request { headers, method: Method::Get, path, scheme, authority, has_body: false };
        self.http.requests.insert(request).map(Own::new)
    }

    fn body(&mut self, this: Borrow<OutgoingRequest>) -> Result<Result<Own<OutgoingBody>, ()>, Trap> {
        let had_body = std::mem::replace(&mut self.request(this)?.has_body, true);
        self.take_body(had_body)
    }

    fn method(&mut self, this: Borrow<OutgoingRequest>) -> Result<Method, Trap> {
        Ok(self.request(this)?.method.clone())
    }

    fn set_method(&mut self, this: Borrow<OutgoingRequest>, method: Method) -> Result<Result<(), ()>, Trap> {
        let is_token = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        };
        if matches!(&method, Method::Other(name) if !is_token(name)) {
            return Ok(Err(()));
        }
        self.request(this)?.method = method;
        Ok(Ok(()))
    }

    fn path_with_query(&mut self, this: Borrow<OutgoingRequest>) -> Result<Option<String>, Trap> {
        Ok(self.request(this)?.path.clone())
    }

    fn set_path_with_query(
        &mut self,
        this: Borrow<OutgoingRequest>,
        path: Option<String>,
    ) -> Result<Result<(), ()>, Trap> {
        if path.as_ref().is_some_and(|path| !is_visible(path)) {
            return Ok(Err(()));
        }
        self.request(this)?.path = path;
        Ok(Ok(()))
    }

    fn scheme(&mut self, this: Borrow<OutgoingRequest>) -> Result<Option<Scheme>, Trap> {
        Ok(self.request(this)?.scheme.clone())
    }

    fn set_scheme(
        &mut self,
        this: Borrow<OutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> Result<Result<(), ()>, Trap> {
        if matches!(&scheme, Some(Scheme::Other(name)) if name.is_empty() || !is_visible(name)) {
            return Ok(Err(()));
        }
        self.request(this)?.scheme = scheme;
        Ok(Ok(()))
    }

    fn authority(&mut self, this: Borrow<OutgoingRequest>) -> Result<Option<String>, Trap> {
        Ok(self.request(this)?.authority.clone())
    }

    fn set_authority(
        &mut self,
        this: Borrow<OutgoingRequest>,
        authority: Option<String>,
    ) -> Result<Result<(), ()>, Trap> {
        if authority.as_ref().is_some_and(|authority| !is_visible(authority)) {
            return Ok(Err(()));
        }
        self.request(this)?.authority = authority;
        Ok(Ok(()))
    }

    fn headers(&mut self, this: Borrow<OutgoingRequest>) -> Result<Own<Fields>, Trap> {
        let headers = self.request(this)?.headers.clone();
        self.add_fields(headers)
    }

    fn dropped(&mut self, this: Own<OutgoingRequest>) -> Result<(), Trap> {
        self.http.requests.remove(this.rep).map(drop)
    }
}

/// Neither white space nor control characters, which would let a request become two.
fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte > b' ' && byte != 0x7f)
}

impl HostRequestOptions for Wasi {
    fn construct(&mut self) -> Result<Own<RequestOptions>, Trap> {
        self.http.options.insert(RequestTimes::default()).map(Own::new)
    }

    fn connect_timeout(&mut self, this: Borrow<RequestOptions>) -> Result<Option<u64>, Trap> {
        Ok(self.times(this)?.connect)
    }

    fn set_connect_timeout(
        &mut self,
        this: Borrow<RequestOptions>,
        duration: Option<u64>,
    ) -> Result<Result<(), ()>, Trap> {
        self.times(this)?.connect = duration;
        Ok(Ok(()))
    }

    fn first_byte_timeout(&mut self, this: Borrow<RequestOptions>) -> Result<Option<u64>, Trap> {
        Ok(self.times(this)?.first_byte)
    }

    fn set_first_byte_timeout(
        &mut self,
        this: Borrow<RequestOptions>,
        duration: Option<u64>,
    ) -> Result<Result<(), ()>, Trap> {
        self.times(this)?.first_byte = duration;
        Ok(Ok(()))
    }

    fn between_bytes_timeout(&mut self, this: Borrow<RequestOptions>) -> Result<Option<u64>, Trap> {
        Ok(self.times(this)?.between_bytes)
    }

    fn set_between_bytes_timeout(
        &mut self,
        this: Borrow<RequestOptions>,
        duration: Option<u64>,
    ) -> Result<Result<(), ()>, Trap> {
        self.times(this)?.between_bytes = duration;
        Ok(Ok(()))
    }

    fn dropped(&mut self, this: Own<RequestOptions>) -> Result<(), Trap> {
        self.http.options.remove(this.rep).map(drop)
    }
}

impl HostOutgoingResponse for Wasi {
    fn construct(&mut self, headers: Own<Fields>) -> Result<Own<OutgoingResponse>, Trap> {
        let headers = self.take_fields(headers)?;
        self.http.responses.insert(Response { headers, status: 200, has_body: false }).map(Own::new)
    }

    fn status_code(&mut self, this: Borrow<OutgoingResponse>) -> Result<u16, Trap> {
        Ok(self.http.responses.get(this.rep)?.status)
    }

    fn set_status_code(
        &mut self,
        this: Borrow<OutgoingResponse>,
        status: u16,
    ) -> Result<Result<(), ()>, Trap> {
        if !(100..1000).contains(&status) {
            return Ok(Err(()));
        }
        self.http.responses.at_mut(this.rep)?.status = status;
        Ok(Ok(()))
    }

    fn headers(&mut self, this: Borrow<OutgoingResponse>) -> Result<Own<Fields>, Trap> {
        let headers = self.http.responses.get(this.rep)?.headers.clone();
        self.add_fields(headers)
    }

    fn body(&mut self, this: Borrow<OutgoingResponse>) -> Result<Result<Own<OutgoingBody>, ()>, Trap> {
        let had_body = std::mem::replace(&mut self.http.responses.at_mut(this.rep)?.has_body, true);
        self.take_body(had_body)
    }

    fn dropped(&mut self, this: Own<OutgoingResponse>) -> Result<(), Trap> {
        self.http.responses.remove(this.rep).map(drop)
    }
}

impl HostOutgoingBody for Wasi {
    fn write(&mut self, this: Borrow<OutgoingBody>) -> Result<Result<Own<OutputStream>, ()>, Trap> {
        if std::mem::replace(&mut self.http.bodies.at_mut(this.rep)?.has_stream, true) {
            return Ok(Err(()));
        }
        self.streams.add_output(Sink::Nowhere).map(Ok)
    }

    fn finish(
        &mut self,
        this: Own<OutgoingBody>,
        trailers: Option<Own<Fields>>,
    ) -> Result<Result<(), ErrorCode>, Trap> {
        self.http.bodies.remove(this.rep)?;
        if let Some(trailers) = trailers {
            self.take_fields(trailers)?;
        }
        Ok(Err(ErrorCode::HttpRequestDenied))
    }

    fn dropped(&mut self, this: Own<OutgoingBody>) -> Result<(), Trap> {
        self.http.bodies.remove(this.rep).map(drop)
    }
}

impl outgoing_handler::Host for Wasi {
    fn handle(
        &mut self,
        request: Own<OutgoingRequest>,
        options: Option<Own<RequestOptions>>,
    ) -> Result<Result<Own<FutureIncomingResponse>, ErrorCode>, Trap> {
        self.http.requests.remove(request.rep)?;
        if let Some(options) = options {
            self.http.options.remove(options.rep)?;
        }
        Ok(Err(ErrorCode::HttpRequestDenied))
    }
}
