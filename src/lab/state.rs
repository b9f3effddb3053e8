//! Where a lab is written down, and who may change it just now. Knows no processes and no networks.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use anyhow::Result;

use crate::lab::layout::Layout;

/// Holds one directory and one lock file for each lab.
pub(super) const BASE: &str = "/run/tbctl-lab";

/// Everything of one lab.
pub(super) fn lab_dir(name: &str) -> PathBuf {
    Path::new(BASE).join(name)
}

/// Everything of one host.
pub(super) fn host_dir(name: &str, host: &str) -> PathBuf {
    lab_dir(name).join("hosts").join(host)
}

/// The lab's SSH key; the public half is beside it.
pub(super) fn key(name: &str) -> PathBuf {
    lab_dir(name).join("id_ed25519")
}

/// The keys of the lab's hosts.
pub(super) fn known_hosts(name: &str) -> PathBuf {
    lab_dir(name).join("known_hosts")
}

/// The labs that are up or half up, in order of their names.
pub(super) fn names() -> Result<Vec<String>> {
    let entries = match fs::read_dir(BASE) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(format!("cannot read {BASE}")),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context(format!("cannot read {BASE}"))?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// How a lab was laid out; none if there is no such lab.
pub(super) fn read(name: &str) -> Result<Option<Layout>> {
    let path = lab_dir(name).join("lab.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
    };
    let layout = serde_json::from_str(&text).with_context(|| format!("{} is not a lab's layout", path.display()))?;
    Ok(Some(layout))
}

/// Written before anything is made by it, so that `down` knows all there can be.
pub(super) fn write(layout: &Layout) -> Result<()> {
    let text = serde_json::to_string_pretty(layout)?;
    replace(&lab_dir(&layout.name).join("lab.json"), &text)
}

/// Gives a file new content at once or not at all.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The right to change something, until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits until nobody else has it; `waiting` is called if that takes time.
    pub(super) fn take(path: &Path, waiting: &mut dyn FnMut()) -> Result<Lock> {
        let context = || format!("cannot lock {}", path.display());
        loop {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir).with_context(context)?;
            }
            let file = match File::create(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue, // its directory has just been removed
                file => file.with_context(context)?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    waiting();
                    file.lock().with_context(context)?;
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            }
            // Whoever had it may have removed the file; then another one counts.
            let held = file.metadata().with_context(context)?;
            if fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (held.dev(), held.ino())) {
                return Ok(Lock { file, path: path.to_owned() });
            }
        }
    }

    /// Over one lab.
    pub(super) fn of_lab(name: &str, waiting: &mut dyn FnMut()) -> Result<Lock> {
        Lock::take(&Path::new(BASE).join(format!("{name}.lock")), waiting)
    }

    /// Over what labs share on this machine. Held for moments only.
    pub(super) fn of_machine() -> Result<Lock> {
        Lock::take(&Path::new(BASE).join(".lock"), &mut || {})
    }

    /// For a child's standard input: the lock is held until the child has closed that as well, whatever becomes of us.
    pub(super) fn share(&self) -> Result<Stdio> {
        let file = self.file.try_clone().with_context(|| format!("cannot share {}", self.path.display()))?;
        Ok(Stdio::from(file))
    }

    /// Gives it up and leaves no file behind.
    pub(super) fn remove(self) {
        // Not there any more is what is wanted; a stale file is harmless.
        let _ = fs::remove_file(&self.path);
    }
}
