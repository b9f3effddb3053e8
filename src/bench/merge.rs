//! The parts of a run as one record. What a part knows replaces what was known; what it does not know stays.

use crate::results::record::Around;
use crate::results::record::Record;
use crate::results::record::State;
use crate::results::taken::Taken;

/// `samples`: how many the run has by now.
pub(super) fn merge(known: Record, taken: &Taken, samples: usize) -> Record {
    let new = &taken.record;
    let text = |new: &String, known: String| if new.is_empty() { known } else { new.clone() };
    let list = |new: &[String], known: Vec<String>| if new.is_empty() { known } else { new.to_vec() };
    let settings = new.settings.clone().or(known.settings);
    let wanted = settings.as_ref().map_or(0, |settings| settings.requests);
    let state = match (&taken.samples, known.state) {
        (Some(_), _) => new.state.clone(),
        (None, _) if samples as u64 >= wanted => State::Complete,
        (None, state) => state,
    };
    let (mut versions, mut hosts) = (known.versions, known.hosts);
    versions.extend(new.versions.clone());
    hosts.extend(new.hosts.clone());
    let mut notes = known.notes;
    notes.extend(new.notes.iter().filter(|note| !notes.contains(note)).cloned().collect::<Vec<_>>());
    Record {
        testbed: known.testbed,
        run: new.run.clone(),
        title: text(&new.title, known.title),
        scenario: text(&new.scenario, known.scenario),
        started: if known.started.is_empty() { started(&new.run) } else { known.started },
        state,
        settings,
        tool: new.tool.clone().or(known.tool),
        inputs: new.inputs.clone().or(known.inputs),
        digests: known.digests,
        versions,
        hosts,
        mtu: if new.mtu.is_empty() { known.mtu } else { new.mtu.clone() },
        links: if new.links.is_empty() { known.links } else { new.links.clone() },
        rtt: around(new.rtt.clone(), known.rtt),
        tunnels: around(new.tunnels.clone(), known.tunnels),
        path: known.path,
        placement: list(&new.placement, known.placement),
        notes,
    }
}

fn around<T>(new: Option<Around<T>>, known: Option<Around<T>>) -> Option<Around<T>> {
    let (new, known) = match (new, known) {
        (Some(new), Some(known)) => (new, known),
        (new, known) => return new.or(known),
    };
    let later = |new: Vec<T>, known: Vec<T>| if new.is_empty() { known } else { new };
    Some(Around { before: later(new.before, known.before), after: later(new.after, known.after) })
}

/// The time a run is named after, as RFC 3339: `20261126T005512Z-…`. Empty if it is named otherwise.
fn started(run: &str) -> String {
    let time = run.split('-').next().unwrap_or_default();
    let digits =
        |from: usize, to: usize| time.get(from..to).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let parts = [digits(0, 4), digits(4, 6), digits(6, 8), digits(9, 11), digits(11, 13), digits(13, 15)];
    match parts {
        [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] if time.len() == 16 => {
            format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")
        }
        _ => String::new(),
    }
}
