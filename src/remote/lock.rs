//! One run at a time: the lock of a testbed on a host, and the handlers a run owes.
//!
//! The lock is taken by the first stream that may change something, in the same trip, and given back at the end.

use std::time::Duration;
use std::time::UNIX_EPOCH;

use crate::change::sh;

use super::host::Host;
use super::order::Answer;
use super::order::As;
use super::order::Manner;
use super::order::Owner;
use super::probe;
use super::sudo::Fault;
use super::unreached::Unreached;
use super::unreached::Why;

/// What a lock holds: the run, since when, and whose it is.
pub(super) fn text(manner: &Manner) -> String {
    let Owner { name, since } = &manner.owner;
    format!("{} {since} {name}", manner.run)
}

/// A lock's text for people: `root@desk, since 2026-01-02T03:04:05Z`.
pub fn shown(text: &str) -> String {
    let mut words = text.splitn(3, ' ').skip(1);
    let since = words.next().and_then(|word| word.parse().ok()).map(|since| UNIX_EPOCH + Duration::from_secs(since));
    let name = words.next().unwrap_or("an unknown owner");
    match since {
        Some(since) => format!("{name}, since {}", humantime::format_rfc3339_seconds(since)),
        None => name.to_string(),
    }
}

/// Why a stream cannot begin, in a sentence: `text` is what the host found in the lock.
pub(super) fn refused(testbed: &str, text: &str) -> String {
    format!(
        "another run holds the lock of the testbed `{testbed}`: {}; wait for it, or remove the lock with `tbctl unlock`",
        shown(text)
    )
}

impl Host {
    /// A sign of life for each lock that is held.
    pub(super) async fn beat(&mut self) {
        for known in self.users.values_mut().filter(|known| known.locked) {
            if let Some(shell) = &known.shell {
                shell.send("true >\"$_tb_j/beat\"\n").await;
            }
        }
    }

    /// Gives back the locks of this run. Nobody waits for it but the end of the shells.
    pub(super) async fn unlock_own(&mut self) {
        let own = sh::quote(&text(&self.worker.manner));
        let testbed = sh::quote(&probe::directory(&self.worker.manner.testbed));
        for known in self.users.values_mut().filter(|known| known.locked) {
            known.locked = false;
            if let Some(shell) = &mut known.shell {
                if known.book.live.is_empty() && matches!(known.journal, Some(Ok(_))) {
                    // All was taken back: what is still written there is of no use.
                    shell.send(format!("[ -s \"$_tb_j/pending\" ] || _tb_forget {testbed}\n")).await;
                }
                shell.send(format!("_tb_unlock {own} {testbed}\n")).await;
                shell.dirty = true;
            }
        }
    }

    /// Removes a lock, whoever holds it, and says who did.
    pub(super) async fn unlock(&mut self, user: &As) -> Result<Answer, Unreached> {
        let link = self.linked().await?;
        let key = self.key(user, &link);
        let mut shell = match self.shell(&link, &key).await {
            Ok(shell) => shell,
            // Whoever cannot become the user has no lock there either.
            Err(Fault::User(_)) => return Ok(Answer::Finished),
            Err(Fault::Link(why)) => return Err(why),
        };
        let text = self.stepping(&mut shell);
        let script = "_tb_x=\n{ IFS= read -r _tb_x; } 2>/dev/null <\"$_tb_j/lock\"\n\
                      [ ! -e \"$_tb_j/lock\" ] || rm -f \"$_tb_j/lock\" \"$_tb_j/beat\"\n_tb_say L \"$_tb_x\"\n";
        shell.send(text + script).await;
        self.count(1);
        let mark = shell.mark(None).await;
        let lost = |_| Unreached::new(Why::Lost, format!("the connection to {} was lost", self.worker.name));
        let owner = mark.map_err(lost)?.head.strip_prefix("L ").filter(|text| !text.is_empty()).map(shown);
        self.say(Answer::Unlocked { owner });
        self.users.entry(key).or_default().shell = Some(shell);
        Ok(Answer::Finished)
    }

    /// Notes that a handler need not run any more.
    pub(super) async fn rest(&mut self, user: &As, handler: &str) {
        let Some(link) = self.link.clone() else { return };
        let key = self.key(user, &link);
        if let Some(known) = self.users.get_mut(&key)
            && let Some(mut shell) = known.shell.take()
        {
            let text = self.stepping(&mut shell);
            shell.send(format!("{text}_tb_rest {}\n", sh::quote(handler))).await;
            shell.dirty = true;
            self.users.entry(key).or_default().shell = Some(shell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_tell_their_owner() {
        for (text, expected) in [
            ("67-ab 1700000000 root@desk", "root@desk, since 2023-11-14T22:13:20Z"),
            ("67-ab x root@desk", "root@desk"),
            ("", "an unknown owner"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
