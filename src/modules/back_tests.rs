//! There and back on this machine's shells: apply, look again, take back, and the files are as they were, byte for byte.
//!
//! Stands in for a host: runs scripts and writes files as the engine does, in a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Content;
use crate::change::Look;
use crate::change::Seen;
use crate::change::Undo;
use crate::change::fuse;
use crate::change::sh;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::lang::yaml;
use crate::modules::find;

const SHELLS: &[&[&str]] = &[&["dash"], &["bash"], &["busybox", "sh"]];

struct Host<'a> {
    shell: &'a [&'a str],
    root: &'a Path,
}

impl Host<'_> {
    fn run(&self, text: &str, keep: &Path) -> String {
        let script =
            format!("export LC_ALL=C\n{}\n_tb_k={}\n{text}\n", fuse::PRELUDE, sh::quote(keep.to_str().unwrap()));
        let out = Command::new(self.shell[0]).args(&self.shell[1..]).arg("-c").arg(&script).output().unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && stderr.is_empty(), "{:?}: {text}\n{stderr}", self.shell);
        String::from_utf8(out.stdout).unwrap()
    }

    fn decide(&self, kind: &str, args: &str) -> Change {
        let source = Source::new("args", args.replace('@', self.root.to_str().unwrap()));
        let mut faults = Diagnostics::default();
        let args = yaml::document(&source, &mut faults).unwrap();
        let kind = find(kind).unwrap();
        let probe = (kind.probe)(&args).unwrap();
        let looks: Vec<Look> = probe.looks.iter().map(|(_, look)| look.clone()).collect();
        let mut distinct = looks.clone();
        distinct.dedup();
        let printed = self.run(&fuse::script(&distinct, "@mark"), self.root);
        let answers = fuse::split(&distinct, "@mark", &printed).unwrap();
        let mut seen = Seen::default();
        for ((name, _), look) in probe.looks.iter().zip(&looks) {
            let at = distinct.iter().position(|one| one == look).unwrap();
            seen.answers.insert((*name).to_string(), answers[at].clone());
        }
        (kind.decode)(&args).unwrap().decide(&seen).unwrap()
    }

    /// Runs the steps; each step's resource has its own directory, as on a host.
    fn apply(&self, change: &Change, keep: &Path, undo: &mut Vec<(String, std::path::PathBuf)>) {
        for step in &change.steps {
            let id = step.resource.as_ref().map_or("none", |resource| &resource.id);
            let own = keep.join(id.replace('/', "!"));
            fs::create_dir_all(&own).unwrap();
            match &step.undo {
                Undo::By(script) if !undo.iter().any(|(_, known)| *known == own) => {
                    undo.push((script.clone(), own.clone()))
                }
                Undo::By(_) | Undo::Restore | Undo::Nothing => {}
                other => panic!("{other:?}"),
            }
            match &step.apply {
                Apply::Run(script) => {
                    self.run(&script.text, &own);
                }
                Apply::Put(put) => match &put.content {
                    Content::Text(text) => fs::write(&put.path, text).unwrap(),
                    Content::File { .. } => panic!("a file is not written here"),
                },
            }
        }
    }
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.is_file()).map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

/// Applies each of the tasks to a file, and takes all back in turn; `wanted` is the file in between.
fn check(kind: &str, before: &str, tasks: &[&str], wanted: &str) {
    for shell in SHELLS {
        let (root, keep) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Host { shell, root: root.path() };
        fs::write(root.path().join("f"), before).unwrap();
        let first = files(root.path());
        let mut undo = Vec::new();
        for args in tasks {
            let change = host.decide(kind, args);
            host.apply(&change, keep.path(), &mut undo);
            let again = host.decide(kind, args);
            assert!(again.is_empty(), "{shell:?} {args} is not done after it was done: {again:?}");
            for step in &change.steps {
                if let Some(Look::Script { text }) = step.resource.as_ref().map(|resource| &resource.look) {
                    host.run(&format!("_tb_look {}", sh::quote(text)), keep.path());
                }
            }
        }
        let after = fs::read_to_string(root.path().join("f")).unwrap();
        assert_eq!(after, wanted, "{shell:?} {tasks:?}");
        // Twice: an undo may be repeated after a lost connection.
        for (script, own) in undo.iter().rev() {
            host.run(script, own);
            host.run(script, own);
        }
        assert_eq!(files(root.path()), first, "{shell:?} {tasks:?}");
    }
}

