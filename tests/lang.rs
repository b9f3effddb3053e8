//! Small projects as data: `tests/lang/*.yaml` in, the outline of what was read and all diagnostics out, as snapshots.
//!
//! A data file holds several files, each after a line `#>> path`; the first line `#> …` is the command line.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use tbctl::diag::Diagnostics;
use tbctl::lang::config;
use tbctl::lang::files::Files;
use tbctl::lang::inherit::Inherited;
use tbctl::lang::node::Node;
use tbctl::lang::project;
use tbctl::lang::project::Project;
use tbctl::lang::project::Request;
use tbctl::lang::task::Entry;
use tbctl::lang::task::Include;
use tbctl::lang::task::Included;
use tbctl::lang::task::Task;
use tbctl::lang::task::Vars;
use tbctl::lang::template::Templates;

const KINDS: &[&str] = &[
    "command",
    "shell",
    "raw",
    "copy",
    "file",
    "template",
    "debug",
    "set_fact",
    "service",
    "include_vars",
    "add_host",
];

#[test]
fn projects() {
    insta::glob!("lang/*.yaml", |path| {
        let text = fs::read_to_string(path).unwrap();
        let directory = tempfile::tempdir().unwrap();
        // The one test of this program: nobody else minds the directory.
        std::env::set_current_dir(directory.path().canonicalize().unwrap()).unwrap();
        insta::assert_snapshot!(run(&text));
        std::env::set_current_dir("/").unwrap();
    });
}

fn run(text: &str) -> String {
    let (command, files) = text.split_once('\n').unwrap();
    for part in files.split("#>> ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap();
        if let Some(parent) = Path::new(name).parent() {
            fs::create_dir_all(parent).unwrap();
        }
        fs::write(name, text).unwrap();
    }
    let words = shlex::split(command.strip_prefix("#>").unwrap()).unwrap();
    let mut request = Request { kinds: KINDS, ..Request::default() };
    let mut faults = Diagnostics::default();
    if let Ok(text) = fs::read_to_string("ansible.cfg") {
        let source = tbctl::diag::Source::new("ansible.cfg", text);
        request.config = config::read(&source, Path::new("ansible.cfg"), &mut faults);
    }
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-i" => request.inventories.extend(words.next()),
            "-e" => request.extra_vars.extend(words.next()),
            "-l" => request.limit = words.next(),
            _ => request.playbooks.push(PathBuf::from(word)),
        }
    }
    let mut out = faults.render(false);
    match project::load(&request, &Files::new(), &Templates::new()) {
        Ok(project) => {
            outline(&project, &mut out);
            out.push_str(&project.warnings.render(false));
        }
        Err(faults) => out.push_str(&faults.render(false)),
    }
    out
}

fn json(node: &Node) -> String {
    serde_json::to_string(&node.to_value()).unwrap()
}

fn vars(vars: &Vars) -> String {
    let parts: Vec<String> = vars.iter().map(|(key, node)| format!("{}={}", key.name, json(node))).collect();
    parts.join(" ")
}

fn outline(project: &Project, out: &mut String) {
    let inventory = &project.inventory;
    writeln!(out, "testbed {}", inventory.testbed).unwrap();
    if !project.extra_vars.is_empty() {
        writeln!(out, "extra {}", vars(&project.extra_vars)).unwrap();
    }
    let nothing = Default::default();
    let beside = project.plays.first().map_or(&nothing, |play| &*play.beside);
    for name in inventory.hosts.keys() {
        writeln!(out, "host {name} in {}", inventory.group_names(name).join(" ")).unwrap();
        for layer in inventory.layers(name, beside) {
            writeln!(out, "  {:?} {}: {}", layer.level, layer.of, vars(layer.vars)).unwrap();
        }
    }
    for play in &project.plays {
        let name = play.name.as_ref().map(json).unwrap_or_default();
        writeln!(out, "play {name} on {}{}", play.hosts.join(" "), inherited(&play.inherited)).unwrap();
        if !play.vars.is_empty() {
            writeln!(out, "  vars {}", vars(&play.vars)).unwrap();
        }
        for one in &play.vars_files {
            writeln!(out, "  {}", format!("{one:?}").chars().take(100).collect::<String>()).unwrap();
        }
        section("pre_tasks", &play.pre_tasks, out);
        for one in &play.roles {
            let role = &one.role;
            let layers = |layers: Vec<&Vars>| layers.into_iter().map(vars).collect::<Vec<_>>().join(" < ");
            let (defaults, own, params) = (role.default_layers(), role.var_layers(), role.param_layers());
            writeln!(
                out,
                "  role {} defaults [{}] vars [{}] params [{}]",
                role.name,
                layers(defaults),
                layers(own),
                layers(params)
            )
            .unwrap();
            entries(&one.entries, 4, out);
        }
        section("tasks", &play.tasks, out);
        section("post_tasks", &play.post_tasks, out);
        section("handlers", &play.handlers, out);
    }
}

fn section(name: &str, list: &[Entry], out: &mut String) {
    if !list.is_empty() {
        writeln!(out, "  {name}").unwrap();
        entries(list, 4, out);
    }
}

fn entries(list: &[Entry], indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    for entry in list {
        match entry {
            Entry::Task(one) => writeln!(out, "{pad}- {}", task(one)).unwrap(),
            Entry::Block(block) => {
                writeln!(out, "{pad}- block{}", inherited(&block.inherited)).unwrap();
                for (name, part) in [("body", &block.body), ("rescue", &block.rescue), ("always", &block.always)] {
                    if !part.is_empty() {
                        writeln!(out, "{pad}  {name}").unwrap();
                        entries(part, indent + 4, out);
                    }
                }
            }
            Entry::Include(one) => include(one, indent, out),
        }
    }
}

