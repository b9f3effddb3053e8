//! `tbctl apply`: makes the hosts as the playbooks say.

use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::run;
use crate::cli::run::Options;
use crate::cli::saved;
use crate::diag::Diagnostic;
use crate::engine::schedule::Leaving;
use crate::event::Mode;
use crate::ui::live::Pause;

/// Make the hosts as the playbooks say
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,

    /// Change nothing: the same as plan
    #[arg(short = 'C', long, help_heading = "Run")]
    check: bool,

    /// Take back what the playbook does not ask for any more
    #[arg(long, help_heading = "Run")]
    prune: bool,

    /// Taken for scripts' sake: apply never asks
    #[arg(short, long, help_heading = "Run")]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  tbctl apply hosts.yml site.yml
  tbctl apply hosts.yml site.yml -l 'web:!web3' --tags config --diff
  tbctl apply -i hosts.yml base.yml site.yml -u admin -b -K
  tbctl apply hosts.yml site.yml --prune
  tbctl apply hosts.yml site.yml --json > events.jsonl
  tbctl plan hosts.yml site.yml -o friday.plan
  tbctl apply friday.plan

A plan that was kept says itself what is done where; its -e are given again. It
is applied only if nothing it was decided on has changed: what has is named.

Exit codes: 0 well, 1 something is written wrong, 2 a task failed,
4 a host was not reached, 130 ended by Ctrl-C.";

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    if let Some(plan) = saved::named(&args.options)? {
        if args.check {
            let fault = Diagnostic::error("`--check` does not go with a plan");
            return Err(fault.help("leave it out to apply the plan; `tbctl plan` makes another one").into());
        }
        if args.prune {
            let fault = Diagnostic::error("`--prune` does not go with a plan, which does not say what is taken back");
            return Err(fault.help("apply the plan, and prune by an apply of the playbook").into());
        }
        return saved::apply(console, pause, &args.options, &plan);
    }
    let left = if args.prune { Leaving::Undone } else { Leaving::Stays };
    let (mode, left) = if args.check { (Mode::Plan, Leaving::Named) } else { (Mode::Apply, left) };
    run::run(console, pause, &args.options, mode, left)
}
