//! Links by the kernel's own netem: on each bridge, what leaves towards its hosts waits in a class for each network it may
//! come from. What the machine itself sends passes beside all classes.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use crate::lab::layout;
use crate::lab::layout::Layout;
use crate::lab::program::run;
use crate::lab::program::succeeds;
use crate::lab::state;
use crate::lang::links::Link;

/// Of everything that is ours in traffic control.
const HANDLE: &str = "1a7e";
/// The rate of a class that has none; netem keeps the stated one.
const OPEN: &str = "100gbit";
/// A try of all that is used, in a network of its own.
const PROBE: &str = "tc qdisc add dev lo root handle 1a7e: htb default 0 && \
    tc class add dev lo parent 1a7e: classid 1a7e:1 htb rate 100gbit quantum 60000 && \
    tc qdisc add dev lo parent 1a7e:1 handle 1: netem limit 1000 delay 1ms && \
    tc filter add dev lo parent 1a7e: protocol ip prio 1 handle 800::1 u32 match ip src 10.0.0.0/24 flowid 1a7e:1";

/// Whether the kernel can do it, and `tc` is there.
pub(super) fn is_there() -> bool {
    succeeds("unshare", &["--net", "sh", "-c", PROBE])
}

/// What netem is told about one direction.
pub(super) fn words(link: &Link) -> String {
    let one_way = link.rtt / 2;
    let micros = |time: Duration| format!("{:.3}us", time.as_nanos() as f64 / 1e3);
    let bits = link.rate.unwrap_or(10_000_000_000) as f64;
    // As many full packets as are on the way at once, and a tenth of a second more of a stated rate.
    let room = one_way.as_secs_f64() * 1.5 + if link.rate.is_some() { 0.1 } else { 0.0 };
    let limit = (bits / 12_000.0 * room).ceil().max(1000.0);
    let mut words = format!("limit {limit} delay {}", micros(one_way));
    if !link.jitter.is_zero() {
        let _ = write!(words, " {} distribution normal", micros(link.jitter));
    }
    if link.loss > 0.0 {
        let _ = write!(words, " loss random {}%", link.loss);
    }
    match link.rate {
        Some(rate) => words += &format!(" rate {rate}bit"),
        // Only with a rate does netem keep the order of packets.
        None if !link.jitter.is_zero() => words += &format!(" rate {OPEN}"),
        None => {}
    }
    words
}

/// Makes the links as the layout has them, changes those that differ in place, and takes away those it has not.
pub(super) fn make(layout: &Layout) -> Result<()> {
    for (to, region) in layout.regions.iter().enumerate() {
        let bridge = region.bridge.as_str();
        let linked = (0..layout.regions.len()).any(|from| layout.wire(from, to).is_some());
        let there = run("tc", &["qdisc", "show", "dev", bridge])?.contains(&format!("htb {HANDLE}: root"));
        match (linked, there) {
            (false, false) => continue,
            (false, true) => {
                run("tc", &["qdisc", "delete", "dev", bridge, "root", "handle", &format!("{HANDLE}:")])?;
                continue;
            }
            (true, false) => {
                run(
                    "tc",
                    &["qdisc", "add", "dev", bridge, "root", "handle", &format!("{HANDLE}:"), "htb", "default", "0"],
                )?;
            }
            (true, true) => remove_stale(layout, to),
        }
        let path = state::lab_dir(&layout.name).join("links.batch");
        state::replace(&path, &batch(layout, to))?;
        run("tc", &["-batch", &path.to_string_lossy()])?;
    }
    Ok(())
}

/// The commands for one bridge.
fn batch(layout: &Layout, to: usize) -> String {
    let bridge = layout.regions[to].bridge.as_str();
    let mut batch = String::new();
    for (from, region) in layout.regions.iter().enumerate() {
        let Some(wire) = layout.wire(from, to) else { continue };
        let class = format!("{HANDLE}:{:x}", from + 1);
        let _ = writeln!(
            batch,
            "class replace dev {bridge} parent {HANDLE}: classid {class} htb rate {OPEN} quantum 60000"
        );
        let _ = writeln!(
            batch,
            "qdisc replace dev {bridge} parent {class} handle {:x}: netem {}",
            from + 1,
            words(&wire.link)
        );
        for (number, gateway) in region.gateways.iter().enumerate() {
            let (handle, network) = (filter(from, number), layout::network(*gateway));
            let _ = writeln!(
                batch,
                "filter replace dev {bridge} parent {HANDLE}: protocol ip prio 1 handle {handle} \
                 u32 match ip src {network}/24 flowid {class}"
            );
        }
    }
    batch
}

/// A region has its /24s one after another; eight of them are distinguished, the rest shares the last place.
fn filter(from: usize, number: usize) -> String {
    format!("800::{:x}", from * 8 + number.min(7) + 1)
}

fn remove_stale(layout: &Layout, to: usize) {
    let bridge = layout.regions[to].bridge.as_str();
    let parent = format!("{HANDLE}:");
    for (from, region) in layout.regions.iter().enumerate().filter(|(from, _)| layout.wire(*from, to).is_none()) {
        // What was never there cannot be deleted, and that is well.
        for number in 0..region.gateways.len() {
            let handle = filter(from, number);
            let args = ["filter", "delete", "dev", bridge, "parent", &parent, "protocol", "ip", "prio", "1"];
            succeeds("tc", &[&args[..], &["handle", &handle, "u32"]].concat());
        }
        succeeds("tc", &["class", "delete", "dev", bridge, "classid", &format!("{HANDLE}:{:x}", from + 1)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rtt: u64, jitter: u64, loss: f64, rate: Option<u64>, expected: &str) {
        let (rtt, jitter) = (Duration::from_micros(rtt), Duration::from_micros(jitter));
        let between = ["a".to_owned(), "b".to_owned()];
        assert_eq!(words(&Link { between, rtt, jitter, loss, rate, source: String::new() }), expected);
    }

    #[test]
    fn half_of_the_round_trip_and_room_for_what_is_on_the_way() {
        check(9000, 0, 0.0, None, "limit 5625 delay 4500.000us");
        check(9001, 0, 0.0, Some(1_000_000_000), "limit 8896 delay 4500.500us rate 1000000000bit");
        check(0, 0, 100.0, Some(1_000_000), "limit 1000 delay 0.000us loss random 100% rate 1000000bit");
    }

    #[test]
    fn jitter_keeps_the_order_by_a_rate() {
        check(
            1000,
            50,
            0.1,
            None,
            "limit 1000 delay 500.000us 50.000us distribution normal loss random 0.1% rate 100gbit",
        );
        check(
            1000,
            50,
            0.0,
            Some(5_000_000_000),
            "limit 41980 delay 500.000us 50.000us distribution normal rate 5000000000bit",
        );
    }
}
