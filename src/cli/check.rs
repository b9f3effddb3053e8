//! `tbctl check`: reads everything and says what is wrong, without touching a host.

use crate::cli::args::Sources;
use crate::cli::args::Tags;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::load;
use crate::cli::load::Playbooks;
use crate::engine::precheck;
use crate::engine::ready::Users;
use crate::ui::look::count;

/// Say what is written wrong; touches no host
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    tags: Tags,
}

const EXAMPLES: &str = "\
Examples:
  tbctl check hosts.yml site.yml       An inventory and a playbook
  tbctl check hosts.yml                The inventory alone
  tbctl check -i hosts.yml a.yml b.yml -e @vars.yml";

pub(super) fn run(console: &Console, args: &Args) -> Done {
    let choice = args.tags.choice();
    let (loaded, graph, faults) = load::build(console, &args.sources, None, Playbooks::Optional, &choice)?;
    let (inventory, plays) = (&loaded.project.inventory, loaded.project.plays.len());
    let mut text = format!("right: testbed {}, {}", inventory.testbed, count(inventory.hosts.len(), "host"));
    if loaded.playbooks > 0 {
        text += &format!(", {}, {}", count(plays, "play"), count(graph.nodes.len(), "node"));
    }
    precheck::check(&load::store(loaded, graph), &Users::default(), faults)?;
    console.data(&(text + "\n"))?;
    Ok(0)
}
