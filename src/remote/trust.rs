//! Whether to go on with a host by the key it shows: what the files say, what the user wants of unknown keys, and the
//! question if there is one.
//!
//! Does not talk to the host. A question is only asked between two connections, so that no clock runs meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use russh::keys::Algorithm;
use russh::keys::PublicKey;

use super::destination::Destination;
use super::destination::Trust;
use super::known_hosts::Known;
use super::known_hosts::Verdict;
use super::known_hosts::add;
use super::known_hosts::fingerprint;
use super::known_hosts::judge;
use super::known_hosts::kind;
use super::known_hosts::kinds;
use super::known_hosts::lookup;
use super::ssh::Judge;
use super::target::Ask;
use super::target::Settings;
use super::target::Shared;
use super::target::Unknown;
use super::target::ask_confirm;
use super::target::lock;
use super::unreached::Unreached;
use super::unreached::Why;

/// The check of one connection's host key.
pub(super) struct Check {
    label: String,
    port: u16,
    trust: Trust,
    shared: Shared,
    lines: Vec<Known>,
    /// The key that was shown, and what was decided.
    seen: Arc<Mutex<Option<(PublicKey, Decision)>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Go,
    /// Go on, and add the key to the known ones.
    Add,
    Stop,
}

impl Check {
    pub(super) fn new(to: &Destination, settings: &Settings) -> Check {
        Check {
            label: to.label.clone(),
            port: to.port,
            trust: to.trust.clone(),
            shared: settings.shared.clone(),
            lines: look(&to.trust, &to.trust.name),
            seen: Arc::default(),
        }
    }

    /// The kinds of keys the server should be asked for.
    pub(super) fn kinds(&self) -> Vec<Algorithm> {
        kinds(&self.lines)
    }

    /// The judge for the connection.
    pub(super) fn judge(&self) -> Judge {
        let (trust, lines, shared) = (self.trust.clone(), self.lines.clone(), self.shared.clone());
        let seen = self.seen.clone();
        Box::new(move |key| {
            let decision = decide(&trust, &lines, &shared, key);
            *lock(&seen) = Some((key.clone(), decision));
            decision != Decision::Stop
        })
    }

    /// After the key was let pass: adds it to the file if it is to be added.
    pub(super) async fn settle(&self) {
        let seen = lock(&self.seen).take();
        if let Some((key, Decision::Add)) = seen {
            self.add(&key).await;
        }
    }

    /// After the key was not let pass: asks, if that is wanted. `Ok` means that it will pass the next time.
    ///
    /// # Errors
    /// [`Why::HostKey`] with what is wrong with the key.
    pub(super) async fn question(&self, ask: &Arc<dyn Ask>) -> Result<(), Unreached> {
        let Some((key, _)) = lock(&self.seen).take() else {
            let text = format!("{} shows a host certificate, which is unsupported", self.label);
            return Err(Unreached::new(Why::HostKey, text));
        };
        let _one_at_a_time = self.shared.memory().asking.lock().await;
        // The same question may have been answered while this one waited for its turn.
        let lines = look(&self.trust, &self.trust.name);
        if decide(&self.trust, &lines, &self.shared, &key) != Decision::Stop {
            return Ok(());
        }
        match judge(&lines, &key) {
            Verdict::Same => Ok(()),
            Verdict::Revoked(known) => Err(self.revoked(&key, &known)),
            Verdict::Changed(known) => Err(self.changed(&key, &known)),
            Verdict::Unknown { others, authority } => {
                let unknown = self.unknown(&key, &others, authority.as_ref());
                if self.trust.unknown != Unknown::Ask {
                    return Err(unknown.help(self.how_to_add()));
                }
                let file = self.trust.files.first().map(|file| format!(" and add it to {}", file.display()));
                let question = format!("{}\ngo on{}?", unknown.message, file.unwrap_or_default());
                if !ask_confirm(ask, question).await {
                    return Err(unknown.help(self.how_to_add()));
                }
                self.add(&key).await;
                Ok(())
            }
        }
    }

