//! The lab's keys: one to come in by, one for each host to be known by. All made here, so that nothing is ever asked.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::chown;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::private::KeypairData;
use zeroize::Zeroizing;

/// Makes an Ed25519 pair, `path` (0600) and `path.pub`, unless it is there.
pub(super) fn make(path: &Path, comment: &str) -> Result<()> {
    let public = path.with_extension("pub");
    if path.exists() && public.exists() {
        return Ok(());
    }
    let context = || format!("cannot make the key {}", path.display());
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, comment).with_context(context)?;
    let _ = fs::remove_file(path); // half a pair
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(context)?;
    file.write_all(key.to_openssh(LineEnding::LF).with_context(context)?.as_bytes()).with_context(context)?;
    let text = key.public_key().to_openssh().with_context(context)?;
    fs::write(&public, text + "\n").with_context(context)
}

/// The type and the key of a public half, as known_hosts has them.
pub(super) fn public(path: &Path) -> Result<String> {
    let path = path.with_extension("pub");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// Gives the key to whoever called sudo: the lab needs root, its use does not.
pub(super) fn hand_over(path: &Path) -> Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let Some(user) = number("SUDO_UID") else { return Ok(()) };
    chown(path, Some(user), number("SUDO_GID")).with_context(|| format!("cannot hand over {}", path.display()))
}
