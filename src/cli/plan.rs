//! `tbctl plan`: what an apply would change.

use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::run;
use crate::cli::run::Options;
use crate::engine::schedule::Leaving;
use crate::event::Mode;
use crate::ui::live::Pause;

/// Show what apply would change; changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = "\
Examples:
  tbctl plan hosts.yml site.yml
  tbctl plan hosts.yml site.yml -l web --diff
  tbctl plan -i hosts.yml site.yml -e release=2 --tags config

Signs: + comes into being, - goes, ~ changes, ? runs, or is known, only with
the apply.";

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    run::run(console, pause, &args.options, Mode::Plan, Leaving::Named)
}
