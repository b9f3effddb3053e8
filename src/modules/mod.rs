//! The kinds of task. A kind is pure: it says what to look at, and from what was seen what to change. It never runs anything.
//!
//! Adding a kind: one file, one line in [`kinds!`], one table of cases. Knows nothing of connections or of the engine.

pub mod attributes;
#[cfg(test)]
mod back_tests;
pub mod keypair;
mod line;
pub mod part;
pub mod pattern;
pub mod place;
pub mod place_tree;
#[cfg(test)]
mod tests;
pub mod types;

use indexmap::IndexMap;
use minijinja::Value;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Seen;
use crate::diag::Diagnostic;
use crate::lang::decode::decode;
use crate::lang::node::Node;

/// What running a kind means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Looks, and changes what is not as wanted. Nothing to change: not run.
    State,
    /// Looks, and reports; never changes.
    Look,
    /// Runs each time.
    Act,
    /// Happens on the controller, without the host: `debug`, `set_fact`, `assert`.
    Here,
}

/// Whom a kind may touch or be touched by: what orders it against tasks of other hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Its own host only.
    Own,
    /// Other hosts may be talked to, or talk to it.
    Beyond,
}

/// An argument that names a file of the controller. The engine finds and reads it and passes it on as [`types::Source`]
/// under the argument `source_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileArg {
    /// `src`
    pub name: &'static str,
    /// The role's directory it is searched in: `files` or `templates`.
    pub directory: &'static str,
    /// Rendered as a template before it is passed on.
    pub template: bool,
}

/// One kind of task. The argument struct *is* the kind; its doc comments are the manual.
pub trait Module: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    const NAME: &'static str;
    /// One sentence.
    const SUMMARY: &'static str;
    /// A task in YAML, as shown by `tbctl doc` and run by the tests.
    const EXAMPLE: &'static str;
    const NATURE: Nature;
    const REACH: Reach;
    const FILE: Option<FileArg> = None;
    /// The argument free-form text fills: `command: ls -l`.
    const FREE: Option<&'static str> = None;
    /// Other names of the kind: `package` for `apt`.
    const ALIASES: &'static [&'static str] = &[];
    /// Arguments that Ansible knows and this kind does not.
    const UNSUPPORTED: &'static [&'static str] = &[];

    /// What names the thing looked at: a struct of those arguments only, so that it is known before contents are.
    type Identity: DeserializeOwned;
    /// What the probe's answers say; its fields carry the names of the probe's questions.
    type State: DeserializeOwned;

    fn probe(identity: &Self::Identity) -> Probe;
    /// What must change. Empty: already right.
    fn change(&self, now: &Self::State) -> Result<Change, Refusal>;
    /// What `register` sees beside `changed` and `failed`, under Ansible's field names. `ran` holds one entry a step that ran;
    /// it is empty when nothing had to be done.
    fn result(&self, now: &Self::State, ran: &[Ran]) -> Fields {
        let _ = (now, ran);
        Fields::new()
    }
    /// Faults of arguments which depend on each other; known before any host is touched.
    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

/// The fields of a result, in the order they are shown.
pub type Fields = IndexMap<String, Value>;

/// A task's arguments, decoded, with its type forgotten.
pub trait Resource: Send + Sync {
    fn decide(&self, seen: &Seen) -> Result<Change, Refusal>;
    fn report(&self, seen: &Seen, ran: &[Ran]) -> Result<Fields, Refusal>;
}

impl<M: Module> Resource for M {
    fn decide(&self, seen: &Seen) -> Result<Change, Refusal> {
        self.change(&state::<M>(seen)?)
    }

    fn report(&self, seen: &Seen, ran: &[Ran]) -> Result<Fields, Refusal> {
        Ok(self.result(&state::<M>(seen)?, ran))
    }
}

fn state<M: Module>(seen: &Seen) -> Result<M::State, Refusal> {
    seen.decode().map_err(|why| Refusal::new(format!("the host's answer for `{}` was not understood: {why}", M::NAME)))
}

