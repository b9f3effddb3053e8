//! `tbctl graph`: the compiled graph, for people and programs.

use clap::ValueEnum;

use crate::cli::args::Sources;
use crate::cli::args::Tags;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::load;
use crate::cli::load::Playbooks;
use crate::graph::text;

/// Show the graph the playbooks compile to
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    tags: Tags,

    /// How to show it
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    format: Form,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// The tasks of each host in order, and what each waits for
    #[default]
    Text,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
    Json,
}

const EXAMPLES: &str = "\
Examples:
  tbctl graph hosts.yml site.yml
  tbctl graph hosts.yml site.yml --format dot | dot -Tsvg > site.svg
  tbctl graph hosts.yml site.yml -l web1 --tags network";

pub(super) fn run(console: &Console, args: &Args) -> Done {
    let (_, graph, faults) = load::build(console, &args.sources, None, Playbooks::Needed, &args.tags.choice())?;
    load::settle(console, faults)?;
    let text = match args.format {
        Form::Text => text::text(&graph),
        Form::Dot => text::dot(&graph),
        Form::Mermaid => text::mermaid(&graph),
        Form::Json => text::json(&graph),
    };
    console.data(&(text.trim_end().to_string() + "\n"))?;
    Ok(0)
}
