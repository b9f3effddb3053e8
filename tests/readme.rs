//! The README promises nothing that is not there: its commands exist, its files too.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Lines of ```sh blocks.
fn commands() -> Vec<String> {
    let text = readme();
    let blocks = text.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split('#').next().unwrap_or_default().trim().to_string());
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn its_commands_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    for line in commands {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["sh", script] => {
                let checked = Command::new("sh").arg("-n").arg(root.join(script)).output().unwrap();
                assert!(checked.status.success(), "{line}");
            }
            ["tbctl", command, ..] => {
                let help = Command::new(env!("CARGO_BIN_EXE_tbctl")).args([command, "--help"]).output().unwrap();
                assert!(help.status.success(), "{line}");
            }
            _ => panic!("no test knows `{line}`"),
        }
    }
}

#[test]
fn its_example_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Command::new(env!("CARGO_BIN_EXE_tbctl"))
        .current_dir(root)
        .args(["check", "inventories/lab/hosts.yaml", "playbooks/wireguard.yaml"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn its_links_lead_somewhere() {
    let text = readme();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link}");
    }
}
