//! The way back: entries of a host's journal undone by one script, in the order given.
//!
//! What is compared and put back is on the host; only the order, the looks and the scripts come from here.

use crate::change::sh;
use crate::journal::Back;
use crate::journal::Entry;
use crate::journal::Record;
use crate::journal::line;
use crate::journal::near::Near;

use super::apply::End;
use super::apply::Progress;
use super::host::Host;
use super::lock;
use super::order::Answer;
use super::order::As;
use super::probe;
use super::session::nonce;
use super::stream;
use super::stream::Names;
use super::sudo::Fault;
use super::sudo::explain;
use super::unreached::Unreached;
use super::unreached::Why;

impl Host {
    /// Takes entries back. A connection that is lost meanwhile does not stop the host.
    pub(super) async fn undo(&mut self, user: &As, entries: &[Entry], force: bool) -> Result<Answer, Unreached> {
        let mut seen = Progress::default();
        for _ in 0..2 {
            match self.undo_once(user, entries, force, &mut seen).await? {
                End::Whole => break,
                End::Never(_) => seen = Progress::default(),
                End::Lost(why) => return Err(why),
                End::Refused(why) => return Err(Unreached::new(Why::Start, why)),
            }
        }
        let link = self.linked().await?;
        let key = self.key(user, &link);
        let known = self.users.entry(key).or_default();
        for seq in seen.undone {
            known.book.live.remove(&seq);
        }
        match seen.setup {
            Some(why) => {
                let locked = why.strip_prefix("locked ").map(|text| lock::refused(&self.worker.manner.testbed, text));
                Err(Unreached::new(Why::Start, locked.unwrap_or(why)))
            }
            None => Ok(Answer::Finished),
        }
    }

    async fn undo_once(
        &mut self,
        user: &As,
        entries: &[Entry],
        force: bool,
        seen: &mut Progress,
    ) -> Result<End, Unreached> {
        let link = self.linked().await?;
        let key = self.key(user, &link);
        let shell = match self.shell(&link, &key).await {
            Ok(shell) => shell,
            Err(Fault::User(why)) => return Ok(End::Refused(why)),
            Err(Fault::Link(why)) => return Err(why),
        };
        let names = Names {
            run: format!("{}.{}", probe::directory(&self.worker.manner.testbed), nonce()),
            staged: false,
            testbed: self.worker.manner.testbed.clone(),
            owner: lock::text(&self.worker.manner),
            mark: shell.mark.clone(),
            arm: None,
        };
        let known = self.users.entry(key.clone()).or_default();
        let mend = known.whole.take().map(|whole| format!("_tb_mend {whole}\n")).unwrap_or_default();
        let text = mend + &script(entries, force, &known.book.near(entries), &names);
        known.locked = true;
        self.run_through(&link, &key, shell, &names, text, seen).await
    }

    /// Removes everything of the testbed, if nothing is left to take back.
    pub(super) async fn forget(&mut self, user: &As) -> Result<Answer, Unreached> {
        let link = self.linked().await?;
        let key = self.key(user, &link);
        if self.users.get(&key).is_none_or(|known| known.journal.is_none()) {
            self.meet(user).await?;
        }
        let known = self.users.entry(key.clone()).or_default();
        if !known.book.live.is_empty() || !matches!(known.journal, Some(Ok(_))) {
            return Ok(Answer::Finished);
        }
        let link = self.linked().await?;
        let Ok(mut shell) = self.shell(&link, &key).await else { return Ok(Answer::Finished) };
        let text = self.stepping(&mut shell);
        let testbed = probe::directory(&self.worker.manner.testbed);
        shell.send(format!("{text}_tb_forget {}\n", sh::quote(&testbed))).await;
        self.count(1);
        match shell.mark(None).await {
            Ok(_) => {
                self.users.entry(key).or_default().shell = Some(shell);
                Ok(Answer::Finished)
            }
            Err(broken) => match explain(&link, &self.worker.name, user, broken) {
                Fault::Link(why) => Err(why),
                Fault::User(why) => Err(Unreached::new(Why::Start, why)),
            },
        }
    }
}

/// One script for all entries.
fn script(entries: &[Entry], force: bool, near: &Near, names: &Names) -> String {
    let (back, head, owner) = (way_back(entries, force, near), stream::head(names), sh::quote(&names.owner));
    format!("{{\n_tb_begin tbctl-{} '{}'\n_tb_lock {head} {owner}\n{back}_tb_end\n}}\n", names.run, names.claim())
}

/// Shell text that takes entries back in this order; handlers come after everything else, each just once.
pub(super) fn way_back(entries: &[Entry], force: bool, near: &Near) -> String {
    let mut text = String::new();
    let mut last = String::new();
    let mut repeated: Vec<(&str, &str)> = Vec::new();
    for entry in entries {
        let done = sh::quote(&line(&Record::Undone { seq: entry.seq }));
        let (how, argument) = match &entry.undo {
            Back::Restore { .. } => ("restore", ""),
            Back::By { script } => ("by", script.as_str()),
            Back::Never { why } => ("never", why.as_str()),
            Back::Again { unit, script } => {
                let again = if repeated.contains(&(unit, script)) { "true" } else { script };
                repeated.push((unit, script));
                let (unit, again) = (sh::quote(unit), sh::quote(again));
                last.push_str(&format!("_tb_repeat {} {unit} {again} {done}\n", entry.seq));
                continue;
            }
        };
        let look = sh::quote(entry.look.as_deref().unwrap_or_default());
        let force = if force { "force" } else { "''" };
        let seen = entry.resource.as_deref().map(|id| near.of(id)).unwrap_or_default();
        let (seen, argument) = (sh::quote(&stream::numbers(&seen)), sh::quote(argument));
        text.push_str(&format!("_tb_undo {} {look} {how} {argument} {done} {force} {seen}\n", entry.seq));
    }
    text.push_str(&last);
    text.push_str("_tb_cleared\n");
    text
}
