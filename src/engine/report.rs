//! Kinds that only report, behind tasks that change something: asked by a step of the stream, in their own place.

use crate::change::Apply;
use crate::change::Look;
use crate::change::Ran;
use crate::change::Seen;
use crate::change::Step;
use crate::change::Undo;
use crate::change::fuse;
use crate::engine::ready::Action;

/// Ends each answer in the step's output.
const MARK: &str = "@@";

/// The step that asks an action's questions.
pub(super) fn step(action: &Action) -> Step {
    let apply = Apply::run(fuse::script(&looks(action), MARK));
    Step { what: "look".into(), resource: None, apply, undo: Undo::Nothing, diff: None }
}

/// What it printed, by the names of the questions.
pub(super) fn read(action: &Action, ran: &[Ran]) -> Result<Seen, String> {
    let printed = ran.first().map(|ran| ran.stdout.as_str()).unwrap_or_default();
    let answers = fuse::split(&looks(action), MARK, printed)?;
    let names = action.probe.looks.iter().map(|(name, _)| (*name).to_string());
    Ok(Seen { answers: names.zip(answers).collect() })
}

fn looks(action: &Action) -> Vec<Look> {
    action.probe.looks.iter().map(|(_, look)| look.clone()).collect()
}
