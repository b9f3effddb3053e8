//! How this machine's apt reaches the archive, so that a lab's can too: sources, proxies, certificates.
//!
//! Only what leads to the Debian archive itself is taken over; a third party's sources would bring keys along.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Result;
use anyhow::bail;

use crate::lab::program::run;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What is built on a machine that is not a Debian of its own.
const FALLBACK: &str = "bookworm";

/// The release a tree is built of: the machine's, if that is a Debian.
pub(super) fn release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    match value("VERSION_CODENAME") {
        Some(codename) if value("ID").as_deref() == Some("debian") => codename,
        _ => FALLBACK.to_owned(),
    }
}

/// The `sources.list` of a tree: the machine's mirrors of the release, or else Debian's own.
pub(super) fn sources(release: &str) -> Result<String> {
    if !Path::new(KEYRING).exists() {
        bail!("the keys of the Debian archive are missing: apt-get install debian-archive-keyring");
    }
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let more = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    files.extend(more);
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => entries.extend(text.lines().filter_map(one_line)),
            Some("sources") => entries.extend(stanzas(&text)),
            _ => {}
        }
    }
    Ok(render(release, &entries))
}

/// One archive: where, and which suites and components of it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// `deb [options] uri suite component…`
fn one_line(line: &str) -> Option<Entry> {
    let rest = line.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = words(rest.split('#').next()?).into_iter();
    Some(Entry { uris: vec![words.next()?], suites: vec![words.next()?], components: words.collect() })
}

/// The form of `.sources`: fields by paragraph; a line that begins with space goes on with the field before.
fn stanzas(text: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    for paragraph in text.split("\n\n") {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in paragraph.lines().filter(|line| !line.starts_with('#')) {
            match (line.starts_with([' ', '\t']), fields.last_mut(), line.split_once(':')) {
                (true, Some((_, value)), _) => *value = format!("{value} {line}"),
                (false, _, Some((key, value))) => fields.push((key.to_ascii_lowercase(), value.to_owned())),
                _ => {}
            }
        }
        let field = |key: &str| words(fields.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value));
        if field("types").iter().any(|kind| kind == "deb") && field("enabled") != ["no"] {
            all.push(Entry { uris: field("uris"), suites: field("suites"), components: field("components") });
        }
    }
    all
}

fn render(release: &str, entries: &[Entry]) -> String {
    let of_release = ["", "-updates", "-security", "/updates"].map(|tail| format!("{release}{tail}"));
    let mut lines = Vec::new();
    for entry in entries.iter().filter(|entry| entry.components.iter().any(|component| component == "main")) {
        for uri in entry.uris.iter().filter(|uri| uri.starts_with("http")) {
            for suite in entry.suites.iter().filter(|suite| of_release.contains(suite)) {
                lines.push(format!("deb [signed-by={KEYRING}] {uri} {suite} {}\n", entry.components.join(" ")));
            }
        }
    }
    if !lines.iter().any(|line| line.contains(&format!(" {release} "))) {
        lines = vec![
            format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {release} main\n"),
            format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {release}-updates main\n"),
            format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian-security {release}-security main\n"),
        ];
    }
    lines.dedup();
    lines.concat()
}

/// The settings a tree's apt needs: the machine's proxies and what it does not check.
pub(super) fn settings() -> String {
    let dump = run("apt-config", &["dump", "--format", "%F \"%v\";%n", "Acquire"]).unwrap_or_default();
    let mut text: String = dump.lines().filter(|line| is_wanted(line)).map(|line| format!("{line}\n")).collect();
    for kind in ["http", "https"] {
        let proxy = [format!("{kind}_proxy"), format!("{}_PROXY", kind.to_uppercase())];
        let proxy = proxy.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.contains('"'));
        if let Some(proxy) = proxy.filter(|_| !text.contains(&format!("Acquire::{kind}::Proxy "))) {
            text += &format!("Acquire::{kind}::Proxy \"{proxy}\";\n");
        }
    }
    text
}

fn is_wanted(line: &str) -> bool {
    let Some((key, value)) = line.split_once(' ') else { return false };
    let key = key.to_ascii_lowercase();
    let reach = key.starts_with("acquire::http::") || key.starts_with("acquire::https::");
    let checks = ["acquire::check-valid-until", "acquire::check-date", "acquire::forceipv4", "acquire::retries"];
    // Scripts and files of the machine are not in the tree.
    let local = key.contains("auto") || key.contains("info") || key.contains("sslcert") || key.contains("sslkey");
    value != "\"\";" && !local && (reach || checks.contains(&key.as_str()))
}

/// The certificates that were added to this machine by hand, in the order of their names.
pub(super) fn certificates() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/local/share/ca-certificates").into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "crt"));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entries: &[Entry], lines: &[&str]) {
        let text = render("bookworm", entries).replace(&format!("[signed-by={KEYRING}] "), "");
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn sources_of_one_line() {
        let entries: Vec<Entry> = [
            "deb http://mirror.example/debian bookworm main contrib # ours",
            "deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/security bookworm-security main",
            "deb https://third.example/apt bookworm stable",
            "deb-src http://mirror.example/debian bookworm main",
            "# deb http://old.example/debian bookworm main",
            "deb",
        ]
        .iter()
        .filter_map(|line| one_line(line))
        .collect();
        check(
            &entries,
            &[
                "deb http://mirror.example/debian bookworm main contrib",
                "deb https://mirror.example/security bookworm-security main",
            ],
        );
    }

    #[test]
    fn sources_of_paragraphs() {
        let text = "Types: deb\n# why\nURIs: http://a.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\n\
                    Types: deb\nEnabled: no\nURIs: http://b.example/debian\nSuites: bookworm\nComponents: main\n";
        check(
            &stanzas(text),
            &["deb http://a.example/debian bookworm main", "deb http://a.example/debian bookworm-updates main"],
        );
    }

    #[test]
    fn without_a_mirror_of_the_release_debian_itself_is_asked() {
        check(
            &stanzas("Types: deb\nURIs: mirror+file:/etc/m\nSuites: bookworm\nComponents: main\n"),
            &[
                "deb http://deb.debian.org/debian bookworm main",
                "deb http://deb.debian.org/debian bookworm-updates main",
                "deb http://deb.debian.org/debian-security bookworm-security main",
            ],
        );
    }

    #[test]
    fn only_settings_that_mean_something_elsewhere() {
        for (line, wanted) in [
            ("Acquire::http::Proxy \"http://p:3128\";", true),
            ("Acquire::Check-Valid-Until \"false\";", true),
            ("Acquire::http::Proxy-Auto-Detect \"/usr/bin/x\";", false),
            ("Acquire::https::CaInfo \"/etc/x.pem\";", false),
            ("Acquire::http::Proxy \"\";", false),
            ("Acquire::Languages \"none\";", false),
        ] {
            assert_eq!(is_wanted(line), wanted, "{line}");
        }
    }
}
