//! Why an interface is granted or not, and what would grant it.

use super::{Grants, Network, Origin};
use crate::filesystem::preopens::Preopen;

/// Whether what an interface leads to is granted to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Whether anything can be done with it.
    pub granted: bool,
    /// What it reaches, or why nothing.
    pub text: String,
    /// What would grant it, or more of it: an option of the command line, a line of the manifest. `None` if nothing
    /// would.
    pub would_grant: Option<String>,
}

/// Grants as they can be told of, whether they are opened or not.
pub(crate) struct View<'g> {
    pub(crate) dirs: &'g [Preopen],
    pub(crate) env: &'g [(String, String)],
    pub(crate) args: &'g [String],
    pub(crate) cwd: Option<&'g str>,
    /// What standard input, output and error are, if they are granted.
    pub(crate) stdio: [Option<&'static str>; 3],
    pub(crate) network: &'g Network,
    pub(crate) clocks: bool,
    pub(crate) random: bool,
    pub(crate) origin: &'g Origin,
}

impl View<'_> {
    /// Of grants that are not opened yet.
    pub(crate) fn of(grants: &Grants) -> View<'_> {
        View {
            dirs: &grants.dirs,
            env: &grants.env,
            args: &grants.args,
            cwd: grants.cwd.as_deref(),
            stdio: [
                grants.stdin.as_ref().map(super::Input::what),
                grants.stdout.as_ref().map(super::Output::what),
                grants.stderr.as_ref().map(super::Output::what),
            ],
            network: &grants.network,
            clocks: grants.clocks,
            random: grants.random,
            origin: &grants.origin,
        }
    }
}

/// One thing that can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    Dirs,
    Env,
    Args,
    Stdin,
    Stdout,
    Stderr,
    Connect,
    Listen,
    Udp,
    UdpListen,
    Resolve,
    Clocks,
    Random,
}

