//! Events as lines, one at a time: the log of an apply or a destroy, and what a plan says while it looks.
//!
//! Pure. What is already right is counted, not listed, unless `-v` asks.

use serde_json::Value;

use crate::event::Ended;
use crate::event::Event;
use crate::event::Mode;
use crate::event::Outcome;
use crate::event::Place;
use crate::event::Run;
use crate::event::What;
use crate::ui::diff;
use crate::ui::failure;
use crate::ui::look::Diffs;
use crate::ui::look::Look;
use crate::ui::look::Tone;
use crate::ui::look::columns;
use crate::ui::look::count;
use crate::ui::look::labelled;
use crate::ui::look::one_line;
use crate::ui::look::pad;
use crate::ui::look::tame;
use crate::ui::look::time;
use crate::ui::look::wrap;

/// The widest column of host names; longer ones push the rest of their line.
const HOSTS: usize = 24;

/// The verbs' column.
const VERBS: usize = 9;

/// The lines of one event, each with its line end; often none.
pub fn lines(event: &Event, run: &Run, look: &Look) -> String {
    let plan = run.mode == Some(Mode::Plan);
    match &event.what {
        What::RunStarted { mode, testbed, hosts, nodes } => started(*mode, testbed, hosts.len(), *nodes, look),
        What::PlayStarted { name, hosts } if look.verbose > 0 || !plan => {
            look.paint(Tone::Bold, &format!("play {} ({})", one_line(name), count(*hosts, "host"))) + "\n"
        }
        What::HostUp { host, peer, seconds } if look.verbose > 0 => {
            line("up", Tone::Dim, host, &format!("{peer} after {}", time(*seconds)), run, look)
        }
        What::HostLost { host, why, help } => {
            let mut out = line("unreached", Tone::Bad, host, "", run, look);
            out += &labelled("why   ", why, 2, look.width);
            out += &help.as_ref().map(|help| labelled("help  ", help, 2, look.width)).unwrap_or_default();
            out
        }
        What::Line { host, line: text, .. } if look.verbose > 0 => line("|", Tone::Dim, host, text, run, look),
        What::Retry { place, left, delay, .. } if look.verbose > 0 => {
            let text = format!("{}: again in {}, {left} left", title(place), time(*delay));
            line("retry", Tone::Note, &place.host, &text, run, look)
        }
        What::NodeEnded { place, ended, .. } => self::ended(place, ended, plan, run, look),
        What::Undone { host, what, how, kept } => {
            let (verb, tone) = if *kept { ("kept", Tone::Change) } else { ("undone", Tone::Good) };
            line(verb, tone, host, &format!("{what}: {how}"), run, look)
        }
        What::Left { host, what, task, also } => {
            let then = match also {
                Some(other) => format!("kept: also managed by «{other}»"),
                None => "`apply --prune` takes it back".into(),
            };
            line(
                "left",
                Tone::Change,
                host,
                &format!("{what}: «{task}» is not in the playbook any more; {then}"),
                run,
                look,
            )
        }
        What::Measured { host, run: name, samples: Some(samples), failed, .. } => {
            let text = format!("{}, {failed} failed: {name}", count(*samples, "sample"));
            line("measured", Tone::Note, host, &text, run, look)
        }
        What::Warned { host, text } => match host {
            Some(host) => line("warning", Tone::Change, host, text, run, look),
            None => labelled("warning:", text, 0, look.width),
        },
        What::Interrupted => "interrupted: what runs now ends first; Ctrl-C again leaves at once\n".into(),
        _ => String::new(),
    }
}

fn started(mode: Mode, testbed: &str, hosts: usize, nodes: usize, look: &Look) -> String {
    let what = match mode {
        Mode::Plan | Mode::Apply => format!("{}, {}", count(hosts, "host"), count(nodes, "task")),
        Mode::Destroy => format!("{}, {} to take back", count(hosts, "host"), count(nodes, "change")),
    };
    look.paint(Tone::Bold, &format!("{} {testbed}: {what}", verb(mode))) + "\n"
}

/// What a mode is called.
pub fn verb(mode: Mode) -> &'static str {
    match mode {
        Mode::Plan => "plan",
        Mode::Apply => "apply",
        Mode::Destroy => "destroy",
    }
}

/// `verb  host  text`, wrapped under the text.
fn line(verb: &str, tone: Tone, host: &str, text: &str, run: &Run, look: &Look) -> String {
    let names = run.hosts.keys().map(|name| columns(name)).max().unwrap_or_default();
    let names = names.max(columns(host)).min(HOSTS).max(if columns(host) > HOSTS { columns(host) } else { 0 });
    let lead = VERBS + 1 + names + 2;
    let mut lines = wrap(&one_line(text), look.width.saturating_sub(lead)).into_iter();
    let first = lines.next().unwrap_or_default();
    let verb = format!("{}{}", look.paint(tone, verb), " ".repeat(VERBS.saturating_sub(columns(verb))));
    let mut out = format!("{verb} {}  {first}", pad(host, names)).trim_end().to_string() + "\n";
    for line in lines {
        out += &format!("{}{line}\n", " ".repeat(lead));
    }
    out
}

