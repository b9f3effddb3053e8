//! One table of cases a kind: `tests/kinds/NAME.yaml`.
//!
//! A case is `args`, what the host printed to each question (`seen`), and a readable text of what the kind makes of it
//! (`expect`, always the last key of its case). `TBCTL_BLESS=1` writes the texts anew. `ran` may hold what the steps printed;
//! without it every step ended well and printed nothing. `<sha256 of TEXT>` in `seen` stands for the digest of that text.
//! Each script of each case is also read by `sh -n`, `dash -n` and `busybox sh -n`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use sha2::Digest as _;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Content;
use crate::change::Look;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource as Thing;
use crate::change::Script;
use crate::change::Seen;
use crate::change::Undo;
use crate::change::fuse;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::yaml;
use crate::modules::KINDS;
use crate::modules::Kind;

const KEYS: &[&str] = &["case", "args", "seen", "ran", "expect"];

fn table(kind: &Kind) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kinds").join(format!("{}.yaml", kind.name))
}

#[test]
fn every_kind_does_what_its_table_says() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        if let Err(faults) = check(kind) {
            wrong.push(format!("== {} ==\n{faults}", kind.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}\nTBCTL_BLESS=1 accepts the texts as they are now", wrong.join("\n"));
}

#[test]
fn every_table_belongs_to_a_kind() {
    for entry in std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kinds")).unwrap() {
        let path = entry.unwrap().path();
        assert!(KINDS.iter().any(|kind| table(kind) == path), "{} is no kind's table", path.display());
    }
}