    /// Adds the key to the file, and to what is remembered in this run should the file not be writable.
    async fn add(&self, key: &PublicKey) {
        let name = self.trust.name.clone();
        lock(&self.shared.memory().accepted).insert(remembered(&name, key));
        let Some(file) = self.trust.files.first().cloned() else { return };
        let (hash, shown, key) = (self.trust.hash, file.display().to_string(), key.clone());
        let written = tokio::task::spawn_blocking(move || add(&file, &name, &key, hash)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!("cannot add the key of {} to {shown}: {error}", self.label);
        }
    }

    fn unknown(&self, key: &PublicKey, others: &[Known], authority: Option<&Known>) -> Unreached {
        let mut text = format!("the key of {} is not known: {} {}", self.label, kind(key), fingerprint(key));
        if let Some(known) = others.first() {
            let place = place(known);
            text += &format!("; only a key of another kind is ({} at {place})", kind(&known.key));
        }
        if let Some(known) = authority {
            text += &format!("; `@cert-authority` at {} is unsupported", place(known));
        }
        Unreached::new(Why::HostKey, text)
    }

    fn changed(&self, key: &PublicKey, known: &Known) -> Unreached {
        let text = format!(
            "the {} key of {} has changed: it was {} ({}), it is {}",
            kind(key),
            self.label,
            fingerprint(&known.key),
            place(known),
            fingerprint(key),
        );
        Unreached::new(Why::HostKey, text).help(format!(
            "if the host was set up anew, run `ssh-keygen -R {} -f {}`; if not, someone may be in between",
            quoted(&self.trust.name),
            known.file.display(),
        ))
    }

    fn revoked(&self, key: &PublicKey, known: &Known) -> Unreached {
        let text =
            format!("the {} key of {} is revoked at {}: {}", kind(key), self.label, place(known), fingerprint(key));
        Unreached::new(Why::HostKey, text).help("do not log in there before its key was replaced")
    }

    fn how_to_add(&self) -> String {
        let host = self.label.trim_matches('`');
        let host = host.rsplit_once(" (").map_or(host, |(_, address)| address.trim_end_matches(')'));
        let port = if self.port == 22 { String::new() } else { format!("-p {} ", self.port) };
        format!(
            "compare the fingerprint and log in once with `ssh {port}{host}`, or set `StrictHostKeyChecking accept-new`"
        )
    }
}

fn look(trust: &Trust, name: &str) -> Vec<Known> {
    let files: Vec<PathBuf> = trust.files.iter().chain(&trust.global).cloned().collect();
    lookup(&files, name)
}

fn decide(trust: &Trust, lines: &[Known], shared: &Shared, key: &PublicKey) -> Decision {
    if trust.unknown == Unknown::Ignore {
        return Decision::Go;
    }
    let accepted = || lock(&shared.memory().accepted).contains(&remembered(&trust.name, key));
    match judge(lines, key) {
        Verdict::Same => Decision::Go,
        Verdict::Changed(_) | Verdict::Revoked(_) => Decision::Stop,
        Verdict::Unknown { .. } if accepted() => Decision::Go,
        Verdict::Unknown { others, authority } => {
            let portless = trust.portless.as_ref().map(|name| judge(&look(trust, name), key));
            match portless {
                Some(Verdict::Same) => Decision::Go,
                Some(Verdict::Revoked(_)) => Decision::Stop,
                // A key of a kind that was never seen, from a host that is known: this is how one would look who has
                // no key of the known kind to show.
                _ if trust.unknown == Unknown::Accept && others.is_empty() && authority.is_none() => Decision::Add,
                _ => Decision::Stop,
            }
        }
    }
}

fn remembered(name: &str, key: &PublicKey) -> String {
    format!("{name} {}", fingerprint(key))
}

fn place(known: &Known) -> String {
    format!("{}:{}", known.file.display(), known.line)
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    if name.contains('[') { format!("'{name}'") } else { name.to_string() }
}