/// A task as named in lines.
pub fn title(place: &Place) -> String {
    let mut text = one_line(&place.task);
    if place.handler {
        text += " (handler)";
    }
    if let Some(other) = &place.delegated {
        text += &format!(" (on {other})");
    }
    text
}

fn ended(place: &Place, ended: &Ended, plan: bool, run: &Run, look: &Look) -> String {
    let talks = place.kind == "debug" && matches!(ended.outcome, Outcome::Same | Outcome::Changed);
    let loud = look.verbose > 0;
    let (verb, tone, shown) = match &ended.outcome {
        Outcome::Same if talks => ("says", Tone::Note, true),
        Outcome::Same => ("ok", Tone::Good, loud),
        // The plan lists what would change when it knows all of it.
        Outcome::Changed => ("changed", Tone::Change, !plan || talks),
        Outcome::Unknown(_) => ("unknown", Tone::Note, !plan),
        Outcome::Failed(_) if ended.rescued => ("rescued", Tone::Change, true),
        Outcome::Failed(_) if ended.ignored => ("ignored", Tone::Change, true),
        Outcome::Failed(_) => ("failed", Tone::Bad, true),
        Outcome::Skipped(_) => ("skipped", Tone::Dim, loud),
        // The host's own line has said why.
        Outcome::Unreached(_) => ("unreached", Tone::Bad, loud),
    };
    if !shown {
        return String::new();
    }
    let mut text = title(place);
    if ended.seconds >= 1.0 {
        text += &format!(" ({})", time(ended.seconds));
    }
    if let Outcome::Skipped(why) | Outcome::Unknown(why) | Outcome::Unreached(why) = &ended.outcome {
        text += &format!(": {why}");
    }
    let mut out = line(verb, tone, &place.host, &text, run, look);
    if talks {
        out += &message(ended.result.as_ref(), look);
    }
    if let Outcome::Failed(failure) = &ended.outcome {
        out += &failure::block(&place.at, failure, look);
    }
    out + &details(ended, look)
}

/// Items, steps and diffs, as far as they were asked for.
fn details(ended: &Ended, look: &Look) -> String {
    let mut out = String::new();
    let failed = matches!(ended.outcome, Outcome::Failed(_));
    for item in &ended.items {
        let (verb, shown) = match &item.outcome {
            Outcome::Changed => ("changed", look.verbose > 0 || failed),
            Outcome::Failed(_) => ("failed", true),
            Outcome::Same => ("ok", look.verbose > 1),
            Outcome::Skipped(_) => ("skipped", look.verbose > 1),
            Outcome::Unknown(_) | Outcome::Unreached(_) => ("unknown", look.verbose > 1),
        };
        if shown {
            out += &labelled(&format!("item {verb}:"), &one_line(&item.label), 2, look.width);
        }
        if let Outcome::Failed(failure) = &item.outcome {
            out += &failure::block("", failure, look);
        }
    }
    for step in &ended.steps {
        if look.verbose > 0 {
            out += &labelled("-", &one_line(&step.what), 2, look.width);
        }
        if look.diffs == Diffs::Shown {
            out += &diff::unified(step, 2, look);
        }
    }
    if let (Some(result), true) = (&ended.result, look.verbose > 1) {
        out += &structure(result, look);
    }
    out
}

/// What `debug` says: the message as text, everything else as a structure.
fn message(result: Option<&Value>, look: &Look) -> String {
    let Some(Value::Object(fields)) = result else { return String::new() };
    let mut out = String::new();
    for (name, value) in fields.iter().filter(|(name, _)| !is_bookkeeping(name)) {
        match (name.as_str(), value) {
            ("msg", Value::String(text)) => {
                for line in wrap(&tame(text), look.width.saturating_sub(2)) {
                    out += format!("  {line}").trim_end();
                    out.push('\n');
                }
            }
            ("msg", value) => out += &structure(value, look),
            (name, Value::String(text)) => out += &labelled(&format!("{name}:"), text, 2, look.width),
            (name, Value::Null | Value::Bool(_) | Value::Number(_)) => out += &format!("  {name}: {value}\n"),
            (name, value) => {
                out += &format!("  {name}:\n");
                out += &structure(value, look);
            }
        }
    }
    out
}

/// Fields every result has, which nobody asked to see.
fn is_bookkeeping(name: &str) -> bool {
    matches!(name, "changed" | "failed" | "skipped" | "ansible_facts") || name.starts_with('_')
}

fn structure(value: &Value, look: &Look) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let lines = wrap(&tame(&text), look.width.saturating_sub(4));
    lines.iter().map(|line| format!("    {line}\n")).collect()
}
