//! What a result means: `changed_when`, `failed_when`, `until`, the value `register` sees, the event that is shown.

use std::sync::Arc;

use minijinja::Value;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Ran;
use crate::change::Step;
use crate::change::Undo;
use crate::diag::Diagnostic;
use crate::engine::ready::flag;
use crate::engine::scope::Scope;
use crate::engine::state::ItemResult;
use crate::event::Ended;
use crate::event::Failure;
use crate::event::ItemEnded;
use crate::event::Outcome;
use crate::event::Shown;
use crate::lang::lookup::Fault;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::task::Task;

/// Longest text of a diff or an output that is shown, in bytes.
const SHOWN: usize = 64 * 1024;

/// Whether only the controller can say how the task ended, so that nothing may run behind it.
pub fn needs_verdict(task: &Task) -> bool {
    let constant = |list: &Option<Vec<Node>>| match list {
        None => true,
        Some(list) => list.iter().all(|node| matches!(node.tree, Tree::Bool(_))),
    };
    !constant(&task.changed_when) || !constant(&task.failed_when) || repeats(task)
}

/// Whether the author says that the task always changes something, or always fails.
pub fn is_marked(task: &Task) -> bool {
    let says = |node: &Node| node.tree == Tree::Bool(true);
    [&task.changed_when, &task.failed_when].into_iter().flatten().flatten().any(says)
}

/// Whether the author says that the task never changes anything.
pub fn is_quiet(task: &Task) -> bool {
    let never = |node: &Node| node.tree == Tree::Bool(false);
    task.changed_when.as_ref().is_some_and(|list| list.iter().any(never))
}

/// Applies `failed_when` and `changed_when` to an item's result.
pub fn verdict(scope: &Scope, task: &Task, result: &mut ItemResult) -> Result<(), Fault> {
    let judged = |result: &ItemResult| match &task.register {
        Some(key) => scope.with([(key.name.clone(), result.to_value())]),
        None => scope.clone(),
    };
    if let Some(list) = &task.failed_when {
        let failed = scope.store.templates.condition(list, &judged(result).lookup())?;
        result.failed = match (failed, result.failed.take()) {
            (false, _) => None,
            (true, Some(failure)) => Some(failure),
            (true, None) => Some(with_output("its `failed_when` holds".into(), &result.fields)),
        };
        result.fields.insert("failed_when_result".into(), Value::from(failed));
    }
    if let Some(list) = &task.changed_when {
        result.changed = scope.store.templates.condition(list, &judged(result).lookup())?;
    }
    Ok(())
}

/// Whether a task may be tried again: `until`, or `retries` until it does not fail.
pub fn repeats(task: &Task) -> bool {
    task.until.is_some() || task.retries.is_some()
}

/// How the tries of a task ended, as its items see it: an `until` that never held is a failure.
pub fn after_tries(scope: &Scope, task: &Task, tries: u32, items: &mut [ItemResult]) {
    for item in items.iter_mut().filter(|item| item.skipped.is_none() && item.unknown.is_none()) {
        let done = is_done(scope, task, item).is_ok_and(|done| done);
        // Ansible does not count the last try of those that are in vain.
        let attempts = if done { tries + 1 } else { tries.max(1) };
        if !done && item.failed.is_none() {
            let message = format!(
                "its `until` does not hold after {}",
                if tries == 0 { "a try".into() } else { format!("{} tries", tries + 1) }
            );
            item.failed = Some(with_output(message, &item.fields));
        }
        item.fields.insert("attempts".into(), Value::from(attempts));
    }
}

/// Whether a result needs no further try; without an `until`, one that is no failure.
pub fn is_done(scope: &Scope, task: &Task, result: &ItemResult) -> Result<bool, Fault> {
    let Some(list) = &task.until else { return Ok(!repeats(task) || result.failed.is_none()) };
    let turn = result.turn.iter().flat_map(|turn| turn.iter().cloned());
    let own = task.register.iter().map(|key| (key.name.clone(), result.to_value()));
    let scope = scope.with(turn.chain(own));
    scope.store.templates.condition(list, &scope.lookup())
}

