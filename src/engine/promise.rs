//! A run beside a saved plan: what a plan notes of its decisions, and what an apply of it may do.
//!
//! An apply does what the plan decided, step for step. Where the plan itself changes something first, what was seen for the
//! plan may not hold any more; then the same arguments may lead to other steps, if the plan said that there will be some.
//! What the plan could not know (known only after apply, and what such an include brings) is left to the run. Nothing else is
//! done: a task with another change fails, before any part of it has run.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::change::Change;
use crate::change::Seen;
use crate::change::Undo;
use crate::engine::digest::Digests;
use crate::engine::judge;
use crate::engine::ready::Action;
use crate::engine::ready::Item;
use crate::engine::ready::State;
use crate::engine::saved::Basis;
use crate::engine::saved::Decided;
use crate::engine::saved::Decision;
use crate::engine::saved::Hosts;
use crate::engine::saved::ItemOf;
use crate::engine::schedule::Schedule;
use crate::engine::schedule::blank;
use crate::engine::state::ItemResult;
use crate::event::Failure;
use crate::event::NodeId;
use crate::graph::HostId;
use crate::graph::Work;

/// What stands where a task says `no_log`.
const HIDDEN: &str = "(hidden by no_log)";

/// What a saved plan allows.
#[derive(Debug)]
pub struct Promise {
    digests: Digests,
    /// By host and place.
    decisions: HashMap<(String, String), Vec<Decision>>,
}

impl Promise {
    pub fn new(hosts: &Hosts, digests: Digests) -> Promise {
        let mut decisions: HashMap<(String, String), Vec<Decision>> = HashMap::new();
        for (name, host) in hosts {
            for decision in &host.decisions {
                decisions.entry((name.clone(), decision.at.clone())).or_default().push(decision.clone());
            }
        }
        Promise { digests, decisions }
    }

    fn of(&self, host: &str, at: &str) -> &[Decision] {
        self.decisions.get(&(host.to_string(), at.to_string())).map_or(&[], Vec::as_slice)
    }

    /// Whether the plan could not know what is there.
    fn is_open(&self, host: &str, at: &str) -> bool {
        self.of(host, at).iter().any(|decision| decision.outcome == Decided::After && decision.basis.is_none())
    }

    /// Whether the plan says this change, by its digest, of this item.
    fn allows(&self, host: &str, at: &str, item: Option<&str>, change: &str, intent: &str) -> bool {
        let of_item = |decision: &&Decision| decision.item.as_ref().map(|item| item.digest.as_str()) == item;
        let fits =
            |decision: &Decision| decision.basis.as_ref().is_some_and(|basis| fits(decision, basis, change, intent));
        self.is_open(host, at) || self.of(host, at).iter().filter(of_item).any(fits)
    }
}

fn fits(decision: &Decision, basis: &Basis, change: &str, intent: &str) -> bool {
    let foreseen = match decision.outcome {
        Decided::After => true,
        Decided::Change | Decided::Runs => basis.behind,
        Decided::Same | Decided::Skipped | Decided::Failed => false,
    };
    basis.change.as_deref() == Some(change) || (foreseen && basis.intent == intent)
}

impl Schedule {
    /// What a decision was made on, if this plan is kept.
    pub(super) fn basis(
        &self,
        runs: HostId,
        action: &Action,
        seen: &Seen,
        change: Option<&Change>,
        own: Option<&Undo>,
    ) -> Option<Box<Basis>> {
        let digests = self.rules.keep.as_ref()?;
        Some(Box::new(Basis {
            seen: digests.seen(action, seen),
            change: change.filter(|change| !change.is_empty()).map(|change| digests.change(action, change, own)),
            intent: digests.intent(action),
            behind: self.hosts[runs].provisional,
        }))
    }

    /// Notes how a node ended.
    pub(super) fn keep(&mut self, node: NodeId, items: &[ItemResult], looped: bool, hidden: bool) {
        let Some(digests) = self.rules.keep.clone() else { return };
        if matches!(self.graph.node(node).work, Work::Facts { .. }) {
            return;
        }
        // As it is written: what is filled in may be a secret.
        let place = self.graph.place(node);
        let one = |(index, item): (usize, &ItemResult)| {
            let (outcome, why) = outcome(item);
            Decision {
                task: place.task.clone(),
                at: place.at.clone(),
                item: looped.then(|| item_of(&digests, index, item, hidden)),
                outcome,
                why,
                what: item.steps.iter().map(|step| if hidden { HIDDEN.into() } else { step.what.clone() }).collect(),
                basis: item.basis.clone().map(|basis| if hidden { veiled(&digests, *basis) } else { basis }),
            }
        };
        self.kept.insert(node, items.iter().enumerate().map(one).collect());
    }

