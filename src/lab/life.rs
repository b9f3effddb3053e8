//! Up and down: in which order a lab comes into being and goes, and what is said of it meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use serde_json::json;

use crate::lab::Access;
use crate::lab::HostStatus;
use crate::lab::Spec;
use crate::lab::Status;
use crate::lab::Storage;
use crate::lab::host;
use crate::lab::keys;
use crate::lab::layout;
use crate::lab::layout::Host;
use crate::lab::layout::Layout;
use crate::lab::links;
use crate::lab::net;
use crate::lab::program;
use crate::lab::program::run;
use crate::lab::program::succeeds;
use crate::lab::state;
use crate::lab::state::Lock;
use crate::lab::tree;

/// How long all hosts may take until they can be logged in to.
const PATIENCE: Duration = Duration::from_secs(60);
const TOOLS: [&str; 7] = ["ip", "iptables", "iptables-save", "unshare", "nsenter", "setpriv", "pivot_root"];

/// Boots the hosts of a spec that are not up yet, and waits until all can be logged in to. Those that are up are left
/// alone. `progress` gets short sentences.
///
/// # Errors
/// A spec that cannot be had, a machine that cannot have labs, a host that does not come up. What is up then stays up.
pub fn up(spec: &Spec, progress: &mut dyn FnMut(&str)) -> Result<Status> {
    layout::check(spec)?;
    require_root()?;
    program::require(&TOOLS)?;
    let lock = wait_for_lab(&spec.name, progress)?;
    let done = settle(spec, &lock, progress).and_then(|layout| boot(&layout, &lock, progress));
    if done.is_err() && !state::lab_dir(&spec.name).exists() {
        lock.remove();
        let _ = fs::remove_dir(state::BASE); // fails when other labs are there
    }
    done?;
    status(&spec.name)
}

/// Ends all hosts of a lab and removes every trace of it. A lab that is not up is down already.
///
/// # Errors
/// When something cannot be removed; what is left then is known to the next call.
pub fn down(name: &str) -> Result<()> {
    layout::check_name("a testbed", name, 40)?;
    require_root()?;
    program::require(&TOOLS)?;
    let lock = wait_for_lab(name, &mut |_| {})?;
    host::sweep(name)?;
    let slot = state::read(name)?.map(|layout| layout.slot);
    if let Some(slot) = slot {
        links::remove(slot)?;
    }
    net::remove(name, slot)?;
    let dir = state::lab_dir(name);
    while is_mounted(&dir) {
        let path = dir.to_string_lossy();
        if !succeeds("umount", &[&path]) {
            run("umount", &["-l", &path])?; // somebody looks at a file in it
        }
    }
    program::remove_tree(&dir)?;
    let machine = Lock::of_machine()?;
    if state::names()?.is_empty() {
        net::close_machine()?;
    }
    lock.remove();
    machine.remove();
    let _ = fs::remove_dir(state::BASE); // fails when other labs are there
    Ok(())
}

/// Runs a program as root in a host, with the caller's standard streams; without one, a login shell.
///
/// # Errors
/// When there is no such host, or it is off. What the program makes of it is in the exit status.
pub fn exec(name: &str, host: &str, argv: &[String]) -> Result<ExitStatus> {
    layout::check_name("a testbed", name, 40)?;
    let Some(layout) = state::read(name)? else { bail!("no lab `{name}` is up{}", others()) };
    let host = layout.host(host)?;
    require_root()?;
    match host::pid(name, &host.name) {
        Some(pid) => host::enter(pid, argv),
        None => bail!("the host `{}` of the lab `{name}` is off: `up` starts it again", host.name),
    }
}

/// The hosts of a lab as they are now; none if it is not up.
///
/// # Errors
/// When the lab's own files cannot be read.
pub fn status(name: &str) -> Result<Status> {
    layout::check_name("a testbed", name, 40)?;
    let Some(layout) = state::read(name)? else { return Ok(Status::default()) };
    let hosts = layout.hosts.iter().map(|host| HostStatus {
        name: host.name.clone(),
        addresses: vec![host.address],
        pid: host::pid(name, &host.name),
        lower: layout.lower.clone(),
        upper: state::host_dir(name, &host.name).join("upper"),
    });
    Ok(Status { hosts: hosts.collect(), links: links::status(&layout) })
}

/// How to reach the hosts of a lab; none if no lab of that name (or one that could be a lab's) is up.
///
/// # Errors
/// When the lab's own files cannot be read.
pub fn access(name: &str) -> Result<Option<Vec<(String, Access)>>> {
    if layout::check_name("a testbed", name, 40).is_err() {
        return Ok(None);
    }
    let layout = state::read(name)?;
    Ok(layout.map(|layout| layout.hosts.iter().map(|host| (host.name.clone(), access_to(name, host))).collect()))
}

/// The labs that are up or half up.
///
/// # Errors
/// When their directory cannot be read.
pub fn names() -> Result<Vec<String>> {
    state::names()
}

fn access_to(name: &str, host: &Host) -> Access {
    let (key, known_hosts) = (state::key(name), state::known_hosts(name));
    Access { address: host.address, port: 22, user: "root".to_owned(), key, known_hosts }
}

fn others() -> String {
    match state::names() {
        Ok(names) if !names.is_empty() => format!("; up: {}", names.join(", ")),
        _ => String::new(),
    }
}

