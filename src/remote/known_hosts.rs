//! known_hosts files: is this the key the host had before, and adding one that was accepted.
//!
//! Does not ask anybody and does not decide what becomes of an unknown key.

use std::fs::DirBuilder;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use russh::keys::Algorithm;
use russh::keys::HashAlg;
use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::Entry;
use russh::keys::ssh_key::known_hosts::HostPatterns;
use russh::keys::ssh_key::known_hosts::Marker;
use sha1::Sha1;

use super::pattern::any_fits;

/// A line of a known_hosts file that is about the host.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) file: PathBuf,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) marker: Option<Marker>,
    pub(super) key: PublicKey,
}

/// What the files say of a key.
#[derive(Debug)]
pub(super) enum Verdict {
    Same,
    /// Another key of the same kind is known.
    Changed(Known),
    Revoked(Known),
    /// No key of this kind is known: perhaps ones of other kinds, perhaps an authority.
    Unknown {
        others: Vec<Known>,
        authority: Option<Known>,
    },
}

/// All lines about `name` (`host`, `[host]:port` or an alias), file by file. Files that are missing say nothing.
pub(super) fn lookup(files: &[PathBuf], name: &str) -> Vec<Known> {
    files.iter().flat_map(|file| lookup_in(file, name)).collect()
}

fn lookup_in(file: &Path, name: &str) -> Vec<Known> {
    let Ok(bytes) = std::fs::read(file) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let about = |(index, line): (usize, &str)| {
        // Words may be parted by tabs and by more than one space, which the parser does not expect.
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.starts_with('#') {
            return None;
        }
        let entry: Entry = words.parse().ok()?;
        names(entry.host_patterns(), name).then(|| Known {
            file: file.to_path_buf(),
            line: index + 1,
            marker: entry.marker().copied(),
            key: entry.public_key().clone(),
        })
    };
    text.lines().enumerate().filter_map(about).collect()
}

fn names(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(list) => {
            let lower: Vec<String> = list.iter().map(|pattern| pattern.to_lowercase()).collect();
            any_fits(lower.iter().map(String::as_str), name)
        }
        HostPatterns::HashedName { salt, hash } => digest(salt, name).is_some_and(|found| found == *hash),
    }
}

fn digest(salt: &[u8], name: &str) -> Option<[u8; 20]> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

/// Judges the key a host showed by the lines about it.
pub(super) fn judge(lines: &[Known], shown: &PublicKey) -> Verdict {
    let same = |known: &&Known| known.key.key_data() == shown.key_data();
    let of = |marker: Option<Marker>| lines.iter().filter(move |known| known.marker == marker);
    if let Some(known) = of(Some(Marker::Revoked)).find(same) {
        return Verdict::Revoked(known.clone());
    }
    if of(None).any(|known| same(&known)) {
        return Verdict::Same;
    }
    match of(None).find(|known| known.key.algorithm() == shown.algorithm()) {
        Some(known) => Verdict::Changed(known.clone()),
        None => Verdict::Unknown {
            others: of(None).cloned().collect(),
            authority: of(Some(Marker::CertAuthority)).next().cloned(),
        },
    }
}

/// The kinds of keys that are known, so that the server is asked for one of these.
pub(super) fn kinds(lines: &[Known]) -> Vec<Algorithm> {
    lines.iter().filter(|known| known.marker.is_none()).map(|known| known.key.algorithm()).collect()
}

/// `SHA256:…`, as `ssh` shows it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// `ED25519`, as `ssh` calls the kind of a key.
pub(super) fn kind(key: &PublicKey) -> &'static str {
    match key.algorithm() {
        Algorithm::Ed25519 => "ED25519",
        Algorithm::Ecdsa { .. } => "ECDSA",
        Algorithm::Rsa { .. } => "RSA",
        Algorithm::Dsa => "DSA",
        _ => "host",
    }
}

/// Adds a line for the key, creating file and directory if need be. Safe against other hosts and other processes that
/// add lines at the same time. A key that is there already is not added again.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn add(file: &Path, name: &str, key: &PublicKey, hash: bool) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut handle = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    handle.lock()?;
    if matches!(judge(&lookup_in(file, name), key), Verdict::Same) {
        return Ok(());
    }
    let bare = PublicKey::new(key.key_data().clone(), "");
    let encoded = bare.to_openssh().map_err(io::Error::other)?;
    // A last line without its end would swallow the new one.
    let length = handle.seek(SeekFrom::End(0))?;
    let mut last = [b'\n'];
    if length > 0 {
        handle.seek(SeekFrom::Start(length - 1))?;
        handle.read_exact(&mut last)?;
    }
    let start = if last == [b'\n'] { "" } else { "\n" };
    let shown = if hash { hashed(name).unwrap_or_else(|| name.to_string()) } else { name.to_string() };
    handle.write_all(format!("{start}{shown} {}\n", encoded.trim()).as_bytes())?;
    handle.flush()
}

