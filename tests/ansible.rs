//! What Ansible itself made of the playbooks in `tests/ansible`, host by host and task by task: tbctl comes to the same.
//!
//! `sh tests/ansible/record.sh` runs each of them by Ansible and writes beside it what that came to, so no answer is typed in by
//! hand. The playbooks change nothing outside of `{{ tmp }}`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tbctl::event::Counts;
use tbctl::event::Ended;
use tbctl::event::Event;
use tbctl::event::Outcome;
use tbctl::event::Run;
use tbctl::event::What;

/// What is known of a task in general, which `debug` does not say itself; Ansible has more of it than tbctl.
const OF_THE_RUN: [&str; 5] = ["changed", "failed", "skipped", "skip_reason", "false_condition"];
/// What a loop adds to its items.
const OF_THE_LOOP: [&str; 4] = ["ansible_loop_var", "ansible_index_var", "ansible_loop", "item"];

/// Every playbook that Ansible's answer lies beside, in its directory with an inventory.
fn playbooks() -> Vec<PathBuf> {
    let within = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let directories = within(Path::new("tests/ansible")).into_iter().filter(|path| path.join("hosts.yaml").exists());
    let files = directories.flat_map(|path| within(&path));
    let told = files.filter(|path| path.extension().is_some_and(|kind| kind == "told"));
    let mut found: Vec<PathBuf> = told.map(|path| path.with_extension("yaml")).collect();
    found.sort();
    found
}

/// What a result of `debug` says itself.
fn said(result: &Value) -> Value {
    let Value::Object(fields) = result else { return result.clone() };
    let named = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let theirs = [named("ansible_loop_var"), named("ansible_index_var")];
    let own = fields.iter().filter(|(key, _)| {
        let key = key.as_str();
        !OF_THE_RUN.contains(&key) && !OF_THE_LOOP.contains(&key) && !theirs.contains(&key)
    });
    Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// JSON as Python prints it with sorted keys.
fn python(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                python(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                write!(out, "{}{}: ", if at > 0 { ", " } else { "" }, Value::from(key.as_str())).unwrap();
                python(item, out);
            }
            out.push('}');
        }
        other => write!(out, "{other}").unwrap(),
    }
}

fn line(kind: &str, task: &str, ended: &Ended) -> String {
    let word = match &ended.outcome {
        Outcome::Same => "ok",
        Outcome::Changed => "changed",
        Outcome::Skipped(_) => "skipped",
        Outcome::Failed(_) if ended.ignored => "ignored",
        Outcome::Failed(_) => "failed",
        Outcome::Unreached(_) => "unreachable",
        Outcome::Unknown(_) => panic!("{task} is not known after an apply"),
    };
    // Of a task of a role its own name.
    let task = task.split_once(" : ").map_or(task, |(_, name)| name);
    let mut text = format!("{task}: {word}");
    if kind == "debug" && matches!(word, "ok" | "changed") {
        let result = ended.result.as_ref().unwrap();
        let words = match result.get("results").and_then(Value::as_array) {
            Some(items) => Value::Array(items.iter().map(said).collect()),
            None => said(result),
        };
        text.push(' ');
        python(&words, &mut text);
    }
    text
}

/// Everything of a run, told as `callback/told.py` tells it of Ansible's.
fn told(events: &str) -> String {
    let mut run = Run::default();
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events.lines().map(|line| serde_json::from_str::<Event>(line).unwrap()) {
        run.fold(&event);
        if let What::NodeEnded { place, ended, .. } = &event.what {
            lines.entry(place.host.clone()).or_default().push(line(&place.kind, &place.task, ended));
        }
    }
    let mut out = String::new();
    let hosts: BTreeMap<_, _> = run.hosts.iter().collect();
    for (host, state) in hosts {
        // Ansible has no line for a host on which nothing happened.
        if !lines.contains_key(host) && state.counts == Counts::default() {
            continue;
        }
        for line in lines.remove(host).unwrap_or_default() {
            writeln!(out, "{host}  {line}").unwrap();
        }
        let count = &state.counts;
        writeln!(
            out,
            "{host}  ok={} changed={} unreachable={} failed={} skipped={} rescued={} ignored={}",
            count.ok, count.changed, count.unreachable, count.failed, count.skipped, count.rescued, count.ignored
        )
        .unwrap();
    }
    out
}

/// A line of Ansible's, with numbers as they are written here.
fn alike(line: &str) -> String {
    let start = [": ok ", ": changed "].iter().find_map(|word| Some(line.find(word)? + word.len()));
    let parsed = start.and_then(|at| Some((at, serde_json::from_str::<Value>(&line[at..]).ok()?)));
    let mut out = line.to_string();
    if let Some((at, value)) = parsed {
        out.truncate(at);
        python(&value, &mut out);
    }
    out + "\n"
}

fn differences(path: &Path) -> String {
    let home = tempfile::tempdir().unwrap();
    let tmp = home.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tbctl"));
    command.args(["apply", "--json", "hosts.yaml"]).arg(path.file_name().unwrap()).current_dir(path.parent().unwrap());
    command.args(["-e", &format!("tmp={}", tmp.display())]).env("HOME", home.path());
    let output = command.output().unwrap();
    // What was changed is in a directory that goes now; the hosts, which are this machine, forget it.
    let _ = std::fs::remove_dir_all("/var/lib/tbctl/like");
    let theirs = std::fs::read_to_string(path.with_extension("told")).unwrap();
    assert!(!theirs.is_empty(), "{}: Ansible said nothing of it", path.display());
    let theirs: String = theirs.lines().map(alike).collect();
    let ours = told(&String::from_utf8(output.stdout).unwrap());
    if ours == theirs {
        return String::new();
    }
    let mut out = format!("--- {}\n{}", path.display(), String::from_utf8_lossy(&output.stderr));
    let diff = similar::TextDiff::from_lines(&theirs, &ours);
    for change in diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal) {
        write!(out, "{}{change}", if change.tag() == similar::ChangeTag::Insert { "tbctl   " } else { "ansible " })
            .unwrap();
    }
    out
}

#[test]
fn every_playbook_comes_to_what_ansible_makes_of_it() {
    let only = std::env::var("TBCTL_ONLY").unwrap_or_default();
    let all = playbooks();
    assert!(!all.is_empty());
    let wrong: String =
        all.iter().filter(|path| path.display().to_string().contains(&only)).map(|path| differences(path)).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}
