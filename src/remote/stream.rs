//! Steps as one script: guarded, journalled, framed.
//!
//! Only text is made here; who sends it and reads the answers is `apply`. The functions it calls are in `stream.sh`.

use std::fmt::Write as _;

use crate::change::Apply;
use crate::change::Content;
use crate::change::Look;
use crate::change::Put;
use crate::change::Script;
use crate::change::Step;
use crate::change::Undo;
use crate::change::fuse;
use crate::change::sh;
use crate::journal::Back;
use crate::journal::Entry;
use crate::journal::Record;
use crate::journal::VERSION;
use crate::journal::Writer;
use crate::journal::line;
use crate::journal::near::Near;

use super::order::Part;
use super::order::Stream;
use super::probe;

pub(super) const FUNCTIONS: &str = include_str!("stream.sh");

/// The mark of questions whose answers stay on the host.
const MARK: &str = "@@";

/// Larger content goes ahead of the script.
const INLINE: usize = 64 << 10;

/// The journal entry a step needs, if any: `None` when there is nothing that could be taken back or compared.
pub fn entry(seq: u32, step: &Step, writer: &Writer, run: &str) -> Option<Entry> {
    let undo = match &step.undo {
        Undo::Nothing => return None,
        Undo::Never(_) if step.resource.is_none() => return None,
        Undo::Never(why) => Back::Never { why: why.clone() },
        Undo::By(script) => Back::By { script: script.clone() },
        Undo::Again { unit, script } => Back::Again { unit: unit.clone(), script: script.clone() },
        Undo::Restore => Back::Restore { path: kept_path(step)?.1 },
    };
    Some(Entry {
        seq,
        resource: step.resource.as_ref().map(|resource| resource.id.clone()),
        what: step.what.clone(),
        writer: writer.clone(),
        also: Vec::new(),
        hidden: false,
        run: run.to_string(),
        look: look(step).as_ref().map(look_text),
        undo,
    })
}

/// Shell text that prints the answer to a question.
pub fn look_text(look: &Look) -> String {
    fuse::script(std::slice::from_ref(look), MARK)
}

/// What shows the state a step changes. A file is written through links, so that what it leads to is what counts.
fn look(step: &Step) -> Option<Look> {
    let look = step.resource.as_ref()?.look.clone();
    Some(match (look, &step.apply) {
        (Look::Path { path, .. }, Apply::Put(_)) => Look::Path { path, follow: true },
        (look, _) => look,
    })
}

/// How the path of a step is kept, and which.
fn kept_path(step: &Step) -> Option<(&'static str, String)> {
    let look = look(step)?;
    let (path, follow) = match &look {
        Look::Path { path, follow } | Look::Stat { path, follow } => (path.clone(), *follow),
        _ => (step.resource.as_ref()?.id.strip_prefix("file:")?.to_string(), true),
    };
    let how = match &step.apply {
        _ if follow => "follow",
        Apply::Run(script) if reaches_below(&script.text) => "deep",
        _ => "plain",
    };
    Some((how, path))
}

/// Whether a step may change what is below a directory. Taken from its text, since keeping everything is dear, and a
/// change of just the mode is common.
fn reaches_below(text: &str) -> bool {
    ["rm -r", "rm -fr", "-R", "--recursive", "find ", "mv ", "tar ", "cp -"].iter().any(|sign| text.contains(sign))
}

/// The names of things on the host that belong to one stream.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The run directory: the testbed's directory name, a dot, 16 digits.
    pub(super) run: String,
    /// The run directory was made before, for staged content.
    pub(super) staged: bool,
    pub(super) testbed: String,
    /// The run and its owner, as the lock holds them.
    pub(super) owner: String,
    pub(super) mark: String,
    /// Shell text that starts the watchdog over the part that is to be confirmed.
    pub(super) arm: Option<String>,
}

impl Names {
    /// What the stream makes to show that it runs: nobody else may have made it.
    pub(super) fn claim(&self) -> &'static str {
        if self.staged { "/go" } else { "" }
    }
}

/// A step's journal entry.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// Written before the stream begins.
    New(Entry),
    /// Kept already; only the state after the step is noted, and who else wants it.
    Known(u32, Option<Writer>),
}

impl Kept {
    /// The number of a new entry, under which the host keeps what was before.
    fn place(&self) -> Option<String> {
        match self {
            Kept::New(entry) => Some(entry.seq.to_string()),
            Kept::Known(..) => None,
        }
    }
}

/// The content that has to go ahead of the script, by the number of its step in the stream.
pub(super) fn ahead(stream: &Stream) -> Vec<(usize, &Content)> {
    let steps = stream.parts.iter().flat_map(|part| &part.steps).enumerate();
    let contents = steps.filter_map(|(at, step)| match &step.apply {
        Apply::Put(put) if !inline(&put.content) => Some((at, &put.content)),
        _ => None,
    });
    contents.collect()
}

