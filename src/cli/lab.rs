//! `tbctl lab`: the hosts of an inventory as real systems on this machine.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use clap::Subcommand;

use crate::cli::args::Sources;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::Stop;
use crate::cli::host_vars::HostVars;
use crate::cli::links;
use crate::cli::load;
use crate::cli::load::Loaded;
use crate::cli::load::Playbooks;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::lab;
use crate::lab::HostSpec;
use crate::lab::LinkStatus;
use crate::lab::LinksBy;
use crate::lab::Spec;
use crate::lab::Status;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Lookup;
use crate::ui::look::count;
use crate::ui::look::pad;

/// Boot the hosts of an inventory on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tbctl lab up hosts.yml
  tbctl lab exec hosts.yml web1 -- systemctl status nginx
  tbctl lab status hosts.yml --json
  tbctl lab down hosts.yml

While a lab is up, all other commands reach the hosts of that testbed there.
Hosts with `ansible_connection: local` are no lab hosts. `region` puts hosts
into networks of their own, `network` does so within a region, `links` says
what lies between regions, `lab_address` gives a host a fixed address.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot the hosts that are not up yet
    #[command(
        after_help = "Examples:\n  tbctl lab up hosts.yml\n  tbctl lab up hosts.yml --rootfs /srv/trees/bookworm"
    )]
    Up {
        /// The inventory
        inventory: String,
        /// A tree with systemd and sshd in place of the one that is built
        #[arg(long, value_name = "DIR")]
        rootfs: Option<PathBuf>,
        /// A Debian package the built tree is to have; may be repeated
        #[arg(long, value_name = "NAME", conflicts_with = "rootfs")]
        package: Vec<String>,
    },
    /// End the hosts and leave nothing of them
    #[command(after_help = "Examples:\n  tbctl lab down hosts.yml")]
    Down {
        /// The inventory, or the name of a lab
        inventory: String,
    },
    /// Run a program as root in a host, without SSH
    #[command(
        after_help = "Examples:\n  tbctl lab exec hosts.yml web1 -- journalctl -e\n  tbctl lab exec hosts.yml web1          A login shell"
    )]
    Exec {
        /// The inventory, or the name of a lab
        inventory: String,
        host: String,
        /// The program and its arguments; without one, a login shell
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Carry the packets of a lab's links; `up` starts it where it is needed
    #[command(hide = true, after_help = "Examples:\n  tbctl lab forward /run/tbctl-lab/NAME")]
    Forward {
        /// The lab's directory
        dir: PathBuf,
    },
    /// Show the hosts, their addresses and the links
    #[command(
        after_help = "Examples:\n  tbctl lab status                       The labs that are up\n  tbctl lab status hosts.yml --json"
    )]
    Status {
        /// The inventory, or the name of a lab
        inventory: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(console: &Console, args: &Args) -> Done {
    match &args.command {
        Command::Up { inventory, rootfs, package } => {
            let mut spec = spec(&read(console, inventory)?)?;
            spec.rootfs.clone_from(rootfs);
            spec.packages.clone_from(package);
            spec.program = std::env::current_exe().ok();
            let status = lab::up(&spec, &mut |text| console.note(text))?;
            console.data(&table(&spec.name, &status))?;
        }
        Command::Down { inventory } => {
            let name = name(console, inventory)?;
            let before = lab::status(&name)?;
            lab::down(&name)?;
            match before.hosts.len() {
                0 => console.note(&format!("no lab `{name}` was up")),
                hosts => console.note(&format!("the lab `{name}` is down: {}", count(hosts, "host"))),
            }
        }
        Command::Exec { inventory, host, command } => {
            let status = lab::exec(&name(console, inventory)?, host, command)?;
            return Ok(code(status));
        }
        Command::Forward { dir } => lab::forward(dir)?,
        Command::Status { inventory: None, json } => {
            let names = lab::names()?;
            console.data(&match json {
                true => serde_json::to_string(&names).map_err(anyhow::Error::new)? + "\n",
                false => names.iter().map(|name| format!("{name}\n")).collect(),
            })?;
        }
        Command::Status { inventory: Some(inventory), json } => {
            let name = name(console, inventory)?;
            let status = lab::status(&name)?;
            console.data(&match json {
                true => serde_json::to_string(&status).map_err(anyhow::Error::new)? + "\n",
                false => table(&name, &status),
            })?;
        }
    }
    Ok(0)
}

fn read(console: &Console, inventory: &str) -> Result<Loaded, Stop> {
    let sources = Sources { inventory: vec![inventory.to_string()], ..Sources::default() };
    load::load(console, &sources, None, Playbooks::None)
}

/// The lab's name: as the inventory says, or the word itself if a lab has that name and there is no such file.
fn name(console: &Console, word: &str) -> Result<String, Stop> {
    let is_file = std::path::Path::new(word).exists();
    if !is_file && lab::names()?.iter().any(|name| name == word) {
        return Ok(word.to_string());
    }
    Ok(read(console, word)?.project.inventory.testbed)
}

/// What is to be up: all hosts but this machine itself.
fn spec(loaded: &Loaded) -> Result<Spec, Diagnostics> {
    let project = Arc::new(loaded.project.clone());
    let mut faults = Diagnostics::default();
    let mut spec = Spec { name: project.inventory.testbed.clone(), ..Spec::default() };
    for name in project.inventory.hosts.keys() {
        let vars = HostVars { project: project.clone(), beside: Arc::default(), host: name.clone() };
        let mut text = |variable: &str| {
            let node = vars.node(variable)?;
            let scope: Arc<dyn Lookup> = Arc::new(vars.clone());
            match loaded.templates.render(&node, &scope) {
                Ok(value) => value.scalar().map(|text| (text, node.span.clone())),
                Err(Fault::Error(fault)) => faults.take(Err(fault.at(&node.span))),
                Err(Fault::Unknown(_)) => None,
            }
        };
        let local = text("ansible_connection").is_some_and(|(text, _)| text.ends_with("local"));
        let (region, network, address) = (text("region"), text("network"), text("lab_address"));
        if local {
            continue;
        }
        let mut host = HostSpec::new(name);
        if let Some((region, _)) = region {
            host.region = region;
        }
        host.network = network.map(|(network, _)| network);
        if let Some((text, span)) = address {
            let wrong = |_| Diagnostic::error(format!("`{text}` is not an IPv4 address")).at(&span);
            host.address = faults.take(text.parse::<Ipv4Addr>().map_err(wrong));
        }
        spec.hosts.push(host);
    }
    match links::read(loaded) {
        Ok(links) => spec.links = links,
        Err(more) => faults.extend(more),
    }
    faults.check(spec)
}

fn table(name: &str, status: &Status) -> String {
    if status.hosts.is_empty() {
        return format!("no lab `{name}` is up\n");
    }
    let width = status.hosts.iter().map(|host| host.name.len()).max().unwrap_or_default();
    let mut out = String::new();
    for host in &status.hosts {
        let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
        let state = if host.pid.is_some() { "up" } else { "off" };
        out += &format!("{}  {state:<3}  {}\n", pad(&host.name, width), addresses.join(" "));
    }
    for link in &status.links {
        out += &format!("{}\n", line(link));
    }
    out
}

/// One link in words.
fn line(link: &LinkStatus) -> String {
    let [one, other] = &link.between;
    let mut words = vec![format!("rtt {} ms", link.rtt_ms)];
    if link.jitter_ms > 0.0 {
        words.push(format!("jitter {} ms", link.jitter_ms));
    }
    if link.loss_percent > 0.0 {
        words.push(format!("loss {} %", link.loss_percent));
    }
    if let Some(rate) = link.rate_bits {
        words.push(format!("rate {} Mbit/s", rate as f64 / 1e6));
    }
    let by = match (link.by, link.up) {
        (LinksBy::Netem, _) => "by netem",
        (LinksBy::Forwarder, true) => "by the forwarder",
        (LinksBy::Forwarder, false) => "carries nothing now",
    };
    format!("{one} - {other}  {}  {by}", words.join(", "))
}

/// As a shell has it: a signal is 128 and its number.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal);
    #[cfg(not(unix))]
    let signal = None;
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
