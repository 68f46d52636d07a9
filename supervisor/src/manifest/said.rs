//! Single values of a manifest, written as they are on the command line.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use servers::grants::{Local, NamePattern, Peer};
use toml::Spanned;

use super::described::{Described, table};
use crate::confine::Reaction;
use crate::grant::Dir;
use crate::measure::{Count, Percent, Size, Span};
use crate::tend::spec::{Restart, Strategy};

/// A value that has a text, the same as on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<T>(pub T);

/// What a person may write for a value.
pub trait Example {
    /// Texts that are right.
    const EXAMPLES: &'static [&'static str];
    /// Whether a bare number is right too.
    const NUMBER: bool = false;
    /// Whether there is nothing else than the examples.
    const CLOSED: bool = false;
}

impl<T: Example> Described for Said<T> {
    fn schema() -> Value {
        match (T::CLOSED, T::NUMBER) {
            (true, _) => json!({ "enum": T::EXAMPLES }),
            (false, true) => json!({ "type": ["string", "number"], "examples": T::EXAMPLES }),
            (false, false) => json!({ "type": "string", "examples": T::EXAMPLES }),
        }
    }
}

impl<'de, T> Deserialize<'de> for Said<T>
where
    T: FromStr + Example,
    T::Err: fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Said<T>, D::Error> {
        deserializer.deserialize_any(Text(PhantomData))
    }
}

struct Text<T>(PhantomData<T>);

impl<T> Visitor<'_> for Text<T>
where
    T: FromStr + Example,
    T::Err: fmt::Display,
{
    type Value = Said<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as ")?;
        for (number, example) in T::EXAMPLES.iter().take(3).enumerate() {
            write!(f, "{}\"{example}\"", if number == 0 { "" } else { ", " })?;
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Said<T>, E> {
        text.parse().map(Said).map_err(|error| E::custom(format!("{error}, found \"{text}\"")))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Said<T>, E> {
        match T::NUMBER {
            true => number
                .to_string()
                .parse()
                .map(Said)
                .map_err(|error| E::custom(format!("{error}, found {number}"))),
            false => Err(E::invalid_type(serde::de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Said<T>, E> {
        match T::NUMBER {
            true => number
                .to_string()
                .parse()
                .map(Said)
                .map_err(|error| E::custom(format!("{error}, found {number}"))),
            false => Err(E::invalid_type(serde::de::Unexpected::Float(number), &self)),
        }
    }
}

impl Example for Size {
    const EXAMPLES: &'static [&'static str] = &["64MiB", "1.5GiB", "65536"];
    const NUMBER: bool = true;
}

impl Example for Span {
    const EXAMPLES: &'static [&'static str] = &["50ms", "5s", "2m"];
}

impl Example for Percent {
    const EXAMPLES: &'static [&'static str] = &["20%", "2.5%", "150%"];
    const NUMBER: bool = true;
}

impl Example for Count {
    const EXAMPLES: &'static [&'static str] = &["1", "64"];
    const NUMBER: bool = true;
}

impl Example for Reaction {
    const EXAMPLES: &'static [&'static str] = &["trap", "error", "retry:3"];
}

impl Example for Dir {
    const EXAMPLES: &'static [&'static str] = &["data::/data:ro", "data::/data", "data"];
}

impl Example for Peer {
    const EXAMPLES: &'static [&'static str] = &["example.com:443", "10.0.0.0/8:5432", "[::1]:8080"];
}

impl Example for Local {
    const EXAMPLES: &'static [&'static str] = &["127.0.0.1:8080", "[::1]:8080"];
}

impl Example for NamePattern {
    const EXAMPLES: &'static [&'static str] = &["example.com", "*.example.com"];
}

/// Declares values of a fixed set of words.
macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? })+) => { $(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(expected(<$name as Example>::EXAMPLES, text)),
                }
            }
        }

        impl Example for $name {
            const EXAMPLES: &'static [&'static str] = &[$($word),+];
            const CLOSED: bool = true;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $word),+ })
            }
        }
    )+ };
}

