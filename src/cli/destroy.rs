//! `tbctl destroy`: gives the hosts back as they were before the first apply.
//!
//! What is to be done comes from the hosts' own journals; it is shown, and asked about, before anything happens.

use std::collections::HashSet;

use crate::change::Look;
use crate::cli::args::Connection;
use crate::cli::args::Running;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::INTERRUPTED;
use crate::cli::console::WRONG;
use crate::cli::crowd::Crowd;
use crate::cli::crowd::Whom;
use crate::cli::met;
use crate::cli::run;
use crate::cli::show;
use crate::cli::status;
use crate::engine::destroy;
use crate::engine::survey;
use crate::engine::survey::Memory;
use crate::engine::survey::Survey;
use crate::event::What;
use crate::ui::live::Pause;
use crate::ui::look;
use crate::ui::look::count;
use crate::ui::look::labelled;

/// Give the hosts back as they were before the first apply
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    whom: Whom,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// Take back also what somebody changed since
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    running: Running,
}

const EXAMPLES: &str = "\
Examples:
  tbctl destroy hosts.yml              Shows what it will do, and asks
  tbctl destroy hosts.yml -l web3 --yes
  tbctl destroy hosts.yml --force      Even what was changed by hand since";

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    let crowd = Crowd::gather(console, pause, &args.whom, &args.connection)?;
    run::wait(give_back(console, pause, args, crowd))?
}

async fn give_back(console: &Console, pause: &Pause, args: &Args, crowd: Crowd) -> Done {
    let Crowd { testbed, workers, ask } = crowd;
    let mut interrupts = run::interrupts()?;
    console.note(&format!("asking {} what is to be taken back", count(workers.len(), "host")));
    let survey = tokio::select! {
        survey = survey::survey(workers, Look::Script { text: status::QUESTION.into() }) => survey,
        _ = interrupts.recv() => return Ok(INTERRUPTED),
    };
    if let Some(code) = prepare(console, args, &survey, &testbed) {
        survey.leave().await;
        return Ok(code);
    }
    if !args.yes {
        let question = format!("take all of this back on testbed `{testbed}`?");
        let answer = tokio::task::spawn_blocking(move || ask.confirm(&question));
        let agreed = tokio::select! {
            answer = answer => answer.unwrap_or(false),
            _ = interrupts.recv() => return Ok(INTERRUPTED),
        };
        if !agreed {
            console.note("nothing was done; `--yes` does it without asking");
            survey.leave().await;
            return Ok(WRONG);
        }
    }
    let unread: HashSet<String> =
        survey.hosts.iter().filter(|host| host.unread.is_some()).map(|host| host.name.clone()).collect();
    let mut screen = show::screen(console, pause, &args.running);
    let mut failed: HashSet<String> = HashSet::new();
    let run = survey
        .undo(testbed.clone(), args.force, interrupts, &mut |event, _| {
            if let What::Undone { host, how, kept: true, .. } = &event.what
                && (how.starts_with(destroy::FAILED) || how.starts_with(destroy::CHANGED))
            {
                failed.insert(host.clone());
            }
            screen.see(event);
        })
        .await;
    screen.close()?;
    let back: Vec<String> = run
        .hosts
        .iter()
        .filter(|(name, host)| {
            host.lost.is_none()
                && host.kept == 0
                && !failed.contains(*name)
                && !unread.contains(*name)
                && !run.interrupted
        })
        .map(|(name, _)| name.clone())
        .collect();
    met::forget(&testbed, &back)?;
    Ok(match run::code(&run) {
        code if run.interrupted => code,
        _ if !failed.is_empty() => 2,
        0 if !unread.is_empty() => 4,
        code => code,
    })
}

/// Shows what would be taken back; a code if there is nothing to go on with.
fn prepare(console: &Console, args: &Args, survey: &Survey, testbed: &str) -> Option<u8> {
    let mut entries = 0;
    for host in &survey.hosts {
        let text = preview(host, args.force);
        entries += host.entries().len();
        if let Some(why) = &host.unread {
            let text = format!("{}: not all of what was done there is known: {why}", host.name);
            console.note(labelled("warning:", &text, 0, look::WIDTH).trim_end());
        } else if let Some(why) = &host.refused {
            let text = format!("{}: nothing is kept by root there, who cannot be asked: {why}", host.name);
            console.note(labelled("note:", &text, 0, look::WIDTH).trim_end());
        }
        if !text.is_empty() && !args.yes {
            console.note(text.trim_end());
        }
    }
    let lost = survey.hosts.iter().any(|host| host.lost.is_some() || host.unread.is_some());
    if entries > 0 || args.yes {
        return None;
    }
    if !lost {
        console.note(&format!("testbed `{testbed}`: nothing to take back"));
    }
    Some(if lost { 4 } else { 0 })
}

/// What would be done on one host.
fn preview(host: &Memory, force: bool) -> String {
    let mut out = String::new();
    if let Some(why) = &host.lost {
        out += &labelled("why ", why, 2, look::WIDTH);
        out += &host.help.as_ref().map(|help| labelled("help", help, 2, look::WIDTH)).unwrap_or_default();
        return format!("{}: not reached\n{out}", host.name);
    }
    for (user, entry) in host.entries() {
        let drifted = host.drifted(&user).contains(&entry.seq);
        let text = match drifted && !force {
            true => format!("{}: changed by somebody since: left alone without `--force`", entry.name()),
            false => destroy::shown(entry),
        };
        out += &labelled("-", &look::one_line(&text), 2, look::WIDTH);
    }
    if out.is_empty() { out } else { format!("{}\n{out}", host.name) }
}
