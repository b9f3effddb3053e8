//! `tbctl status`: what each host remembers of the testbed, and what was changed by others since.

use std::time::Duration;
use std::time::UNIX_EPOCH;

use serde::Serialize;

use crate::change::Look;
use crate::cli::args::Connection;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::INTERRUPTED;
use crate::cli::crowd::Crowd;
use crate::cli::crowd::Whom;
use crate::cli::run;
use crate::engine::survey;
use crate::engine::survey::Memory;
use crate::ui::live::Pause;
use crate::ui::look;
use crate::ui::look::count;
use crate::ui::look::labelled;

/// Show what each host remembers: last change, resources, drift, locks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    whom: Whom,

    /// For programs
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

const EXAMPLES: &str = "\
Examples:
  tbctl status hosts.yml
  tbctl status hosts.yml -l web --json";

/// What a host is asked: entries whose state is not the one last written, the lock, the last run that changed something.
pub(super) const QUESTION: &str = r#"for _tb_k in "$_tb_j"/k/*; do
	[ -s "$_tb_k/written" ] && [ -s "$_tb_k/look" ] || continue
	_tb_y=$(eval " $(cat "$_tb_k/look")" 2>/dev/null </dev/null)
	[ "$_tb_y" = "$(cat "$_tb_k/written")" ] || echo "drift ${_tb_k##*/}"
done
for _tb_k in lock last; do
	[ ! -s "$_tb_j/$_tb_k" ] || { IFS= read -r _tb_y <"$_tb_j/$_tb_k" && echo "$_tb_k $_tb_y"; }
done
while IFS= read -r _tb_y; do echo "owed $_tb_y"; done 2>/dev/null <"$_tb_j/pending""#;

/// One host.
#[derive(Debug, Default, Serialize)]
struct Status {
    host: String,
    testbed: String,
    /// Why it was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<String>,
    resources: usize,
    /// The run that changed something last: when, and whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Run>,
    /// Resources whose state is not the one that was written last.
    drift: Vec<String>,
    /// Handlers that an earlier run did not get to.
    owed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Run {
    /// RFC 3339, UTC.
    since: String,
    by: String,
    run: String,
}

impl Run {
    /// From `run since name`.
    fn parse(text: &str) -> Option<Run> {
        let mut words = text.splitn(3, ' ');
        let (run, since, by) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        let since = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(since)).to_string();
        Some(Run { since, by: by.to_string(), run: run.to_string() })
    }
}

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    let Crowd { testbed, workers, .. } = Crowd::gather(console, pause, &args.whom, &args.connection)?;
    let hosts = run::wait(async {
        let mut interrupts = run::interrupts()?;
        let survey = tokio::select! {
            survey = survey::survey(workers, Look::Script { text: QUESTION.into() }) => survey,
            _ = interrupts.recv() => return Ok(None),
        };
        let hosts: Vec<Status> = survey.hosts.iter().map(|host| status(&testbed, host)).collect();
        survey.leave().await;
        Ok::<_, crate::cli::console::Stop>(Some(hosts))
    })??;
    let Some(hosts) = hosts else { return Ok(INTERRUPTED) };
    console.data(&match args.json {
        true => serde_json::to_string(&hosts).map_err(anyhow::Error::new)? + "\n",
        false => text(&hosts),
    })?;
    Ok(if hosts.iter().any(|host| host.lost.is_some()) { 4 } else { 0 })
}

fn status(testbed: &str, host: &Memory) -> Status {
    let entries = host.entries();
    let mut status = Status {
        host: host.name.clone(),
        testbed: testbed.to_string(),
        lost: host
            .lost
            .clone()
            .or_else(|| host.unread.clone())
            .or_else(|| host.refused.clone().filter(|_| entries.is_empty())),
        resources: entries.len(),
        ..Status::default()
    };
    for (user, said) in &host.said {
        for line in said.lines() {
            let Some((word, rest)) = line.split_once(' ') else { continue };
            match word {
                "drift" => {
                    let of_it =
                        |(who, entry): &&(_, &crate::journal::Entry)| who == user && entry.seq.to_string() == rest;
                    let found = entries.iter().find(of_it);
                    let name = found.map(|(_, entry)| entry.name());
                    status.drift.extend(name);
                }
                "owed" => status.owed.push(rest.to_string()),
                "lock" => status.lock = Run::parse(rest),
                "last" => status.last = status.last.take().max(Run::parse(rest)),
                _ => {}
            }
        }
    }
    for list in [&mut status.drift, &mut status.owed] {
        list.sort();
        list.dedup();
    }
    status
}

fn text(hosts: &[Status]) -> String {
    let mut out = String::new();
    for host in hosts {
        let head = match (&host.lost, host.resources) {
            (Some(_), _) => "not reached".to_string(),
            (None, 0) => "as it was: nothing of the testbed is there".to_string(),
            (None, resources) => format!("testbed {}, {}", host.testbed, count(resources, "resource")),
        };
        out += &format!("{}: {head}\n", host.host);
        let mut say = |label: &str, text: &str| out += &labelled(label, &look::one_line(text), 2, look::WIDTH);
        if let Some(why) = &host.lost {
            say("why  ", why);
        }
        if let Some(Run { since, by, .. }) = &host.last {
            say("last ", &format!("changed {since} by {by}"));
        }
        if let Some(Run { since, by, .. }) = &host.lock {
            say("lock ", &format!("held by {by} since {since}"));
        }
        host.drift.iter().for_each(|one| say("drift", &format!("{one} was changed by somebody since")));
        host.owed.iter().for_each(|one| say("owed ", &format!("the handler «{one}» has still to run")));
    }
    out
}
