//! Many looks, few processes: like questions of all tasks go out as one, and the answers are told apart again.
//!
//! [`script`] writes the questions, [`split`] reads the answers, and [`expect`] foretells what [`script`] would print for a
//! subset if nothing had changed: that is what a guard on the host compares. The shell functions are in `prelude.sh`.

use crate::change::look::Look;
use crate::change::sh;

/// The functions every generated script relies on. POSIX sh: dash, bash and busybox.
pub const PRELUDE: &str = concat!(include_str!("prelude.sh"), include_str!("edit.sh"));

/// Most looks in one section: keeps argument lists well below `ARG_MAX`.
const CHUNK: usize = 500;

/// Looks that one shell function answers together, by their positions in the caller's list.
struct Section {
    sort: Sort,
    items: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    // Before the text: what is decided on a text is guarded by the file's digest, which must not be the younger of the two.
    Path,
    Text,
    Package,
    Unit,
    Passwd,
    Shadow,
    Group,
    Member,
    Script,
}

fn sort_of(look: &Look) -> Sort {
    match look {
        Look::Path { .. } | Look::Stat { .. } => Sort::Path,
        Look::Text { .. } | Look::Files { .. } => Sort::Text,
        Look::Package { .. } => Sort::Package,
        Look::Unit { .. } | Look::Reread { .. } => Sort::Unit,
        Look::Passwd { .. } => Sort::Passwd,
        Look::Shadow { .. } => Sort::Shadow,
        Look::Group { .. } => Sort::Group,
        Look::Member { .. } => Sort::Member,
        Look::Script { .. } | Look::Live { .. } => Sort::Script,
    }
}

/// The word behind which a section names what it asks in another way, if it does.
fn way(look: &Look) -> Option<&'static str> {
    match look {
        Look::Path { follow: true, .. } => Some("-L"),
        Look::Stat { follow: false, .. } => Some("-S"),
        Look::Stat { follow: true, .. } => Some("-SL"),
        Look::Files { .. } => Some("-g"),
        Look::Reread { .. } => Some("-r"),
        _ => None,
    }
}

fn subjects(look: &Look) -> Vec<&str> {
    match look {
        Look::Path { path, .. } | Look::Stat { path, .. } | Look::Text { path } => vec![path],
        Look::Files { patterns } => patterns.to_vec(),
        Look::Package { name }
        | Look::Unit { name }
        | Look::Reread { name }
        | Look::Passwd { name }
        | Look::Shadow { name }
        | Look::Group { name }
        | Look::Member { name } => vec![name],
        Look::Script { text } | Look::Live { text } => vec![text],
    }
}

/// Sorts whose answers cannot be told apart when several are asked at once.
fn alone(sort: Sort) -> bool {
    matches!(sort, Sort::Member | Sort::Script)
}

fn sections(looks: &[Look]) -> Vec<Section> {
    let mut order: Vec<usize> = (0..looks.len()).collect();
    order.sort_by_key(|&at| (sort_of(&looks[at]), way(&looks[at])));
    let mut found: Vec<Section> = Vec::new();
    for at in order {
        let sort = sort_of(&looks[at]);
        match found.last_mut() {
            Some(last) if last.sort == sort && !alone(sort) && last.items.len() < CHUNK => last.items.push(at),
            _ => found.push(Section { sort, items: vec![at] }),
        }
    }
    found
}

/// The questions. Each section's answer is followed by a line that holds only `mark`. Looks must be distinct.
pub fn script(looks: &[Look], mark: &str) -> String {
    let mut text = String::new();
    for section in sections(looks) {
        let function = match section.sort {
            Sort::Path => "_tb_paths",
            Sort::Text => "_tb_texts",
            Sort::Package => "_tb_packages",
            Sort::Unit => "_tb_units",
            Sort::Passwd => "_tb_entries /etc/passwd",
            Sort::Shadow => "_tb_entries /etc/shadow",
            Sort::Group => "_tb_entries /etc/group",
            Sort::Member => "_tb_member",
            Sort::Script => "_tb_look",
        };
        let mut words = vec![function.to_string()];
        let mut last = None;
        for look in section.items.iter().map(|&at| &looks[at]) {
            let own = way(look);
            if own != last {
                words.extend(own.map(str::to_string));
            }
            last = own;
            words.extend(subjects(look).into_iter().map(sh::quote));
        }
        text.push_str(&format!("{}\nprintf '%s\\n' {mark}\n", words.join(" ")));
    }
    text
}

/// What the host printed for [`script`], as one answer a look, in the order of the looks.
pub fn split(looks: &[Look], mark: &str, printed: &str) -> Result<Vec<String>, String> {
    let mut answers = vec![String::new(); looks.len()];
    let mut lines = printed.split_terminator('\n');
    for section in sections(looks) {
        let mut chunk = Vec::new();
        loop {
            match lines.next() {
                Some(line) if line == mark => break,
                Some(line) => chunk.push(line),
                None => return Err("the host stopped in the middle of its answers".into()),
            }
        }
        let own: Vec<&Look> = section.items.iter().map(|&at| &looks[at]).collect();
        let names: Vec<&str> = own.iter().flat_map(|look| subjects(look)).collect();
        let texts = match section.sort {
            Sort::Path => split_paths(&chunk, own.len())?,
            Sort::Text => split_texts(&chunk, &own),
            Sort::Package => split_packages(&chunk, &names),
            Sort::Unit => split_units(&chunk, own.len()),
            Sort::Passwd | Sort::Shadow | Sort::Group => split_entries(&chunk, own.len())?,
            Sort::Member | Sort::Script => vec![chunk.join("\n")],
        };
        for (at, text) in section.items.iter().zip(texts) {
            answers[*at] = text;
        }
    }
    Ok(answers)
}

