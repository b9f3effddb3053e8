//! Links: what lies between the networks of a testbed, as the inventory says it under `links`.
//!
//! ```yaml
//! links:
//!   - {between: [karlskrona, stockholm], rtt: 9ms, jitter: 300us, loss: 0.1, rate: 1gbit, source: "where this is from"}
//! ```
//!
//! Knows what the words mean and which regions there are; who makes the delay is none of its business.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::lang::node::Node;

/// The variable that has them.
pub const VARIABLE: &str = "links";
/// Nothing on Earth is farther away, and a slip of the unit is found.
const LONGEST: Duration = Duration::from_secs(10);
const KEYS: [&str; 6] = ["between", "rtt", "jitter", "loss", "rate", "source"];
const TIMES: [(&str, f64); 4] = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
const RATES: [(&str, f64); 4] = [("bit", 1.0), ("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];

/// What two regions, or two networks of one region, have between them. The same figures hold for both directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The regions; twice the same one for the networks within it.
    pub between: [String; 2],
    /// What the link adds to a round trip: half of it on each way.
    pub rtt: Duration,
    /// The standard deviation of one way.
    pub jitter: Duration,
    /// Percent of the packets of one way that are lost.
    pub loss: f64,
    /// Bits a second, each way; none: as fast as it goes.
    pub rate: Option<u64>,
    /// Where the figures are from; empty if nobody said.
    pub source: String,
}

impl Link {
    /// Whether it is the link of these two, in either order.
    pub fn joins(&self, one: &str, other: &str) -> bool {
        let [a, b] = &self.between;
        (a == one && b == other) || (a == other && b == one)
    }
}

/// Whether a variable of that name can be meant for us; playbooks from elsewhere may have `links` of their own.
pub fn is_ours(node: &Node) -> bool {
    let items = node.as_list().unwrap_or_default();
    items.iter().any(|item| item.get("between").is_some() || item.get("rtt").is_some())
}

/// Reads the list, whose templates are rendered already. `regions` are those that hosts are in.
pub fn read(node: &Node, regions: &[&str]) -> Result<Vec<Link>, Diagnostics> {
    let mut faults = Diagnostics::default();
    let Some(items) = node.as_list() else {
        let fault = Diagnostic::error(format!("`links` is a list of links, found {}", node.kind())).at(&node.span);
        return Err(fault.help("write: `- {between: [here, there], rtt: 9ms}`").into());
    };
    let mut links: Vec<(Link, &Node)> = Vec::new();
    for item in items {
        let Some(link) = one(item, regions, &mut faults) else { continue };
        let [a, b] = &link.between;
        match links.iter().find(|(known, _)| known.joins(a, b)) {
            Some((_, first)) => {
                let fault = Diagnostic::error(format!("the link between `{a}` and `{b}` is there twice"));
                faults.push(fault.at(&item.span).note(&first.span, "here first"));
            }
            None => links.push((link, item)),
        }
    }
    faults.check(links.into_iter().map(|(link, _)| link).collect())
}

fn one(item: &Node, regions: &[&str], faults: &mut Diagnostics) -> Option<Link> {
    let Some(entries) = item.as_map() else {
        let fault = Diagnostic::error(format!("a link is a mapping, found {}", item.kind())).at(&item.span);
        faults.push(fault.help("write: `- {between: [here, there], rtt: 9ms}`"));
        return None;
    };
    for (key, _) in entries.iter().filter(|(key, _)| !KEYS.contains(&key.name.as_str())) {
        let fault = Diagnostic::error(format!("a link has no `{}`", key.name)).at(&key.span).suggest(&key.name, KEYS);
        let known = format!("it has {}", KEYS.join(", "));
        faults.push(if fault.help.is_none() { fault.help(known) } else { fault });
    }
    for needed in ["between", "rtt"] {
        if item.get(needed).is_none() {
            faults.push(Diagnostic::error(format!("the link does not say `{needed}`")).at(&item.span));
        }
    }
    let between = item.get("between").map(|node| faults.take(ends(node, regions)));
    let rtt = item.get("rtt").map(|node| faults.take(time(node)));
    let jitter = item.get("jitter").map(|node| faults.take(time(node)));
    let loss = item.get("loss").map(|node| faults.take(percent(node)));
    let rate = item.get("rate").filter(|node| !node.is_null()).map(|node| faults.take(self::rate(node)));
    Some(Link {
        between: between??,
        rtt: rtt??,
        jitter: jitter.unwrap_or(Some(Duration::ZERO))?,
        loss: loss.unwrap_or(Some(0.0))?,
        rate: rate.map_or(Some(None), |rate| rate.map(Some))?,
        source: item.get("source").and_then(Node::scalar).unwrap_or_default(),
    })
}

fn ends(node: &Node, regions: &[&str]) -> Result<[String; 2], Diagnostic> {
    let wrong = || {
        let fault = Diagnostic::error("a link is between two regions").at(&node.span);
        fault.help("write `between: [here, there]`; twice the same for its networks")
    };
    let [a, b] = node.as_list().ok_or_else(wrong)? else { return Err(wrong()) };
    let region = |node: &Node| {
        let name = node.scalar().ok_or_else(wrong)?;
        match regions.contains(&name.as_str()) {
            true => Ok(name),
            false => {
                let fault = Diagnostic::error(format!("no host is in the region `{name}`")).at(&node.span);
                let fault = fault.suggest(&name, regions.iter().copied());
                let known = format!("hosts are in {}", regions.join(", "));
                Err(if fault.help.is_none() { fault.help(known) } else { fault })
            }
        }
    };
    Ok([region(a)?, region(b)?])
}

/// A number and what stands behind it.
fn measure(node: &Node) -> Option<(f64, String)> {
    let text = node.scalar()?.trim().to_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_owned()))
}

