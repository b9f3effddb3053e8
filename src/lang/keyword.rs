//! The one table of keywords: where each may stand, and whether it is supported.
//!
//! Messages and «did you mean» come from it. Knows nothing of values.

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::lang::node::Key;
use crate::lang::node::Node;

/// What a keyword can be written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Play = 1,
    Role = 2,
    Block = 4,
    Task = 8,
    Handler = 16,
    /// `include_tasks`, `include_role`.
    Include = 32,
    /// `import_tasks`, `import_role`.
    Import = 64,
    ImportPlaybook = 128,
}

impl On {
    /// As said in messages.
    pub fn name(self) -> &'static str {
        match self {
            On::Play => "a play",
            On::Role => "a role",
            On::Block => "a block",
            On::Task => "a task",
            On::Handler => "a handler",
            On::Include => "an include",
            On::Import => "an import",
            On::ImportPlaybook => "an import of a playbook",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Supported,
    /// Refused, with what to do instead.
    Unsupported(&'static str),
    /// Accepted with a warning that says why it changes nothing.
    Ignored(&'static str),
}

#[derive(Debug)]
pub struct Keyword {
    pub name: &'static str,
    /// A sum of [`On`].
    on: u8,
    pub status: Status,
}

const PLAY: u8 = On::Play as u8;
const BLOCK: u8 = On::Block as u8;
const TASK: u8 = On::Task as u8 | On::Handler as u8;
const HANDLER: u8 = On::Handler as u8;
const INCLUDE: u8 = On::Include as u8;
const IMPORT: u8 = On::Import as u8;
const BOOK: u8 = On::ImportPlaybook as u8;
/// Reaches down from everywhere.
const DOWN: u8 = PLAY | On::Role as u8 | BLOCK | TASK | IMPORT;
const ALL: u8 = DOWN | INCLUDE;
const BELOW_PLAY: u8 = ALL & !PLAY;

const fn yes(name: &'static str, on: u8) -> Keyword {
    Keyword { name, on, status: Status::Supported }
}

const fn no(name: &'static str, on: u8, instead: &'static str) -> Keyword {
    Keyword { name, on, status: Status::Unsupported(instead) }
}

const fn idle(name: &'static str, on: u8, why: &'static str) -> Keyword {
    Keyword { name, on, status: Status::Ignored(why) }
}

pub static KEYWORDS: &[Keyword] = &[
    yes("action", TASK),
    yes("always", BLOCK),
    no("always_run", TASK, "write `check_mode: false`"),
    yes("any_errors_fatal", DOWN),
    yes("args", TASK | INCLUDE | IMPORT),
    no("async", TASK, "tasks of several hosts already run side by side; `timeout:` bounds one"),
    yes("become", DOWN),
    yes("become_exe", DOWN),
    yes("become_flags", DOWN),
    yes("become_method", DOWN),
    yes("become_user", DOWN),
    yes("block", BLOCK),
    yes("changed_when", TASK),
    yes("check_mode", DOWN),
    idle("collections", ALL, "kinds of task are found by the last part of their name"),
    yes("confirm", DOWN),
    yes("connection", DOWN),
    no("debugger", ALL, "there is no task debugger; look at `tbctl plan`"),
    yes("delay", TASK),
    yes("delegate_facts", DOWN & !PLAY),
    yes("delegate_to", DOWN & !PLAY),
    yes("diff", DOWN),
    yes("environment", DOWN),
    no("fact_path", PLAY, "read the file with `slurp` in a task"),
    yes("failed_when", TASK),
    yes("force_handlers", PLAY),
    yes("gather_facts", PLAY),
    yes("gather_subset", PLAY),
    idle("gather_timeout", PLAY, "facts come with the first round trip"),
    yes("handlers", PLAY),
    yes("hosts", PLAY),
    yes("ignore_errors", ALL),
    yes("ignore_unreachable", DOWN),
    yes("import_playbook", BOOK),
    yes("listen", HANDLER | INCLUDE),
    yes("local_action", TASK),
    yes("loop", TASK | INCLUDE),
    yes("loop_control", TASK | INCLUDE),
    no("max_fail_percentage", PLAY | BLOCK, "`any_errors_fatal` stops all hosts at the first failure"),
    yes("module_defaults", DOWN),
    yes("name", ALL | BOOK),
    yes("needs", TASK),
    yes("no_log", ALL),
    yes("notify", BLOCK | TASK | IMPORT),
    yes("order", PLAY),
    no("poll", TASK, "tasks of several hosts already run side by side; `timeout:` bounds one"),
    yes("port", DOWN),
    yes("post_tasks", PLAY),
    yes("pre_tasks", PLAY),
    yes("reach", DOWN),
    yes("register", TASK | INCLUDE),
    yes("remote_user", DOWN),
    yes("rescue", BLOCK),
    yes("retries", TASK),
    yes("role", On::Role as u8),
    yes("roles", PLAY),
    yes("run_once", ALL),
    no("serial", PLAY, "give the batches one by one with `--limit`"),
    yes("strategy", PLAY),
    no("su", ALL, "write `become: true` and `become_method: su`"),
    no("sudo", ALL, "write `become: true`"),
    no("sudo_user", ALL, "write `become_user:`"),
    yes("tags", ALL | BOOK),
    yes("tasks", PLAY),
    no("throttle", DOWN, "order tasks with `needs:`"),
    yes("timeout", ALL),
    yes("undo", TASK),
    yes("undo_when", TASK),
    yes("until", TASK),
    yes("vars", ALL | BOOK),
    yes("vars_files", PLAY),
    no("vars_prompt", PLAY, "give the values with `-e name=value` or `-e @file`"),
    yes("when", BELOW_PLAY | BOOK),
];

pub fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// All names that may stand there and mean something.
pub fn names(on: On) -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().filter(move |it| it.on & on as u8 != 0 && it.status == Status::Supported).map(|it| it.name)
}

/// The entries of a mapping under their keywords.
#[derive(Debug, Clone, Default)]
pub struct Keywords<'a> {
    pub found: Vec<(&'a Key, &'a Node)>,
    /// What is no keyword at all: an action, a `with_…`, a role's parameter, a slip.
    pub rest: Vec<(&'a Key, &'a Node)>,
}

impl<'a> Keywords<'a> {
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        self.entry(name).map(|(_, node)| node)
    }

