//! One host: its directory, its start, whether it is ready, entering it, its end. What runs in it is `host.sh`.

use std::fs;
use std::fs::File;
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;

use crate::lab::keys;
use crate::lab::layout;
use crate::lab::layout::Host;
use crate::lab::layout::Layout;
use crate::lab::net;
use crate::lab::program::command;
use crate::lab::program::run;
use crate::lab::state;
use crate::lab::state::Lock;
use crate::lab::tree;

const SCRIPT: &str = include_str!("host.sh");

/// Writes what all hosts of a lab share.
pub(super) fn prepare_lab(layout: &Layout) -> Result<()> {
    let dir = state::lab_dir(&layout.name);
    write_script(&layout.name)?;
    state::replace(&dir.join("resolv.conf"), &net::resolvers())?;
    // A tree that was built here has been dressed; a foreign one is dressed in each host's own layer.
    let dressed = layout.lower.join("etc/ssh/sshd_config.d/tbctl-lab.conf").exists();
    state::replace(&dir.join("dress.sh"), if dressed { "" } else { tree::DRESS })?;
    let lower = dir.join("lower");
    if fs::symlink_metadata(&lower).is_err() {
        // The name in the mount options is always plain, whatever the tree's own is.
        symlink(&layout.lower, &lower).with_context(|| format!("cannot write {}", lower.display()))?;
    }
    keys::make(&state::key(&layout.name), &format!("tbctl-lab {}", layout.name))
}

/// Writes what runs outside and around the hosts.
pub(super) fn write_script(name: &str) -> Result<()> {
    state::replace(&state::lab_dir(name).join("host.sh"), SCRIPT)
}

