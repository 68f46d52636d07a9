//! What a supervisor is asked to do, in OTP's words.

use serde::{Deserialize, Serialize};

/// Whom a supervisor starts again when one of its children has ended and is to be started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// That one.
    #[default]
    OneForOne,
    /// All of them.
    OneForAll,
    /// That one, and those that were started after it.
    RestForOne,
}

/// When a child that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Only after an abnormal end: a fault, a kill, an error.
    Transient,
    /// Never, not even when its siblings are started again.
    Temporary,
}

/// A supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Whom it starts again.
    pub strategy: Strategy,
    /// How many restarts it makes within `period_ns`; at the next one it gives up.
    pub intensity: u32,
    /// The time in which restarts are counted; nanoseconds.
    pub period_ns: u64,
    /// Its children. They are started in this order and ended in the reverse.
    pub children: Vec<Child>,
}

/// A child of a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Child {
    /// A process that begins a domain.
    Process {
        /// Its path in the tree.
        path: String,
        /// When it is started again.
        restart: Restart,
        /// How long it may take to end when it is asked to, before it is killed; nanoseconds.
        shutdown_ns: u64,
    },
    /// A supervisor: permanent, and given as long as its children take.
    Supervisor(Spec),
}

impl std::fmt::Display for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Strategy::OneForOne => "one-for-one",
            Strategy::OneForAll => "one-for-all",
            Strategy::RestForOne => "rest-for-one",
        })
    }
}

impl std::fmt::Display for Restart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Child, Restart, Spec, Strategy};

    #[test]
    fn what_is_written_is_what_is_said() {
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            assert_eq!(serde_json::json!(strategy), strategy.to_string());
        }
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            assert_eq!(serde_json::json!(restart), restart.to_string());
        }
        let child = Child::Process {
            path: "/shop/store".to_owned(),
            restart: Restart::Transient,
            shutdown_ns: 5_000_000_000,
        };
        let spec = Spec {
            name: "shop".to_owned(),
            strategy: Strategy::RestForOne,
            intensity: 1,
            period_ns: 5_000_000_000,
            children: vec![child],
        };
        let written = serde_json::json!({
            "name": "shop",
            "strategy": "rest-for-one",
            "intensity": 1,
            "period-ns": 5_000_000_000_u64,
            "children": [{"process": {
                "path": "/shop/store",
                "restart": "transient",
                "shutdown-ns": 5_000_000_000_u64,
            }}],
        });
        assert_eq!(serde_json::json!(spec), written);
        assert_eq!(serde_json::from_value::<Spec>(written).expect("it was written so"), spec);
    }
}
