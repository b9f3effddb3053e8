//! The networks of a lab on the machine's side: a bridge for each region, forwarding between them, NAT outward.
//! The host's side is in `host.sh`.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;
use serde::Serialize;

use crate::lab::layout;
use crate::lab::layout::Layout;
use crate::lab::layout::Taken;
use crate::lab::program::run;
use crate::lab::program::succeeds;
use crate::lab::state;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
const TABLES: [&str; 2] = ["filter", "nat"];

/// How the machine was before the first lab.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    forwarding: String,
    /// Of the firewall. They come into being with their first rule, and then stay.
    tables: Vec<String>,
}

#[derive(Deserialize)]
struct Route {
    dst: String,
    #[serde(default)]
    dev: String,
}

/// What the machine's routes and name servers occupy, but for the slot's own.
pub(super) fn taken(own_slot: Option<u8>) -> Result<Vec<Taken>> {
    let own = own_slot.map(layout::bridges);
    let routes: Vec<Route> = serde_json::from_str(&run("ip", &["-j", "-4", "route", "show"])?)
        .context("cannot read the machine's routes")?;
    let mut taken = Vec::new();
    for route in routes {
        let (first, prefix) = route.dst.split_once('/').unwrap_or((&route.dst, "32"));
        let (Ok(first), Ok(prefix)) = (first.parse(), prefix.parse()) else { continue }; // "default"
        if own.as_ref().is_none_or(|own| !route.dev.starts_with(own.as_str())) {
            taken.push(Taken { first, prefix, device: route.dev });
        }
    }
    for line in resolvers().lines() {
        let Some(address) = line.strip_prefix("nameserver").and_then(|rest| rest.trim().parse().ok()) else { continue };
        taken.push(Taken { first: address, prefix: 32, device: "its name server".to_owned() });
    }
    Ok(taken)
}

/// The resolver configuration hosts get: the machine's, but not one that leads to the machine's own loopback.
pub(super) fn resolvers() -> String {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if text.lines().any(|line| line.starts_with("nameserver 127.")) {
        return fs::read_to_string("/run/systemd/resolve/resolv.conf").unwrap_or(text);
    }
    text
}

/// The largest segment hosts announce, so that what comes back fits the machine's way out, which may be narrower.
pub(super) fn segment() -> u32 {
    #[derive(Deserialize)]
    struct Link {
        mtu: u32,
    }
    let default = run("ip", &["-j", "-4", "route", "show", "default"]).unwrap_or_default();
    let routes: Vec<Route> = serde_json::from_str(&default).unwrap_or_default();
    let mtu = routes.first().and_then(|route| {
        let links: Vec<Link> = serde_json::from_str(&run("ip", &["-j", "link", "show", &route.dev]).ok()?).ok()?;
        links.first().map(|link| link.mtu)
    });
    mtu.unwrap_or(1500).clamp(576, 1500) - 40
}

/// Bridges, rules and forwarding of a lab. What is there stays.
pub(super) fn make(layout: &Layout) -> Result<()> {
    for region in &layout.regions {
        let bridge = region.bridge.as_str();
        if !Path::new("/sys/class/net").join(bridge).exists() {
            run("ip", &["link", "add", bridge, "mtu", "1500", "type", "bridge", "forward_delay", "0"])?;
        }
        if let Some(gateway) = region.gateways.first() {
            // Else a bridge takes one of its cables', and another one when those change.
            run("ip", &["link", "set", bridge, "address", &layout::mac(*gateway)])?;
        }
        for gateway in &region.gateways {
            run("ip", &["address", "replace", &format!("{gateway}/24"), "broadcast", "+", "dev", bridge])?;
        }
        run("ip", &["link", "set", bridge, "up"])?;
    }
    for rule in rules(layout) {
        let (table, chain, rest) = (&rule[0], &rule[1], &rule[2..]);
        let with = |action: &str| {
            let mut args = vec!["-w".to_owned(), "-t".to_owned(), table.clone(), action.to_owned(), chain.clone()];
            args.extend(rest.iter().cloned());
            args
        };
        let check = with("-C");
        if !succeeds("iptables", &check.iter().map(String::as_str).collect::<Vec<_>>()) {
            run("iptables", &with("-I"))?;
        }
    }
    Ok(())
}

fn comment(name: &str) -> String {
    format!("tbctl-lab:{name}")
}

