//! The command line: one file per command, wiring only.
//!
//! Exit codes: 0 well, 1 the user's text (or what tbctl needs) is wrong, 2 a task failed, 4 a host was not reached,
//! 130 ended by Ctrl-C, 101 a bug.

mod apply;
mod args;
mod ask;
mod check;
mod console;
mod crowd;
mod destroy;
mod doc;
mod exec;
mod graph;
mod host_vars;
mod inventory;
mod lab;
mod links;
mod load;
mod met;
mod plan;
mod reach;
mod report;
mod run;
mod saved;
mod show;
mod ssh_args;
mod status;
mod trace;
mod unlock;

use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::cli::console::Console;
use crate::ui::live::Pause;

/// Builds testbeds from Ansible-style playbooks, and takes them back.
///
/// A playbook is compiled into one graph for all hosts, which is driven over SSH; hosts need nothing but sshd and a POSIX
/// shell.
#[derive(Debug, Parser)]
#[command(name = "tbctl", version, term_width = 80, max_term_width = 80, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, subcommand_required = true, infer_subcommands = false)]
struct Cli {
    /// Show more: all tasks and the program's log; -vv and -vvv even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tbctl check hosts.yml site.yml       Is everything written right?
  tbctl plan hosts.yml site.yml        What would be changed?
  tbctl apply hosts.yml site.yml       Change it
  tbctl destroy hosts.yml              Give the hosts back as they were
  tbctl lab up hosts.yml               Boot the same hosts on this machine

Exit codes: 0 well, 1 something is written wrong, 2 a task failed,
4 a host was not reached, 130 ended by Ctrl-C.";

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::Args),
    Apply(Box<apply::Args>),
    Destroy(destroy::Args),
    Status(status::Args),
    Unlock(unlock::Args),
    Check(check::Args),
    Graph(graph::Args),
    Inventory(inventory::Args),
    Exec(exec::Args),
    Doc(doc::Args),
    Lab(lab::Args),
    Report(report::Args),
}

/// The whole program.
pub fn main() -> ExitCode {
    trace::catch_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(text) = args::unsupported(std::env::args().skip(1)).filter(|_| error.use_stderr()) {
                eprintln!("{text}");
                return ExitCode::from(console::WRONG);
            }
            // Whoever closed the stream does not want to know.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { console::WRONG } else { 0 });
        }
    };
    let console = Console::new(cli.verbose);
    let pause = Pause::default();
    trace::start(cli.verbose, &console.redactor, &pause);
    let done = match &cli.command {
        Command::Plan(args) => plan::run(&console, &pause, args),
        Command::Apply(args) => apply::run(&console, &pause, args),
        Command::Destroy(args) => destroy::run(&console, &pause, args),
        Command::Status(args) => status::run(&console, &pause, args),
        Command::Unlock(args) => unlock::run(&console, &pause, args),
        Command::Check(args) => check::run(&console, args),
        Command::Graph(args) => graph::run(&console, args),
        Command::Inventory(args) => inventory::run(&console, args),
        Command::Exec(args) => exec::run(&console, &pause, args),
        Command::Doc(args) => doc::run(&console, args),
        Command::Lab(args) => lab::run(&console, args),
        Command::Report(args) => report::run(&console, args),
    };
    console.end(done)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_terminal_and_has_examples() {
        fn look(command: &mut clap::Command, path: &str) {
            for (form, help) in
                [("-h", command.render_help().to_string()), ("--help", command.render_long_help().to_string())]
            {
                for line in help.lines() {
                    assert!(line.chars().count() <= 80, "{path} {form}: {line}");
                }
                assert!(help.contains("Examples:"), "{path} {form} has no examples");
            }
            let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_string()).collect();
            for name in names.iter().filter(|name| *name != "help") {
                if let Some(sub) = command.find_subcommand_mut(name) {
                    look(sub, &format!("{path} {name}"));
                }
            }
        }
        let mut command = Cli::command();
        command.build();
        look(&mut command, "tbctl");
    }
}