fn said(node: &Node) -> String {
    node.scalar().map_or_else(|| node.kind().to_owned(), |text| format!("`{text}`"))
}

fn unit(units: &[(&str, f64)], name: &str) -> Option<f64> {
    units.iter().find(|(known, _)| *known == name).map(|(_, factor)| *factor)
}

fn time(node: &Node) -> Result<Duration, Diagnostic> {
    let seconds = measure(node).and_then(|(number, name)| {
        let factor = if name.is_empty() { Some(1e-3) } else { unit(&TIMES, &name) };
        Some(number * factor?)
    });
    match seconds {
        // Whole nanoseconds: 9.3 ms are 9.3 ms.
        Some(seconds) if seconds <= LONGEST.as_secs_f64() => Ok(Duration::from_nanos((seconds * 1e9).round() as u64)),
        Some(_) => {
            let fault = Diagnostic::error(format!("{} is longer than {} s", said(node), LONGEST.as_secs()));
            Err(fault.at(&node.span).help("a number without a unit is milliseconds"))
        }
        None => {
            let fault = Diagnostic::error(format!("{} is not a time", said(node))).at(&node.span);
            Err(fault.help("write `9ms` or `200us`; a number alone is milliseconds"))
        }
    }
}

fn rate(node: &Node) -> Result<u64, Diagnostic> {
    let bits = measure(node).and_then(|(number, name)| Some(number * unit(&RATES, &name)?));
    match bits {
        Some(bits) if (1e3..=1e12).contains(&bits) => Ok(bits.round() as u64),
        Some(_) => Err(Diagnostic::error(format!("{} is not between 1kbit and 1000gbit", said(node))).at(&node.span)),
        None => {
            let fault = Diagnostic::error(format!("{} is not a rate", said(node))).at(&node.span);
            Err(fault.help("write `300mbit` or `1gbit`; without the key there is no limit"))
        }
    }
}

