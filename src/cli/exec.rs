//! `tbctl exec`: one command on many hosts, without a playbook.
//!
//! Each host gets one connection and one command; nothing is kept and nothing can be taken back.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::change::Apply;
use crate::change::Ran;
use crate::change::Script;
use crate::change::Step;
use crate::change::Undo;
use crate::change::sh;
use crate::cli::args::Connection;
use crate::cli::args::Sources;
use crate::cli::ask::Person;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::INTERRUPTED;
use crate::cli::console::Stop;
use crate::cli::load;
use crate::cli::load::Playbooks;
use crate::cli::reach;
use crate::cli::run;
use crate::cli::run::Crew;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::engine::drive;
use crate::lang::pattern;
use crate::lang::project::Project;
use crate::remote::Ask;
use crate::remote::Unreached;
use crate::remote::host;
use crate::remote::host::Worker;
use crate::remote::order;
use crate::remote::order::As;
use crate::remote::order::Order;
use crate::remote::order::Part;
use crate::remote::order::Stream;
use crate::ui::live::Pause;
use crate::ui::look::tame;

/// Run a command on hosts, without a playbook
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "tbctl exec [OPTIONS] [INVENTORY] PATTERN -- COMMAND...")]
pub(super) struct Args {
    /// The inventory (unless -i names it), then which hosts
    #[arg(value_names = ["INVENTORY", "PATTERN"], required = true, num_args = 1..=2)]
    words: Vec<String>,

    /// Inventory file, directory or host list `a,b,`; may be repeated
    #[arg(short, long, value_name = "INVENTORY")]
    inventory: Vec<String>,

    /// Variables: k=v, YAML or JSON, @file; may be repeated
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,

    /// One word is shell text, several are a program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    connection: Connection,
}

const EXAMPLES: &str = "\
Examples:
  tbctl exec hosts.yml all -- uptime
  tbctl exec hosts.yml 'web:!web3' -- 'systemctl is-active nginx || true'
  tbctl exec hosts.yml all -b -- systemctl restart nginx
  tbctl exec -i a,b, all -u root -- cat /etc/os-release";

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    let (sources, which) = words(args)?;
    let loaded = load::load(console, &sources, Some(&args.connection), Playbooks::None)?;
    let project = Arc::new(loaded.project);
    let hosts = hosts(console, &project, which)?;
    let ways = reach::ways(console, &project, &loaded.templates)?;
    let settings = reach::settings(console, &project.config, &args.connection)?;
    let ask: Arc<dyn Ask> = Arc::new(Person::new(pause, &console.redactor));
    let password = run::password(&project.config, &*ask)?;
    let testbed = project.inventory.testbed.clone();
    let crew = Crew { settings, ask, testbed, run: run::run_id(), journals: false, password };
    let user = project.config.r#become.unwrap_or(false).then(|| {
        let named = project.config.become_user.clone();
        named.unwrap_or_else(|| "root".into())
    });
    run::wait(everywhere(console, crew.workers(&hosts, &ways)?, stream(user, &args.command)))?
}

/// The inventory and the pattern.
fn words(args: &Args) -> Result<(Sources, &str), Diagnostic> {
    let mut sources =
        Sources { inventory: args.inventory.clone(), extra_vars: args.extra_vars.clone(), ..Sources::default() };
    match args.words.as_slice() {
        [which] => Ok((sources, which)),
        [inventory, which] if args.inventory.is_empty() => {
            sources.inventory.push(inventory.clone());
            Ok((sources, which))
        }
        _ => {
            let fault = Diagnostic::error("the inventory is named twice");
            Err(fault.help("write it in front of the pattern, or behind `-i`"))
        }
    }
}

fn hosts(console: &Console, project: &Project, which: &str) -> Result<Vec<String>, Stop> {
    let mut faults = Diagnostics::default();
    let parts = pattern::split(which, &Span::synthetic("PATTERN", which));
    let hosts = pattern::hosts(&parts, &project.inventory, &mut faults);
    if hosts.is_empty() && !faults.has_errors() {
        faults.push(Diagnostic::error(format!("`{which}` leaves no host")));
    }
    if faults.has_errors() {
        return Err(faults.into());
    }
    console.faults(&faults);
    Ok(hosts)
}

/// The command as the only step of a stream: what it prints and how it ends comes back as of any task.
fn stream(user: As, words: &[String]) -> Stream {
    let text = match words {
        [one] => one.clone(),
        several => sh::words(several.iter().map(String::as_str)),
    };
    let script = Script { text, user: true, ..Script::default() };
    let step = Step { what: "run".into(), resource: None, apply: Apply::Run(script), undo: Undo::Nothing, diff: None };
    Stream { user, parts: vec![Part { steps: vec![step], ..Part::default() }], ..Stream::default() }
}

/// How it ended on one host.
enum Answer {
    Ran(Ran),
    /// It could not be run there, and why.
    Refused(String),
    Lost(Unreached),
}

async fn everywhere(console: &Console, workers: Vec<Worker>, stream: Stream) -> Done {
    let names: Vec<String> = workers.iter().map(|worker| worker.name.clone()).collect();
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut handles = Vec::new();
    for (index, worker) in workers.into_iter().enumerate() {
        let handle = host::spawn(index, worker, sender.clone());
        handle.send(Order::Apply(stream.clone()));
        handles.push(Some(handle));
    }
    drop(sender);
    let (mut code, mut open) = (0, names.len());
    while open > 0 {
        let next = tokio::select! {
            next = answers.recv() => next,
            _ = tokio::signal::ctrl_c() => return Ok(INTERRUPTED),
        };
        let Some((index, answer)) = next else { break };
        let Some(answer) = last(answer) else { continue };
        open -= 1;
        code = match (show(console, &names[index], answer)?, code) {
            (2, _) | (_, 2) => 2,
            (new, old) => new.max(old),
        };
    }
    drive::close(handles).await;
    Ok(code)
}

/// What an answer of the host's actor says about the command, if anything.
fn last(answer: order::Answer) -> Option<Answer> {
    match answer {
        order::Answer::Did { mut ran, .. } => ran.pop().map(Answer::Ran),
        order::Answer::Failed { why: Some(why), .. } => Some(Answer::Refused(why)),
        order::Answer::Failed { mut ran, .. } => ran.pop().map(Answer::Ran),
        order::Answer::Lost { why, .. } => Some(Answer::Lost(why)),
        _ => None,
    }
}

/// Prints one host's answer and gives its part of the exit code.
fn show(console: &Console, host: &str, answer: Answer) -> Done {
    match answer {
        Answer::Ran(ran) => {
            let mut text = format!("{host} rc={}\n", ran.rc);
            for line in tame(&ran.stdout).lines() {
                text += &format!("  {line}\n");
            }
            console.data(&text)?;
            for line in tame(&ran.stderr).lines() {
                console.note(&format!("{host}: {line}"));
            }
            Ok(if ran.rc == 0 { 0 } else { 2 })
        }
        Answer::Refused(why) => {
            console.note(&format!("{host}: {why}"));
            Ok(2)
        }
        Answer::Lost(why) => {
            console.note(&format!("{host}: {}", why.message));
            if let Some(help) = why.help {
                console.note(&format!("  help: {help}"));
            }
            Ok(4)
        }
    }
}
