//! The tables of where and how it was measured, from the records. What a record does not say is in no table.

use indexmap::IndexMap;

use crate::report::group::Scenario;
use crate::report::table::Table;
use crate::report::words::ms;
use crate::report::words::optional;
use crate::results::record::Record;
use crate::results::record::RoundTrip;

/// All tables with at least one row.
pub(super) fn tables(scenarios: &[Scenario]) -> Vec<Table> {
    let mut tables = vec![path(scenarios), links(scenarios)];
    tables.extend(scenarios.iter().filter_map(round_trips));
    tables.extend([tunnels(scenarios), mtus(scenarios), hosts(scenarios), versions(scenarios), digests(scenarios)]);
    tables.retain(|table| !table.rows.is_empty());
    for table in &mut tables {
        merge(table, scenarios.len());
    }
    tables
}

/// Rows that differ in nothing but their scenario become one.
fn merge(table: &mut Table, scenarios: usize) {
    if table.head.first().is_none_or(|column| column.name != "scenario") {
        return;
    }
    let mut found: IndexMap<Vec<String>, Vec<String>> = IndexMap::new();
    for row in table.rows.drain(..) {
        if let Some((label, rest)) = row.split_first() {
            found.entry(rest.to_vec()).or_default().push(label.clone());
        }
    }
    for (rest, labels) in found {
        let all = scenarios > 1 && labels.len() == scenarios;
        let label = if all { "all".to_string() } else { labels.join(", ") };
        table.row(std::iter::once(label).chain(rest));
    }
}

fn each(scenarios: &[Scenario]) -> impl Iterator<Item = (&Scenario, &Record)> {
    scenarios.iter().filter_map(|one| one.record().map(|record| (one, record)))
}

fn path(scenarios: &[Scenario]) -> Table {
    let head = ["scenario", "run", "interface", ">bytes over it", ">bytes of requests", "proven?", "why"];
    let mut table = Table::new("path", "Did the requests take the path they should?", &head);
    for one in scenarios {
        for run in &one.runs {
            let Some(proof) = run.record.as_ref().and_then(|record| record.path.as_ref()) else { continue };
            table.row([
                one.label.clone(),
                run.name.clone(),
                if proof.interface.is_empty() { "–".into() } else { proof.interface.clone() },
                proof.bytes_over_tunnel.to_string(),
                proof.bytes_of_requests.to_string(),
                if proof.valid { "yes" } else { "NO" }.into(),
                proof.why.clone().unwrap_or_else(|| "–".into()),
            ]);
        }
    }
    table
}

fn links(scenarios: &[Scenario]) -> Table {
    let head = ["scenario", "between", ">round trip ms", ">jitter ms", ">loss %", ">rate Mbit/s", "source"];
    let mut table = Table::new("links", "Links as the inventory states them", &head);
    for (one, record) in each(scenarios) {
        for link in &record.links {
            table.row([
                one.label.clone(),
                link.between.join(" – "),
                optional(link.rtt_ms, ms),
                optional(link.jitter_ms, ms),
                optional(link.loss_percent, |value| format!("{value}")),
                optional(link.rate_mbit, |value| format!("{value}")),
                link.source.clone().unwrap_or_else(|| "not stated".into()),
            ]);
        }
    }
    if circular(scenarios) {
        table.note(CIRCULAR);
    }
    table
}

/// To be read before any agreement with the thesis is.
pub(super) const CIRCULAR: &str = "Part of this result is circular: delays were derived from the thesis' own table, so that \
     the averages come near the published ones proves that the delays were set, not that the networks behave so.";

/// Whether delays come from the numbers they are compared with.
pub(super) fn circular(scenarios: &[Scenario]) -> bool {
    let sources = each(scenarios).flat_map(|(_, record)| &record.links).filter_map(|link| link.source.as_ref());
    sources.into_iter().any(|source| source.to_lowercase().contains("thesis"))
}

