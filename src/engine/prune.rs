//! After a run: what left the playbook is named, or taken back by the hosts' journals.
//!
//! What leaves is decided by `left`; here it is only asked for and carried out.

use tokio::sync::mpsc;

use crate::change::Look;
use crate::engine::destroy;
use crate::engine::drive::Interrupts;
use crate::engine::drive::Telling;
use crate::engine::left::Left;
use crate::engine::schedule::Leaving;
use crate::engine::schedule::Schedule;
use crate::engine::survey;
use crate::event::What;
use crate::graph::HostId;
use crate::journal::Entry;
use crate::remote::host::Handle;
use crate::remote::order::Answer;
use crate::remote::order::As;
use crate::remote::order::Order;

type Answers = mpsc::UnboundedReceiver<(HostId, Answer)>;

/// Names or undoes what left, on every host that was reached and where nothing failed.
pub(super) async fn run(
    schedule: &mut Schedule,
    handles: &[Option<Handle>],
    answers: &mut Answers,
    interrupts: &mut Interrupts,
    telling: &mut Telling<'_>,
) {
    read_journals(schedule, handles, answers).await;
    let delegated = schedule.delegated();
    for (host, handle) in handles.iter().enumerate() {
        let Some(handle) = handle.as_ref().filter(|_| schedule.hosts[host].gone.is_none()) else { continue };
        let name = schedule.graph.hosts[host].clone();
        for user in users(schedule, host) {
            let journal = schedule.hosts[host].journals[&user].clone();
            let left = schedule.left(host, &user, &journal, &delegated);
            match schedule.rules.left {
                Leaving::Undone => {
                    let entries: Vec<Entry> =
                        left.into_iter().filter(|one| one.also.is_none()).map(|one| one.entry).collect();
                    if !entries.is_empty()
                        && !undo(host, handle, &name, &user, entries, answers, interrupts, telling).await
                    {
                        return;
                    }
                }
                Leaving::Named | Leaving::Stays => left.into_iter().for_each(|one| telling.tell(named(&name, one))),
            }
        }
    }
}

fn named(host: &str, left: Left) -> What {
    let Left { entry, also, .. } = left;
    let what = entry.name();
    What::Left { host: host.to_string(), what, task: entry.writer.task, also }
}

/// Who has a journal there, whoever logged in last.
fn users(schedule: &Schedule, host: HostId) -> Vec<As> {
    let mut users: Vec<As> = schedule.hosts[host].journals.keys().cloned().collect();
    users.sort_by_key(|user| (user.is_none(), user.clone()));
    // Whoever logs in as root has one journal under two names.
    let journals = &schedule.hosts[host].journals;
    let mut known: Vec<As> = Vec::new();
    for user in users {
        if !known.iter().any(|other| journals[other] == journals[&user]) {
            known.push(user);
        }
    }
    known
}

/// Brings the journals of those who have not been met in this run: root, who logs in, and whom root finds.
async fn read_journals(schedule: &mut Schedule, handles: &[Option<Handle>], answers: &mut Answers) {
    let nothing = survey::nothing();
    let keepers = Look::Script { text: survey::KEEPERS.into() };
    let mut found = vec![false; handles.len()];
    let mut open = 0;
    for (host, handle) in handles.iter().enumerate() {
        if let Some(handle) = handle.as_ref().filter(|_| schedule.hosts[host].gone.is_none()) {
            handle.send(Order::Probe(vec![(None, keepers.clone()), (Some("root".into()), keepers.clone())]));
            open += 1;
        }
    }
    while open > 0 {
        match answers.recv().await {
            Some((host, Answer::Journal { user, journal: Ok(journal) })) => {
                schedule.hosts[host].journals.insert(user, journal);
            }
            Some((host, Answer::Probed(said))) if !std::mem::replace(&mut found[host], true) => {
                let lines: Vec<&str> = said.iter().flatten().flat_map(|text| text.lines()).collect();
                let known = &schedule.hosts[host].journals;
                let users = survey::keepers_of(&lines).into_iter().filter(|user| !known.contains_key(user));
                let questions: Vec<_> = users.map(|user| (user, nothing.clone())).collect();
                match handles[host].as_ref().filter(|_| !questions.is_empty()) {
                    Some(handle) => handle.send(Order::Probe(questions)),
                    None => open -= 1,
                }
            }
            Some((_, Answer::Probed(_) | Answer::Lost { .. })) => open -= 1,
            Some(_) => {}
            None => return,
        }
    }
}

/// Takes entries back. False: the run is to be left.
#[expect(clippy::too_many_arguments, reason = "a host, what to do there, and whom to tell")]
async fn undo(
    host: HostId,
    handle: &Handle,
    name: &str,
    user: &As,
    entries: Vec<Entry>,
    answers: &mut Answers,
    interrupts: &mut Interrupts,
    telling: &mut Telling<'_>,
) -> bool {
    handle.send(Order::Undo { user: user.clone(), entries: entries.clone(), force: false });
    let mut stopping = false;
    loop {
        let answer = tokio::select! {
            answer = answers.recv() => answer,
            Some(()) = interrupts.recv() => {
                if stopping {
                    return false;
                }
                // What the host has begun it ends, and says so.
                stopping = true;
                telling.tell(What::Interrupted);
                handle.stop();
                continue;
            }
        };
        match answer {
            Some((at, Answer::Undone { seq, how })) if at == host => {
                if let Some(entry) = entries.iter().find(|entry| entry.seq == seq) {
                    telling.tell(destroy::told(name, entry, &how));
                }
            }
            Some((at, Answer::Finished)) if at == host => return !stopping,
            Some((at, Answer::Lost { why, .. })) if at == host => {
                telling.tell(What::HostLost { host: name.to_string(), why: why.message, help: why.help });
                return !stopping;
            }
            Some(_) => {}
            None => return false,
        }
    }
}
