//! What a command is given, and what it is refused.

use abi::fault::Trap;
use abi::side::Encoding;
use abi::typed::Borrow;
use abi::value::Value;
use kernel::host::{Import, Imports};
use servers::bindings::wasi::cli::{environment, exit, terminal_stdin, terminal_stdout};
use servers::bindings::wasi::clocks::{timezone, wall_clock};
use servers::bindings::wasi::http::outgoing_handler;
use servers::bindings::wasi::http::types::{
    ErrorCode, HeaderError, HostFields, HostOutgoingBody, HostOutgoingRequest, Method, Scheme,
};
use servers::bindings::wasi::random::{insecure, insecure_seed, random};
use servers::bindings::wasi::sockets::{
    instance_network, ip_name_lookup, network, tcp_create_socket, udp_create_socket,
};
use servers::turn::Turn;
use servers::{Buffer, Output, SeededEntropy, Wasi};

use crate::fake_guest::{FakeGuest, func};

fn imports() -> Imports {
    let mut imports = Imports::default();
    servers::register(&mut imports);
    imports
}

#[test]
fn all_of_wasi_is_there() {
    let imports = imports();
    let instances: Vec<&str> = imports.names.keys().map(String::as_str).collect();
    assert!(
        instances.iter().all(|name| name.starts_with("wasi:") && name.ends_with("@0.2.12")),
        "{instances:?}"
    );
    assert_eq!(instances.len(), 30);
    let mut functions = 0;
    for (interface, import) in &imports.names {
        let Import::Instance(instance) = import else { panic!("{interface} is no instance") };
        for (name, import) in &instance.names {
            match import {
                Import::Func(func) => {
                    let ty = func.ty().unwrap();
                    assert!(
                        ty.params.iter().all(|(label, _)| !label.is_empty()),
                        "{interface}#{name}: {ty:?}"
                    );
                    functions += 1;
                }
                Import::Resource(resource) => assert!(resource.ty.is_host(), "{interface}#{name}"),
                _ => panic!("{interface}#{name} is neither function nor resource"),
            }
        }
    }
    assert_eq!(functions, 179);
}

#[test]
fn a_guest_prints_through_core_calls() {
    let imports = imports();
    let buffer = Buffer::default();
    let wasi = Wasi::builder().stdout(Output::buffer(&buffer)).build().unwrap();
    let mut guest = FakeGuest::new(Encoding::Utf8, wasi);
    let stdout = func(&imports, "wasi:cli/stdout@0.2.12", "get-stdout");
    let handle = guest.call_core(&*stdout, &[]).unwrap();
    let write = func(&imports, "wasi:io/streams@0.2.12", "[method]output-stream.blocking-write-and-flush");
    guest.memory[100..105].copy_from_slice(b"hello");
    guest.call_core(&*write, &[handle, 100, 5, 200]).unwrap();
    assert_eq!((guest.memory[200], buffer.contents()), (0, b"hello".to_vec()));
    assert_eq!(
        guest.call_core(&*write, &[handle + 1, 100, 5, 200]),
        Err(Trap::UnknownHandle(handle as u32 + 1))
    );
    let exits = func(&imports, "wasi:cli/exit@0.2.12", "exit");
    assert_eq!(guest.call_core(&*exits, &[1]), Err(Trap::Exit(1)));
}

#[test]
fn environment_and_exit() {
    let builder = Wasi::builder().args(["prog", "a"]).env("K", "old").env("L", "l").env("K", "v").cwd("/d");
    let mut wasi = builder.build().unwrap();
    assert_eq!(environment::Host::arguments(&mut wasi).unwrap(), ["prog", "a"]);
    let env = [("L".to_owned(), "l".to_owned()), ("K".to_owned(), "v".to_owned())];
    assert_eq!(environment::Host::environment(&mut wasi).unwrap(), env);
    assert_eq!(environment::Host::initial_cwd(&mut wasi).unwrap().as_deref(), Some("/d"));
    assert_eq!(exit::Host::exit(&mut wasi, Ok(())), Err(Trap::Exit(0)));
    assert_eq!(exit::Host::exit(&mut wasi, Err(())), Err(Trap::Exit(1)));
    assert_eq!(exit::Host::exit_with_code(&mut wasi, 42), Err(Trap::Exit(42)));
    assert!(terminal_stdin::Host::terminal_stdin(&mut wasi).unwrap().is_none());
    assert!(terminal_stdout::Host::terminal_stdout(&mut wasi).unwrap().is_none());
    let when = || wall_clock::Datetime { seconds: 0, nanoseconds: 0 };
    assert_eq!(timezone::Host::utc_offset(&mut wasi, when()).unwrap(), 0);
    assert_eq!(timezone::Host::display(&mut wasi, when()).unwrap().name, "UTC");
}

#[test]
fn strings_reach_guests_in_their_encoding() {
    let imports = imports();
    let arguments = func(&imports, "wasi:cli/environment@0.2.12", "get-arguments");
    for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16] {
        let wasi = Wasi::builder().args(["", "plain", "grüße", "три 🌊"]).build().unwrap();
        let mut guest = FakeGuest::new(encoding, wasi);
        let Some(Value::List(args)) = guest.call(&*arguments, &[]).unwrap() else { panic!("not a list") };
        let expected = ["", "plain", "grüße", "три 🌊"].map(|arg| Value::String(arg.into()));
        assert_eq!(args, expected, "{encoding:?}");
    }
}