fn percent(node: &Node) -> Result<f64, Diagnostic> {
    match measure(node) {
        Some((number, unit)) if number <= 100.0 && (unit.is_empty() || unit == "%") => Ok(number),
        _ => {
            let fault = Diagnostic::error(format!("{} is not a share of packets", said(node))).at(&node.span);
            Err(fault.help("write percent, from 0 to 100: `loss: 0.1`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::lang::yaml;

    fn list(text: &str) -> Result<Vec<Link>, String> {
        let source = Source::new("hosts.yml", text);
        let node = yaml::document(&source, &mut Diagnostics::default()).unwrap();
        let faults = |faults: Diagnostics| {
            let line = |fault: &Diagnostic| {
                let place = fault.span.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{place}: {} / {}", fault.message, fault.help.as_deref().unwrap_or_default())
            };
            faults.list.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        read(&node, &["karlskrona", "stockholm", "lab"]).map_err(faults)
    }

    #[track_caller]
    fn check(text: &str, expected: (u64, u64, f64, Option<u64>)) {
        let links = list(&format!("- {{between: [karlskrona, stockholm], {text}}}\n")).unwrap();
        let [link] = &links[..] else { panic!("{links:?}") };
        let micros = |time: Duration| time.as_nanos() as u64 / 1000;
        assert_eq!((micros(link.rtt), micros(link.jitter), link.loss, link.rate), expected);
    }

    #[test]
    fn figures_and_units() {
        check("rtt: 9.0ms", (9000, 0, 0.0, None));
        check("rtt: 9", (9000, 0, 0.0, None));
        check("rtt: 9.3, jitter: 200us", (9300, 200, 0.0, None));
        check("rtt: 0.5 s, loss: 0", (500_000, 0, 0.0, None));
        check("rtt: '28', loss: 0.1%, rate: 300Mbit", (28_000, 0, 0.1, Some(300_000_000)));
        check("rtt: 0, loss: 100, rate: 1.5gbit, source: x", (0, 0, 100.0, Some(1_500_000_000)));
        check("rtt: 1ms, rate: ", (1000, 0, 0.0, None));
    }

    #[track_caller]
    fn refuses(text: &str, expected: &str) {
        assert_eq!(list(text).unwrap_err(), expected);
    }

    #[test]
    fn faults_have_places_and_say_what_to_write() {
        refuses(
            "x: 1\n",
            "hosts.yml:1:1: `links` is a list of links, found a mapping / write: `- {between: [here, there], rtt: 9ms}`",
        );
        refuses(
            "- 9ms\n",
            "hosts.yml:1:3: a link is a mapping, found text / write: `- {between: [here, there], rtt: 9ms}`",
        );
        refuses(
            "- {between: [karlskrona, stokholm], rtt: 1}\n",
            "hosts.yml:1:26: no host is in the region `stokholm` / did you mean `stockholm`?",
        );
        refuses(
            "- {between: [lab, berlin], rtt: 1}\n",
            "hosts.yml:1:19: no host is in the region `berlin` / hosts are in karlskrona, stockholm, lab",
        );
        refuses(
            "- {between: [lab, lab], rtt: 1, jiter: 1}\n",
            "hosts.yml:1:33: a link has no `jiter` / did you mean `jitter`?",
        );
        refuses(
            "- {between: [lab, lab], rtt: 1, mtu: 1}\n",
            "hosts.yml:1:33: a link has no `mtu` / it has between, rtt, jitter, loss, rate, source",
        );
        refuses(
            "- {between: [lab, lab], rtt: 9m}\n",
            "hosts.yml:1:30: `9m` is not a time / write `9ms` or `200us`; a number alone is milliseconds",
        );
        refuses(
            "- {between: [lab, lab], rtt: 20s}\n",
            "hosts.yml:1:30: `20s` is longer than 10 s / a number without a unit is milliseconds",
        );
        refuses(
            "- {between: [lab, lab], rtt: 1, rate: 100}\n",
            "hosts.yml:1:39: `100` is not a rate / write `300mbit` or `1gbit`; without the key there is no limit",
        );
        refuses(
            "- {between: [lab, lab], rtt: 1, rate: 1bit}\n",
            "hosts.yml:1:39: `1bit` is not between 1kbit and 1000gbit / ",
        );
        for loss in ["101", "-1", "1ms"] {
            let column = "hosts.yml:1:39: ";
            refuses(
                &format!("- {{between: [lab, lab], rtt: 1, loss: {loss}}}\n"),
                &format!("{column}`{loss}` is not a share of packets / write percent, from 0 to 100: `loss: 0.1`"),
            );
        }
        refuses("- {rtt: 1}\n", "hosts.yml:1:3: the link does not say `between` / ");
        refuses(
            "- {between: [lab], rtt: 1}\n",
            "hosts.yml:1:13: a link is between two regions / write `between: [here, there]`; twice the same for its networks",
        );
        refuses(
            "- {between: [lab, stockholm], rtt: 1}\n- {between: [stockholm, lab], rtt: 2}\n",
            "hosts.yml:2:3: the link between `stockholm` and `lab` is there twice / ",
        );
        let two = "- {between: [lab, stokholm], rtt: 1x}\n";
        assert_eq!(list(two).unwrap_err().lines().count(), 2, "all faults at once");
    }

    #[test]
    fn links_of_others_are_left_alone() {
        for (text, ours) in
            [("- {between: [a, b]}", true), ("- {rtt: 1}", true), ("- {href: x}", false), ("a: 1", false)]
        {
            let source = Source::new("hosts.yml", text);
            let node = yaml::document(&source, &mut Diagnostics::default()).unwrap();
            assert_eq!(is_ours(&node), ours, "{text}");
        }
    }
}