/// The failure of a step that ended with another rc than 0.
pub fn failure(change: &Change, ran: &[Ran], why: Option<String>) -> Failure {
    let last = ran.last();
    let step = change.steps.get(ran.len().saturating_sub(1));
    let rc = last.map(|ran| ran.rc);
    let message = why.unwrap_or_else(|| {
        let what = step.map_or_else(|| "the step".to_string(), |step| step.what.clone());
        let line = last.and_then(|ran| ran.stderr.lines().rev().find(|line| !line.trim().is_empty()));
        match (rc, line) {
            (Some(rc), Some(line)) => format!("{what}: rc {rc}: {}", line.trim()),
            (Some(rc), None) => format!("{what}: it ended with rc {rc}"),
            (None, _) => format!("{what}: it did not run"),
        }
    });
    let cut = |text: &str| text.chars().take(SHOWN).collect::<String>();
    // What the user's own commands print means what they mean by it.
    let own = step.is_some_and(|step| matches!(&step.apply, Apply::Run(script) if script.user));
    Failure {
        help: if own { None } else { remedy(&message) },
        message,
        rc,
        stdout: last.map(|ran| cut(&ran.stdout)).unwrap_or_default(),
        stderr: last.map(|ran| cut(&ran.stderr)).unwrap_or_default(),
    }
}

/// What to do about what programs of a host often say.
fn remedy(message: &str) -> Option<String> {
    let known = [
        (
            &["no space is left", "No space left on device", "is the disk full"][..],
            "free some space on the host, then apply again",
        ),
        (&["Read-only file system"], "mount it for writing, or name another place"),
        (
            &["Permission denied", "Operation not permitted", "must be root"],
            "write `become: true`, or log in as who may",
        ),
        (&["invalid user", "invalid group", "invalid spec"], "make the user or the group first, by `user` or `group`"),
        (
            &["Unable to locate package", "has no installation candidate"],
            "correct the name, or fetch the lists: `update_cache: yes`",
        ),
        (
            &["Could not get lock", "Unable to acquire the dpkg"],
            "another apt runs there; wait for it, or raise `lock_timeout`",
        ),
        (
            &["Could not resolve", "Temporary failure resolving"],
            "the host cannot resolve names: see to its DNS and its way out",
        ),
        (&["command not found", ": not found"], "install what brings it, or correct the name"),
    ];
    let says = |(signs, _): &&(&[&str], &str)| signs.iter().any(|sign| message.contains(sign));
    known.iter().find(says).map(|(_, help)| (*help).to_string())
}

/// A failure as `rescue` sees it: what `register` would see, and what the step printed.
pub fn failed_result(failure: &Failure, items: &[ItemResult], looped: bool) -> Value {
    let mut pairs = vec![
        ("msg".to_string(), Value::from(failure.message.as_str())),
        ("rc".to_string(), Value::from(failure.rc)),
        ("stdout".to_string(), Value::from(failure.stdout.as_str())),
        ("stderr".to_string(), Value::from(failure.stderr.as_str())),
    ];
    pairs.extend(pairs_of(&register(items, looped)));
    Value::from_pairs(pairs)
}

fn pairs_of(map: &Value) -> impl Iterator<Item = (String, Value)> {
    map.try_iter().into_iter().flatten().map(|key| {
        let value = map.get_item(&key).unwrap_or_default();
        (key.to_string(), value)
    })
}

fn with_output(message: String, fields: &crate::modules::Fields) -> Failure {
    let text = |name: &str| fields.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_string();
    let rc = fields.get("rc").and_then(|value| i32::try_from(value.clone()).ok());
    Failure { message, help: None, rc, stdout: text("stdout"), stderr: text("stderr") }
}

/// A fault of the user's text that came to light during the run, as the failure of its task.
pub fn of_fault(fault: &Diagnostic) -> Failure {
    let message = match &fault.span {
        Some(span) => format!("{} ({span})", fault.message),
        None => fault.message.clone(),
    };
    Failure { message, help: fault.help.clone(), rc: None, stdout: String::new(), stderr: String::new() }
}

/// A step for people. A task's own `undo:` is the way back its kind does not have; what changes nothing needs none.
pub fn shown(step: &Step, task: Option<&Arc<Task>>) -> Shown {
    let own = task.is_some_and(|task| task.undo.is_some() || is_quiet(task));
    let (before, after) = match &step.diff {
        Some(diff) => (diff.before.clone(), diff.after.clone()),
        None => (None, None),
    };
    let never = match &step.undo {
        Undo::Never(why) => (!own).then(|| why.clone()),
        Undo::Restore | Undo::By(_) | Undo::Again { .. } | Undo::Nothing => None,
    };
    let path = step.resource.as_ref().and_then(|resource| resource.id.strip_prefix("file:"));
    let what = match path.filter(|path| !step.what.contains(path)) {
        Some(path) => format!("{path}: {}", step.what),
        None => step.what.clone(),
    };
    Shown { what, before, after, never, note: None }
}

