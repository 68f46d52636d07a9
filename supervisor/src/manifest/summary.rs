//! What a manifest comes to: processes, wiring, grants. `atoll check` prints it.

use std::fmt::Write;
use std::ops::Range;

use kernel::component::linked::Provider;
use kernel::component::port::{EdgePolicy, OnFault};
use serde::Serialize;

use super::keys::QuotaKeys;
use super::loaded::{Loaded, Planned};
use super::said::{Said, StdinFrom, StdoutTo};
use crate::confine::Reaction;
use crate::measure::Span;
use crate::paint::{Paint, Role};
use crate::tend::spec::{Child, Spec};

/// A manifest that has been checked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Its path.
    pub file: String,
    /// The name of its tree.
    pub name: String,
    /// How many processes the tree has, those inside of components too.
    pub processes: usize,
    /// How many domains they are in.
    pub domains: usize,
    /// The processes that it names, in start order.
    pub named: Vec<ProcessSummary>,
    /// What can be called from outside.
    pub exports: Vec<String>,
    /// Who starts whom again.
    pub supervisor: Spec,
}

/// A process that a manifest names.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessSummary {
    /// Its path.
    pub path: String,
    /// Its component's file; none for an instance inside of one.
    pub component: Option<String>,
    /// The number of its domain.
    pub domain: u32,
    /// Whether it is a command that is run.
    pub runs: bool,
    /// When it is started again, if it is what its domain begins with.
    pub restart: Option<String>,
    /// Where its imports come from.
    pub imports: Vec<ImportSummary>,
    /// What it is granted, as it is written.
    pub grants: Vec<String>,
    /// What it may use, as it is written.
    pub quotas: Vec<String>,
}

/// An import.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImportSummary {
    /// Its name.
    pub name: String,
    /// The path of the process that serves it; none if the system does.
    pub process: Option<String>,
    /// What the caller gets when that fails, where it is in another domain.
    pub on_fault: Option<String>,
    /// How long the caller waits, where it is in another domain; nanoseconds.
    pub deadline_ns: Option<u64>,
}

impl Summary {
    /// What a manifest comes to.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Summary {
        let mut named: Vec<&Planned> = loaded.processes.iter().collect();
        named.sort_by_key(|process| process.index);
        let exports = loaded.linked.exports().keys().map(ToString::to_string).collect();
        Summary {
            file: loaded.file.clone(),
            name: loaded.name.clone(),
            processes: loaded.linked.processes().len(),
            domains: loaded.linked.domains(),
            named: named.into_iter().map(|process| summary(loaded, process)).collect(),
            exports,
            supervisor: loaded.spec.clone(),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a summary is plain data") + "\n"
    }

    /// As text.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let count =
            |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
        let counts = format!(
            "{}, {}",
            count(self.processes, "process", "processes"),
            count(self.domains, "domain", "domains")
        );
        line(
            &mut text,
            format_args!("{}  {}", paint.text(Role::Name, &self.file), paint.text(Role::Aside, counts)),
        );
        for process in &self.named {
            process.write(&mut text, paint);
        }
        let exports = if self.exports.is_empty() { "nothing".to_owned() } else { self.exports.join(", ") };
        line(&mut text, format_args!("exports  {exports}"));
        supervisor(&mut text, &self.supervisor, "", "", paint);
        text
    }
}

fn summary(loaded: &Loaded, process: &Planned) -> ProcessSummary {
    let info = &loaded.linked.processes()[process.index as usize];
    let imports = info.imports.iter().filter_map(|(name, provider, _)| {
        let import =
            |process| ImportSummary { name: name.clone(), process, on_fault: None, deadline_ns: None };
        match provider {
            Provider::Host | Provider::Missing => Some(import(None)),
            Provider::Static => None,
            Provider::Process(index) => {
                let callee = &loaded.linked.processes()[*index as usize];
                let mut import = import(Some(callee.path.clone()));
                if callee.place.domain != info.place.domain {
                    let options = &loaded.options;
                    let EdgePolicy { on_fault, deadline_ns } =
                        options.policy((&info.name, &info.path), (&callee.name, &callee.path));
                    import.on_fault = Some(Reaction(on_fault).to_string());
                    import.deadline_ns = deadline_ns;
                }
                Some(import)
            }
        }
    });
    ProcessSummary {
        path: process.path.clone(),
        component: process.component.clone(),
        domain: info.place.domain,
        runs: process.run.is_some(),
        restart: restart(&loaded.spec, &process.path),
        imports: imports.collect(),
        grants: grants(loaded, process),
        quotas: quotas(loaded, &process.entry().keys.quotas),
    }
}

fn restart(spec: &Spec, path: &str) -> Option<String> {
    spec.children.iter().find_map(|child| match child {
        Child::Process { path: other, restart, .. } => (other == path).then(|| restart.to_string()),
        Child::Supervisor(spec) => restart(spec, path),
    })
}