fn expected(words: &[&str], found: &str) -> String {
    let listed: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let near = crate::nearest::nearest(found, words.iter().copied());
    let hint = near.map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
    format!("expected {}{hint}", listed.join(" or "))
}

words! {
    /// Where standard input comes from.
    StdinFrom {
        /// It is at its end.
        Nowhere = "none",
        /// From that of `atoll` itself.
        Inherit = "inherit",
    }
    /// Where standard output and standard error go.
    StdoutTo {
        /// Thrown away.
        Nowhere = "none",
        /// Into the logs.
        Log = "log",
        /// To that of `atoll` itself.
        Inherit = "inherit",
    }
    /// A supervisor's strategy.
    StrategyWord {
        /// See [`Strategy::OneForOne`].
        OneForOne = "one-for-one",
        /// See [`Strategy::OneForAll`].
        OneForAll = "one-for-all",
        /// See [`Strategy::RestForOne`].
        RestForOne = "rest-for-one",
    }
    /// When a process is started again.
    RestartWord {
        /// See [`Restart::Permanent`].
        Permanent = "permanent",
        /// See [`Restart::Transient`].
        Transient = "transient",
        /// See [`Restart::Temporary`].
        Temporary = "temporary",
    }
}

impl From<StrategyWord> for Strategy {
    fn from(word: StrategyWord) -> Strategy {
        match word {
            StrategyWord::OneForOne => Strategy::OneForOne,
            StrategyWord::OneForAll => Strategy::OneForAll,
            StrategyWord::RestForOne => Strategy::RestForOne,
        }
    }
}

impl From<RestartWord> for Restart {
    fn from(word: RestartWord) -> Restart {
        match word {
            RestartWord::Permanent => Restart::Permanent,
            RestartWord::Transient => Restart::Transient,
            RestartWord::Temporary => Restart::Temporary,
        }
    }
}

/// Where a domain runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementWord {
    /// Wherever there is time.
    Anywhere,
    /// On this worker of the machine.
    Worker(usize),
    /// In an operating-system process of its own.
    Process,
}

impl FromStr for PlacementWord {
    type Err = String;

    fn from_str(text: &str) -> Result<PlacementWord, String> {
        match (text, text.strip_prefix("worker:")) {
            ("anywhere", _) => Ok(PlacementWord::Anywhere),
            ("process", _) => Ok(PlacementWord::Process),
            (_, Some(number)) => number
                .parse()
                .map(PlacementWord::Worker)
                .map_err(|_| "expected a worker's number, as \"worker:0\"".to_owned()),
            _ => Err(expected(&["anywhere", "process", "worker:N"], text)),
        }
    }
}

impl fmt::Display for PlacementWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlacementWord::Anywhere => f.write_str("anywhere"),
            PlacementWord::Worker(number) => write!(f, "worker:{number}"),
            PlacementWord::Process => f.write_str("process"),
        }
    }
}

impl Example for PlacementWord {
    const EXAMPLES: &'static [&'static str] = &["anywhere", "worker:0", "process"];
}

/// Whom an import or an export is wired to: a process, and one of its exports if that has another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The process.
    pub from: String,
    /// Its export.
    pub export: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTable {
    from: String,
    export: Option<String>,
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Wire, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Wire;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the name of a process, or a table as { from = \"store\", export = \"shop:kv/store\" }",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Wire, E> {
                Ok(Wire { from: text.to_owned(), export: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Wire, A::Error> {
                let table = WireTable::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Wire { from: table.from, export: table.export })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Described for Wire {
    fn schema() -> Value {
        let name = ("from", "The process.", String::schema());
        let export = ("export", "Its export, if it has another name there.", String::schema());
        json!({ "oneOf": [String::schema(), table("A process and one of its exports.", &[name, export], &["from"])] })
    }
}

/// A value and where it stands.
pub type Spot<T> = Spanned<T>;