impl Grant {
    /// Its field of [`Grants`] and key of a manifest, an example of its value there, its option of the command line.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Grant::Dirs => ("dirs", r#"["data::/data:ro"]"#, "--dir data::/data:ro"),
            Grant::Env => ("env", r#"{ NAME = "value" }"#, "--env NAME=value"),
            Grant::Args => ("args", r#"["one", "two"]"#, "arguments after FILE"),
            Grant::Stdin => ("stdin", r#""inherit""#, ""),
            Grant::Stdout => ("stdout", r#""log""#, ""),
            Grant::Stderr => ("stderr", r#""log""#, ""),
            Grant::Connect => ("network.connect", r#"["example.com:443"]"#, "--connect example.com:443"),
            Grant::Listen => ("network.listen", r#"["127.0.0.1:8080"]"#, "--listen 127.0.0.1:8080"),
            Grant::Udp => ("network.udp", r#"["192.0.2.1:53"]"#, "--udp 192.0.2.1:53"),
            Grant::UdpListen => {
                ("network.udp-listen", r#"["127.0.0.1:5353"]"#, "--udp-listen 127.0.0.1:5353")
            }
            Grant::Resolve => ("network.resolve", r#"["example.com"]"#, "--resolve example.com"),
            Grant::Clocks => ("clocks", "true", ""),
            Grant::Random => ("random", "true", ""),
        }
    }
}

impl Origin {
    /// What a person changes to give some of `grants`.
    pub(crate) fn would_grant(&self, grants: &[Grant]) -> String {
        let each = grants.iter().map(|grant| {
            let (key, example, option) = grant.names();
            match self {
                Origin::Program => format!("`Grants::{}`", key.replace('-', "_")),
                Origin::CommandLine if option.is_empty() => {
                    format!("`{key}`, which `atoll run` always grants")
                }
                Origin::CommandLine => format!("`{option}`"),
                Origin::Manifest { .. } => format!("`{key} = {example}`"),
            }
        });
        let each = each.collect::<Vec<_>>().join(" or ");
        match self {
            Origin::Program | Origin::CommandLine => each,
            Origin::Manifest { file, table } => format!("{each} in `[{table}]` of {file}"),
        }
    }
}

/// What grants say of an interface, whose name may have a version.
pub(crate) fn explain(view: &View<'_>, interface: &str) -> Explained {
    let name = interface.split('@').next().unwrap_or(interface);
    let told = |granted, text: String, by: &[Grant]| Explained {
        granted,
        text,
        would_grant: (!by.is_empty()).then(|| view.origin.would_grant(by)),
    };
    let stream = |index: usize, grant, without: &str| match view.stdio[index] {
        Some(what) => told(true, what.to_owned(), &[]),
        None => told(false, without.to_owned(), &[grant]),
    };
    let network = view.network;
    let rules = |granted, parts: &[String], by: &[Grant]| {
        let parts: Vec<_> = parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
        let text = if granted { parts.join("; ") } else { "answered with `access-denied`".to_owned() };
        told(granted, text, by)
    };
    let (connect, listen) = (list("connects to", &network.connect), list("listens at", &network.listen));
    let udp = list("datagrams with", &network.udp);
    let udp_listen = list("datagrams at", &network.udp_listen);
    let names = list("looks up", network.names().collect::<Vec<_>>().iter());
    match name {
        "wasi:filesystem/preopens" => told(!view.dirs.is_empty(), dirs(view.dirs), &[Grant::Dirs]),
        "wasi:filesystem/types" if view.dirs.is_empty() => {
            let text = "no directory; descriptors that others hand to it can be used";
            told(false, text.to_owned(), &[Grant::Dirs])
        }
        "wasi:filesystem/types" => told(true, dirs(view.dirs), &[Grant::Dirs]),
        "wasi:cli/environment" => environment(view),
        "wasi:cli/stdin" => stream(0, Grant::Stdin, "at its end from the beginning"),
        "wasi:cli/stdout" => stream(1, Grant::Stdout, "what is written is thrown away"),
        "wasi:cli/stderr" => stream(2, Grant::Stderr, "what is written is thrown away"),
        "wasi:cli/terminal-stdin" => stream(0, Grant::Stdin, "no terminal"),
        "wasi:cli/terminal-stdout" => stream(1, Grant::Stdout, "no terminal"),
        "wasi:cli/terminal-stderr" => stream(2, Grant::Stderr, "no terminal"),
        "wasi:cli/exit" => told(true, "ends the process that calls, and who waits for it".into(), &[]),
        "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock" if view.clocks => {
            told(true, "the time".into(), &[])
        }
        "wasi:clocks/monotonic-clock" | "wasi:clocks/wall-clock" => {
            told(false, "a call is a fault".into(), &[Grant::Clocks])
        }
        "wasi:clocks/timezone" => told(true, "always UTC".into(), &[]),
        "wasi:random/random" | "wasi:random/insecure" | "wasi:random/insecure-seed" => {
            let text = if view.random { "random numbers" } else { "a call is a fault" };
            told(view.random, text.into(), if view.random { &[] } else { &[Grant::Random] })
        }
        "wasi:sockets/network" | "wasi:sockets/instance-network" => {
            let by = [Grant::Connect, Grant::Listen, Grant::Udp, Grant::Resolve];
            rules(!network.is_empty(), &[connect, listen, udp, udp_listen, names], &by)
        }
        "wasi:sockets/tcp" | "wasi:sockets/tcp-create-socket" => {
            rules(network.has_tcp(), &[connect, listen], &[Grant::Connect, Grant::Listen])
        }
        "wasi:sockets/udp" | "wasi:sockets/udp-create-socket" => {
            rules(network.has_udp(), &[udp, udp_listen], &[Grant::Udp, Grant::UdpListen])
        }
        "wasi:sockets/ip-name-lookup" => {
            rules(!names.is_empty(), &[names], &[Grant::Resolve, Grant::Connect])
        }
        "wasi:http/types" => told(true, "messages can be put together".into(), &[]),
        "wasi:http/outgoing-handler" => {
            told(false, "nothing sends requests: answered with `HTTP-request-denied`".into(), &[])
        }
        _ if name.starts_with("wasi:io/") || name.starts_with("wasi:cli/terminal-") => {
            told(true, "reaches nothing by itself".into(), &[])
        }
        _ => told(false, "the system serves no such interface".into(), &[]),
    }
}

fn dirs(dirs: &[Preopen]) -> String {
    let one = |dir: &Preopen| {
        let mode = if dir.read_only { "read-only" } else { "read and write" };
        format!("{} is {} ({mode})", dir.guest, dir.host.display())
    };
    if dirs.is_empty() { "no directory".into() } else { dirs.iter().map(one).collect::<Vec<_>>().join(", ") }
}

fn environment(view: &View<'_>) -> Explained {
    // Names only: values may be secrets.
    let names: Vec<&str> = view.env.iter().map(|(name, _)| name.as_str()).collect();
    let mut parts = Vec::new();
    if !names.is_empty() {
        parts.push(format!("variables {}", names.join(", ")));
    }
    if !view.args.is_empty() {
        let plural = if view.args.len() == 1 { "" } else { "s" };
        parts.push(format!("{} argument{plural}", view.args.len()));
    }
    if let Some(cwd) = view.cwd {
        parts.push(format!("begins in {cwd}"));
    }
    let granted = !parts.is_empty();
    let text = if granted { parts.join("; ") } else { "no variables and no arguments".into() };
    Explained { granted, text, would_grant: Some(view.origin.would_grant(&[Grant::Env, Grant::Args])) }
}

/// What rules say, or nothing if there are none.
fn list<T: ToString>(what: &str, rules: impl IntoIterator<Item = T>) -> String {
    let rules: Vec<String> = rules.into_iter().map(|rule| rule.to_string()).collect();
    if rules.is_empty() { String::new() } else { format!("{what} {}", rules.join(", ")) }
}

#[cfg(test)]
mod tests {
    use crate::filesystem::preopens::Preopen;
    use crate::grants::{Grants, Network, Origin};
    use crate::io::input::Input;

    fn manifest() -> Origin {
        Origin::Manifest { file: "shop.toml".into(), table: "process.store.grants".into() }
    }

    #[test]
    fn what_is_not_granted_says_what_would_grant_it() {
        let grants = Grants { origin: manifest(), ..Grants::nothing() };
        for (interface, line) in [
            ("wasi:filesystem/preopens@0.2.12", r#"`dirs = ["data::/data:ro"]`"#),
            ("wasi:filesystem/types", "`dirs = "),
            ("wasi:cli/environment@0.2.0", r#"`env = { NAME = "value" }` or `args = "#),
            ("wasi:cli/stdin", r#"`stdin = "inherit"`"#),
            ("wasi:cli/stdout", r#"`stdout = "log"`"#),
            ("wasi:clocks/wall-clock", "`clocks = true`"),
            ("wasi:random/insecure-seed", "`random = true`"),
            ("wasi:sockets/tcp", r#"`network.connect = ["example.com:443"]` or `network.listen = "#),
            ("wasi:sockets/udp-create-socket", "`network.udp = "),
            ("wasi:sockets/ip-name-lookup", "`network.resolve = "),
            ("wasi:sockets/instance-network", "`network.connect = "),
        ] {
            let explained = grants.explain(interface);
            let would_grant = explained.would_grant.unwrap();
            assert!(!explained.granted && would_grant.contains(line), "{interface}: {would_grant}");
            assert!(would_grant.ends_with(" in `[process.store.grants]` of shop.toml"), "{would_grant}");
        }
        let grants = Grants { origin: Origin::CommandLine, ..Grants::nothing() };
        let would_grant = grants.explain("wasi:sockets/tcp").would_grant.unwrap();
        assert_eq!(would_grant, "`--connect example.com:443` or `--listen 127.0.0.1:8080`");
        let would_grant = Grants::nothing().explain("wasi:clocks/wall-clock").would_grant.unwrap();
        assert_eq!(would_grant, "`Grants::clocks`");
    }

    #[test]
    fn what_is_granted_says_with_what() {
        let grants = Grants {
            dirs: vec![
                Preopen { host: "/srv/data".into(), guest: "/data".into(), read_only: true },
                Preopen { host: "tmp".into(), guest: "/tmp".into(), read_only: false },
            ],
            env: vec![("TOKEN".into(), "secret".into())],
            args: vec!["store".into()],
            stdin: Some(Input::bytes("")),
            network: Network {
                connect: vec!["db.example:5432".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
                listen: vec!["127.0.0.1:8080".parse().unwrap()],
                ..Network::default()
            },
            clocks: true,
            ..Grants::nothing()
        };
        let granted = |interface: &str| {
            let explained = grants.explain(interface);
            assert!(explained.granted, "{interface}: {explained:?}");
            explained.text
        };
        assert_eq!(
            granted("wasi:filesystem/preopens"),
            "/data is /srv/data (read-only), /tmp is tmp (read and write)"
        );
        let environment = granted("wasi:cli/environment");
        assert_eq!(environment, "variables TOKEN; 1 argument", "values may be secrets");
        assert_eq!(granted("wasi:cli/stdin"), "bytes that its launcher gave");
        assert_eq!(
            granted("wasi:sockets/tcp@0.2.3"),
            "connects to db.example:5432, 10.0.0.0/8; listens at 127.0.0.1:8080"
        );
        assert_eq!(granted("wasi:sockets/ip-name-lookup"), "looks up db.example");
        assert_eq!(granted("wasi:clocks/monotonic-clock"), "the time");
        for always in ["wasi:io/poll", "wasi:cli/exit", "wasi:clocks/timezone", "wasi:cli/terminal-input"] {
            granted(always);
        }
        for never in ["wasi:http/outgoing-handler", "wasi:nn/graph", "shop:kv/store"] {
            let explained = grants.explain(never);
            assert!(!explained.granted && explained.would_grant.is_none(), "{explained:?}");
        }
        assert!(!grants.explain("wasi:sockets/udp").granted && !grants.explain("wasi:random/random").granted);
    }

    #[test]
    fn every_interface_that_is_served_has_something_to_say() {
        let mut imports = kernel::host::Imports::default();
        crate::register(&mut imports);
        for interface in imports.names.keys() {
            let text = Grants::nothing().explain(interface).text;
            assert!(!text.contains("no such interface"), "{interface}: {text}");
        }
    }
}
