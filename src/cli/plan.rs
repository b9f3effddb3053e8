//! `tbctl plan`: what an apply would change.

use std::path::PathBuf;

use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::run;
use crate::cli::run::Options;
use crate::cli::saved;
use crate::diag::Diagnostic;
use crate::engine::schedule::Leaving;
use crate::event::Mode;
use crate::ui::live::Pause;

/// Show what apply would change; changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,

    /// Keep the plan in this file; `tbctl apply FILE` does exactly that
    #[arg(short, long, value_name = "FILE", help_heading = "Run")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tbctl plan hosts.yml site.yml
  tbctl plan hosts.yml site.yml -l web --diff
  tbctl plan -i hosts.yml site.yml -e release=2 --tags config
  tbctl plan hosts.yml site.yml -o friday.plan

Signs: + comes into being, - goes, ~ changes, ? runs, or is known, only with
the apply.

A plan that is kept (-o) holds names and digests, no values. It can be applied
on this machine, as long as nothing it was decided on has changed.";

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    if let Some(plan) = saved::named(&args.options)? {
        let fault = Diagnostic::error(format!("`{}` is a plan already", plan.name));
        return Err(fault.help(format!("`tbctl apply {}` applies it", plan.name)).into());
    }
    match &args.out {
        Some(out) => saved::keep(console, pause, &args.options, out),
        None => run::run(console, pause, &args.options, Mode::Plan, Leaving::Named),
    }
}