fn inline(content: &Content) -> bool {
    matches!(content, Content::Text(text) if text.len() < INLINE && !text.contains('\0'))
}

/// The whole script. `kept`: the entry of each step, in their order; `near`: what else sees its change; `rest`: the distinct questions of the stream's own user.
pub(super) fn script(stream: &Stream, kept: &[Option<Kept>], near: &Near, rest: &[Look], names: &Names) -> String {
    let mut text = format!("{{\n_tb_begin tbctl-{} '{}'\n", names.run, names.claim());
    if stream.locks {
        put(&mut text, format_args!("_tb_lock {} {}\n", head(names), sh::quote(&names.owner)));
    }
    intents(&mut text, kept, names);
    let mut number = 0;
    for part in &stream.parts {
        let arm = names.arm.as_deref().filter(|_| part.confirm.is_some());
        part_text(&mut text, part, (kept, near), &mut number, arm.unwrap_or_default());
    }
    if !rest.is_empty() {
        let when = if stream.ask_at_end { "|''" } else { "" };
        put(&mut text, format_args!("case $_tb_s in stale{when})\n{};;\nesac\n", probe::frame(rest, &names.mark)));
    }
    text.push_str("_tb_end\n}\n");
    text
}

/// Appends formatted text; writing to a string cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn intents(text: &mut String, kept: &[Option<Kept>], names: &Names) {
    let new = kept.iter().filter_map(|kept| match kept {
        Some(Kept::New(entry)) => Some(line(&Record::Intent(Box::new(entry.clone())))),
        Some(Kept::Known(seq, Some(writer))) => Some(line(&Record::Also { seq: *seq, writer: writer.clone() })),
        Some(Kept::Known(_, None)) | None => None,
    });
    let new: Vec<String> = new.collect();
    let places: Vec<String> = kept.iter().flatten().filter_map(Kept::place).collect();
    if !new.is_empty() {
        let places = sh::quote(&places.join(" "));
        put(text, format_args!("_tb_intend {} {places} {}\n", head(names), sh::words(new.iter().map(String::as_str))));
    }
}

/// The first line of a new journal, as a word.
pub(super) fn head(names: &Names) -> String {
    sh::quote(&line(&Record::Head { version: VERSION, testbed: names.testbed.clone() }))
}

fn part_text(text: &mut String, part: &Part, (kept, near): (&[Option<Kept>], &Near), number: &mut usize, arm: &str) {
    put(text, format_args!("if _tb_part {}; then\n", part.id));
    let mut looks: Vec<Look> = Vec::new();
    let mut answers: Vec<&str> = Vec::new();
    for (look, answer) in &part.guard {
        // An answer that was no text came here with other bytes than it left the host with, and cannot be compared there.
        let compared = !matches!(look, Look::Live { .. }) && !answer.contains('\u{fffd}');
        if compared && !looks.contains(look) {
            looks.push(look.clone());
            answers.push(answer);
        }
    }
    let guarded = !looks.is_empty();
    if guarded {
        let expected = fuse::expect(&looks, &answers, MARK);
        let questions = fuse::script(&looks, MARK);
        put(text, format_args!("_tb_x=$(LC_ALL=C; export LC_ALL; exec </dev/null 2>/dev/null\n{questions})\n"));
        let expected = sh::quote(expected.trim_end_matches('\n'));
        put(text, format_args!("if _tb_holds {} \"$_tb_x\" {expected}; then\n", part.id));
    }
    put(text, format_args!("_tb_tell B {}\n{arm}", part.id));
    if !part.wakes.is_empty() {
        put(text, format_args!("_tb_wake {}\n", sh::words(part.wakes.iter().map(String::as_str))));
    }
    for step in &part.steps {
        step_text(text, part, step, (kept.get(*number).and_then(Option::as_ref), near), *number);
        *number += 1;
    }
    put(text, format_args!("_tb_done {}\n", part.id));
    text.push_str(if guarded { "fi\nfi\n" } else { "fi\n" });
}

