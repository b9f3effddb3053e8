//! The end of a run: a line for each host as Ansible's users know it, and one for the whole.

use crate::event::Counts;
use crate::event::HostRun;
use crate::event::Mode;
use crate::event::Run;
use crate::ui::look::Look;
use crate::ui::look::Tone;
use crate::ui::look::columns;
use crate::ui::look::count;
use crate::ui::look::cut;
use crate::ui::look::labelled;
use crate::ui::look::one_line;
use crate::ui::look::pad;
use crate::ui::look::time;
use crate::ui::look::wrap;

/// Failures that are named again at the end.
const FAILURES: usize = 10;

/// The whole recap. `never`: steps of the plan that have no way back.
pub fn recap(run: &Run, never: usize, look: &Look) -> String {
    let mut out = String::new();
    match run.mode {
        Some(Mode::Plan) => out += &lost(run, look),
        Some(Mode::Apply) => out += &("\n".to_string() + &hosts(run, look) + &failures(run, look)),
        Some(Mode::Destroy) | None => out.push('\n'),
    }
    if run.interrupted {
        out += "interrupted: not everything was done\n";
    }
    let text = match run.mode {
        Some(Mode::Plan) => plan(run),
        Some(Mode::Destroy) => destroy(run),
        Some(Mode::Apply) | None => apply(run),
    };
    let (cost, whole) = (cost(run), format!("{text}; {}", cost(run)));
    let apart = never > 0 || columns(&whole) > look.width;
    match never {
        0 if apart => out += &format!("{cost}\n"),
        0 => {}
        _ => out += &format!("{} with no way back; {cost}\n", count(never, "step")),
    }
    let last = if apart { text } else { whole };
    for line in wrap(&last, look.width) {
        out += &(look.paint(Tone::Bold, &line) + "\n");
    }
    out
}

fn sum(run: &Run, of: fn(&Counts) -> u32) -> u32 {
    run.hosts.values().map(|host| of(&host.counts)).sum()
}

fn hosts(run: &Run, look: &Look) -> String {
    let fields = |counts: &Counts| {
        [
            ("ok", counts.ok),
            ("changed", counts.changed),
            ("unreachable", counts.unreachable),
            ("failed", counts.failed),
            ("skipped", counts.skipped),
            ("rescued", counts.rescued),
            ("ignored", counts.ignored),
        ]
    };
    let rows: Vec<(&String, [(&str, u32); 7])> =
        run.hosts.iter().map(|(name, host)| (name, fields(&unreached(host)))).collect();
    let names = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or_default();
    let width = |at: usize| rows.iter().map(|(_, row)| row[at].1.to_string().len()).max().unwrap_or(1);
    let mut out = String::new();
    for (name, row) in &rows {
        out += &pad(name, names);
        for (at, (label, number)) in row.iter().enumerate() {
            let text = format!("{label}={number}");
            let tone = match (*label, *number) {
                (_, 0) => Tone::Plain,
                ("failed" | "unreachable", _) => Tone::Bad,
                ("changed", _) => Tone::Change,
                ("ok", _) => Tone::Good,
                _ => Tone::Plain,
            };
            let gap = if at == 0 { "  " } else { " " };
            let fill = " ".repeat((label.len() + 1 + width(at)).saturating_sub(text.len()));
            out += &format!("{gap}{}{fill}", look.paint(tone, &text));
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// A host that was lost counts as unreachable at least once, as Ansible counts.
fn unreached(host: &HostRun) -> Counts {
    let mut counts = host.counts.clone();
    if host.lost.is_some() {
        counts.unreachable = counts.unreachable.max(1);
    }
    counts
}

/// What failed, once more: it may have scrolled away.
fn failures(run: &Run, look: &Look) -> String {
    let mut out = String::new();
    for (place, failure) in run.failures.iter().take(FAILURES) {
        let why = failure.message.lines().next().unwrap_or_default();
        let text = format!("{}: {} ({}): {why}", place.host, one_line(&place.task), place.at);
        let text = cut(&one_line(&text), look.width.saturating_sub(8));
        out += &format!("{} {text}\n", look.paint(Tone::Bad, "failed:"));
    }
    match run.failures.len().checked_sub(FAILURES) {
        Some(more @ 1..) => out + &format!("failed: {more} more\n"),
        _ => out,
    }
}

fn lost(run: &Run, look: &Look) -> String {
    let lost: Vec<&str> =
        run.hosts.iter().filter(|(_, host)| host.lost.is_some()).map(|(name, _)| name.as_str()).collect();
    match lost.as_slice() {
        [] => "\n".into(),
        lost => "\n".to_string() + &labelled("not reached:", &lost.join(" "), 0, look.width),
    }
}

fn plan(run: &Run) -> String {
    let changed = sum(run, |counts| counts.changed);
    let unknown = sum(run, |counts| counts.unknown);
    // A failure that is ignored counts as ok, as Ansible has it; right it is not.
    let same = sum(run, |counts| counts.ok - counts.ignored).saturating_sub(changed);
    format!("plan: {changed} to change, {unknown} known after apply, {same} right already{}", extras(run))
}

fn apply(run: &Run) -> String {
    let changed = sum(run, |counts| counts.changed);
    // A failure that is ignored counts as ok, as Ansible has it; right it is not.
    let same = sum(run, |counts| counts.ok - counts.ignored).saturating_sub(changed);
    format!("apply: {changed} changed, {same} right already{} on {}", extras(run), count(run.hosts.len(), "host"))
}

fn destroy(run: &Run) -> String {
    let undone: u32 = run.hosts.values().map(|host| host.undone).sum();
    let kept: u32 = run.hosts.values().map(|host| host.kept).sum();
    format!("destroy: {undone} taken back, {kept} kept{} on {}", extras(run), count(run.hosts.len(), "host"))
}

/// What went wrong, if anything did.
fn extras(run: &Run) -> String {
    let mut text = String::new();
    let failed = sum(run, |counts| counts.failed);
    let lost = run.hosts.values().filter(|host| host.lost.is_some()).count();
    if failed > 0 {
        text += &format!(", {failed} failed");
    }
    if lost > 0 {
        text += &format!(", {} not reached", count(lost, "host"));
    }
    text
}

/// Trips and time.
fn cost(run: &Run) -> String {
    let trips = || run.hosts.values().map(|host| host.trips).filter(|trips| *trips > 0);
    let trips = match (trips().min(), trips().max()) {
        (Some(least), Some(most)) if least == most && most == 1 => "1 trip a host, ".into(),
        (Some(least), Some(most)) if least == most => format!("{most} trips a host, "),
        (Some(least), Some(most)) => format!("{least} to {most} trips a host, "),
        _ => String::new(),
    };
    format!("{trips}{}", time(run.seconds))
}