#[test]
fn randomness_can_be_replayed() {
    let run = || {
        let builder = Wasi::builder().random(SeededEntropy::new(1)).insecure_random(SeededEntropy::new(2));
        let mut wasi = builder.build().unwrap();
        let bytes = <Wasi as random::Host>::random_bytes(&mut Turn::alone(&mut wasi), 13).unwrap();
        let number = random::Host::random_u64(&mut wasi).unwrap();
        let insecure =
            <Wasi as insecure::Host>::insecure_random_bytes(&mut Turn::alone(&mut wasi), 3).unwrap();
        (bytes, number, insecure, insecure_seed::Host::insecure_seed(&mut wasi).unwrap())
    };
    assert_eq!(run(), run());
    assert_eq!(run().0.len(), 13);
    let mut wasi = Wasi::builder().build().unwrap();
    let bytes = <Wasi as random::Host>::random_bytes(&mut Turn::alone(&mut wasi), 1000).unwrap();
    assert!(bytes.iter().any(|byte| *byte != bytes[0]));
    assert!(matches!(
        <Wasi as random::Host>::random_bytes(&mut Turn::alone(&mut wasi), u64::MAX),
        Err(Trap::Limit { .. })
    ));
    assert!(insecure::Host::insecure_random_u64(&mut wasi).is_ok());
}

#[test]
fn no_network_is_granted() {
    let mut wasi = Wasi::builder().build().unwrap();
    let here = instance_network::Host::instance_network(&mut wasi).unwrap();
    let family = network::IpAddressFamily::Ipv4;
    let refused = network::ErrorCode::AccessDenied;
    assert_eq!(tcp_create_socket::Host::create_tcp_socket(&mut wasi, family).unwrap(), Err(refused));
    assert_eq!(udp_create_socket::Host::create_udp_socket(&mut wasi, family).unwrap(), Err(refused));
    let resolved =
        ip_name_lookup::Host::resolve_addresses(&mut wasi, Borrow::new(here.rep), "localhost".into());
    assert_eq!(resolved.unwrap(), Err(network::ErrorCode::AccessDenied));
}

#[test]
fn a_request_is_made_and_denied() {
    let mut wasi = Wasi::builder().build().unwrap();
    let bytes = |text: &str| text.as_bytes().to_vec();
    let entry = |name: &str, value: &str| (name.to_owned(), bytes(value));
    let from_list = |wasi: &mut Wasi, list| HostFields::from_list(wasi, list).unwrap();
    assert_eq!(from_list(&mut wasi, vec![entry("a b", "c")]), Err(HeaderError::InvalidSyntax));
    assert_eq!(from_list(&mut wasi, vec![entry("a", "c\r\nd: e")]), Err(HeaderError::InvalidSyntax));
    assert_eq!(from_list(&mut wasi, vec![entry("Host", "c")]), Err(HeaderError::Forbidden));
    let fields = from_list(&mut wasi, vec![entry("A", "1"), entry("a", "2")]).unwrap();
    let this = || Borrow::new(fields.rep);
    assert_eq!(HostFields::get(&mut wasi, this(), "a".into()).unwrap(), [bytes("1"), bytes("2")]);
    assert_eq!(HostFields::set(&mut wasi, this(), "b".into(), vec![bytes("3")]).unwrap(), Ok(()));
    assert_eq!(HostFields::delete(&mut wasi, this(), "A".into()).unwrap(), Ok(()));
    assert_eq!(HostFields::append(&mut wasi, this(), "b".into(), bytes("4")).unwrap(), Ok(()));
    let request = HostOutgoingRequest::construct(&mut wasi, fields).unwrap();
    let this = || Borrow::new(request.rep);
    let headers = HostOutgoingRequest::headers(&mut wasi, this()).unwrap();
    let entries = HostFields::entries(&mut wasi, Borrow::new(headers.rep)).unwrap();
    assert_eq!(entries, [entry("b", "3"), entry("b", "4")]);
    let changed = HostFields::delete(&mut wasi, Borrow::new(headers.rep), "b".into());
    assert_eq!(changed.unwrap(), Err(HeaderError::Immutable));
    assert_eq!(wasi.set_method(this(), Method::Other("A B".into())).unwrap(), Err(()));
    assert_eq!(wasi.set_method(this(), Method::Post).unwrap(), Ok(()));
    assert_eq!(wasi.set_scheme(this(), Some(Scheme::Https)).unwrap(), Ok(()));
    assert_eq!(wasi.set_authority(this(), Some("a\nb".into())).unwrap(), Err(()));
    assert_eq!(wasi.set_path_with_query(this(), Some("/x?y".into())).unwrap(), Ok(()));
    assert_eq!(HostOutgoingRequest::method(&mut wasi, this()).unwrap(), Method::Post);
    let body = HostOutgoingRequest::body(&mut wasi, this()).unwrap().unwrap();
    assert_eq!(HostOutgoingRequest::body(&mut wasi, this()).unwrap(), Err(()));
    let stream = HostOutgoingBody::write(&mut wasi, Borrow::new(body.rep)).unwrap().unwrap();
    use servers::bindings::wasi::io::streams::HostOutputStream;
    assert_eq!(
        Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), Borrow::new(stream.rep), bytes("body"))
            .unwrap(),
        Ok(())
    );
    let sent = outgoing_handler::Host::handle(&mut wasi, request, None);
    assert_eq!(sent.unwrap(), Err(ErrorCode::HttpRequestDenied));
    assert_eq!(HostOutgoingBody::finish(&mut wasi, body, None).unwrap(), Err(ErrorCode::HttpRequestDenied));
}