fn include(one: &Include, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let what = match &one.what {
        Included::Tasks { file } => format!("tasks {}", json(file)),
        Included::Role(call) => format!("role {}", json(&call.name)),
    };
    let loops = one.loops.as_ref().map(|one| format!(" {:?} {}", one.kind, json(&one.over))).unwrap_or_default();
    let known = if one.body.is_some() { "" } else { " later" };
    writeln!(out, "{pad}- include {what}{loops}{known}{}", inherited(&one.inherited)).unwrap();
    if let Some(body) = &one.body {
        entries(&body.entries, indent + 4, out);
        if !body.handlers.is_empty() {
            writeln!(out, "{pad}  handlers").unwrap();
            entries(&body.handlers, indent + 4, out);
        }
    }
}

fn task(task: &Task) -> String {
    let mut out = format!("{} {}", task.action.kind.name, json(&task.action.args));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            write!(out, " {name}={value}").unwrap();
        }
    };
    let list = |nodes: &[Node]| nodes.iter().map(json).collect::<Vec<_>>().join(" & ");
    add("free", task.action.free_form.as_ref().map(json));
    add("name", task.name.as_ref().map(json));
    let looped = task.loops.as_ref();
    add("loop", looped.map(|one| format!("{:?} {} as {}", one.kind, json(&one.over), one.control.variable)));
    add("register", task.register.as_ref().map(|key| key.name.clone()));
    add("listen", Some(task.listen.iter().map(|key| key.name.clone()).collect::<Vec<_>>().join(" ")));
    add("changed_when", task.changed_when.as_deref().map(list));
    add("failed_when", task.failed_when.as_deref().map(list));
    add("until", task.until.as_deref().map(list));
    add("retries", task.retries.as_ref().map(json));
    add("delay", task.delay.as_ref().map(json));
    add("needs", Some(list(&task.needs)));
    add("undo", task.undo.as_ref().map(json));
    add("undo_when", Some(list(&task.undo_when)));
    add("role", task.role.as_ref().map(|role| role.name.clone()));
    out + &inherited(&task.inherited)
}

fn inherited(one: &Inherited) -> String {
    let mut out = String::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            write!(out, " {name}={value}").unwrap();
        }
    };
    let list = |nodes: &[Node]| nodes.iter().map(json).collect::<Vec<_>>().join(" & ");
    add("when", Some(list(&one.when)));
    add("tags", Some(one.tags.iter().map(|key| key.name.clone()).collect::<Vec<_>>().join(",")));
    add("environment", Some(list(&one.environment)));
    add("vars", Some(one.vars.iter().map(|one| vars(one)).collect::<Vec<_>>().join(" < ")));
    add("params", Some(one.params.iter().map(|one| vars(one)).collect::<Vec<_>>().join(" < ")));
    add("notify", Some(list(&one.notify)));
    for (name, value) in [
        ("become", &one.escalate.on),
        ("become_user", &one.escalate.user),
        ("remote_user", &one.remote_user),
        ("port", &one.port),
        ("connection", &one.connection),
        ("delegate_to", &one.delegate_to),
        ("run_once", &one.run_once),
        ("ignore_errors", &one.ignore_errors),
        ("no_log", &one.no_log),
        ("check_mode", &one.check_mode),
        ("timeout", &one.timeout),
    ] {
        add(name, value.as_ref().map(json));
    }
    add("reach", one.reach.map(|reach| format!("{reach:?}")));
    out
}

/// Loads a project of one playbook and one inventory; only panics count.
fn load_anyway(inventory: &str, playbook: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("hosts.yml"), inventory).unwrap();
    fs::write(path("hosts.ini"), inventory).unwrap();
    fs::write(path("site.yml"), playbook).unwrap();
    let request = Request {
        inventories: ["hosts.yml", "hosts.ini"].map(|name| path(name).display().to_string()).into(),
        playbooks: vec![path("site.yml")],
        kinds: KINDS,
        ..Request::default()
    };
    if let Err(faults) = project::load(&request, &Files::new(), &Templates::new()) {
        faults.render(false);
    }
}

/// A part of a data file.
fn part(file: &str, name: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang").join(file)).unwrap();
    let found = text.split("#>> ").find_map(|part| part.strip_prefix(name)?.strip_prefix('\n').map(str::to_string));
    found.unwrap()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn no_change_of_a_playbook_makes_it_panic(
        at in 0usize..10_000, length in 0usize..12, text in "[-:{}\\[\\]\"'|>&*!?%#, \n\t~<0é@=a]{0,6}", which in 0usize..6,
    ) {
        let (file, name) = [
            ("tasks.yaml", "site.yml"),
            ("task_faults.yaml", "site.yml"),
            ("roles.yaml", "site.yml"),
            ("inventory.yaml", "lab.yml"),
            ("inventory.yaml", "extra.ini"),
            ("inventory_faults.yaml", "b.ini"),
        ][which];
        let mut whole: Vec<char> = part(file, name).chars().collect();
        let at = at % whole.len();
        let end = (at + length).min(whole.len());
        whole.splice(at..end, text.chars());
        let whole: String = whole.into_iter().collect();
        if which < 3 { load_anyway("all: {hosts: {h1: }}", &whole) } else { load_anyway(&whole, "- hosts: all") }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
        let text = String::from_utf8_lossy(&bytes);
        load_anyway(&text, &text);
    }
}
