//! The way back: from the hosts' own journals, in inverse order of first touch, to the state before the first apply.
//!
//! Needs no playbook: the inventory says where the hosts are, the hosts say what was changed.

use std::collections::VecDeque;

use crate::engine::drive::Interrupts;
use crate::engine::drive::See;
use crate::engine::drive::Telling;
use crate::engine::drive::close;
use crate::engine::survey::Memory;
use crate::engine::survey::Survey;
use crate::event::Mode;
use crate::event::What;
use crate::journal::Back;
use crate::journal::Entry;
use crate::remote::host::Handle;
use crate::remote::order::Answer;
use crate::remote::order::As;
use crate::remote::order::Order;
use crate::remote::order::Way;

/// What [`What::Undone`] begins with when an entry is still there though it should not be.
pub const FAILED: &str = "could not be taken back";
/// The same for what is left alone.
pub const CHANGED: &str = "changed by somebody since";

impl Survey {
    /// Takes everything back. `force`: also what somebody changed since.
    pub async fn undo(
        mut self,
        testbed: String,
        force: bool,
        mut interrupts: Interrupts,
        see: See<'_>,
    ) -> crate::event::Run {
        let mut telling = Telling::new(see);
        let names: Vec<String> = self.hosts.iter().map(|host| host.name.clone()).collect();
        let nodes = self.hosts.iter().map(|host| host.entries().len()).sum();
        telling.tell(What::RunStarted { mode: Mode::Destroy, testbed, hosts: names.clone(), nodes });
        let mut queues: Vec<Queue> = Vec::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let mut queue = Queue::default();
            match &host.lost {
                Some(why) => {
                    let (why, help) = (why.clone(), host.help.clone());
                    telling.tell(What::HostLost { host: host.name.clone(), why, help });
                }
                None => queue.orders = orders(host, force).into(),
            }
            queue.next(self.handles[index].as_ref());
            queues.push(queue);
        }
        let mut stopping = false;
        while queues.iter().any(|queue| queue.under_way.is_some()) {
            let answer = tokio::select! {
                answer = self.answers.recv() => answer,
                Some(()) = interrupts.recv() => {
                    if stopping {
                        break;
                    }
                    // What a host has begun it ends, and says so; nothing new is asked of it.
                    stopping = true;
                    telling.tell(What::Interrupted);
                    self.handles.iter().flatten().for_each(Handle::stop);
                    queues.iter_mut().for_each(|queue| queue.orders.clear());
                    continue;
                }
            };
            let Some((index, answer)) = answer else { break };
            match answer {
                Answer::Undone { seq, how } => {
                    let host = &self.hosts[index];
                    let journal = queues[index].under_way.as_ref().and_then(|user| host.journals.get(user));
                    if let Some(entry) =
                        journal.and_then(|journal| journal.entries.iter().find(|entry| entry.seq == seq))
                    {
                        telling.tell(told(&host.name, entry, &how));
                    }
                }
                Answer::Finished => queues[index].next(self.handles[index].as_ref()),
                Answer::Lost { why, .. } => {
                    queues[index] = Queue::default();
                    let host = names[index].clone();
                    telling.tell(What::HostLost { host, why: why.message, help: why.help });
                }
                _ => {}
            }
        }
        telling.close(&self.handles, &names);
        close(self.handles).await;
        telling.run
    }
}

/// What is still to be asked of a host, and whose journal it works on now.
#[derive(Default)]
struct Queue {
    under_way: Option<As>,
    orders: VecDeque<(As, Order)>,
}

impl Queue {
    /// Sends the next order, if the host is there and one is left.
    fn next(&mut self, handle: Option<&Handle>) {
        self.under_way = match (self.orders.pop_front(), handle) {
            (Some((user, order)), Some(handle)) => {
                handle.send(order);
                Some(user)
            }
            _ => None,
        };
    }
}

/// For each user, who logged in last: undo all of the journal, then forget it.
fn orders(host: &Memory, force: bool) -> Vec<(As, Order)> {
    let mut users: Vec<&As> = host.journals.keys().filter(|user| host.journals[*user].begun).collect();
    users.sort_by_key(|user| (user.is_none(), (*user).clone()));
    let both = users.into_iter().flat_map(|user| {
        let entries: Vec<Entry> = host.journals[user].entries.iter().rev().cloned().collect();
        let undo = Order::Undo { user: user.clone(), entries, force };
        [(user.clone(), undo), (user.clone(), Order::Forget { user: user.clone() })]
    });
    both.collect()
}

/// How an entry ended, as an event.
pub(super) fn told(host: &str, entry: &Entry, how: &Way) -> What {
    let (text, kept) = match how {
        Way::Back => ("taken back".to_string(), false),
        Way::Already => ("was as before already".to_string(), false),
        Way::Changed => (format!("{CHANGED}: left alone; --force takes it back"), true),
        Way::Never(why) => (format!("no way back: {why}"), true),
        Way::Failed(why) => (format!("{FAILED}: {why}"), true),
    };
    let what = entry.name();
    What::Undone { host: host.to_string(), what, how: text, kept }
}

/// An entry for people, before it is undone.
pub fn shown(entry: &Entry) -> String {
    let name = entry.name();
    match &entry.undo {
        _ if entry.hidden => name,
        Back::Restore { .. } => format!("{name}: put back as it was"),
        Back::By { .. } => format!("{name}: undo «{}»", entry.what),
        Back::Again { unit, .. } => format!("{unit}: run again «{}»", entry.what),
        Back::Never { why } => format!("{name}: no way back: {why}"),
    }
}
