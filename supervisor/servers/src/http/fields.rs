//! `wasi:http/types`: `fields`, the headers and trailers of messages.

use abi::fault::Trap;
use abi::typed::{Borrow, Own};

use crate::Wasi;
use crate::bindings::wasi::http::types::{Fields, HeaderError, HostFields};
use crate::limits::MAX_FIELDS_BYTES;

/// Names and values in the order they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldList {
    entries: Vec<(String, Vec<u8>)>,
    /// Whether it belongs to a message, and can only be read.
    pub(crate) is_immutable: bool,
}

/// Fields that say how a connection is used, which is not the guest's to say.
const FORBIDDEN: [&str; 9] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

impl FieldList {
    fn values<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f Vec<u8>> {
        let matching = self.entries.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value)
    }

    fn remove(&mut self, name: &str) {
        self.entries.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    fn add(&mut self, name: &str, value: Vec<u8>) -> Result<(), Trap> {
        self.entries.push((name.to_owned(), value));
        let bytes: usize = self.entries.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_FIELDS_BYTES {
            let limit = "wasi:http/types: bytes of one `fields`";
            return Err(Trap::Limit { limit, value: bytes as u64, allowed: MAX_FIELDS_BYTES as u64 });
        }
        Ok(())
    }
}

/// RFC 9110, 5.1 and 5.6.2: a name is a token.
fn check_name(name: &str) -> Result<(), HeaderError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(HeaderError::InvalidSyntax);
    }
    if FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
        return Err(HeaderError::Forbidden);
    }
    Ok(())
}

/// RFC 9110, 5.5: a value holds no control characters but tabs.
fn check_value(value: &[u8]) -> Result<(), HeaderError> {
    let is_fine = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if value.iter().all(is_fine) { Ok(()) } else { Err(HeaderError::InvalidSyntax) }
}

impl Wasi {
    /// Fields to change, if they can be.
    fn fields_mut(&mut self, this: Borrow<Fields>) -> Result<Result<&mut FieldList, HeaderError>, Trap> {
        let fields = self.http.fields.at_mut(this.rep)?;
        Ok(if fields.is_immutable { Err(HeaderError::Immutable) } else { Ok(fields) })
    }

    pub(crate) fn add_fields(&mut self, fields: FieldList) -> Result<Own<Fields>, Trap> {
        self.http.fields.insert(fields).map(Own::new)
    }

    pub(crate) fn take_fields(&mut self, fields: Own<Fields>) -> Result<FieldList, Trap> {
        let taken = self.http.fields.remove(fields.rep)?;
        Ok(FieldList { is_immutable: true, ..taken })
    }
}

/// A function's result within one that may trap.
type Told<T> = Result<Result<T, HeaderError>, Trap>;

impl HostFields for Wasi {
    fn construct(&mut self) -> Result<Own<Fields>, Trap> {
        self.add_fields(FieldList::default())
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> Told<Own<Fields>> {
        let mut fields = FieldList::default();
        for (name, value) in entries {
            if let Err(error) = check_name(&name).and_then(|()| check_value(&value)) {
                return Ok(Err(error));
            }
            fields.add(&name, value)?;
        }
        self.add_fields(fields).map(Ok)
    }

    fn get(&mut self, this: Borrow<Fields>, name: String) -> Result<Vec<Vec<u8>>, Trap> {
        Ok(self.http.fields.get(this.rep)?.values(&name).cloned().collect())
    }

    fn has(&mut self, this: Borrow<Fields>, name: String) -> Result<bool, Trap> {
        Ok(self.http.fields.get(this.rep)?.values(&name).next().is_some())
    }

    fn set(&mut self, this: Borrow<Fields>, name: String, value: Vec<Vec<u8>>) -> Told<()> {
        let checked = check_name(&name).and_then(|()| value.iter().try_for_each(|value| check_value(value)));
        match (self.fields_mut(this)?, checked) {
            (Err(error), _) | (_, Err(error)) => Ok(Err(error)),
            (Ok(fields), Ok(())) => {
                fields.remove(&name);
                value.into_iter().try_for_each(|value| fields.add(&name, value)).map(Ok)
            }
        }
    }

    fn delete(&mut self, this: Borrow<Fields>, name: String) -> Told<()> {
        let checked = check_name(&name);
        Ok(self.fields_mut(this)?.and_then(|fields| checked.map(|()| fields.remove(&name))))
    }

    fn append(&mut self, this: Borrow<Fields>, name: String, value: Vec<u8>) -> Told<()> {
        let checked = check_name(&name).and_then(|()| check_value(&value));
        match (self.fields_mut(this)?, checked) {
            (Err(error), _) | (_, Err(error)) => Ok(Err(error)),
            (Ok(fields), Ok(())) => fields.add(&name, value).map(Ok),
        }
    }

    fn entries(&mut self, this: Borrow<Fields>) -> Result<Vec<(String, Vec<u8>)>, Trap> {
        Ok(self.http.fields.get(this.rep)?.entries.clone())
    }

    fn clone(&mut self, this: Borrow<Fields>) -> Result<Own<Fields>, Trap> {
        let entries = self.http.fields.get(this.rep)?.entries.clone();
        self.add_fields(FieldList { entries, is_immutable: false })
    }

    fn dropped(&mut self, this: Own<Fields>) -> Result<(), Trap> {
        self.http.fields.remove(this.rep).map(drop)
    }
}