/// The items of a node as one result: what `register` sees.
pub fn register(items: &[ItemResult], looped: bool) -> Value {
    if !looped {
        return items.first().map_or(Value::UNDEFINED, ItemResult::to_value);
    }
    if items.is_empty() {
        return nothing_to_loop_over();
    }
    let results: Value = items
        .iter()
        .map(|item| {
            let own = item.to_value();
            let turn = item.turn.iter().flat_map(|turn| turn.iter().cloned());
            Value::from_pairs(pairs_of(&own).chain(turn))
        })
        .collect();
    let any = |test: fn(&ItemResult) -> bool| items.iter().any(test);
    let (failed, skipped) = (any(|item| item.failed.is_some()), !any(|item| item.skipped.is_none()));
    let message = match (skipped, failed) {
        (true, _) => "All items skipped",
        (false, true) => "One or more items failed",
        (false, false) => "All items completed",
    };
    Value::from_pairs([
        ("results", results),
        ("changed", Value::from(any(|item| item.changed))),
        ("failed", Value::from(failed)),
        ("skipped", Value::from(skipped)),
        ("msg", Value::from(message)),
    ])
}

fn nothing_to_loop_over() -> Value {
    Value::from_pairs([
        ("changed", Value::from(false)),
        ("skipped", Value::from(true)),
        ("skipped_reason", Value::from("No items in the list")),
        ("results", Value::from(Vec::<Value>::new())),
    ])
}

/// A node's end as it is shown. `hidden`: `no_log`.
pub fn ended(items: Vec<ItemResult>, looped: bool, hidden: bool, verbose: bool) -> Ended {
    let outcome = |item: &ItemResult| match (&item.failed, &item.skipped, &item.unknown) {
        (Some(failure), _, _) => Outcome::Failed(if hidden { censored(failure) } else { failure.clone() }),
        (_, Some(why), _) => Outcome::Skipped(why.clone()),
        (_, _, Some(why)) => Outcome::Unknown(why.clone()),
        _ if item.changed => Outcome::Changed,
        _ => Outcome::Same,
    };
    let find = |test: fn(&&ItemResult) -> bool| items.iter().find(test).map(outcome);
    let whole = find(|item| item.failed.is_some())
        .or_else(|| find(|item| item.unknown.is_some()))
        .or_else(|| find(|item| item.changed))
        .or_else(|| find(|item| item.skipped.is_none()))
        .or_else(|| items.first().map(outcome))
        .unwrap_or_else(|| Outcome::Skipped("there is nothing to loop over".into()));
    let result = (verbose && !hidden).then(|| serde_json::to_value(register(&items, looped)).unwrap_or_default());
    let label = |item: &ItemResult| if hidden { "(hidden by no_log)".to_string() } else { item.label.clone() };
    let shown = match looped {
        true => items.iter().map(|item| ItemEnded { label: label(item), outcome: outcome(item) }).collect(),
        false => Vec::new(),
    };
    let seconds = items.iter().map(|item| item.seconds).sum();
    let changed = items.iter().any(|item| item.changed);
    let steps = items.into_iter().flat_map(|item| item.steps);
    let steps = match hidden {
        true => {
            steps.map(|step| Shown { what: "(hidden by no_log)".into(), before: None, after: None, ..step }).collect()
        }
        false => steps.collect(),
    };
    Ended { outcome: whole, steps, items: shown, changed, ignored: false, rescued: false, result, seconds }
}

fn censored(failure: &Failure) -> Failure {
    Failure {
        message: "the task failed; its output is hidden by no_log".into(),
        help: Some("set `no_log: false` to see why".into()),
        rc: failure.rc,
        stdout: String::new(),
        stderr: String::new(),
    }
}

/// Whether the task's output is kept out of sight.
pub fn is_hidden(scope: &Scope, task: &Task) -> bool {
    // What cannot be decided stays hidden.
    flag(scope, task.inherited.no_log.as_ref()).map_or(true, |value| value.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_say_has_a_remedy() {
        for (message, help) in [
            ("cannot write /x: no space is left", Some("free some space")),
            ("add a line: rc 1: mktemp: failed: Read-only file system", Some("mount it for writing")),
            ("owner: root -> x: rc 1: chown: invalid user: 'x'", Some("make the user")),
            ("install x: rc 100: E: Unable to locate package x", Some("update_cache")),
            ("make the user x: rc 3: something else", None),
        ] {
            let found = remedy(message);
            assert_eq!(found.is_some(), help.is_some(), "{message}");
            assert!(found.unwrap_or_default().contains(help.unwrap_or_default()), "{message}");
        }
    }
}
