//! The testbed's key store: WireGuard key pairs made once and kept by the controller, 0600, outside the repository.
//!
//! A missing key is made at the first apply; a plan makes nothing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use minijinja::Value;

use crate::diag::Diagnostic;
use crate::engine::scope::Scope;
use crate::engine::store::AFTER;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Pending;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::modules::keypair;
use crate::secret::Redactor;

/// Key pairs by name; private keys in base64.
#[derive(Debug, Default)]
pub struct Keys {
    path: PathBuf,
    redactor: Redactor,
    /// Behind a lock since scopes are shared; it is only ever taken for the length of a look-up.
    private: Mutex<BTreeMap<String, String>>,
}

impl Keys {
    /// Opens the store of a testbed; it need not exist yet.
    pub fn open(directory: &Path, redactor: Redactor) -> Result<Keys, Diagnostic> {
        let path = directory.join("wireguard-keys.json");
        let private: BTreeMap<String, String> = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|_| {
                let fault = Diagnostic::error(format!("the key store {} is damaged", path.display()));
                fault.help("restore it from a backup; hosts still use its keys")
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                return Err(Diagnostic::error(format!("cannot read the key store {}: {error}", path.display())));
            }
        };
        for key in private.values() {
            redactor.hide(key);
        }
        Ok(Keys { path, redactor, private: Mutex::new(private) })
    }

    /// The private key of this name. `make`: create it if there is none, durably, before it is used.
    fn get(&self, name: &str, make: bool) -> Result<Option<String>, String> {
        let mut private = self.private.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(key) = private.get(name) {
            return Ok(Some(key.clone()));
        }
        if !make {
            return Ok(None);
        }
        let key = keypair::generate();
        self.redactor.hide(&key);
        private.insert(name.to_string(), key.clone());
        self.save(&private).map_err(|error| format!("cannot write the key store {}: {error}", self.path.display()))?;
        Ok(Some(key))
    }

    /// Written beside, synced, renamed: never half a store.
    fn save(&self, private: &BTreeMap<String, String>) -> std::io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode_0700().create(directory)?;
        let text = serde_json::to_string_pretty(private)?;
        let beside = self.path.with_extension("new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)
    }
}

trait Mode0700 {
    fn mode_0700(&mut self) -> &mut Self;
}

impl Mode0700 for std::fs::DirBuilder {
    fn mode_0700(&mut self) -> &mut Self {
        use std::os::unix::fs::DirBuilderExt as _;
        self.mode(0o700)
    }
}

/// The argument `key_` of the kind `wireguard_key`, unless the key is made on the host.
pub fn argument(scope: &Scope, args: &Node) -> Result<Option<(Key, Node)>, Fault> {
    if args.get("location").and_then(Node::scalar).as_deref() == Some("host") {
        return Ok(None);
    }
    let host = &scope.store.graph.hosts[scope.host];
    let name = args.get("name").and_then(Node::scalar).unwrap_or_else(|| "wireguard".into());
    let full = format!("{host}/{name}");
    let private = match scope.store.keys.get(&full, !scope.store.plan) {
        Ok(Some(private)) => private,
        Ok(None) => return Err(Fault::Unknown(vec![Pending(format!("{AFTER}the key `{full}` is made"))])),
        Err(why) => return Err(Diagnostic::error(why).at(&args.span).into()),
    };
    let public = keypair::public(&private).map_err(|why| Diagnostic::error(why).at(&args.span))?;
    let pair = Value::from_pairs([("private", private), ("public", public)]);
    let node = Node::from_value(&args.span, &pair)?;
    Ok(Some((Key { span: args.span.clone(), name: "key_".into() }, node)))
}
