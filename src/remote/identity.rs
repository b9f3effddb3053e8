//! Private key files: what can be seen of them, and opening them with a passphrase.
//!
//! Does not know which host a key is for.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::PrivateKey;
use russh::keys::PublicKey;
use russh::keys::decode_secret_key;
use zeroize::Zeroizing;

use super::target::Ask;
use super::target::Memory;
use super::target::ask_secret;
use super::target::lock;

/// How often a passphrase may be mistyped.
const TRIES: usize = 3;

/// What a key file holds for those who have no passphrase.
pub(super) enum KeyFile {
    Open(Arc<PrivateKey>),
    /// Needs a passphrase. The newer format tells the public half all the same.
    Locked(Option<PublicKey>),
    /// Just a public key, whose other half an agent may have.
    Public(PublicKey),
}

/// Looks at a key file. Keys that were opened before in this run are open.
///
/// # Errors
/// Why the file is of no use, in a few words.
pub(super) fn look(path: &Path, memory: &Memory) -> Result<KeyFile, String> {
    let opened = lock(&memory.keys).get(path).and_then(|cell| cell.get().cloned());
    if let Some(Ok(key)) = opened {
        return Ok(KeyFile::Open(key));
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return public_half(path).map(KeyFile::Public).ok_or_else(|| "no such file".to_string());
        }
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if let Ok(public) = text.parse::<PublicKey>() {
        return Ok(KeyFile::Public(public));
    }
    let mode = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.mode();
    if mode & 0o077 != 0 {
        return Err(format!("others may read it; run `chmod 600 {}`", path.display()));
    }
    if let Ok(key) = PrivateKey::from_openssh(text.as_bytes()) {
        if key.is_encrypted() {
            return Ok(KeyFile::Locked(Some(key.public_key().clone())));
        }
        return Ok(KeyFile::Open(Arc::new(key)));
    }
    if text.contains("ENCRYPTED") {
        return Ok(KeyFile::Locked(public_half(path)));
    }
    decode_secret_key(&text, None)
        .map(|key| KeyFile::Open(Arc::new(key)))
        .map_err(|error| format!("not a key we can read: {error}"))
}

/// The public key that lies beside a private one.
fn public_half(path: &Path) -> Option<PublicKey> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".pub");
    std::fs::read_to_string(PathBuf::from(name)).ok()?.parse().ok()
}

/// Opens a locked key, asking for its passphrase once in a run, whoever needs it and however often.
///
/// # Errors
/// Why it stays closed, in a few words.
pub(super) async fn open(path: &Path, memory: &Memory, ask: &Arc<dyn Ask>) -> Result<Arc<PrivateKey>, String> {
    let cell = lock(&memory.keys).entry(path.to_path_buf()).or_default().clone();
    cell.get_or_init(|| unlock(path, ask)).await.clone()
}

async fn unlock(path: &Path, ask: &Arc<dyn Ask>) -> Result<Arc<PrivateKey>, String> {
    let mut prompt = format!("passphrase for the key {}: ", path.display());
    for _ in 0..TRIES {
        let Some(passphrase) = ask_secret(ask, prompt).await else {
            return Err("needs a passphrase, and nobody could be asked".to_string());
        };
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
        let text = Zeroizing::new(text);
        // The passphrase is stretched on purpose: that takes a while, and not on a thread others wait for.
        let opened = tokio::task::spawn_blocking(move || decode_secret_key(&text, Some(passphrase.expose()))).await;
        if let Ok(Ok(key)) = opened {
            return Ok(Arc::new(key));
        }
        prompt = format!("that was not it; passphrase for the key {}: ", path.display());
    }
    Err("the passphrase was wrong".to_string())
}