/// Table, chain and the rest of each rule of a lab.
fn rules(layout: &Layout) -> Vec<Vec<String>> {
    let inside = layout::bridges(layout.slot) + "+";
    let comment = comment(&layout.name);
    let mut rules = vec![
        format!("filter FORWARD -i {inside} -m comment --comment {comment} -j ACCEPT"),
        format!("filter FORWARD -o {inside} -m comment --comment {comment} -j ACCEPT"),
    ];
    for gateway in layout.regions.iter().flat_map(|region| &region.gateways) {
        let first = layout::network(*gateway);
        rules.push(format!("nat POSTROUTING -s {first}/24 ! -o {inside} -m comment --comment {comment} -j MASQUERADE"));
    }
    rules.iter().map(|rule| rule.split(' ').map(str::to_owned).collect()).collect()
}

/// Removes the links of a slot and the rules of a lab, whatever is left of them.
pub(super) fn remove(name: &str, slot: Option<u8>) -> Result<()> {
    for link in slot.map(links).transpose()?.unwrap_or_default() {
        // A cable goes away by itself when its host's end does; that it is gone is what counts.
        if let Err(error) = run("ip", &["link", "delete", &link])
            && Path::new("/sys/class/net").join(&link).exists()
        {
            return Err(error);
        }
    }
    for table in TABLES {
        for rule in saved(table) {
            let Some(mut words) = shlex::split(&rule) else { continue };
            let ours = words.windows(2).any(|pair| pair[0] == "--comment" && pair[1] == comment(name));
            if ours && words[0] == "-A" {
                words[0] = "-D".to_owned();
                words.splice(0..0, ["-w".to_owned(), "-t".to_owned(), table.to_owned()]);
                run("iptables", &words)?;
            }
        }
    }
    Ok(())
}

fn links(slot: u8) -> Result<Vec<String>> {
    let (bridges, cables) = (layout::bridges(slot), layout::cables(slot));
    let mut names = BTreeSet::new();
    for entry in fs::read_dir("/sys/class/net").context("cannot read the machine's links")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&bridges) || name.starts_with(&cables) {
            names.insert(name);
        }
    }
    Ok(names.into_iter().collect())
}

/// The lines of a table of the firewall; none if it does not exist.
fn saved(table: &str) -> Vec<String> {
    let text = run("iptables-save", &["-t", table]).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn before_path() -> PathBuf {
    Path::new(state::BASE).join(".before.json")
}

/// Lets the machine forward. Call with the machine's lock.
pub(super) fn open_machine() -> Result<()> {
    let now = fs::read_to_string(FORWARDING).context("cannot read whether this machine forwards")?;
    if !before_path().exists() {
        // `iptables-save -t` would make the table it is asked for.
        let all = run("iptables-save", &[] as &[&str])?;
        let tables = TABLES.iter().filter(|table| all.lines().any(|line| line == format!("*{table}")));
        let before =
            Before { forwarding: now.trim().to_owned(), tables: tables.map(|table| (*table).to_owned()).collect() };
        state::replace(&before_path(), &serde_json::to_string(&before)?)?;
    }
    if now.trim() != "1" {
        fs::write(FORWARDING, "1").context("cannot let this machine forward")?;
    }
    Ok(())
}

/// Gives the machine back as the first lab found it. Call with the machine's lock, after the last lab.
pub(super) fn close_machine() -> Result<()> {
    let Ok(text) = fs::read_to_string(before_path()) else { return Ok(()) };
    let before: Before = serde_json::from_str(&text).context("cannot read how this machine was before the lab")?;
    if before.forwarding == "0" {
        fs::write(FORWARDING, "0").context("cannot stop this machine from forwarding")?;
    }
    for table in TABLES {
        let known = before.tables.iter().any(|name| name == table);
        // Only an empty table, with no chains but its own, is one that the lab has made.
        let empty = saved(table).iter().all(|line| {
            line.starts_with('*') || line == "COMMIT" || (line.starts_with(':') && line.contains(" ACCEPT "))
        });
        if !known && empty {
            // Without nft, or with the old tables of the kernel, an empty table stays; it does nothing.
            succeeds("nft", &["delete", "table", "ip", table]);
        }
    }
    fs::remove_file(before_path()).context("cannot forget how this machine was before the lab")
}

/// For messages: where hosts are found from the machine.
pub(super) fn endpoint(address: Ipv4Addr) -> std::net::SocketAddr {
    (address, 22).into()
}
