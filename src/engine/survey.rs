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
    /// Why root's journal could not be read, on a host that is there.
    pub refused: Option<String>,
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

/// Connects to every host and reads its journals: of whoever logs in, and that of root, by sudo. Both are asked a question.
pub async fn survey(workers: Vec<Worker>, look: Look) -> Survey {
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut hosts: Vec<Memory> =
        workers.iter().map(|worker| Memory { name: worker.name.clone(), ..Memory::default() }).collect();
    let mut handles = Vec::new();
    for (index, worker) in workers.into_iter().enumerate() {
        let handle = host::spawn(index, worker, sender.clone());
        handle.send(Order::Probe(vec![(None, look.clone()), (Some("root".to_string()), look.clone())]));
        handles.push(Some(handle));
    }
    let mut open = hosts.len();
    while open > 0 {
        let Some((index, answer)) = answers.recv().await else { break };
        match answer {
            // Whoever logs in as root has one journal under two names.
            Answer::Journal { user, journal: Ok(journal) }
                if !hosts[index].journals.values().any(|known| *known == journal) =>
            {
                hosts[index].journals.insert(user, journal);
            }
            Answer::Journal { journal: Err(damage), .. } => {
                hosts[index].lost = Some(format!("its journal cannot be trusted: {}", damage.0));
                let help = "look at /var/lib/tbctl there (or ~/.local/state/tbctl); nothing was changed";
                hosts[index].help = Some(help.into());
            }
            Answer::Probed(answers) => {
                let users = [None, Some("root".to_string())];
                hosts[index].refused = answers.get(1).and_then(|answer| answer.clone().err());
                hosts[index].said =
                    users.into_iter().zip(answers).filter_map(|(user, said)| Some((user, said.ok()?))).collect();
                open -= 1;
            }
            Answer::Lost { why, .. } => {
                hosts[index].lost = Some(why.message);
                hosts[index].help = why.help;
                handles[index] = None;
                open -= 1;
            }
            _ => {}
        }
    }
    Survey { hosts, handles, answers }
}

impl Survey {
    /// Leaves everything as it is.
    pub async fn leave(self) {
        close(self.handles).await;
    }

    /// Removes the locks of whoever holds them.
    pub async fn unlock(self) {
        for handle in self.handles.iter().flatten() {
            for user in [Some("root".to_string()), None] {
                handle.send(Order::Unlock { user });
            }
        }
        close(self.handles).await;
    }
}