#[test]
fn lines_there_and_back() {
    for (before, tasks, wanted) in [
        ("a\nb\n", &["{path: @/f, line: c}"][..], "a\nb\nc\n"),
        ("a\nb", &["{path: @/f, line: c}"], "a\nb\nc\n"),
        ("", &["{path: @/f, line: \"it's $x \\\\ é\"}"], "it's $x \\ é\n"),
        ("", &["{path: @/f, line: ''}"], "\n"),
        ("\n", &["{path: @/f, line: '-n'}"], "\n-n\n"),
        ("a\n#P 1\nb", &["{path: @/f, regexp: '^#?P', line: P 2}"], "a\nP 2\nb"),
        ("a\n#P 1", &["{path: @/f, regexp: '^#?P', line: P 2}"], "a\nP 2\n"),
        ("a\nP 0\n", &["{path: @/f, regexp: '^P', line: P 1}", "{path: @/f, regexp: '^P', line: P 2}"], "a\nP 2\n"),
        ("a\n", &["{path: @/f, regexp: '^P', line: P 1}", "{path: @/f, regexp: '^P', line: P 2}"], "a\nP 2\n"),
        (
            "a\nb\n",
            &["{path: @/f, line: x, insertbefore: BOF}", "{path: @/f, line: y, insertafter: x}"],
            "x\ny\na\nb\n",
        ),
        ("a\nb\nac\n", &["{path: @/f, regexp: '^a', state: absent}"], "b\n"),
        ("a\na\nb\na", &["{path: @/f, line: a, state: absent}"], "b\n"),
        ("b\na", &["{path: @/f, line: a, state: absent}"], "b\n"),
        ("a", &["{path: @/f, line: a, state: absent}"], ""),
        ("x\n", &["{path: @/f, regexp: '^P', line: P}", "{path: @/f, regexp: '^P', state: absent}"], "x\n"),
        ("x\nP 0\ny\n", &["{path: @/f, regexp: '^P', line: P}", "{path: @/f, regexp: '^P', state: absent}"], "x\ny\n"),
        (
            "x\nP 0\ny\n",
            &["{path: @/f, regexp: '^P', state: absent}", "{path: @/f, regexp: '^P', line: P}"],
            "x\ny\nP\n",
        ),
        ("c\n", &["{path: @/f, line: c, mode: 0600}"], "c\n"),
        ("c\r\n", &["{path: @/f, line: d, validate: 'grep -q d %s'}"], "c\r\nd\n"),
    ] {
        check("lineinfile", before, tasks, wanted);
    }
}

#[test]
fn blocks_there_and_back() {
    let (begin, end) = ("# BEGIN ANSIBLE MANAGED BLOCK", "# END ANSIBLE MANAGED BLOCK");
    let block = |text: &str| format!("{begin}\n{text}{end}\n");
    for (before, tasks, wanted) in [
        ("a\n".to_string(), &["{path: @/f, block: \"x\\ny\\n\"}"][..], format!("a\n{}", block("x\ny\n"))),
        ("a".into(), &["{path: @/f, block: \"it's\\n\\n$y\"}"], format!("a\n{}", block("it's\n\n$y\n"))),
        (String::new(), &["{path: @/f, block: x}"], block("x\n")),
        ("a\nb".into(), &["{path: @/f, block: x, insertbefore: b}"], format!("a\n{}b", block("x\n"))),
        (block("old\n") + "b", &["{path: @/f, block: x}", "{path: @/f, block: z}"], block("z\n") + "b"),
        (format!("a\n{begin}\no\n{end}"), &["{path: @/f, block: x}"], format!("a\n{}", block("x\n"))),
        (format!("a\n{}b\n", block("old\n")), &["{path: @/f, state: absent}"], "a\nb\n".into()),
        (format!("a\n{begin}\no\n{end}"), &["{path: @/f, block: x}", "{path: @/f, state: absent}"], "a\n".into()),
        (
            "a\n".into(),
            &[
                "{path: @/f, block: x, marker: '-{mark}'}",
                "{path: @/f, block: y}",
                "{path: @/f, block: z, insertbefore: BOF, marker: '; {mark}'}",
            ],
            format!("; BEGIN\nz\n; END\na\n-BEGIN\nx\n-END\n{}", block("y\n")),
        ),
    ] {
        check("blockinfile", &before, tasks, &wanted);
    }
}

#[test]
fn others_may_write_around_what_is_ours() {
    for shell in SHELLS {
        let (root, keep) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Host { shell, root: root.path() };
        let file = root.path().join("f");
        fs::write(&file, "a\nP 0\nb").unwrap();
        let mut undo = Vec::new();
        for (kind, args) in
            [("lineinfile", "{path: @/f, regexp: ^P, line: P 1}"), ("blockinfile", "{path: @/f, block: x}")]
        {
            host.apply(&host.decide(kind, args), keep.path(), &mut undo);
        }
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("new\n{text}more\n")).unwrap();
        for (script, own) in undo.iter().rev() {
            host.run(script, own);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "new\na\nP 0\nb\nmore\n", "{shell:?}");
    }
}

#[test]
fn a_link_and_a_mode_survive() {
    use std::os::unix::fs::PermissionsExt as _;
    for shell in SHELLS {
        let (root, keep) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let host = Host { shell, root: root.path() };
        fs::write(root.path().join("real"), "a\n").unwrap();
        fs::set_permissions(root.path().join("real"), fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real", root.path().join("f")).unwrap();
        host.apply(&host.decide("lineinfile", "{path: @/f, line: b}"), keep.path(), &mut Vec::new());
        assert!(root.path().join("f").is_symlink(), "{shell:?}");
        assert_eq!(fs::read_to_string(root.path().join("real")).unwrap(), "a\nb\n");
        assert_eq!(fs::metadata(root.path().join("real")).unwrap().permissions().mode() & 0o7777, 0o640, "{shell:?}");
    }
}