/// From each host to each other one, before and after.
fn round_trips(one: &Scenario) -> Option<Table> {
    let around = one.record()?.rtt.as_ref()?;
    let both = || around.before.iter().chain(&around.after);
    let mut to: Vec<&str> = both().map(|trip| trip.to.as_str()).collect();
    to.sort_unstable();
    to.dedup();
    let mut from: IndexMap<&str, ()> = IndexMap::new();
    from.extend(both().map(|trip| (trip.from.as_str(), ())));
    let head: Vec<String> = std::iter::once("from \\ to".into()).chain(to.iter().map(|to| format!(">{to}"))).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let title = format!("{}: round trips by ping, average in ms, before → after", one.label);
    let mut table = Table::new(&format!("rtt-{}", one.slug), &title, &head);
    let find = |trips: &[RoundTrip], from: &str, to: &str| {
        trips.iter().find(|trip| trip.from == from && trip.to == to).map(|trip| trip.avg_ms)
    };
    for from in from.keys() {
        let cell = |to: &&str| match (find(&around.before, from, to), find(&around.after, from, to)) {
            (None, None) => "–".into(),
            (before, after) => format!("{} → {}", optional(before, ms), optional(after, ms)),
        };
        table.row(std::iter::once((*from).to_string()).chain(to.iter().map(cell)));
    }
    Some(table)
}

fn tunnels(scenarios: &[Scenario]) -> Table {
    let head = ["scenario", "host", "interface", ">received before", ">received after", ">sent before", ">sent after"];
    let mut table = Table::new("tunnels", "Counters of the tunnels, in bytes", &head);
    for (one, record) in each(scenarios) {
        let Some(around) = &record.tunnels else { continue };
        for before in &around.before {
            let same = |after: &&crate::results::record::Tunnel| {
                after.host == before.host && after.interface == before.interface
            };
            let after = around.after.iter().find(same);
            let bytes = |value: Option<u64>| value.map_or_else(|| "–".into(), |bytes| bytes.to_string());
            table.row([
                one.label.clone(),
                before.host.clone(),
                before.interface.clone(),
                before.rx_bytes.to_string(),
                bytes(after.map(|after| after.rx_bytes)),
                before.tx_bytes.to_string(),
                bytes(after.map(|after| after.tx_bytes)),
            ]);
        }
    }
    table
}

fn mtus(scenarios: &[Scenario]) -> Table {
    let mut table =
        Table::new("mtu", "Largest packets along the path", &["scenario", "host", "interface", ">MTU bytes"]);
    for (one, record) in each(scenarios) {
        for mtu in &record.mtu {
            table.row([one.label.clone(), mtu.host.clone(), mtu.interface.clone(), mtu.mtu.to_string()]);
        }
    }
    table
}

fn hosts(scenarios: &[Scenario]) -> Table {
    let head = ["scenario", "host", "region", "network", "kernel", "system", "programs", ">replicas"];
    let mut table = Table::new("hosts", "Hosts", &head);
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
    for (one, record) in each(scenarios) {
        for (name, host) in &record.hosts {
            let replicas = record.placement.iter().filter(|placed| *placed == name).count();
            table.row([
                one.label.clone(),
                name.clone(),
                said(&host.region),
                said(&host.network),
                said(&host.kernel),
                said(&host.os),
                listed(&host.versions),
                replicas.to_string(),
            ]);
        }
    }
    table
}

fn versions(scenarios: &[Scenario]) -> Table {
    let mut table = Table::new("versions", "Programs", &["scenario", "versions"]);
    for (one, record) in each(scenarios) {
        if !record.versions.is_empty() {
            table.row([one.label.clone(), listed(&record.versions)]);
        }
    }
    table
}

fn listed(versions: &IndexMap<String, String>) -> String {
    let all: Vec<String> = versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    if all.is_empty() { "–".into() } else { all.join(", ") }
}

fn digests(scenarios: &[Scenario]) -> Table {
    let mut table = Table::new("digests", "What it was built from", &["scenario", "inventory", "playbook", "inputs"]);
    for (one, record) in each(scenarios) {
        let digests = record.digests.clone().unwrap_or_default();
        let inputs = record.inputs.clone().unwrap_or_default();
        let row = [digests.inventory, digests.playbook, inputs];
        if row.iter().any(|text| !text.is_empty()) {
            let short = |text: String| if text.is_empty() { "–".into() } else { text.chars().take(16).collect() };
            table.row(std::iter::once(one.label.clone()).chain(row.map(short)));
        }
    }
    table
}
