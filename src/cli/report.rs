//! `tbctl report`: from results to a page, figures and tables.

use std::path::PathBuf;

use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::WRONG;
use crate::report;

/// Make a page, figures and tables of measurements
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    /// The directory `tbctl apply` wrote results into
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Where to write the report; DIR/report if nothing is said
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tbctl report results                 All scenarios, into results/report
  tbctl report results -o /tmp/report  The same, somewhere else
  tbctl report results/scenario-1      One testbed";

pub(super) fn run(console: &Console, args: &Args) -> Done {
    let made = report::make(&args.dir, args.out.as_deref())?;
    console.faults(&made.faults);
    console.data(&format!("{}\n{}\n", made.text, made.index.display()))?;
    Ok(if made.faults.has_errors() { WRONG } else { 0 })
}
