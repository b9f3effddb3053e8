//! `tbctl exec`: one command on many hosts, without a playbook.
//!
//! Each host gets one connection and one command; nothing is kept and nothing can be taken back.

use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

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
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::lang::pattern;
use crate::lang::project::Project;
use crate::remote;
use crate::remote::Ask;
use crate::remote::Settings;
use crate::remote::Target;
use crate::remote::Unreached;
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
  tbctl exec -i a,b, all -u root -- cat /etc/os-release";

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    if args.connection.r#become || args.connection.become_user.is_some() {
        let fault = Diagnostic::error("`--become` is unsupported with exec");
        return Err(fault.help("write the command with `sudo -n`, or a playbook with `become: true`").into());
    }
    let (sources, which) = words(args)?;
    let loaded = load::load(console, &sources, Some(&args.connection), Playbooks::None)?;
    let project = Arc::new(loaded.project);
    let hosts = hosts(console, &project, which)?;
    let mut ways = reach::ways(console, &project, &loaded.templates)?;
    let settings = reach::settings(console, &project.config, &args.connection)?;
    let targets = hosts.iter().filter_map(|host| Some(ways.shift_remove(host)?.target)).collect();
    let ask: Arc<dyn Ask> = Arc::new(Person::new(pause, &console.redactor));
    run::wait(everywhere(console, targets, settings, ask, command(&args.command)))?
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

fn command(words: &[String]) -> String {
    let text = match words {
        [one] => one.clone(),
        several => sh::words(several.iter().map(String::as_str)),
    };
    // The login shell may be anything; what runs is always the same.
    format!("exec /bin/sh -c {}", sh::quote(&text))
}

/// How it ended on one host.
struct Answer {
    rc: Option<i32>,
    output: Vec<u8>,
    errors: Vec<u8>,
}

async fn everywhere(
    console: &Console,
    targets: Vec<Target>,
    settings: Settings,
    ask: Arc<dyn Ask>,
    command: String,
) -> Done {
    let mut running = JoinSet::new();
    for target in targets {
        let (settings, ask, command) = (settings.clone(), ask.clone(), command.clone());
        running.spawn(async move {
            let answer = there(&target, &settings, &ask, &command).await;
            (target.name, answer)
        });
    }
    let mut code = 0;
    loop {
        let next = tokio::select! {
            next = running.join_next() => next,
            _ = tokio::signal::ctrl_c() => return Ok(INTERRUPTED),
        };
        let Some(next) = next else { return Ok(code) };
        let (host, answer) = next.map_err(anyhow::Error::new)?;
        code = match (show(console, &host, answer)?, code) {
            (2, _) | (_, 2) => 2,
            (new, old) => new.max(old),
        };
    }
}

async fn there(target: &Target, settings: &Settings, ask: &Arc<dyn Ask>, command: &str) -> Result<Answer, Unreached> {
    let link = remote::connect(target, settings, ask).await?;
    let mut pipe = link.exec(command).await?;
    // The command reads nothing: it must not wait for it either.
    let _ = pipe.input.shutdown().await;
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let (read, _) = tokio::join!(pipe.output.read_to_end(&mut output), pipe.errors.read_to_end(&mut errors));
    let rc = pipe.exit.wait().await;
    if let (Some(lost), true) = (link.lost(), read.is_err() || rc.is_none()) {
        return Err(lost);
    }
    link.close().await;
    Ok(Answer { rc, output, errors })
}

/// Prints one host's answer and gives its part of the exit code.
fn show(console: &Console, host: &str, answer: Result<Answer, Unreached>) -> Done {
    match answer {
        Ok(Answer { rc, output, errors }) => {
            let rc_text = rc.map_or_else(|| "none".to_string(), |rc| rc.to_string());
            let output = tame(&String::from_utf8_lossy(&output));
            let errors = tame(&String::from_utf8_lossy(&errors));
            let mut text = format!("{host} rc={rc_text}\n");
            for line in output.lines() {
                text += &format!("  {line}\n");
            }
            console.data(&text)?;
            for line in errors.lines() {
                console.note(&format!("{host}: {line}"));
            }
            Ok(if rc == Some(0) { 0 } else { 2 })
        }
        Err(why) => {
            console.note(&format!("{host}: {}", why.message));
            if let Some(help) = why.help {
                console.note(&format!("  help: {help}"));
            }
            Ok(4)
        }
    }
}