/// Writes what is one host's own.
pub(super) fn prepare(layout: &Layout, host: &Host, segment: u32) -> Result<()> {
    let dir = state::host_dir(&layout.name, &host.name);
    for part in ["upper", "work", "root", "sys"] {
        fs::create_dir_all(dir.join(part)).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    keys::make(&host_key(&layout.name, &host.name), &host.name)?;
    // A host name has no underscores, an inventory's may.
    let hostname = host.name.replace('_', "-");
    let (address, gateway, cable, bridge) = (host.address, host.gateway, &host.cable, &host.bridge);
    let mac = layout::mac(address);
    let facts = format!(
        "address={address}\nprefix=24\nmac={mac}\ngateway={gateway}\ncable={cable}\nbridge={bridge}\nhostname={hostname}\nadvmss={segment}\n"
    );
    state::replace(&dir.join("facts"), &facts)
}

/// The host's own key; the public half is beside it.
pub(super) fn host_key(name: &str, host: &str) -> std::path::PathBuf {
    state::host_dir(name, host).join("ssh_host_ed25519_key")
}

/// Starts a host and does not wait. It has the lab's lock until it can be found by [`sweep`].
pub(super) fn start(name: &str, host: &str, lock: &Lock) -> Result<()> {
    let lab = state::lab_dir(name);
    let dir = state::host_dir(name, host);
    for left in ["failed", "ended", "pid"] {
        let _ = fs::remove_file(dir.join(left));
    }
    let log = File::create(dir.join("log")).with_context(|| format!("cannot write {}/log", dir.display()))?;
    let errors = log.try_clone().context("cannot share the log")?;
    // With all signals as they are for anybody: a host that reboots says so by one. The mounts follow the machine's,
    // so that what is unmounted out there does not live on in here.
    let mut command = command("env");
    command.args(["--default-signal", "setsid", "--fork", "unshare", "--mount", "--propagation", "slave", "sh"]);
    command.arg(lab.join("host.sh")).arg("supervise").arg(&lab).arg(host);
    let command = command.stdin(lock.share()?);
    let status = command.current_dir("/").stdout(log).stderr(errors).status().context("cannot start a host")?;
    if !status.success() {
        bail!("cannot start the host `{host}`: {}", said(name, host));
    }
    Ok(())
}

/// The host's process 1, if it lives.
pub(super) fn pid(name: &str, host: &str) -> Option<u32> {
    let text = fs::read_to_string(state::host_dir(name, host).join("pid")).ok()?;
    let pid = text.trim().parse().ok()?;
    // A number may have been given to another process since.
    is_in(pid, &format!("/tbctl-lab/{name}/host-{host}")).then_some(pid)
}

/// Whether something waits for the host to end or to come back.
pub(super) fn is_supervised(name: &str, host: &str) -> bool {
    let text = fs::read_to_string(state::host_dir(name, host).join("supervisor")).unwrap_or_default();
    text.trim().parse().is_ok_and(|pid| is_in(pid, &format!("/tbctl-lab/{name}/supervisors")))
}

/// Whether something keeps the forwarder of the lab's links running.
pub(super) fn is_supervised_link(name: &str) -> bool {
    let text = fs::read_to_string(state::lab_dir(name).join("links.pid")).unwrap_or_default();
    text.trim().parse().is_ok_and(|pid| is_in(pid, &format!("/tbctl-lab/{name}/links")))
}

fn is_in(pid: u32, group: &str) -> bool {
    let read = |what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
    // Dead, but nobody has asked for its exit status yet.
    if read("stat").contains(") Z ") {
        return false;
    }
    let groups = read("cgroup");
    groups.lines().filter_map(|line| line.split_once(group)).any(|(_, rest)| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a host can be logged in to. An error if it never will be.
pub(super) fn is_ready(name: &str, host: &Host) -> Result<bool> {
    if state::host_dir(name, &host.name).join("failed").exists() {
        bail!("the host `{}` does not start: {}", host.name, said(name, &host.name));
    }
    let Some(pid) = pid(name, &host.name) else { return Ok(false) };
    let greets = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&net::endpoint(host.address), Duration::from_millis(100))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let mut greeting = [0; 256];
        let length = stream.read(&mut greeting)?;
        Ok(greeting[..length].starts_with(b"SSH-"))
    };
    // The server is there before everybody is let in.
    Ok(greets().unwrap_or(false) && !Path::new(&format!("/proc/{pid}/root/run/nologin")).exists())
}

/// Whether a host has been switched off, or has switched itself off.
pub(super) fn has_ended(name: &str, host: &str) -> bool {
    state::host_dir(name, host).join("ended").exists()
}

/// The end of what was said on the way up.
pub(super) fn said(name: &str, host: &str) -> String {
    let path = state::host_dir(name, host).join("log");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() {
        0 => format!("nothing was said in {}", path.display()),
        count => lines[count.saturating_sub(5)..].join("\n"),
    }
}

/// Runs a program in a host, on the terminal or whatever else the caller has; without one, a login shell.
pub(super) fn enter(pid: u32, argv: &[String]) -> Result<ExitStatus> {
    let mut command = std::process::Command::new("nsenter");
    command.args([
        "--target",
        &pid.to_string(),
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--cgroup",
        "--root",
        "--wd",
    ]);
    // A shell forks the program into the host, not nsenter: that stops itself with its child, and a host that goes down
    // stops all its processes first, and would then wait for a parent that nobody wakes.
    command.args(["--no-fork", "sh", "-c", "trap : INT; \"$@\"; exit $?", "sh"]);
    command.args(["env", "-i", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8"]);
    command.args(["container=tbctl-lab", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
    command.arg(format!("TERM={}", std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned())));
    match argv {
        [] => command.args(["sh", "-c", "cd; if [ -x /bin/bash ]; then exec bash -l; else exec sh -l; fi"]),
        _ => command.args(argv),
    };
    command.status().context("cannot run `nsenter`: apt-get install util-linux")
}

/// Kills everything a lab has running, and waits for the end of it.
pub(super) fn sweep(name: &str) -> Result<()> {
    let lab = state::lab_dir(name);
    let lab = lab.to_string_lossy();
    // The script comes along, as the lab's copy of it may never have been written.
    let args = ["--mount", "--propagation", "slave", "sh", "-c", SCRIPT, "host.sh", "sweep", &lab];
    match run("unshare", &args) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let said = text.rsplit_once("): ").map_or(text.as_str(), |(_, said)| said);
            bail!("cannot end the hosts of the lab `{name}`: {said}")
        }
    }
}
