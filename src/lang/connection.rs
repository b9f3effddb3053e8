//! The `ansible_…` variables of an inventory that steer connections: old names, ignored ones, slips of the hand.
//!
//! Knows their names; what they do is the remote floor's.

use std::collections::HashSet;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::lang::inventory::Beside;
use crate::lang::inventory::Inventory;
use crate::lang::node::Key;
use crate::lang::task::Vars;

/// Names of former times, and those that are read in their place.
const OLD_NAMES: [(&str, &str); 8] = [
    ("ansible_ssh_host", "ansible_host"),
    ("ansible_ssh_port", "ansible_port"),
    ("ansible_ssh_user", "ansible_user"),
    ("ansible_ssh_pass", "ansible_password"),
    ("ansible_ssh_password", "ansible_password"),
    ("ansible_private_key_file", "ansible_ssh_private_key_file"),
    ("ansible_become_pass", "ansible_become_password"),
    ("ansible_sudo_pass", "ansible_become_password"),
];

/// Names that mean something, for «did you mean».
const KNOWN: [&str; 18] = [
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_password",
    "ansible_connection",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_ssh_args",
    "ansible_host_key_checking",
    "ansible_group_priority",
    "ansible_become",
    "ansible_become_user",
    "ansible_become_method",
    "ansible_become_password",
    "ansible_become_flags",
    "ansible_become_exe",
    "ansible_timeout",
];

/// Names without a meaning here, and why.
const IGNORED: [(&str, &str); 16] = [
    ("ansible_python_interpreter", "hosts need no Python"),
    ("ansible_interpreter_python_fallback", "hosts need no Python"),
    ("ansible_pipelining", "one connection carries all tasks"),
    ("ansible_ssh_pipelining", "one connection carries all tasks"),
    ("ansible_ssh_executable", "the ssh client is built in"),
    ("ansible_sftp_executable", "files travel over the shell"),
    ("ansible_scp_executable", "files travel over the shell"),
    ("ansible_sftp_extra_args", "files travel over the shell"),
    ("ansible_scp_extra_args", "files travel over the shell"),
    ("ansible_sftp_batch_mode", "files travel over the shell"),
    ("ansible_ssh_transfer_method", "files travel over the shell"),
    ("ansible_scp_if_ssh", "files travel over the shell"),
    ("ansible_ssh_use_tty", "no terminal is used"),
    ("ansible_remote_tmp", "each run makes its own directory"),
    ("ansible_shell_type", "the shell is POSIX sh"),
    ("ansible_shell_executable", "the shell is POSIX sh"),
];

/// Adds the new names beside the old ones, and reports what is ignored (once each) or misspelt.
pub fn check_inventory(inventory: &mut Inventory, faults: &mut Diagnostics) {
    let mut reported = HashSet::new();
    let Inventory { groups, hosts, beside, .. } = inventory;
    let layers = groups.values_mut().map(|group| &mut group.vars).chain(hosts.values_mut().map(|host| &mut host.vars));
    for vars in layers.chain(beside.groups.values_mut()).chain(beside.hosts.values_mut()) {
        check(vars, &mut reported, faults);
    }
}

/// As [`check_inventory`], for what lies beside a playbook.
pub(crate) fn check_beside(beside: &mut Beside, faults: &mut Diagnostics) {
    let mut reported = HashSet::new();
    for vars in beside.groups.values_mut().chain(beside.hosts.values_mut()) {
        check(vars, &mut reported, faults);
    }
}

fn check(vars: &mut Vars, reported: &mut HashSet<String>, faults: &mut Diagnostics) {
    for (key, _) in vars.iter().filter(|(key, _)| key.name.starts_with("ansible_")) {
        let fault = fault(key);
        if let Some(fault) = fault.filter(|_| reported.insert(key.name.clone())) {
            faults.push(fault.at(&key.span));
        }
    }
    for (old, new) in OLD_NAMES {
        let has = |name: &str| vars.iter().position(|(key, _)| key.name == name);
        if let (Some(at), None) = (has(old), has(new)) {
            let (key, node) = vars[at].clone();
            vars.push((Key { name: new.into(), ..key }, node));
        }
    }
}

fn fault(key: &Key) -> Option<Diagnostic> {
    let name = key.name.as_str();
    if let Some((_, why)) = IGNORED.iter().find(|(known, _)| *known == name) {
        return Some(Diagnostic::warning(format!("`{name}` is ignored: {why}")));
    }
    if name.starts_with("ansible_winrm") || name.starts_with("ansible_psrp") {
        return Some(Diagnostic::error(format!("`{name}` is unsupported: hosts are reached by ssh")));
    }
    let old = OLD_NAMES.iter().map(|(old, _)| *old);
    if KNOWN.contains(&name) || old.into_iter().any(|old| old == name) {
        return None;
    }
    let near = crate::diag::nearest(name, KNOWN).filter(|near| strsim::damerau_levenshtein(name, near) <= 2)?;
    Some(Diagnostic::warning(format!("`{name}` means nothing to connections")).help(format!("did you mean `{near}`?")))
}