    /// What was decided for each host, in the order of its chain. `clean`: takes out what must not be shown.
    pub fn decisions(&self, clean: &dyn Fn(&str) -> String) -> Hosts {
        let mut hosts = Hosts::new();
        for (host, chain) in self.graph.hosts.iter().zip(&self.graph.chains) {
            let kept = chain.iter().filter_map(|node| self.kept.get(node)).flatten();
            let decisions = kept.map(|decision| cleaned(decision.clone(), clean)).collect();
            hosts.entry(host.clone()).or_default().decisions = decisions;
        }
        hosts
    }

    /// Why a task may not run: it would do what the plan that is applied does not say. Only what can be decided is looked at.
    pub(super) fn forbidden(&self, node: NodeId, runs: HostId, items: &[Item], looped: bool) -> Option<Failure> {
        let promise = self.rules.only.as_ref()?;
        let found = self.graph.node(node);
        let task = found.task()?;
        let (host, at) = (&self.graph.hosts[found.host], self.graph.place(node).at);
        if self.is_unforeseen(node, promise) {
            return None;
        }
        for (index, item) in items.iter().enumerate() {
            let State::Go(action) = &item.state else { continue };
            let done = self.nodes[node as usize].results.contains_key(&index);
            let Some(Ok(seen)) = self.seen(runs, action).filter(|_| !done) else { continue };
            let Ok(change) = action.resource.decide(&seen) else { continue };
            let Ok(own) = self.own_undo(&item.scope, task) else { continue };
            let digests = &promise.digests;
            let label = looped.then(|| digests.of("item", &[&item.label]));
            let (does, intent) = (digests.change(action, &change, own.as_ref()), digests.intent(action));
            let nothing = change.is_empty() || self.only_checks(&item.scope, Some(task));
            if nothing || promise.allows(host, &at, label.as_deref(), &does, &intent) {
                continue;
            }
            let what: Vec<&str> = match judge::is_hidden(&item.scope, task) {
                true => vec![HIDDEN],
                false => change.steps.iter().map(|step| step.what.as_str()).collect(),
            };
            let message = format!("the plan does not say this, so nothing of it was done: {}", what.join(", "));
            let help = "the host has changed since, or a task before this one did more than the plan could foresee: \
                        make the plan anew";
            return Some(Failure { message, help: Some(help.into()), ..blank() });
        }
        None
    }

    /// Whether a node came from an include that the plan could not open: a task of it, or a handler it may have brought or woken.
    fn is_unforeseen(&self, node: NodeId, promise: &Promise) -> bool {
        let own = self.graph.node(node);
        let host = &self.graph.hosts[own.host];
        if !promise.of(host, &self.graph.place(node).at).is_empty() {
            return false;
        }
        self.graph.chains[own.host].iter().any(|&other| {
            let found = self.graph.node(other);
            let brought = found.pos.len() < own.pos.len() && own.pos.starts_with(&found.pos);
            let include = matches!(found.work, Work::Include(_)) && (brought || own.handler.is_some());
            include && promise.is_open(host, &self.graph.place(other).at)
        })
    }
}

fn outcome(item: &ItemResult) -> (Decided, String) {
    let decided = item.basis.as_ref().is_some_and(|basis| basis.change.is_some());
    match (&item.failed, &item.skipped, &item.unknown) {
        // Its message may hold what a host said.
        (Some(_), _, _) => (Decided::Failed, String::new()),
        (_, Some(why), _) => (Decided::Skipped, why.clone()),
        (_, _, Some(why)) => (if decided { Decided::Runs } else { Decided::After }, why.clone()),
        _ if item.changed || decided => (Decided::Change, String::new()),
        _ => (Decided::Same, String::new()),
    }
}

fn item_of(digests: &Digests, index: usize, item: &ItemResult, hidden: bool) -> ItemOf {
    let label = if hidden { HIDDEN.to_string() } else { item.label.clone() };
    ItemOf { number: index + 1, label, digest: digests.of("item", &[&item.label]) }
}

/// Without the names of what was seen.
fn veiled(digests: &Digests, basis: Basis) -> Box<Basis> {
    let texts: Vec<&str> = basis.seen.iter().flat_map(|(what, digest)| [what.as_str(), digest.as_str()]).collect();
    let seen = IndexMap::from([(format!("what it looks at {HIDDEN}"), digests.of("seen", &texts))]);
    Box::new(Basis { seen, ..basis })
}

fn cleaned(decision: Decision, clean: &dyn Fn(&str) -> String) -> Decision {
    let Decision { task, at, item, outcome, why, what, basis } = decision;
    let basis = basis.map(|basis| {
        let seen = basis.seen.iter().map(|(what, digest)| (clean(what), digest.clone())).collect();
        Box::new(Basis { seen, ..*basis })
    });
    Decision {
        task: clean(&task),
        at,
        item: item.map(|item| ItemOf { label: clean(&item.label), ..item }),
        outcome,
        why: clean(&why),
        what: what.iter().map(|line| clean(line)).collect(),
        basis,
    }
}