/// What is granted, in the words of the manifest.
fn grants(loaded: &Loaded, process: &Planned) -> Vec<String> {
    let keys = &process.entry().keys.grants;
    let mut said = Vec::new();
    let mut each = |what: &str, spans: Vec<Range<usize>>| {
        said.extend(spans.into_iter().map(|span| format!("{what} {}", loaded.written(span))));
    };
    each("dir", keys.dirs.iter().map(toml::Spanned::span).collect());
    each("connect", keys.network.connect.iter().map(toml::Spanned::span).collect());
    each("listen", keys.network.listen.iter().map(toml::Spanned::span).collect());
    each("udp", keys.network.udp.iter().map(toml::Spanned::span).collect());
    each("udp-listen", keys.network.udp_listen.iter().map(toml::Spanned::span).collect());
    each("resolve", keys.network.resolve.iter().map(toml::Spanned::span).collect());
    each("inherit-env", keys.inherit_env.iter().map(toml::Spanned::span).collect());
    // The values of variables may be secrets.
    said.extend(keys.env.keys().map(|name| format!("env {}", name.get_ref())));
    if !keys.args.is_empty() {
        said.push(format!("args {}", keys.args.join(" ")));
    }
    if let Some(cwd) = &keys.cwd {
        said.push(format!("cwd {cwd}"));
    }
    if let Some(Said(StdinFrom::Inherit)) = keys.stdin {
        said.push("stdin inherit".to_owned());
    }
    for (name, to) in [("stdout", keys.stdout), ("stderr", keys.stderr)] {
        match to {
            None | Some(Said(StdoutTo::Log)) => {}
            Some(Said(to)) => said.push(format!("{name} {to}")),
        }
    }
    said.extend(keys.clocks.then(|| "clocks".to_owned()));
    said.extend(keys.random.then(|| "random".to_owned()));
    said
}

/// What may be used, in the words of the manifest.
fn quotas(loaded: &Loaded, keys: &QuotaKeys) -> Vec<String> {
    fn span<T>(said: &Option<toml::Spanned<T>>) -> Option<Range<usize>> {
        said.as_ref().map(toml::Spanned::span)
    }
    let spans = [
        ("memory", span(&keys.memory)),
        ("table-elements", span(&keys.table_elements)),
        ("handles", span(&keys.handles)),
        ("stack", span(&keys.stack)),
        ("call-time", span(&keys.call_time)),
        ("cpu-cap", span(&keys.cpu_cap)),
        ("cpu-weight", span(&keys.cpu_weight)),
        ("mailbox", span(&keys.mailbox)),
        ("message", span(&keys.message)),
    ];
    spans.into_iter().filter_map(|(key, span)| Some(format!("{key} {}", loaded.written(span?)))).collect()
}

impl ProcessSummary {
    fn write(&self, text: &mut String, paint: Paint) {
        let mut head = paint.text(Role::Name, &self.path).to_string();
        if let Some(component) = &self.component {
            let _ = write!(head, "  {component}");
        }
        let _ = write!(head, "  domain {}", self.domain);
        if let Some(restart) = &self.restart {
            let _ = write!(head, "  {restart}");
        }
        if self.runs {
            head.push_str("  runs");
        }
        line(text, format_args!("{head}"));
        let mut facts: Vec<String> = self.imports.iter().map(|import| import.fact(paint)).collect();
        let list = |word: &str, items: &[String]| format!("{word}  {}", items.join(", "));
        facts.extend((!self.quotas.is_empty()).then(|| list("quotas", &self.quotas)));
        match self.grants.is_empty() {
            true => facts.push(format!("grants  {}", paint.text(Role::Aside, "nothing"))),
            false => facts.push(list("grants", &self.grants)),
        }
        for (number, fact) in facts.iter().enumerate() {
            let branch = if number + 1 == facts.len() { "└─ " } else { "├─ " };
            line(text, format_args!("{branch}{fact}"));
        }
    }
}

impl ImportSummary {
    fn fact(&self, paint: Paint) -> String {
        let tick = paint.text(Role::Good, "✓");
        let mut fact =
            format!("import  {}  {tick} {}", self.name, self.process.as_deref().unwrap_or("system"));
        let usual = Reaction(OnFault::default()).to_string();
        let mut aside = Vec::new();
        aside.extend(self.deadline_ns.map(|deadline| format!("within {}", Span(deadline))));
        aside.extend(
            self.on_fault.as_ref().filter(|what| **what != usual).map(|what| format!("on fault {what}")),
        );
        if !aside.is_empty() {
            let _ = write!(fact, "  {}", paint.text(Role::Aside, aside.join(", ")));
        }
        fact
    }
}

fn supervisor(text: &mut String, spec: &Spec, first: &str, rest: &str, paint: Paint) {
    let Spec { name, strategy, intensity, period_ns, children } = spec;
    let restarts = if *intensity == 1 { "restart" } else { "restarts" };
    let counted = format!("{intensity} {restarts} in {}", Span(*period_ns));
    let name = paint.text(Role::Name, name);
    line(text, format_args!("{first}supervisor {name}  {strategy}, {}", paint.text(Role::Aside, counted)));
    for (number, child) in children.iter().enumerate() {
        let last = number + 1 == children.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        match child {
            Child::Process { path, restart, shutdown_ns } => {
                let shutdown = format!("shutdown {}", Span(*shutdown_ns));
                let shutdown = paint.text(Role::Aside, shutdown);
                line(text, format_args!("{rest}{branch}{path}  {restart}, {shutdown}"));
            }
            Child::Supervisor(spec) => {
                supervisor(text, spec, &format!("{rest}{branch}"), &format!("{rest}{below}"), paint);
            }
        }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = writeln!(text, "{line}");
}