    pub fn entry(&self, name: &str) -> Option<(&'a Key, &'a Node)> {
        self.found.iter().find(|(key, _)| key.name == name).copied()
    }
}

/// Sorts a mapping's entries; reports keywords that are unsupported, ignored, or out of place.
pub fn sort<'a>(entries: &'a [(Key, Node)], on: On, faults: &mut Diagnostics) -> Keywords<'a> {
    let mut sorted = Keywords::default();
    for (key, node) in entries {
        match find(&key.name) {
            None => sorted.rest.push((key, node)),
            Some(keyword) => match judge(keyword, on) {
                Ok(()) => sorted.found.push((key, node)),
                Err(fault) => faults.push(fault.at(&key.span)),
            },
        }
    }
    sorted
}

fn judge(keyword: &Keyword, on: On) -> Result<(), Diagnostic> {
    let name = keyword.name;
    if keyword.on & on as u8 == 0 {
        return Err(out_of_place(name, on));
    }
    match keyword.status {
        Status::Supported => Ok(()),
        Status::Unsupported(instead) => {
            Err(Diagnostic::error(format!("the keyword `{name}` is unsupported")).help(instead))
        }
        Status::Ignored(why) => Err(Diagnostic::warning(format!("the keyword `{name}` is ignored: {why}"))),
    }
}

fn out_of_place(name: &str, on: On) -> Diagnostic {
    let fault = Diagnostic::error(format!("the keyword `{name}` has no place on {}", on.name()));
    let places: Vec<&str> = [On::Play, On::Role, On::Block, On::Task, On::Handler, On::Include, On::Import]
        .into_iter()
        .filter(|place| find(name).is_some_and(|keyword| keyword.on & *place as u8 != 0))
        .map(On::name)
        .collect();
    match (on, name) {
        (On::Include, _) if places.contains(&"a task") && places.contains(&"a block") => {
            fault.help(format!("write it under `apply:` for the tasks inside: `apply: {{{name}: …}}`"))
        }
        (On::Import, "loop" | "loop_control" | "register") => fault.help("use `include_tasks`, which runs each time"),
        (On::Block, "loop" | "loop_control") => fault.help("put the tasks into a file and loop over `include_tasks`"),
        (_, "import_playbook") => fault.help("write it beside the plays"),
        (On::Play, "when") => fault.help("put it on the tasks, or on a block around them"),
        _ => fault.help(format!("it belongs on {}", places.join(" or "))),
    }
}

/// An entry that means nothing where it stands.
pub fn unknown<'a>(key: &Key, on: On, more: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    let fault = Diagnostic::error(format!("unknown keyword `{}` on {}", key.name, on.name())).at(&key.span);
    // No keyword of the table: on a task it is a kind.
    if key.name == "user" && on == On::Play {
        return fault.help("write `remote_user:`");
    }
    fault.suggest(&key.name, names(on).map(|name| -> &'a str { name }).chain(more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(KEYWORDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[track_caller]
    fn check(name: &str, on: On, expected: &str) {
        let span = Span::synthetic("t", name);
        let entries = [(Key { span: span.clone(), name: name.into() }, Node::literal(&span, "x"))];
        let mut faults = Diagnostics::default();
        sort(&entries, on, &mut faults);
        let text: Vec<String> =
            faults.list.into_iter().map(|it| format!("{} / {}", it.message, it.help.unwrap_or_default())).collect();
        assert_eq!(text.join("; "), expected);
    }

    #[test]
    fn each_kind_of_judgement() {
        check("when", On::Task, "");
        check(
            "when",
            On::Play,
            "the keyword `when` has no place on a play / put it on the tasks, or on a block around them",
        );
        check("hosts", On::Task, "the keyword `hosts` has no place on a task / it belongs on a play");
        check("serial", On::Play, "the keyword `serial` is unsupported / give the batches one by one with `--limit`");
        check(
            "collections",
            On::Task,
            "the keyword `collections` is ignored: kinds of task are found by the last part of their name / ",
        );
        check(
            "become",
            On::Include,
            "the keyword `become` has no place on an include / write it under `apply:` for the tasks inside: `apply: {become: …}`",
        );
        check(
            "loop",
            On::Block,
            "the keyword `loop` has no place on a block / put the tasks into a file and loop over `include_tasks`",
        );
        check(
            "loop",
            On::Import,
            "the keyword `loop` has no place on an import / use `include_tasks`, which runs each time",
        );
    }
}
