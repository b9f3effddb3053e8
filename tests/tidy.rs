//! The house rules that a compiler does not check.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::Path;
use std::path::PathBuf;

/// From the ground up; a file may use its own floor's module and those below.
const FLOORS: &[&[&str]] = &[
    &["diag", "secret"],
    &["lang", "change"],
    &["modules", "event", "results"],
    &["graph", "journal", "remote"],
    &["engine"],
    &["ui", "lab", "bench", "report"],
    &["cli"],
];

/// Words and who may use them.
const ONLY: &[(&str, &[&str])] = &[
    ("tokio::", &["remote", "engine/drive", "engine/destroy", "engine/prune", "engine/survey", "lab", "cli"]),
    ("println!", &["cli", "ui"]),
    ("todo!", &[]),
    ("dbg!", &[]),
    ("serde(untagged)", &[]),
];

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false if path.extension().is_some_and(|ending| ending == "rs") => found.push(path),
            false => {}
        }
    }
    found
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// What is wrong with a file's text.
fn faults(path: &str, text: &str) -> Vec<String> {
    let top = path.trim_end_matches(".rs").split('/').next().unwrap_or_default();
    let own = floor(top);
    // Tests stand at the end of a file, or in a file of their own.
    let is_test = path.ends_with("tests.rs") || path.ends_with("_tests.rs");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for (at, line) in code.lines().enumerate().filter(|_| !is_test) {
        let used = line.trim_start().trim_start_matches("pub ").strip_prefix("use crate::");
        if let (Some(used), Some(own)) = (used, own) {
            let module = used.split([':', ';', '{']).next().unwrap_or_default();
            if module != top && floor(module).is_none_or(|other| other > own || (other == own && own > 1)) {
                // On the ground floors neighbours may know each other; further up they are strangers but for data.
                let data = ["journal", "graph", "results"].contains(&module);
                if !(data && floor(module) == Some(own)) {
                    found.push(format!("{path}:{}: `{top}` may not use `{module}`", at + 1));
                }
            }
        }
        for (word, allowed) in ONLY {
            let comment = line.trim_start().starts_with("//");
            if !comment && line.contains(word) && !allowed.iter().any(|prefix| path.starts_with(prefix)) {
                found.push(format!("{path}:{}: `{word}` does not belong here", at + 1));
            }
        }
    }
    found
}

#[test]
fn floors_and_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in sources(&root) {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_string();
        if name != "lib.rs" && name != "main.rs" {
            found.extend(faults(&name, &std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_check_bites() {
    assert_eq!(faults("lang/x.rs", "use crate::engine::drive;\n").len(), 1);
    assert_eq!(faults("modules/x.rs", "    tokio::spawn(x);\n").len(), 1);
    assert_eq!(faults("engine/x.rs", "use crate::lang::node::Node;\n"), Vec::<String>::new());
    assert_eq!(faults("ui/x.rs", "use crate::lab::up;\n").len(), 1);
}

/// Whether each command of a file of tasks has a way back, or says that it changes nothing.
fn commands_without_a_way_back(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for task in text.split("\n- ").map(|task| task.trim_start_matches("- ")) {
        let key = |word: &str| task.lines().any(|line| line.trim_start().starts_with(word));
        let acts = ["command:", "shell:", "raw:"].iter().any(|word| key(word));
        if acts && !key("undo:") && !key("changed_when: false") {
            found.push(task.lines().next().unwrap_or_default().to_string());
        }
    }
    found
}

#[test]
fn every_command_of_the_roles_has_a_way_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for role in std::fs::read_dir(root.join("roles")).unwrap() {
        for part in ["tasks", "handlers"] {
            let Ok(files) = std::fs::read_dir(role.as_ref().unwrap().path().join(part)) else { continue };
            for file in files {
                let path = file.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(commands_without_a_way_back(&text), Vec::<String>::new(), "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 2);
    assert_eq!(commands_without_a_way_back("- name: x\n  shell: y\n- name: z\n  shell: y\n  undo: w\n"), ["name: x"]);
}
