//! A plan as text: by task, with the hosts that have the same steps side by side.
//!
//! Collects ends of nodes, says all of it when the run is over. `+` comes into being, `-` goes, `~` changes, `?` runs, or is
//! known, only with the apply.

use std::collections::BTreeMap;

use crate::event::Ended;
use crate::event::NodeId;
use crate::event::Outcome;
use crate::event::Place;
use crate::event::Run;
use crate::event::Shown;
use crate::ui::diff;
use crate::ui::lines::title;
use crate::ui::look::Diffs;
use crate::ui::look::Look;
use crate::ui::look::Tone;
use crate::ui::look::columns;
use crate::ui::look::cut;
use crate::ui::look::labelled;
use crate::ui::look::one_line;
use crate::ui::look::wrap;

/// Words at the beginning of a step that makes something.
const MAKES: [&str; 9] = ["create", "add", "install", "download", "clone", "write", "insert", "append", "make"];
/// Words at the beginning of a step that takes something away.
const TAKES: [&str; 5] = ["remove", "delete", "purge", "uninstall", "drop"];

/// The tasks of a plan that are not simply right already.
#[derive(Debug, Default)]
pub struct Plan {
    tasks: BTreeMap<NodeId, Task>,
    /// Steps without a way back.
    never: usize,
}

/// One task with the hosts where it has something to do.
#[derive(Debug)]
struct Task {
    title: String,
    at: String,
    /// What is to be done, and where that is the same.
    groups: Vec<(Vec<Line>, Vec<String>)>,
}

/// One step as planned.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    sign: char,
    step: Shown,
}

impl Plan {
    /// A node ended. Tasks stand in the order of their first node.
    pub fn add(&mut self, node: NodeId, place: &Place, ended: &Ended) {
        let lines = match &ended.outcome {
            Outcome::Changed if ended.steps.is_empty() => vec![Line { sign: '~', step: plain("run it") }],
            Outcome::Changed => ended.steps.iter().map(|step| Line { sign: sign(step), step: step.clone() }).collect(),
            // It would run; what comes of it shows only then.
            Outcome::Unknown(_) if !ended.steps.is_empty() => {
                ended.steps.iter().map(|step| Line { sign: '?', step: step.clone() }).collect()
            }
            Outcome::Unknown(why) => vec![Line { sign: '?', step: plain(&after(why)) }],
            Outcome::Same | Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Unreached(_) => return,
        };
        // Items of a loop may each want the same, such as the directory above them.
        let mut once: Vec<Line> = Vec::new();
        lines.into_iter().for_each(|line| {
            if !once.contains(&line) {
                once.push(line)
            }
        });
        let lines = once;
        self.never += lines.iter().filter(|line| line.step.never.is_some()).count();
        let title = title(place);
        let first =
            self.tasks.iter().find(|(_, task)| task.title == title && task.at == place.at).map(|(first, _)| *first);
        let mut task = first.and_then(|first| self.tasks.remove(&first)).unwrap_or_else(|| Task {
            title,
            at: place.at.clone(),
            groups: Vec::new(),
        });
        match task.groups.iter_mut().find(|(known, _)| *known == lines) {
            Some((_, hosts)) => hosts.push(place.host.clone()),
            None => task.groups.push((lines, vec![place.host.clone()])),
        }
        self.tasks.insert(first.map_or(node, |first| first.min(node)), task);
    }

    /// How many steps have no way back.
    pub fn without_way_back(&self) -> usize {
        self.never
    }

    /// The whole plan; hosts stand in the order of the run, whoever answered first.
    pub fn text(&self, run: &Run, look: &Look) -> String {
        self.tasks.values().map(|task| task.text(run, look)).collect()
    }
}

/// Why something is not known, once.
fn after(why: &str) -> String {
    let why = one_line(why);
    let why = why.strip_prefix("known after apply").unwrap_or(&why).trim_start_matches([':', ' ']);
    if why.is_empty() { "known after apply".into() } else { format!("known after apply: {why}") }
}

fn plain(what: &str) -> Shown {
    Shown { what: what.into(), before: None, after: None, never: None, note: None }
}

/// What a step does to what is there.
fn sign(step: &Shown) -> char {
    let first = step.what.split_whitespace().next().unwrap_or_default().to_lowercase();
    match (&step.before, &step.after) {
        (None, Some(_)) => '+',
        (Some(_), None) => '-',
        (Some(_), Some(_)) => '~',
        (None, None) if MAKES.contains(&first.as_str()) => '+',
        (None, None) if TAKES.contains(&first.as_str()) => '-',
        (None, None) => '~',
    }
}

fn tone(sign: char) -> Tone {
    match sign {
        '+' => Tone::Good,
        '-' => Tone::Bad,
        '?' => Tone::Note,
        _ => Tone::Change,
    }
}

impl Task {
    fn text(&self, run: &Run, look: &Look) -> String {
        let title = cut(&self.title, look.width.saturating_sub(columns(&self.at) + 2).max(20));
        let gap = look.width.saturating_sub(columns(&title) + columns(&self.at)).max(2);
        let mut out = format!(
            "\n{}{}{}\n",
            look.paint(Tone::Bold, &title),
            " ".repeat(gap),
            look.paint(Tone::Dim, &one_line(&self.at))
        );
        let place = |host: &String| run.hosts.get_index_of(host);
        let mut groups: Vec<(Vec<&String>, &Vec<Line>)> =
            self.groups.iter().map(|(lines, hosts)| (hosts.iter().collect(), lines)).collect();
        groups.iter_mut().for_each(|(hosts, _)| hosts.sort_by_key(|host| place(host)));
        groups.sort_by_key(|(hosts, _)| hosts.first().and_then(|host| place(host)));
        for (hosts, lines) in groups {
            let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
            for line in wrap(&names.join(" "), look.width.saturating_sub(2)) {
                out += &format!("  {line}\n");
            }
            for line in lines {
                out += &line.text(look);
            }
        }
        out
    }
}

impl Line {
    fn text(&self, look: &Look) -> String {
        let sign = self.sign.to_string();
        let mut out = labelled(&sign, &one_line(&self.step.what), 4, look.width);
        if out.is_empty() {
            out = format!("    {sign}\n");
        }
        let painted = look.paint(tone(self.sign), &sign);
        out.replace_range(4..=4, &painted);
        if let Some(why) = &self.step.never {
            out += &labelled("no way back:", &one_line(why), 6, look.width);
        }
        if let Some(note) = &self.step.note {
            out += &labelled("", &one_line(note), 5, look.width);
        }
        if look.diffs == Diffs::Shown {
            out += &diff::unified(&self.step, 6, look);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs() {
        for (what, before, after, expected) in [
            ("content", None, Some("a"), '+'),
            ("content", Some("a"), None, '-'),
            ("content", Some("a"), Some("b"), '~'),
            ("create directory /a", None, None, '+'),
            ("remove /a", None, None, '-'),
            ("mode: 0644 -> 0600", None, None, '~'),
            ("run make install", None, None, '~'),
        ] {
            let (before, after) = (before.map(String::from), after.map(String::from));
            assert_eq!(sign(&Shown { what: what.into(), before, after, never: None, note: None }), expected, "{what}");
        }
    }
}
