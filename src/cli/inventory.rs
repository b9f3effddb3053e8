//! `tbctl inventory`: the hosts, groups and variables as they were read.

use crate::cli::args::Sources;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::Stop;
use crate::cli::load;
use crate::cli::load::Playbooks;
use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::inventory::Beside;
use crate::lang::inventory::Inventory;
use crate::lang::inventory_text;
use crate::lang::inventory_text::ShowVars;

/// Show the hosts, groups and variables of an inventory
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Inventory files, directories or host lists `a,b,`
    #[arg(value_name = "INVENTORY")]
    files: Vec<String>,

    /// The same, as Ansible writes it
    #[arg(short, long, value_name = "INVENTORY")]
    inventory: Vec<String>,

    /// The groups as a tree, from GROUP on (this is the default)
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "all", conflicts_with_all = ["list", "host"])]
    graph: Option<String>,

    /// Everything as JSON, as ansible-inventory has it
    #[arg(long, conflicts_with = "host")]
    list: bool,

    /// The variables of one host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// With --list and --host: YAML in place of JSON
    #[arg(short, long)]
    yaml: bool,

    /// With --graph: the variables too
    #[arg(long)]
    vars: bool,
}

const EXAMPLES: &str = "\
Examples:
  tbctl inventory hosts.yml                  The groups as a tree
  tbctl inventory hosts.yml --graph web --vars
  tbctl inventory hosts.yml --list           JSON for programs
  tbctl inventory hosts.yml --host web1 --yaml";

pub(super) fn run(console: &Console, args: &Args) -> Done {
    let sources = Sources { files: args.files.clone(), inventory: args.inventory.clone(), ..Sources::default() };
    let project = load::load(console, &sources, None, Playbooks::None)?.project;
    let inventory = &project.inventory;
    let beside = Beside::default();
    let text = match (&args.host, args.list, args.yaml) {
        (Some(host), ..) => {
            known("host", host, inventory.hosts.keys().map(String::as_str))?;
            written(&inventory_text::host_vars(inventory, &beside, host), args.yaml)?
        }
        (None, true, false) => written(&inventory_text::list(inventory, &beside), false)?,
        (None, _, true) => written(&inventory_text::tree(inventory, &beside), true)?,
        (None, false, false) => graph(args, inventory, &beside)?,
    };
    console.data(&text)?;
    Ok(0)
}

fn graph(args: &Args, inventory: &Inventory, beside: &Beside) -> Result<String, Stop> {
    let group = args.graph.as_deref().unwrap_or("all");
    known("group", group, inventory.groups.keys().map(String::as_str))?;
    let vars = if args.vars { ShowVars::Yes } else { ShowVars::No };
    Ok(inventory_text::graph(inventory, beside, group, vars))
}

fn known<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<(), Diagnostic> {
    match names.clone().any(|known| known == name) {
        true => Ok(()),
        false => {
            let fault = Diagnostic::error(format!("the inventory has no {what} `{name}`"));
            Err(fault
                .at(&Span::synthetic(&format!("--{}", if what == "host" { "host" } else { "graph" }), name))
                .suggest(name, names))
        }
    }
}

fn written(value: &serde_json::Value, yaml: bool) -> Result<String, Stop> {
    let text = match yaml {
        true => serde_saphyr::to_string(value).map_err(|error| anyhow::anyhow!("cannot write YAML: {error}"))?,
        false => serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?,
    };
    Ok(text.trim_end().to_string() + "\n")
}