/// A line of letters, then a line of `stat` for each that exists, what links lead to last, then one digest for each `f` or
/// `F`. For kinds that ask for many paths in a script of their own, by `_tb_paths`.
pub fn split_paths(chunk: &[&str], count: usize) -> Result<Vec<String>, String> {
    let letters: Vec<char> = chunk.first().map(|line| line.chars().collect()).unwrap_or_default();
    let led = letters.iter().filter(|letter| letter.is_ascii_uppercase()).count();
    let plain = letters.iter().filter(|letter| **letter != '-').count() - led;
    let files = letters.iter().filter(|letter| matches!(letter, 'f' | 'F')).count();
    if letters.len() != count || chunk.len() != 1 + plain + led + files {
        return Err(format!("stat answered out of step: {}", chunk.join(" / ")));
    }
    let (mut stats, rest) = (chunk[1..=plain].iter(), &chunk[1 + plain..]);
    let (mut led_stats, mut digests) = (rest[..led].iter(), rest[led..].iter());
    let mut one = |letter: &char| {
        let stat = match letter {
            '-' => None,
            'A'..='Z' => led_stats.next(),
            _ => stats.next(),
        };
        let digest = if matches!(letter, 'f' | 'F') { digests.next() } else { None };
        let lines = stat.into_iter().chain(digest).map(|line| format!("\n{line}"));
        lines.fold(letter.to_string(), |text, line| text + &line)
    };
    Ok(letters.iter().map(&mut one).collect())
}

fn join_paths(answers: &[&str]) -> String {
    let led = |answer: &&&str| answer.starts_with(|letter: char| letter.is_ascii_uppercase());
    let line = |answer: &&str, at: usize| answer.split_terminator('\n').nth(at).map(str::to_string);
    let letters: String = answers.iter().filter_map(|answer| answer.chars().next()).collect();
    let stats = answers.iter().filter(|answer| !led(answer)).chain(answers.iter().filter(led));
    let stats = stats.filter_map(|answer| line(answer, 1));
    let digests = answers.iter().filter_map(|answer| line(answer, 2));
    std::iter::once(letters).chain(stats).chain(digests).collect::<Vec<_>>().join("\n")
}

/// The line before what the patterns of [`Look::Files`] found.
const FILES: &str = "/proc/sys/kernel/ostype:";

fn split_texts(chunk: &[&str], looks: &[&Look]) -> Vec<String> {
    let patterns = looks.iter().any(|look| matches!(look, Look::Files { .. }));
    let first = chunk.iter().rposition(|line| line.starts_with(FILES)).filter(|_| patterns);
    let (texts, files) = chunk.split_at(first.unwrap_or(chunk.len()));
    let one = |look: &&Look| match look {
        Look::Text { path } => {
            let own = texts.iter().filter_map(|line| line.strip_prefix(path.as_str())?.strip_prefix(':'));
            own.collect::<Vec<_>>().join("\n")
        }
        _ => files.join("\n"),
    };
    looks.iter().map(one).collect()
}

fn split_packages(chunk: &[&str], subjects: &[&str]) -> Vec<String> {
    let line = |name: &&str| chunk.iter().find(|line| line.split(' ').next() == Some(name)).copied();
    subjects.iter().map(|name| line(name).unwrap_or_default().to_string()).collect()
}

fn split_units(chunk: &[&str], count: usize) -> Vec<String> {
    let blocks: Vec<String> =
        chunk.split(|line| line.is_empty()).map(|block| block.join("\n")).filter(|block| !block.is_empty()).collect();
    if blocks.len() == count { blocks } else { vec![String::new(); count] }
}

fn split_entries(chunk: &[&str], count: usize) -> Result<Vec<String>, String> {
    if chunk.len() != count {
        return Err(format!("the account files answered out of step: {} lines for {count} names", chunk.len()));
    }
    Ok(chunk.iter().map(|line| (*line).to_string()).collect())
}

