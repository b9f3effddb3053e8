//! Hosts asked what they remember. Knows nothing of what is then done with them.

use std::collections::HashMap;

use tokio::sync::mpsc;

use crate::change::Look;
use crate::engine::drive::close;
use crate::graph::HostId;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::remote::host;
use crate::remote::host::Handle;
use crate::remote::host::Worker;
use crate::remote::order::Answer;
use crate::remote::order::As;
use crate::remote::order::Order;

/// What one host remembers, by user.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub name: String,
    pub journals: HashMap<As, Journal>,
    /// Why the host could not be asked.
    pub lost: Option<String>,
    pub help: Option<String>,
    /// Why nobody could become root, on a host that is there.
    pub refused: Option<String>,
    /// Why a journal that is there, or may be, could not be read.
    pub unread: Option<String>,
    /// What each user was asked beside it, and answered.
    pub said: Vec<(As, String)>,
}

impl Memory {
    /// What would be undone, in that order; the user who logged in last.
    pub fn entries(&self) -> Vec<(As, &Entry)> {
        let mut users: Vec<&As> = self.journals.keys().collect();
        users.sort_by_key(|user| (user.is_none(), (*user).clone()));
        let entries = users.into_iter().flat_map(|user| {
            let journal = &self.journals[user];
            journal.entries.iter().rev().map(move |entry| (user.clone(), entry))
        });
        entries.collect()
    }
}

impl Memory {
    /// The entries of a user whose state is not the one last written, if that was asked (`drift NUMBER` lines).
    pub fn drifted(&self, user: &As) -> Vec<u32> {
        let said = self.said.iter().filter(|(who, _)| who == user).flat_map(|(_, said)| said.lines());
        said.filter_map(|line| line.strip_prefix("drift ")?.parse().ok()).collect()
    }
}

/// Hosts that were asked what they remember, still connected.
pub struct Survey {
    pub hosts: Vec<Memory>,
    pub(super) handles: Vec<Option<Handle>>,
    pub(super) answers: mpsc::UnboundedReceiver<(HostId, Answer)>,
}

/// A question that asks nothing.
pub fn nothing() -> Look {
    Look::Script { text: ":".into() }
}

/// Who else keeps a journal of the testbed, as far as can be seen; and for whom it is not root, whether root may.
pub(super) const KEEPERS: &str = r#"while IFS=: read -r _tb_n _tb_x _tb_x _tb_x _tb_x _tb_p _tb_x; do
	[ ! -e "$_tb_p/.local/state/tbctl/${_tb_j##*/}/journal" ] || echo "keeper $_tb_n"
done </etc/passwd
[ -O / ] || [ ! -d /var/lib/tbctl ] || echo rooted"#;

/// Connects to every host and reads its journals: of whoever logs in, that of root, by sudo, and those of whom root finds.
/// All are asked a question.
pub async fn survey(workers: Vec<Worker>, look: Look) -> Survey {
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut hosts: Vec<Memory> =
        workers.iter().map(|worker| Memory { name: worker.name.clone(), ..Memory::default() }).collect();
    let mut handles = Vec::new();
    for (index, worker) in workers.into_iter().enumerate() {
        let handle = host::spawn(index, worker, sender.clone());
        let keepers = Look::Script { text: KEEPERS.into() };
        let users = [None, Some("root".to_string())];
        let ask = |look: &Look| users.clone().map(|user| (user, look.clone()));
        handle.send(Order::Probe([ask(&look), ask(&keepers)].concat()));
        handles.push(Some(handle));
    }
    let mut open = hosts.len();
    let mut others: Vec<Vec<As>> = vec![Vec::new(); open];
    while open > 0 {
        let Some((index, answer)) = answers.recv().await else { break };
        let host = &mut hosts[index];
        match answer {
            // Whoever logs in as root has one journal under two names.
            Answer::Journal { user, journal: Ok(journal) }
                if !host.journals.values().any(|known| *known == journal) =>
            {
                host.journals.insert(user, journal);
            }
            Answer::Journal { journal: Err(damage), .. } => {
                host.lost = Some(format!("its journal cannot be trusted: {}", damage.0));
                let help = "look at /var/lib/tbctl there (or ~/.local/state/tbctl); nothing was changed";
                host.help = Some(help.into());
            }
            Answer::Probed(answers) if others[index].is_empty() => {
                let (said, kept) = answers.split_at(answers.len() / 2);
                let users = [None, Some("root".to_string())];
                host.refused = said.get(1).and_then(|answer| answer.clone().err());
                host.said =
                    users.into_iter().zip(said).filter_map(|(user, said)| Some((user, said.clone().ok()?))).collect();
                let kept: Vec<&str> = kept.iter().flatten().flat_map(|text| text.lines()).collect();
                host.unread = host.refused.clone().filter(|_| kept.contains(&"rooted"));
                others[index] = keepers_of(&kept);
                match handles[index].as_ref().filter(|_| !others[index].is_empty()) {
                    Some(handle) => {
                        let questions = others[index].iter().map(|user| (user.clone(), look.clone()));
                        handle.send(Order::Probe(questions.collect()));
                    }
                    None => open -= 1,
                }
            }
            Answer::Probed(answers) => {
                for (user, said) in std::mem::take(&mut others[index]).into_iter().zip(answers) {
                    match said {
                        Ok(said) => host.said.push((user, said)),
                        Err(why) => host.unread = Some(why),
                    }
                }
                open -= 1;
            }
            Answer::Lost { why, .. } => {
                host.lost = Some(why.message);
                host.help = why.help;
                handles[index] = None;
                open -= 1;
            }
            _ => {}
        }
    }
    Survey { hosts, handles, answers }
}

/// Users that were found to keep a journal, each once. Root was asked already.
pub(super) fn keepers_of(lines: &[&str]) -> Vec<As> {
    let mut names: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("keeper ")).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter(|name| *name != "root").map(|name| Some(name.to_string())).collect()
}

impl Survey {
    /// Leaves everything as it is.
    pub async fn leave(self) {
        close(self.handles).await;
    }

    /// Removes the locks of whoever holds them.
    pub async fn unlock(self) {
        for (host, handle) in self.hosts.iter().zip(&self.handles) {
            let Some(handle) = handle else { continue };
            let mut users = vec![Some("root".to_string()), None];
            users.extend(host.journals.keys().filter(|user| !users.contains(user)).cloned().collect::<Vec<_>>());
            users.into_iter().for_each(|user| handle.send(Order::Unlock { user }));
        }
        close(self.handles).await;
    }
}
