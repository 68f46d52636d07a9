//! An HTTP/1 responder with one page: the meters, for Prometheus. It reads a request's first line and nothing else of it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::complaint::Complaint;
use crate::control::reception::Reception;
use crate::exit_code::Exit;
use crate::limits::{SCRAPE_CLIENTS, SCRAPE_REQUEST_BYTES};
use crate::steward::Steward;

/// How long one scrape may take.
const WHOLE: Duration = Duration::from_secs(3);

/// Where meters are to be had: an address and a port. Who gives only a port means this machine only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsAddress(pub SocketAddr);

/// No address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a port as 9464, or an address with one as 127.0.0.1:9464 or [::1]:9464")]
pub struct AddressError;

impl std::fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MetricsAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<MetricsAddress, AddressError> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
        let address = port.map(|port| SocketAddr::new(loopback, port)).or_else(|_| text.parse());
        address.map(MetricsAddress).map_err(|_| AddressError)
    }
}

/// Answers scrapes with the meters of a tree. Gives where.
///
/// # Errors
/// The address cannot be listened at.
pub fn serve_tree(address: MetricsAddress, steward: &Arc<dyn Steward>) -> Result<SocketAddr, Complaint> {
    let reception = Reception::new(Arc::downgrade(steward));
    serve(address, move || reception.page())
}

/// Answers scrapes with what `page` gives, on threads of its own, as long as this process lives. Gives where.
///
/// # Errors
/// The address cannot be listened at.
pub fn serve(
    address: MetricsAddress,
    page: impl Fn() -> Option<String> + Send + Sync + 'static,
) -> Result<SocketAddr, Complaint> {
    let refused = |error: io::Error| {
        Complaint::new(Exit::Failed, format!("--metrics {}: nobody can be served there", address.0))
            .because(error)
            .advise("port 0 takes one that is free")
    };
    let listener = TcpListener::bind(address.0).map_err(refused)?;
    let at = listener.local_addr().map_err(refused)?;
    let page: Arc<Page> = Arc::new(page);
    let attend = move || attend(&listener, &page);
    thread::Builder::new().name("atoll-metrics".to_owned()).spawn(attend).map_err(refused)?;
    Ok(at)
}

type Page = dyn Fn() -> Option<String> + Send + Sync;

fn attend(listener: &TcpListener, page: &Arc<Page>) {
    let present = Arc::new(AtomicUsize::new(0));
    for client in listener.incoming() {
        let Ok(mut client) = client else {
            // Out of descriptors, or the like: that passes, or it does not.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if present.load(Ordering::SeqCst) >= SCRAPE_CLIENTS {
            let _ = client.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = client.write_all(&response("503 Service Unavailable", "too many clients\n"));
            continue;
        }
        present.fetch_add(1, Ordering::SeqCst);
        let (page, seat) = (Arc::clone(page), Seat(Arc::clone(&present)));
        let serve = move || {
            let _seat = seat;
            // Whatever goes wrong, there is nobody left to be told.
            let _ = converse(&mut client, &*page);
        };
        let _ = thread::Builder::new().name("atoll-scrape".to_owned()).spawn(serve);
    }
}

struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn converse(client: &mut TcpStream, page: &Page) -> io::Result<()> {
    let until = Instant::now() + WHOLE;
    let left = || Some(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
    let mut head = Vec::new();
    // To the empty line: who closes with bytes unread resets the line, and the answer is lost.
    while !ends(&head) && head.len() < SCRAPE_REQUEST_BYTES && Instant::now() < until {
        client.set_read_timeout(left())?;
        let mut bytes = [0; 1024];
        match client.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => head.extend_from_slice(&bytes[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut answer = &answer(&head, page)[..];
    while !answer.is_empty() && Instant::now() < until {
        client.set_write_timeout(left())?;
        let written = client.write(answer)?;
        answer = &answer[written..];
    }
    client.shutdown(std::net::Shutdown::Write)
}

fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|bytes| bytes == b"\r\n\r\n") || head.windows(2).any(|bytes| bytes == b"\n\n")
}

/// The answer to a request that begins so.
fn answer(head: &[u8], page: &Page) -> Vec<u8> {
    let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words[..] {
        _ if !ends(head) => {
            response("431 Request Header Fields Too Large", "no request, or too long a one\n")
        }
        [b"GET", b"/metrics", version] if version.starts_with(b"HTTP/1.") => match page() {
            Some(text) => response("200 OK", &text),
            None => response("503 Service Unavailable", "the tree has ended\n"),
        },
        [b"GET", _, version] if version.starts_with(b"HTTP/1.") => {
            response("404 Not Found", "try /metrics\n")
        }
        [_, _, version] if version.starts_with(b"HTTP/") => response("405 Method Not Allowed", "only GET\n"),
        _ => response("400 Bad Request", "this is no HTTP/1 request\n"),
    }
}

fn response(status: &str, text: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    [head.as_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};

    use super::{MetricsAddress, serve};
    use crate::limits::SCRAPE_REQUEST_BYTES;

    #[test]
    fn an_address_is_this_machine_unless_it_is_said() {
        let address = |text: &str| text.parse::<MetricsAddress>().map(|at| at.0.to_string());
        assert_eq!(address("9464").as_deref(), Ok("127.0.0.1:9464"));
        assert_eq!(address(":9464").as_deref(), Ok("127.0.0.1:9464"));
        assert_eq!(address("[::1]:1").as_deref(), Ok("[::1]:1"));
        assert_eq!(address("0.0.0.0:80").as_deref(), Ok("0.0.0.0:80"));
        for wrong in ["", "70000", "localhost", "1.2.3.4", "x:1"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scrapes_are_answered_and_nothing_else() {
        let at = serve("0".parse().unwrap(), || Some("atoll_up 1\n".to_owned())).unwrap();
        let say = |bytes: &[u8]| {
            let mut line = TcpStream::connect(at).unwrap();
            let _ = line.write_all(bytes);
            let _ = line.shutdown(Shutdown::Write);
            let mut heard = Vec::new();
            let _ = line.read_to_end(&mut heard);
            String::from_utf8_lossy(&heard).into_owned()
        };
        let page = say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\natoll_up 1\n"), "{page}");
        let long = [b"GET /metrics HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; SCRAPE_REQUEST_BYTES]].concat();
        for (bytes, status) in [
            (&b"GET / HTTP/1.0\n\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"\xff\xfe\r\n\r\n", "400"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"", "431"),
            (&long[..SCRAPE_REQUEST_BYTES], "431"),
        ] {
            assert!(say(bytes).starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {}", say(bytes));
        }
        assert!(say(b"GET /metrics HTTP/1.1\r\n\r\n").contains("200 OK"));
    }
}