fn check(kind: &Kind) -> Result<(), String> {
    let path = table(kind);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let source = Source::new(path.display().to_string(), text.clone());
    let mut faults = Diagnostics::default();
    let document = yaml::document(&source, &mut faults);
    if faults.has_errors() {
        return Err(faults.render(false));
    }
    let cases = document.as_ref().and_then(Node::as_list).unwrap_or_default();
    if cases.is_empty() {
        return Err(format!("{} holds no case", path.display()));
    }
    let mut wrong = String::new();
    let mut texts = Vec::new();
    for case in cases {
        let found = run(kind, case).map_err(|fault| fault.render(false))?;
        let wanted = case.get("expect").and_then(Node::as_text).unwrap_or_default();
        if wanted.trim_end() != found.trim_end() {
            let name = case.get("case").and_then(Node::scalar).unwrap_or_default();
            let _ = write!(wrong, "-- {} `{name}`\nwanted:\n{wanted}\nfound:\n{found}\n", case.span);
        }
        texts.push(found);
    }
    if !wrong.is_empty() && std::env::var_os("TBCTL_BLESS").is_some() {
        std::fs::write(&path, bless(&text, &texts)).unwrap();
        return Ok(());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The table with each case's `expect` replaced; all else stays as it was written.
fn bless(table: &str, texts: &[String]) -> String {
    let mut out = String::new();
    let mut cases = texts.iter();
    let mut lines = table.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with("  expect:") {
            out.push_str(&format!("{line}\n"));
        }
        let outside = |line: &&str| line.starts_with("- ") || line.starts_with('#');
        if line.starts_with("  expect:") {
            while lines.next_if(|line| !outside(line)).is_some() {}
        } else if !lines.peek().is_none_or(outside) || outside(&line) && !line.starts_with("- ") {
            continue;
        }
        out.push_str("  expect: |\n");
        for line in cases.next().map_or("", |text| text.trim_end()).lines() {
            out.push_str(&if line.is_empty() { "\n".to_string() } else { format!("    {line}\n") });
        }
    }
    out
}

fn run(kind: &Kind, case: &Node) -> Result<String, Diagnostic> {
    for (key, _) in case.as_map().unwrap_or_default() {
        if !KEYS.contains(&key.name.as_str()) {
            return Err(Diagnostic::error(format!("`{}` is no part of a case", key.name)).at(&key.span));
        }
    }
    let empty = Node::map(&case.span, Vec::new());
    let args = match (case.get("args"), kind.free) {
        (Some(args), Some(free)) if args.as_text().is_some() => {
            Node::map(&args.span, vec![(Key { span: args.span.clone(), name: free.into() }, args.clone())])
        }
        (Some(args), _) => args.clone(),
        (None, _) => empty,
    };
    let resource = match (kind.decode)(&args) {
        Ok(resource) => resource,
        Err(fault) => return Ok(refused("fault", &fault.message, fault.help.as_deref())),
    };
    let probe = (kind.probe)(&only_identity(kind, &args))?;
    let seen = seen(&probe, case)?;
    let mut text = String::new();
    show_probe(&mut text, &probe);
    let mut scripts = probe_scripts(&probe);
    let steps = match resource.decide(&seen) {
        Ok(change) => {
            show_change(&mut text, &change);
            change_scripts(&change, &mut scripts);
            change.steps.len()
        }
        Err(Refusal { message, help }) => {
            text.push_str(&refused("refusal", &message, help.as_deref()));
            0
        }
    };
    let fields = resource.report(&seen, &ran(case, steps));
    let fields = fields.map_err(|refusal| Diagnostic::error(refusal.message).at(&case.span))?;
    if !fields.is_empty() {
        text.push_str("result:\n");
    }
    for (name, value) in fields {
        let _ = writeln!(text, "  {name}: {}", serde_json::to_string(&value).unwrap());
    }
    readable(&scripts, case)?;
    Ok(text)
}

/// The probe must come from a part of the arguments: contents are not known yet when it is asked.
fn only_identity(kind: &Kind, args: &Node) -> Node {
    let content = ["content", "block", "line", "source_", "mode", "owner", "group", "value"];
    let Some(entries) = args.as_map() else { return args.clone() };
    let some: Vec<_> = entries.iter().filter(|(key, _)| !content.contains(&key.name.as_str())).cloned().collect();
    let some = Node::map(&args.span, some);
    let same = |one: &Node| (kind.probe)(one).ok();
    // Kinds whose identity includes one of these say so by failing or answering otherwise without it.
    if same(&some).is_some() && same(&some) == same(args) { some } else { args.clone() }
}

fn seen(probe: &Probe, case: &Node) -> Result<Seen, Diagnostic> {
    let mut seen = Seen::default();
    for (name, _) in &probe.looks {
        let answer = case.get("seen").and_then(|seen| seen.get(name)).and_then(Node::scalar).unwrap_or_default();
        seen.answers.insert((*name).to_string(), digests(answer.strip_suffix('\n').unwrap_or(&answer)));
    }
    for (key, _) in case.get("seen").and_then(Node::as_map).unwrap_or_default() {
        if !seen.answers.contains_key(&key.name) {
            return Err(Diagnostic::error(format!("the probe has no question `{}`", key.name)).at(&key.span));
        }
    }
    Ok(seen)
}

fn digests(text: &str) -> String {
    let pattern = regex::Regex::new("(?s)<sha256 of (.*?)>").unwrap();
    let hex = |text: &str| sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    pattern.replace_all(text, |found: &regex::Captures<'_>| hex(&found[1])).into_owned()
}

fn ran(case: &Node, steps: usize) -> Vec<Ran> {
    let Some(list) = case.get("ran").and_then(Node::as_list) else {
        return vec![Ran::default(); steps];
    };
    let text = |one: &Node, name: &str| one.get(name).and_then(Node::scalar).unwrap_or_default();
    let rc = |one: &Node| match one.get("rc").map(|rc| &rc.tree) {
        Some(Tree::Int(rc)) => i32::try_from(*rc).unwrap(),
        _ => 0,
    };
    list.iter()
        .map(|one| Ran { rc: rc(one), stdout: text(one, "stdout"), stderr: text(one, "stderr"), start: 1.0, end: 1.5 })
        .collect()
}

fn refused(word: &str, message: &str, help: Option<&str>) -> String {
    let help = help.map(|help| format!("  help: {help}\n")).unwrap_or_default();
    format!("{word}: {message}\n{help}")
}

fn show_probe(text: &mut String, probe: &Probe) {
    if !probe.looks.is_empty() {
        text.push_str("probe:\n");
    }
    for (name, look) in &probe.looks {
        let _ = write!(text, "  {name}: ");
        show_look(text, look, "    ");
    }
}

fn show_look(text: &mut String, look: &Look, indent: &str) {
    let line = match look {
        Look::Path { path, follow: false } => format!("path {path}"),
        Look::Path { path, follow: true } => format!("target {path}"),
        Look::Stat { path, follow: false } => format!("stat {path}"),
        Look::Stat { path, follow: true } => format!("stat-target {path}"),
        Look::Text { path } => format!("text {path}"),
        Look::Package { name } => format!("package {name}"),
        Look::Unit { name } => format!("unit {name}"),
        Look::Reread { name } => format!("unit {name}: read since it was changed"),
        Look::Files { patterns } => format!("files {}", patterns.join(" ")),
        Look::Passwd { name } => format!("passwd {name}"),
        Look::Shadow { name } => format!("shadow {name}"),
        Look::Group { name } => format!("group {name}"),
        Look::Member { name } => format!("member {name}"),
        Look::Script { text: script } => format!("script{}", block(script, indent)),
        Look::Live { text: script } => format!("live script{}", block(script, indent)),
    };
    let _ = writeln!(text, "{line}");
}

/// Text in one line that can be read.
fn escaped(line: &str) -> String {
    let one = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    line.chars().map(one).collect()
}

/// Text that is kept apart from its surroundings, each line after a bar; says so when the last line is not ended.
fn block(content: &str, indent: &str) -> String {
    let mut out = String::new();
    for line in content.split_inclusive('\n') {
        let bar = if line.ends_with('\n') { "|" } else { ">" };
        let line = line.trim_end_matches('\n');
        let trailing = if line.ends_with(' ') { "$" } else { "" };
        let _ = write!(out, "\n{indent}{bar} {}{trailing}", escaped(line));
    }
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn show_change(text: &mut String, change: &Change) {
    text.push_str(if change.is_empty() { "same\n" } else { "steps:\n" });
    for step in &change.steps {
        let _ = writeln!(text, "  - {}", escaped(&step.what));
        if let Some(resource) = &step.resource {
            let _ = writeln!(text, "    resource: {}", escaped(&resource.id));
            let usual = resource.id.strip_prefix("file:").is_some_and(|path| *resource == Thing::path(path));
            if !usual {
                text.push_str("    look: ");
                show_look(text, &resource.look, "      ");
            }
        }
        show_apply(text, &step.apply);
        let undo = match &step.undo {
            Undo::Restore => "restore".into(),
            Undo::Nothing => "nothing".into(),
            Undo::Never(why) => format!("never: {why}"),
            Undo::By(script) => format!("by{}", block(script, "      ")),
            Undo::Again { unit, script } => format!("again if {unit}{}", block(script, "      ")),
        };
        let _ = writeln!(text, "    undo: {undo}");
        if let Some(diff) = &step.diff {
            let side = |side: &Option<String>| side.as_ref().map_or(" -".into(), |side| block(side, "        "));
            let _ = writeln!(text, "    diff:\n      before:{}\n      after:{}", side(&diff.before), side(&diff.after));
        }
    }
}

fn show_apply(text: &mut String, apply: &Apply) {
    match apply {
        Apply::Run(script) => {
            let _ = writeln!(text, "    run:{}", block(&script.text, "      "));
            let notes = [
                ("user", script.user.then(String::new)),
                ("chdir", script.chdir.clone()),
                ("stdin", script.stdin.as_ref().map(|stdin| block(stdin, "        "))),
                ("executable", script.executable.clone()),
            ];
            for (name, note) in notes {
                if let Some(note) = note {
                    let _ = writeln!(text, "    {}", format!("{name}: {note}").trim_end());
                }
            }
        }
        Apply::Put(put) => {
            let content = match &put.content {
                Content::Text(content) => block(content, "      "),
                Content::File { path, sha256 } => format!(" {} {sha256}", path.display()),
            };
            let mut notes = vec![escaped(&put.path)];
            notes.extend(put.mode.map(|mode| format!("mode {mode:04o}")));
            notes.extend(put.owner.iter().map(|owner| format!("owner {owner}")));
            notes.extend(put.group.iter().map(|group| format!("group {group}")));
            notes.extend(put.validate.iter().map(|command| format!("validate {command}")));
            notes.extend(put.backup.then(|| "backup".to_string()));
            let _ = writeln!(text, "    put: {}\n    content:{content}", notes.join(", "));
        }
    }
}

fn look_script(look: &Look) -> Option<String> {
    match look {
        Look::Script { text } | Look::Live { text } => Some(text.clone()),
        _ => None,
    }
}

fn probe_scripts(probe: &Probe) -> Vec<String> {
    let looks: Vec<Look> = probe.looks.iter().map(|(_, look)| look.clone()).collect();
    let mut scripts = vec![fuse::script(&looks, "mark")];
    scripts.extend(looks.iter().filter_map(look_script));
    scripts
}

fn change_scripts(change: &Change, scripts: &mut Vec<String>) {
    for step in &change.steps {
        scripts.extend(step.resource.as_ref().and_then(|resource| look_script(&resource.look)));
        match &step.apply {
            Apply::Run(Script { text, executable: None, .. }) => scripts.push(text.clone()),
            Apply::Run(_) | Apply::Put(_) => {}
        }
        match &step.undo {
            Undo::By(script) | Undo::Again { script, .. } => scripts.push(script.clone()),
            Undo::Restore | Undo::Nothing | Undo::Never(_) => {}
        }
    }
}

/// Every script must be read to its end by every shell, together with the functions it relies on.
fn readable(scripts: &[String], case: &Node) -> Result<(), Diagnostic> {
    let mut text = fuse::PRELUDE.to_string();
    for script in scripts.iter().filter(|script| !script.trim().is_empty()) {
        let _ = write!(text, "(\n{script}\n)\n");
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    for shell in [&["sh"][..], &["dash"], &["busybox", "sh"]] {
        let out = Command::new(shell[0]).args(&shell[1..]).arg("-n").arg(file.path()).output().unwrap();
        if !out.status.success() || !out.stderr.is_empty() {
            let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
            return Err(Diagnostic::error(format!("{shell:?} -n: {stderr}\n{}", scripts.join("\n--\n"))).at(&case.span));
        }
    }
    Ok(())
}

#[test]
fn blessing_changes_only_the_expectations() {
    let table = "# head\n- case: a\n  args: {}\n  expect: |\n    old\n# about b\n- case: b\n  args: {}\n";
    let texts = ["new\n".to_string(), "two\n\nlines\n".to_string()];
    let wanted = "# head\n- case: a\n  args: {}\n  expect: |\n    new\n# about b\n- case: b\n  args: {}\n  expect: |\n    two\n\n    lines\n";
    assert_eq!(bless(table, &texts), wanted);
    assert_eq!(bless(wanted, &texts), wanted);
}

/// What `tbctl doc` shows must be what the kind takes.
#[test]
fn every_example_is_understood() {
    for kind in KINDS {
        let source = Source::new(kind.name, kind.example);
        let mut faults = Diagnostics::default();
        let task = yaml::document(&source, &mut faults);
        assert!(!faults.has_errors(), "{}", faults.render(false));
        let task = task.unwrap();
        let written = task.get(kind.name).unwrap_or_else(|| panic!("the example of {} is of another kind", kind.name));
        let mut entries = written.as_map().unwrap_or_default().to_vec();
        if let (Some(text), Some(free)) = (written.as_text(), kind.free) {
            entries.push((Key { span: written.span.clone(), name: free.into() }, Node::literal(&written.span, text)));
        }
        entries.extend(task.get("args").and_then(Node::as_map).unwrap_or_default().to_vec());
        // `that` is written as expressions and comes decided.
        entries.retain(|(key, _)| key.name != "that" || kind.name != "assert");
        if kind.name == "assert" {
            let name = "that".to_string();
            entries.push((Key { span: task.span.clone(), name }, Node::new(&task.span, Tree::Bool(true))));
        }
        let args = Node::map(&task.span, entries);
        if let Err(fault) = (kind.decode)(&args) {
            panic!("the example of {}: {}", kind.name, fault.render(false));
        }
    }
}

#[test]
fn what_is_called_unsupported_is_no_argument() {
    for kind in KINDS {
        let schema = (kind.schema)().to_value();
        let fields = schema["properties"].as_object().cloned().unwrap_or_default();
        let both: Vec<&&str> = kind.unsupported.iter().filter(|name| fields.contains_key(**name)).collect();
        assert!(both.is_empty(), "{}: {both:?}", kind.name);
    }
}
