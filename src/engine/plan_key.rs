//! The testbed's plan key: made when the first plan is kept, and held by the controller, 0600, in the testbed's store.
//!
//! A plan names the key its digests were made with, so that a machine that has not got it can say so.

use std::io;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

use crate::diag::Diagnostic;
use crate::engine::digest::Digests;
use crate::engine::ready::hex;
use crate::secret::Secret;

/// A key and its name.
#[derive(Debug)]
pub struct PlanKey {
    pub id: String,
    key: Secret<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    key: String,
}

impl PlanKey {
    /// The key of the testbed with this store, if it was made.
    pub fn find(store: &Path) -> Result<Option<PlanKey>, Diagnostic> {
        let path = path(store);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Secret::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Diagnostic::error(format!("cannot read the plan key {}: {error}", path.display())));
            }
        };
        match parse(text.expose()) {
            Some(key) => Ok(Some(key)),
            None => {
                let fault = Diagnostic::error(format!("the plan key {} is damaged", path.display()));
                Err(fault.help("remove it: plans made with it cannot be applied any more, new ones get a new key"))
            }
        }
    }

    /// The key; it is made, durably, if there is none.
    pub fn get(store: &Path) -> Result<PlanKey, Diagnostic> {
        if let Some(key) = PlanKey::find(store)? {
            return Ok(key);
        }
        let fault = |error| Diagnostic::error(format!("cannot write the plan key {}: {error}", path(store).display()));
        make(store).map_err(fault)?;
        // Somebody else may have been faster; the key that is there counts.
        PlanKey::find(store)?.ok_or_else(|| fault(io::Error::from(io::ErrorKind::NotFound)))
    }

    /// The digests of the plan with this salt.
    pub fn digests(&self, salt: &str) -> Digests {
        Digests::new(self.key.expose(), salt)
    }
}

/// A new name or salt.
pub fn random() -> String {
    hex(&rand::random::<[u8; 8]>())
}

fn path(store: &Path) -> PathBuf {
    store.join("plan-key.json")
}

fn parse(text: &str) -> Option<PlanKey> {
    let stored: Stored = serde_json::from_str(text).ok()?;
    let bytes = Secret::new(STANDARD.decode(&stored.key).ok()?);
    let _text = Secret::new(stored.key);
    let key = bytes.expose().as_slice().try_into().ok()?;
    Some(PlanKey { id: stored.id, key: Secret::new(key) })
}

/// Written beside, synced, and put in place unless one is there.
fn make(store: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(store)?;
    let bytes = Secret::new(rand::random::<[u8; 32]>());
    let text = Secret::new(serde_json::to_string(&Stored { id: random(), key: STANDARD.encode(bytes.expose()) })?);
    // Only its owner may read a temporary file, and it keeps that.
    let mut file = tempfile::NamedTempFile::new_in(store)?;
    file.write_all(text.expose().as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path(store)) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("a/b");
        assert!(PlanKey::find(&store).unwrap().is_none());
        let made = PlanKey::get(&store).unwrap();
        let again = PlanKey::get(&store).unwrap();
        assert_eq!((&made.id, made.digests("s").of("x", &[])), (&again.id, again.digests("s").of("x", &[])));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store), mode(&path(&store))), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&store).unwrap().count(), 1);
        for text in ["", "{}", "{\"id\": \"a\", \"key\": \"AAAA\"}"] {
            std::fs::write(path(&store), text).unwrap();
            assert!(PlanKey::get(&store).unwrap_err().message.ends_with("is damaged"), "{text}");
        }
    }
}
