//! `wireguard_key`: a key pair of WireGuard, made once.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Content;
use crate::change::Probe;
use crate::change::Put;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Script;
use crate::change::Undo;
use crate::change::look::Look;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::types::HostPath;
use crate::secret::Secret;

/// A key pair of WireGuard, made once and kept for the life of the testbed.
///
/// With `location: controller` the pair is kept in the testbed's store on the controller (`~/.local/share/tbctl/TESTBED`), so that the public keys of all hosts are known before
/// any of them is reached. With `location: host` the private key never leaves the host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WireguardKey {
    /// What the pair is called in the testbed's key store; one pair for each host and name.
    #[serde(default = "usual_name")]
    pub name: String,
    /// Where the pair is made and kept: `controller` or `host`.
    #[serde(default)]
    pub location: Location,
    /// The file on the host that holds the private key, readable by its owner only. Needed for `location: host`.
    #[serde(default)]
    pub path: Option<HostPath>,
    /// The pair from the store; put in by tbctl.
    #[serde(default)]
    #[schemars(skip)]
    pub key_: Option<Pair>,
}

fn usual_name() -> String {
    "wireguard".into()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    #[default]
    Controller,
    Host,
}

/// A pair of keys, each 44 letters of base64.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    #[serde(deserialize_with = "secret")]
    pub private: Secret<String>,
    pub public: String,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

#[derive(Debug, Deserialize)]
pub struct Named {
    #[serde(default)]
    location: Location,
    #[serde(default)]
    path: Option<HostPath>,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    file: PathState,
    #[serde(default)]
    public: String,
}

/// SHA-256 in hex, as the host prints it.
fn digest(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl WireguardKey {
    /// Writes the key of the store.
    fn put(&self, path: &str, now: &State, pair: &Pair, change: &mut Change) {
        let content = format!("{}\n", pair.private.expose());
        if now.file.kind == PathKind::File && now.file.mode == 0o600 && now.file.sha256 == digest(&content) {
            return;
        }
        let put = Put {
            path: path.to_string(),
            content: Content::Text(content),
            mode: Some(0o600),
            owner: None,
            group: None,
            validate: None,
            backup: false,
        };
        change.step(format!("write the private key to {path}"), Resource::path(path), Apply::Put(put), Undo::Restore);
    }

    /// Makes a key on the host.
    fn make(&self, path: &str, now: &State, change: &mut Change) -> Result<(), Refusal> {
        let word = sh::quote(path);
        match now.file.kind {
            PathKind::Absent => {
                let text = format!(
                    "command -v wg >/dev/null || {{ echo 'there is no `wg` on this host: install wireguard-tools first' >&2; exit 1; }}
umask 077
_tb_n={word}.tbctl~
wg genkey >\"$_tb_n\" && wg pubkey <\"$_tb_n\" && sync \"$_tb_n\" && mv -f \"$_tb_n\" {word} || {{ rm -f \"$_tb_n\"; exit 1; }}"
                );
                change.step(format!("make a private key in {path}"), Resource::path(path), Apply::Run(Script::new(text)), Undo::Restore);
            }
            PathKind::File => {
                if now.public.is_empty() {
                    let refusal = Refusal::new(format!("{path} holds no key that `wg pubkey` understands"));
                    return Err(refusal.help("install wireguard-tools on the host, or name another path"));
                }
                if now.file.mode != 0o600 {
                    let what = format!("{path}: mode {:04o} -> 0600", now.file.mode);
                    change.step(what, Resource::path(path), Apply::run(format!("chmod 0600 {word}")), Undo::Restore);
                }
            }
            _ => return Err(Refusal::new(format!("{path} is no regular file"))),
        }
        Ok(())
    }
}

impl Module for WireguardKey {
    const NAME: &'static str = "wireguard_key";
    const SUMMARY: &'static str = "Makes a key pair of WireGuard, once.";
    const EXAMPLE: &'static str = "wireguard_key:\n  path: /etc/wg0.key\nregister: key\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;

    type Identity = Named;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        match (self.location, &self.path) {
            (Location::Host, None) => Err(Refusal::new("a key on the host needs a `path`").help("write `path: /etc/wireguard/wg0.key`")),
            _ => Ok(()),
        }
    }

    fn probe(named: &Named) -> Probe {
        let Some(path) = &named.path else { return Probe::none() };
        let probe = Probe::none().path("file", path);
        match named.location {
            Location::Controller => probe,
            Location::Host => {
                let word = sh::quote(path);
                probe.ask("public", Look::Script { text: format!("[ ! -f {word} ] || wg pubkey <{word}") })
            }
        }
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        match (self.location, &self.path, &self.key_) {
            (Location::Controller, _, None) => return Err(Refusal::new("the testbed's key store gave no key")),
            (Location::Controller, Some(path), Some(pair)) => self.put(path, now, pair, &mut change),
            (Location::Host, Some(path), _) => self.make(path, now, &mut change)?,
            _ => {}
        }
        Ok(change)
    }

    fn result(&self, now: &State, ran: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        match (&self.key_, self.location) {
            (Some(pair), Location::Controller) => {
                fields.insert("public_key".into(), Value::from(pair.public.as_str()));
                fields.insert("private_key".into(), Value::from(pair.private.expose().as_str()));
            }
            _ => {
                let made = ran.iter().find_map(|ran| ran.stdout.lines().next()).unwrap_or(now.public.as_str());
                fields.insert("public_key".into(), Value::from(made.trim()));
            }
        }
        if let Some(path) = &self.path {
            fields.insert("path".into(), Value::from(path.0.as_str()));
        }
        fields
    }
}