fn require_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab needs root for namespaces and networks: run it with sudo");
    }
    Ok(())
}

fn wait_for_lab(name: &str, progress: &mut dyn FnMut(&str)) -> Result<Lock> {
    Lock::of_lab(name, &mut || progress(&format!("waiting for somebody else who changes the lab `{name}`")))
}

/// Decides who is who, writes it down, and makes what is outside of the hosts.
fn settle(spec: &Spec, lock: &Lock, progress: &mut dyn FnMut(&str)) -> Result<Layout> {
    let known = state::read(&spec.name)?;
    let lower = match &known {
        Some(layout) => layout.lower.clone(),
        None => tree::lower(spec, progress)?,
    };
    // Two labs that come up at once must not choose the same.
    let _machine = Lock::of_machine()?;
    let mut layout = match known {
        Some(layout) => layout,
        None => Layout::new(&spec.name, layout::choose_slot(&spec.name, &used_slots()?, &net::taken(None)?)?, lower),
    };
    layout.extend(spec, &net::taken(Some(layout.slot))?)?;
    links::choose(&mut layout);
    let dir = state::lab_dir(&spec.name);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if spec.storage == Storage::Memory && !dir.join("lab.json").exists() && !is_mounted(&dir) {
        run("mount", &["-t", "tmpfs", "-o", "mode=0755", "tbctl-lab", &dir.to_string_lossy()])?;
    }
    net::open_machine()?;
    state::write(&layout)?;
    net::make(&layout)?;
    links::make(&layout, spec, lock, progress)?;
    Ok(layout)
}

fn used_slots() -> Result<BTreeSet<u8>> {
    let mut slots = BTreeSet::new();
    for name in state::names()? {
        slots.extend(state::read(&name)?.map(|layout| layout.slot));
    }
    Ok(slots)
}

fn is_mounted(dir: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let dir = dir.to_string_lossy();
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(&dir))
}

/// Starts what is off, all at once, and waits for all.
fn boot(layout: &Layout, lock: &Lock, progress: &mut dyn FnMut(&str)) -> Result<()> {
    host::prepare_lab(layout)?;
    let segment = net::segment();
    let mut known_hosts = String::new();
    let mut started = BTreeSet::new();
    for host in &layout.hosts {
        host::prepare(layout, host, segment)?;
        let key = keys::public(&host::host_key(&layout.name, &host.name))?;
        known_hosts += &format!("{},{} {key}\n", host.address, host.name);
    }
    state::replace(&state::known_hosts(&layout.name), &known_hosts)?;
    state::replace(&state::lab_dir(&layout.name).join("inventory.yml"), &inventory(layout)?)?;
    for own in [state::key(&layout.name), state::known_hosts(&layout.name)] {
        keys::hand_over(&own)?;
    }
    for host in &layout.hosts {
        if host::pid(&layout.name, &host.name).is_none() && !host::is_supervised(&layout.name, &host.name) {
            host::start(&layout.name, &host.name, lock)?;
            started.insert(&host.name);
        }
    }
    if !started.is_empty() {
        progress(&format!("booting {} of {} hosts", started.len(), layout.hosts.len()));
    }
    wait(layout, lock, started, progress)
}

fn wait<'a>(
    layout: &'a Layout,
    lock: &Lock,
    mut started: BTreeSet<&'a String>,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let begin = Instant::now();
    let mut waiting: Vec<&Host> = layout.hosts.iter().collect();
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for host in waiting {
            if !host::is_ready(&layout.name, host)? {
                still.push(host);
                // It was about to go off when it looked as if it were on.
                if host::has_ended(&layout.name, &host.name) && started.insert(&host.name) {
                    host::start(&layout.name, &host.name, lock)?;
                }
            } else if started.contains(&host.name) {
                let seconds = begin.elapsed().as_secs_f32();
                progress(&format!("{} is up at {} after {seconds:.1} s", host.name, host.address));
            }
        }
        if let Some(host) = still.first().filter(|_| begin.elapsed() > PATIENCE) {
            let said = host::said(&layout.name, &host.name);
            bail!("the host `{}` cannot be logged in to after {} s: {said}", host.name, PATIENCE.as_secs());
        }
        waiting = still;
        // Nothing tells of a server in another namespace but the server.
        std::thread::sleep(Duration::from_millis(if waiting.is_empty() { 0 } else { 10 }));
    }
    Ok(())
}

/// The lab as an inventory, to be read after the testbed's own. JSON is YAML, and has no quoting to get wrong.
fn inventory(layout: &Layout) -> Result<String> {
    let mut hosts = serde_json::Map::new();
    for host in &layout.hosts {
        let access = access_to(&layout.name, host);
        let known_hosts = access.known_hosts.to_string_lossy();
        let vars = json!({
            "ansible_host": access.address,
            "ansible_port": access.port,
            "ansible_user": access.user,
            "ansible_ssh_private_key_file": access.key,
            "ansible_ssh_common_args":
                format!("-o UserKnownHostsFile={known_hosts} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes"),
        });
        hosts.insert(host.name.clone(), vars);
    }
    Ok(serde_json::to_string_pretty(&json!({ "all": { "hosts": hosts } }))? + "\n")
}