fn step_text(text: &mut String, part: &Part, step: &Step, (kept, near): (Option<&Kept>, &Near), number: usize) {
    let near = step.resource.as_ref().map(|resource| numbers(&near.of(&resource.id))).unwrap_or_default();
    let look = look(step).as_ref().map(look_text).unwrap_or_default();
    text.push_str("if [ -z \"$_tb_s\" ]");
    if let Some(kept) = kept {
        let seq = match kept {
            Kept::New(entry) => entry.seq,
            Kept::Known(seq, _) => *seq,
        };
        let restored = matches!(step.undo, Undo::Restore);
        let (how, path) = kept_path(step).filter(|_| restored).unwrap_or_default();
        let (how, path) = (sh::quote(how), sh::quote(&path));
        let id = step.resource.as_ref().map(|resource| sh::quote(&resource.id)).unwrap_or_else(|| "''".into());
        put(text, format_args!(" && _tb_remember {seq} {} {how} {path} {id}", sh::quote(&look)));
    }
    if !near.is_empty() {
        put(text, format_args!(" && _tb_note {near}"));
    }
    text.push_str("; then\n");
    let body = match &step.apply {
        Apply::Run(script) => run_text(text, part, script, number),
        Apply::Put(put) => put_text(put, number),
    };
    let files = format!(">\"$_tb_r/{number}.o\" 2>\"$_tb_r/{number}.e\" </dev/null");
    match part.timeout {
        None => put(text, format_args!("(\n{body}) {files}\n_tb_ran {number} $?\n")),
        Some(limit) => {
            let limit = limit.as_secs_f64().max(0.1).ceil();
            put(text, format_args!("(\n{body}) {files} &\n_tb_wait $! {limit} \"$_tb_r/{number}.late\"\n"));
            put(text, format_args!("_tb_ran {number} $?\n"));
        }
    }
    if kept.is_some() && !look.is_empty() {
        text.push_str("_tb_after\n");
    }
    if !near.is_empty() {
        text.push_str("_tb_renote\n");
    }
    text.push_str("fi\n");
}

pub(super) fn numbers(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// What a step's subshell runs; what it needs beside it is written in front.
fn run_text(text: &mut String, part: &Part, script: &Script, number: usize) -> String {
    let mut body = String::from("umask \"$_tb_umask\"\n");
    if let Some(stdin) = &script.stdin {
        put(text, format_args!("printf %s {} >\"$_tb_r/{number}.i\"\n", sh::quote(stdin)));
        put(&mut body, format_args!("exec <\"$_tb_r/{number}.i\"\n"));
    }
    for (name, value) in &part.environment {
        put(&mut body, format_args!("export {}\n", sh::quote(&format!("{name}={value}"))));
    }
    if !script.user {
        body.push_str("LC_ALL=C; export LC_ALL\n");
    }
    if let Some(dir) = &script.chdir {
        put(&mut body, format_args!("cd {} || exit\n", sh::quote(dir)));
    }
    // A text that asks for its own process gets one: here it would be the shell that runs everything. One that kills gets a
    // session as well, since `kill 0` means everything in it.
    let kills = script.user && script.text.contains("kill");
    let own = kills || (script.user && script.text.contains("$$"));
    match script.executable.as_deref().or(own.then_some("sh")) {
        Some(program) => {
            let program = sh::quote(program);
            put(text, format_args!("printf %s {} >\"$_tb_r/{number}.s\"\n", sh::quote(&script.text)));
            if kills {
                let alone = format!("exec setsid {program} \"$_tb_r/{number}.s\"");
                put(&mut body, format_args!("if command -v setsid >/dev/null; then {alone}; fi\n"));
            }
            put(&mut body, format_args!("exec {program} \"$_tb_r/{number}.s\"\n"));
        }
        None => put(&mut body, format_args!("eval {}\n", sh::quote(&format!(" {}", script.text)))),
    }
    body
}

fn put_text(file: &Put, number: usize) -> String {
    let mut body = String::from("LC_ALL=C; export LC_ALL\n");
    let staged = match &file.content {
        Content::Text(content) if inline(&file.content) => {
            put(&mut body, format_args!("_tb_c={}\n", sh::quote(content)));
            String::new()
        }
        _ => format!("\"$_tb_r/{number}.c\""),
    };
    let mode = file.mode.map(|mode| format!("{mode:o}")).unwrap_or_default();
    let owner = match (&file.owner, &file.group) {
        (None, None) => String::new(),
        (owner, None) => owner.clone().unwrap_or_default(),
        (owner, Some(group)) => format!("{}:{group}", owner.as_deref().unwrap_or_default()),
    };
    let check = file.validate.as_deref().map(check_text).unwrap_or_default();
    let backup = if file.backup { "\"$$.$(date +%Y-%m-%d@%H:%M:%S)~\"" } else { "''" };
    let staged = if staged.is_empty() { "''".to_string() } else { staged };
    let (path, mode) = (sh::quote(&file.path), sh::quote(&mode));
    let (owner, check) = (sh::quote(&owner), sh::quote(&check));
    put(&mut body, format_args!("_tb_put {path} {mode} {owner} {check} {staged} {backup}\n"));
    body
}

/// The user's command as shell text without a shell's meaning, `%s` being the new file.
fn check_text(command: &str) -> String {
    let words = shlex::split(command).unwrap_or_else(|| command.split(' ').map(str::to_string).collect());
    let word = |word: &String| word.split("%s").map(sh::quote).collect::<Vec<_>>().join("\"$_tb_t\"");
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}