fn hashed(name: &str) -> Option<String> {
    let salt: [u8; 20] = rand::random();
    let hash = digest(&salt, name)?;
    Some(format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn key(text: &str) -> PublicKey {
        text.parse().unwrap()
    }

    fn verdict(text: &str, name: &str, shown: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        std::fs::write(&file, text).unwrap();
        match judge(&lookup(&[directory.path().join("missing"), file], name), &key(shown)) {
            Verdict::Same => "same".to_string(),
            Verdict::Changed(known) => format!("changed {}", known.line),
            Verdict::Revoked(known) => format!("revoked {}", known.line),
            Verdict::Unknown { others, authority } => {
                format!("unknown {} {}", others.len(), authority.is_some())
            }
        }
    }

    #[test]
    fn verdicts() {
        let hashed_line = format!("{} {ONE}\n", hashed("web").unwrap());
        for (text, name, shown, expected) in [
            (format!("web {ONE}\n"), "web", ONE, "same"),
            (format!("# web\n\nweb\t {ONE} a comment # with a mark\n"), "web", ONE, "same"),
            (format!("WEB,10.0.0.1 {ONE}\n"), "web", ONE, "same"),
            (format!("web {TWO}\nother {ONE}\n"), "web", ONE, "changed 1"),
            (format!("web {TWO}\nweb {ONE}\n"), "web", ONE, "same"),
            (format!("[web]:2222 {ONE}\n"), "[web]:2222", ONE, "same"),
            (format!("[web]:2222 {ONE}\n"), "web", ONE, "unknown 0 false"),
            (format!("*.lan,!db.lan {ONE}\n"), "web.lan", ONE, "same"),
            (format!("*.lan,!db.lan {ONE}\n"), "db.lan", ONE, "unknown 0 false"),
            (hashed_line.clone(), "web", ONE, "same"),
            (hashed_line.clone(), "web", TWO, "changed 1"),
            (hashed_line, "db", ONE, "unknown 0 false"),
            (format!("web {ONE}\n@revoked * {ONE}\n"), "web", ONE, "revoked 2"),
            (format!("@cert-authority *.lan {TWO}\n"), "web.lan", ONE, "unknown 0 true"),
            (format!("web {ECDSA}\n"), "web", ONE, "unknown 1 false"),
            (format!("web not-a-key\nweb {ONE}\n"), "web", ONE, "same"),
            (String::new(), "web", ONE, "unknown 0 false"),
        ] {
            assert_eq!(verdict(&text, name, shown), expected, "{text}");
        }
    }

    #[test]
    fn lines_hashed_by_ssh_keygen_are_found() {
        let text = format!(
            "|1|afLiXDTOSNl4aMzkgV7WaKnjKHU=|4ajn6MtlghpDrlprCOWmpNwcKI8= {ONE}\n\
             |1|6OnsneUgyvPrOTz1/QOpSAp1eFg=|gTfuyK74CQ9G+N/4j9gtBFENj/Q= {ONE}\n"
        );
        for (name, expected) in [("[web]:2222", "same"), ("plain.example", "same"), ("web", "unknown 0 false")] {
            assert_eq!(verdict(&text, name, ONE), expected, "{name}");
        }
    }

    #[test]
    fn keys_are_added_once_and_after_a_whole_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".ssh/known_hosts");
        add(&file, "web", &key(ONE), false).unwrap();
        add(&file, "web", &key(ONE), false).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("web {ONE}\n"));
        std::fs::write(&file, format!("db {TWO}")).unwrap();
        add(&file, "web", &key(ONE), true).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with(&format!("db {TWO}\n|1|")), "{text}");
        assert!(matches!(judge(&lookup(&[file], "web"), &key(ONE)), Verdict::Same));
    }

    #[test]
    fn many_hosts_at_once_do_not_harm_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        std::thread::scope(|scope| {
            for index in 0..16 {
                let file = &file;
                scope.spawn(move || add(file, &format!("web{}", index % 8), &key(ONE), false).unwrap());
            }
        });
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        let expected: Vec<String> = (0..8).map(|index| format!("web{index} {ONE}")).collect();
        assert_eq!(lines, expected);
    }
}
