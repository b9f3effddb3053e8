//! `--diff`: the text of a file before it is changed. The decision needs only its digest; people want to see both.

use crate::change::Apply;
use crate::change::Change;
use crate::change::Diff;
use crate::change::Look;
use crate::engine::schedule::Schedule;
use crate::graph::HostId;
use crate::remote::order::As;

impl Schedule {
    /// A change with the text that its files hold now, and what has still to be asked for that.
    pub(super) fn with_before(&self, host: HostId, user: &As, mut change: Change) -> (Change, Vec<Look>) {
        let mut missing = Vec::new();
        if !self.store.diff {
            return (change, missing);
        }
        for step in &mut change.steps {
            let (Apply::Put(put), Some(diff)) = (&step.apply, &mut step.diff) else { continue };
            if diff.before.is_some() || diff.after.is_none() {
                continue;
            }
            let look = Look::Text { path: put.path.clone() };
            match self.hosts[host].answers.get(&(user.clone(), look.clone())) {
                Some(Ok(text)) if !text.is_empty() && !text.starts_with("Binary file") => {
                    *diff = Diff { before: Some(format!("{text}\n")), after: diff.after.take() };
                }
                Some(_) => {}
                None => missing.push(look),
            }
        }
        (change, missing)
    }
}
