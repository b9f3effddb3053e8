//! `tbctl check`: reads everything and says what is wrong, without touching a host.

use std::sync::Arc;

use crate::cli::args::Sources;
use crate::cli::args::Tags;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::load;
use crate::cli::load::Loaded;
use crate::cli::load::Playbooks;
use crate::engine::precheck;
use crate::engine::ready::Users;
use crate::engine::scope::Store;
use crate::graph::build;
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
    let loaded = load::load(console, &args.sources, None, Playbooks::Optional)?;
    let (graph, faults) = build::built(&loaded.project, &loaded.templates, &args.tags.choice());
    let Loaded { project, files, templates, playbooks } = loaded;
    let hosts = project.inventory.hosts.len();
    let mut text = format!("right: testbed {}, {}", project.inventory.testbed, count(hosts, "host"));
    if playbooks > 0 {
        text += &format!(", {}, {}", count(project.plays.len(), "play"), count(graph.nodes.len(), "node"));
    }
    let store = Store::new(Arc::new(project), Arc::new(graph), Arc::new(templates), Arc::new(files), true);
    precheck::check(&store, &Users::default(), faults)?;
    console.data(&(text + "\n"))?;
    Ok(0)
}