/// What [`script`] prints for these looks when the answers still hold.
pub fn expect(looks: &[Look], answers: &[&str], mark: &str) -> String {
    let mut text = String::new();
    for section in sections(looks) {
        let own: Vec<&str> = section.items.iter().map(|&at| answers[at]).collect();
        let body = match section.sort {
            Sort::Path => join_paths(&own),
            Sort::Text => {
                let items = section.items.iter().zip(&own).filter(|(_, answer)| !answer.is_empty());
                let lines = items.flat_map(|(&at, answer)| {
                    answer.split('\n').map(move |line| format!("{}:{line}", subjects(&looks[at])[0]))
                });
                lines.collect::<Vec<_>>().join("\n")
            }
            Sort::Package => {
                let mut lines: Vec<&str> = own.into_iter().filter(|answer| !answer.is_empty()).collect();
                lines.sort_unstable();
                lines.join("\n")
            }
            Sort::Unit => own.into_iter().filter(|answer| !answer.is_empty()).collect::<Vec<_>>().join("\n\n"),
            Sort::Passwd | Sort::Shadow | Sort::Group => own.join("\n"),
            Sort::Member | Sort::Script => own.first().copied().unwrap_or_default().to_string(),
        };
        // An entries section prints a line even for nothing; the others print nothing for nothing.
        let blank = matches!(section.sort, Sort::Passwd | Sort::Shadow | Sort::Group);
        if !body.is_empty() || blank {
            text.push_str(&body);
            text.push('\n');
        }
        text.push_str(mark);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::look::PathKind;
    use crate::change::look::PathState;
    use crate::change::look::UnitState;
    use std::process::Command;

    const MARK: &str = "@@mark";

    fn run(shell: &[&str], text: &str) -> String {
        let out = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(text).output().unwrap();
        assert!(out.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(String::from_utf8_lossy(&out.stderr), "", "{shell:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    fn looks(dir: &str) -> Vec<Look> {
        let path = |name: &str| format!("{dir}/{name}");
        vec![
            Look::Script { text: "echo a; echo; echo b".into() },
            Look::Path { path: path("file"), follow: false },
            Look::Path { path: path("absent"), follow: false },
            Look::Path { path: path("link"), follow: false },
            Look::Path { path: path("link"), follow: true },
            Look::Path { path: path("it's a dir"), follow: false },
            Look::Text { path: path("file") },
            Look::Text { path: path("absent") },
            Look::Text { path: "/proc/sys/kernel/ostype".into() },
            Look::Package { name: "base-files".into() },
            Look::Package { name: "no-such-package".into() },
            Look::Passwd { name: "root".into() },
            Look::Passwd { name: "nobody-here".into() },
            Look::Group { name: "root".into() },
            Look::Member { name: "root".into() },
            Look::Stat { path: path("file"), follow: false },
            Look::Script { text: "exit 3".into() },
        ]
    }

    #[test]
    fn every_shell_answers_and_the_answers_can_be_foretold() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        std::fs::write(dir.path().join("file"), "one\n\ntwo:x").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        std::fs::create_dir(dir.path().join("it's a dir")).unwrap();
        let looks = looks(at);
        for shell in [&["sh"][..], &["bash"], &["busybox", "sh"]] {
            let printed = run(shell, &format!("export LC_ALL=C\n{PRELUDE}\n{}", script(&looks, MARK)));
            let answers = split(&looks, MARK, &printed).unwrap();
            assert_eq!(answers[0], "a\n\nb");
            let file = PathState::parse(&answers[1]).unwrap();
            assert_eq!((file.kind, file.sha256.len()), (PathKind::File, 64), "{shell:?}");
            assert_eq!(PathState::parse(&answers[2]).unwrap().kind, PathKind::Absent);
            assert_eq!(PathState::parse(&answers[3]).unwrap().target, "file");
            assert_eq!(PathState::parse(&answers[4]).unwrap().sha256, file.sha256);
            assert_eq!(PathState::parse(&answers[5]).unwrap().kind, PathKind::Directory);
            assert_eq!(answers[6], "one\n\ntwo:x");
            assert_eq!((answers[7].as_str(), answers[8].as_str()), ("", "Linux"));
            assert!(answers[9].starts_with("base-files ii "), "{}", answers[9]);
            assert_eq!(answers[10], "");
            assert!(answers[11].starts_with("root:"));
            assert_eq!((answers[12].as_str(), answers[16].as_str()), ("", ""));
            let texts: Vec<&str> = answers.iter().map(String::as_str).collect();
            assert_eq!(expect(&looks, &texts, MARK), printed, "{shell:?}");
            for skip in 0..looks.len() {
                let some: Vec<Look> = looks.iter().skip(skip).step_by(2).cloned().collect();
                let own: Vec<&str> = texts.iter().skip(skip).step_by(2).copied().collect();
                let printed = run(shell, &format!("export LC_ALL=C\n{PRELUDE}\n{}", script(&some, MARK)));
                assert_eq!(expect(&some, &own, MARK), printed);
            }
        }
    }

    #[test]
    fn units_are_told_apart() {
        let looks = [Look::Unit { name: "a".into() }, Look::Unit { name: "b".into() }];
        let printed = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\nLoadState=not-found\n@@mark\n";
        let answers = split(&looks, MARK, printed).unwrap();
        assert_eq!(UnitState::parse(&answers[0]).unwrap().file, "enabled");
        assert_eq!(UnitState::parse(&answers[1]).unwrap().load, "not-found");
    }

    #[test]
    fn a_host_that_stops_is_noticed() {
        let looks = [Look::Script { text: "true".into() }];
        assert!(split(&looks, MARK, "half an ans").is_err());
    }
}