/// A kind as the engine sees it.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub summary: &'static str,
    pub example: &'static str,
    pub nature: Nature,
    pub reach: Reach,
    pub file: Option<FileArg>,
    pub free: Option<&'static str>,
    pub aliases: &'static [&'static str],
    /// Arguments that Ansible knows and this kind does not.
    pub unsupported: &'static [&'static str],
    /// All arguments rendered: the decoded task.
    pub decode: fn(&Node) -> Result<Box<dyn Resource>, Diagnostic>,
    /// The probe from the arguments known so far; an error when an identity argument is missing.
    pub probe: fn(&Node) -> Result<Probe, Diagnostic>,
    pub schema: fn() -> schemars::Schema,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kind {
    pub const fn of<M: Module>() -> Kind {
        Kind {
            name: M::NAME,
            summary: M::SUMMARY,
            example: M::EXAMPLE,
            nature: M::NATURE,
            reach: M::REACH,
            file: M::FILE,
            free: M::FREE,
            aliases: M::ALIASES,
            unsupported: M::UNSUPPORTED,
            decode: decode_one::<M>,
            probe: probe_one::<M>,
            schema: || schemars::schema_for!(M),
        }
    }
}

fn decode_one<M: Module>(args: &Node) -> Result<Box<dyn Resource>, Diagnostic> {
    let module: M = decode(args).map_err(unsupported::<M>)?;
    match module.check() {
        Ok(()) => Ok(Box::new(module)),
        Err(refusal) => {
            let fault = Diagnostic::error(refusal.message).at(&args.span);
            Err(match refusal.help {
                Some(help) => fault.help(help),
                None => fault,
            })
        }
    }
}

/// What Ansible knows is no slip of the hand.
fn unsupported<M: Module>(fault: Diagnostic) -> Diagnostic {
    let name = fault.message.strip_prefix("unknown argument `").and_then(|rest| rest.strip_suffix('`'));
    match name.filter(|name| M::UNSUPPORTED.contains(name)) {
        Some(name) => {
            let message = format!("the argument `{name}` of `{}` is unsupported", M::NAME);
            Diagnostic { message, help: None, ..fault }
        }
        None => fault,
    }
}

fn probe_one<M: Module>(args: &Node) -> Result<Probe, Diagnostic> {
    Ok(M::probe(&decode::<M::Identity>(args)?))
}

macro_rules! kinds {
    ($($file:ident::$kind:ident,)*) => {
        $(pub mod $file;)*

        /// Every kind, in the order of `tbctl doc`.
        pub const KINDS: &[Kind] = &[$(Kind::of::<$file::$kind>()),*];
    };
}

kinds! {
    apt::Apt,
    assert::Assert,
    authorized_key::AuthorizedKey,
    benchmark_environment::BenchmarkEnvironment,
    blockinfile::BlockInFile,
    command::Command,
    copy::Copy,
    debug::Debug,
    fail::Fail,
    file::File,
    get_url::GetUrl,
    group::Group,
    http_benchmark::HttpBenchmark,
    include_vars::IncludeVars,
    iptables::Iptables,
    lineinfile::LineInFile,
    meta::Meta,
    ping::Ping,
    raw::Raw,
    set_fact::SetFact,
    setup::Setup,
    shell::Shell,
    slurp::Slurp,
    stat::Stat,
    sysctl::Sysctl,
    systemd::Systemd,
    template::Template,
    user::User,
    wait_for::WaitFor,
    wait_for_connection::WaitForConnection,
    wireguard_key::WireguardKey,
}

/// Prefixes under which Ansible users write the same kinds.
const COLLECTIONS: &[&str] = &["ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general.", "tbctl."];

/// The kind of this name, short or qualified.
pub fn find(name: &str) -> Option<&'static Kind> {
    let short = COLLECTIONS.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    KINDS.iter().find(|kind| kind.name == short || kind.aliases.contains(&short))
}

/// All names kinds answer to.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().flat_map(|kind| std::iter::once(kind.name).chain(kind.aliases.iter().copied())).collect()
}
