//! Who gets which number: slots, networks, addresses, names of links. Pure, so that the same spec gives the same lab.
//!
//! A lab owns one *slot* (1 to 254): the second byte of its addresses and the number in the names of its links.
//! Region `r` is `10.SLOT.r.0/24`, or the /24 of the addresses its hosts ask for.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use anyhow::bail;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::lab::HostSpec;
use crate::lab::LinksBy;
use crate::lab::Spec;
use crate::lang::links::Link;

/// The first host of a region; below are gateways and room for people.
const FIRST_HOST: u8 = 10;

/// A lab as it was laid out; what is written down before anything of it exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) name: String,
    pub(super) slot: u8,
    pub(super) lower: PathBuf,
    pub(super) regions: Vec<Region>,
    pub(super) hosts: Vec<Host>,
    #[serde(default)]
    pub(super) links: Vec<Wire>,
    /// None until there has been a link.
    #[serde(default)]
    pub(super) links_by: Option<LinksBy>,
}

/// A link and the device its packets go through, if a forwarder makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wire {
    pub(super) device: String,
    pub(super) link: Link,
}

/// One bridge and the networks on it: a region, or what hosts of it name as a network of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Region {
    pub(super) name: String,
    #[serde(default)]
    pub(super) network: Option<String>,
    pub(super) bridge: String,
    /// The machine's address in each /24 of the region.
    pub(super) gateways: Vec<Ipv4Addr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) region: String,
    #[serde(default)]
    pub(super) network: Option<String>,
    pub(super) bridge: String,
    /// The machine's end of the host's only cable.
    pub(super) cable: String,
    pub(super) address: Ipv4Addr,
    pub(super) gateway: Ipv4Addr,
}

impl Region {
    fn said(&self) -> String {
        place(&self.name, self.network.as_deref())
    }
}

/// As messages say it.
fn place(region: &str, network: Option<&str>) -> String {
    match network {
        Some(network) => format!("the network `{network}` of the region `{region}`"),
        None => format!("the region `{region}`"),
    }
}

/// A network the machine already has: first address and prefix length, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) first: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) device: String,
}

impl Taken {
    fn overlaps(&self, first: Ipv4Addr, prefix: u8) -> bool {
        let shorter = self.prefix.min(prefix);
        let mask = u32::MAX.checked_shl(u32::from(32 - shorter)).unwrap_or(0);
        self.first.to_bits() & mask == first.to_bits() & mask
    }
}

/// What the links of a slot are called up to their own number.
pub(super) fn bridges(slot: u8) -> String {
    format!("tbl{slot}-r")
}

/// See [`bridges`].
pub(super) fn cables(slot: u8) -> String {
    format!("tbl{slot}-h")
}

/// See [`bridges`]. Begins like those, so that the firewall's rules for bridges hold for links too.
pub(super) fn devices(slot: u8) -> String {
    format!("tbl{slot}-rl")
}

/// Says what is wrong with a name that goes into paths, comments and cgroups.
pub(super) fn check_name(what: &str, name: &str, longest: usize) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > longest || !name.chars().all(fits) || name.starts_with(['.', '-']) {
        bail!(
            "`{name}` cannot name {what} in a lab: write at most {longest} letters, digits, `.`, `_` or `-`, \
             beginning with a letter or digit"
        );
    }
    Ok(())
}

/// Says what is wrong with a spec before anything is done about it.
pub(super) fn check(spec: &Spec) -> Result<()> {
    check_name("a testbed", &spec.name, 40)?;
    if spec.hosts.is_empty() {
        bail!("the lab `{}` has no hosts: name at least one", spec.name);
    }
    let mut names = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    for host in &spec.hosts {
        check_name("a host", &host.name, 60)?;
        if !names.insert(&host.name) {
            bail!("the host `{}` is there twice: give each a name of its own", host.name);
        }
        let Some(address) = host.address else { continue };
        let last = address.octets()[3];
        if !(1..=254).contains(&last) || address.is_loopback() || address.is_multicast() || address.is_unspecified() {
            bail!("the host `{}` cannot have the address {address}: choose one within a /24", host.name);
        }
        if !addresses.insert(address) {
            bail!("the address {address} of the host `{}` has been given to another host too", host.name);
        }
    }
    Ok(())
}

/// The slot for a new lab: always the same for a name, unless it is in use.
pub(super) fn choose_slot(name: &str, used: &BTreeSet<u8>, taken: &[Taken]) -> Result<u8> {
    let wish = Sha256::digest(name.as_bytes())[0];
    let free = |slot: &u8| {
        let first = Ipv4Addr::new(10, *slot, 0, 0);
        // A route as broad as a company's 10.0.0.0/8 leaves room within.
        !used.contains(slot) && !taken.iter().any(|net| net.prefix >= 12 && net.overlaps(first, 16))
    };
    let slot = (0..254u8).map(|step| ((u16::from(wish) + u16::from(step)) % 254 + 1) as u8).find(free);
    match slot {
        Some(slot) => Ok(slot),
        None => bail!("no network 10.1.0.0/16 to 10.254.0.0/16 is free on this machine: take another lab down"),
    }
}

impl Layout {
    pub(super) fn new(name: &str, slot: u8, lower: PathBuf) -> Layout {
        let (regions, hosts, links) = (Vec::new(), Vec::new(), Vec::new());
        Layout { name: name.to_owned(), slot, lower, regions, hosts, links, links_by: None }
    }

    pub(super) fn host(&self, name: &str) -> Result<&Host> {
        let found = self.hosts.iter().find(|host| host.name == name);
        match found {
            Some(host) => Ok(host),
            None => {
                let all: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
                bail!("the lab `{}` has no host `{name}`; it has {}", self.name, all.join(", "))
            }
        }
    }

    /// Adds the hosts the lab does not have yet. Those it has stay as they are, also when the spec has lost them.
    pub(super) fn extend(&mut self, spec: &Spec, taken: &[Taken]) -> Result<()> {
        for wanted in &spec.hosts {
            let Some(host) = self.hosts.iter().find(|host| host.name == wanted.name) else { continue };
            let moved = (&host.region, &host.network) != (&wanted.region, &wanted.network);
            if moved || wanted.address.is_some_and(|address| address != host.address) {
                bail!(
                    "the host `{}` is up as {} in {}, which is not what is asked for now: take the lab `{}` down first",
                    host.name,
                    host.address,
                    place(&host.region, host.network.as_deref()),
                    self.name
                );
            }
        }
        // Wishes first, so that a chosen address never stands in the way of a wanted one.
        let (wishes, others): (Vec<_>, Vec<_>) = spec.hosts.iter().partition(|host| host.address.is_some());
        for wanted in spec.hosts.iter() {
            self.region(&wanted.region, wanted.network.as_deref())?;
        }
        let mut made = Vec::new();
        for wanted in wishes.into_iter().chain(others) {
            if self.hosts.iter().all(|host| host.name != wanted.name) {
                let host = self.place(wanted, spec, taken)?;
                made.push(host.name.clone());
                self.hosts.push(host);
            }
        }
        let order = |name: &str| spec.hosts.iter().position(|host| host.name == name);
        let old = self.hosts.len() - made.len();
        self.hosts[old..].sort_by_key(|host| order(&host.name));
        self.lay_links(&spec.links);
        Ok(())
    }

    /// The links as they are to be; one that was there keeps its device, whatever its figures.
    fn lay_links(&mut self, links: &[Link]) {
        let old = std::mem::take(&mut self.links);
        for link in links {
            let known = |wire: &&Wire| wire.link.joins(&link.between[0], &link.between[1]);
            let device = match old.iter().find(known) {
                Some(wire) => wire.device.clone(),
                None => {
                    let used: BTreeSet<&String> = old.iter().chain(&self.links).map(|wire| &wire.device).collect();
                    let names = (0..=used.len()).map(|number| format!("{}{number}", devices(self.slot)));
                    names.into_iter().find(|name| !used.contains(name)).unwrap_or_default()
                }
            };
            self.links.push(Wire { device, link: link.clone() });
        }
    }

    /// The link from one network to another, by their places in `regions`.
    pub(super) fn wire(&self, from: usize, to: usize) -> Option<&Wire> {
        let (a, b) = (self.regions.get(from)?, self.regions.get(to)?);
        // Within a network there is none.
        let mut links = self.links.iter().filter(|_| from != to);
        links.find(|wire| wire.link.joins(&a.name, &b.name))
    }

    /// The index of a region's network, which is made if it is new.
    fn region(&mut self, name: &str, network: Option<&str>) -> Result<usize> {
        let same = |region: &Region| region.name == name && region.network.as_deref() == network;
        if let Some(index) = self.regions.iter().position(same) {
            return Ok(index);
        }
        let index = self.regions.len();
        if index > 255 {
            bail!("the lab `{}` has more than 256 networks", self.name);
        }
        let bridge = format!("{}{index}", bridges(self.slot));
        let network = network.map(str::to_owned);
        self.regions.push(Region { name: name.to_owned(), network, bridge, gateways: Vec::new() });
        Ok(index)
    }

    fn place(&mut self, wanted: &HostSpec, spec: &Spec, taken: &[Taken]) -> Result<Host> {
        let index = self.region(&wanted.region, wanted.network.as_deref())?;
        let address = match wanted.address {
            Some(address) => address,
            None => self.free_address(index)?,
        };
        let gateway = self.gateway(index, address, spec, taken)?;
        if gateway == address || self.hosts.iter().any(|host| host.address == address) {
            bail!("the address {address} asked for by the host `{}` is in use in the lab", wanted.name);
        }
        let number = (0..).find(|number| {
            let cable = format!("{}{number}", cables(self.slot));
            self.hosts.iter().all(|host| host.cable != cable)
        });
        Ok(Host {
            name: wanted.name.clone(),
            region: wanted.region.clone(),
            network: wanted.network.clone(),
            bridge: self.regions[index].bridge.clone(),
            cable: format!("{}{}", cables(self.slot), number.unwrap_or(0)),
            address,
            gateway,
        })
    }

    fn free_address(&self, region: usize) -> Result<Ipv4Addr> {
        let free = (FIRST_HOST..=254)
            .map(|number| Ipv4Addr::new(10, self.slot, region as u8, number))
            .find(|address| self.hosts.iter().all(|host| host.address != *address));
        match free {
            Some(address) => Ok(address),
            None => bail!("{} is full: a network has room for 245 hosts", self.regions[region].said()),
        }
    }

    /// The machine's address in the /24 of `address`, which is joined to the region if it is new.
    fn gateway(&mut self, region: usize, address: Ipv4Addr, spec: &Spec, taken: &[Taken]) -> Result<Ipv4Addr> {
        let first = network(address);
        for (index, other) in self.regions.iter().enumerate() {
            if let Some(gateway) = other.gateways.iter().find(|gateway| network(**gateway) == first) {
                if index == region {
                    return Ok(*gateway);
                }
                bail!("{first}/24 would be in two networks, {} and {}", other.said(), self.regions[region].said());
            }
        }
        if let Some(net) = taken.iter().find(|net| net.prefix >= 12 && net.overlaps(first, 24)) {
            bail!(
                "{first}/24 of {} overlaps {}/{}, which this machine reaches by {}: choose other addresses for the lab",
                self.regions[region].said(),
                net.first,
                net.prefix,
                net.device
            );
        }
        let [a, b, c, _] = first.octets();
        let wanted = |last| spec.hosts.iter().any(|host| host.address == Some(Ipv4Addr::new(a, b, c, last)));
        let gateway = Ipv4Addr::new(a, b, c, if wanted(1) { 254 } else { 1 });
        self.regions[region].gateways.push(gateway);
        Ok(gateway)
    }
}

/// The first address of the /24 an address is in.
pub(super) fn network(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 0)
}

/// The hardware address that goes with an address. Fixed, as neighbours remember it for half a minute.
pub(super) fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name`, `name@region`, `name@region/network`, `name@region=address`
    fn spec(hosts: &[&str]) -> Spec {
        let hosts = hosts.iter().map(|text| {
            let (text, address) = text.split_once('=').map_or((*text, None), |(text, ip)| (text, Some(ip)));
            let (name, region) = text.split_once('@').unwrap_or((text, "lab"));
            let address = address.map(|ip| ip.parse().unwrap());
            let (region, network) = region.split_once('/').map_or((region, None), |(region, net)| (region, Some(net)));
            HostSpec { region: region.to_owned(), network: network.map(str::to_owned), address, ..HostSpec::new(name) }
        });
        Spec { name: "t".to_owned(), hosts: hosts.collect(), ..Spec::default() }
    }

    fn home() -> Taken {
        Taken { first: Ipv4Addr::new(192, 168, 1, 0), prefix: 24, device: "eth0".to_owned() }
    }

    /// Each spec in turn; then `name bridge cable address gateway` of each host, or the error.
    fn extended(specs: &[&[&str]]) -> Result<Vec<String>> {
        let mut layout = Layout::new("t", 7, PathBuf::new());
        for hosts in specs {
            check(&spec(hosts))?;
            layout.extend(&spec(hosts), &[home()])?;
        }
        let line =
            |host: &Host| format!("{} {} {} {} {}", host.name, host.bridge, host.cable, host.address, host.gateway);
        Ok(layout.hosts.iter().map(line).collect())
    }

    #[track_caller]
    fn lays_out(specs: &[&[&str]], lines: &[&str]) {
        assert_eq!(extended(specs).unwrap(), lines);
    }

    #[track_caller]
    fn refuses(specs: &[&[&str]], part: &str) {
        let text = extended(specs).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }

    #[test]
    fn by_region_and_order() {
        lays_out(
            &[&["a@east", "b@west", "c@east"]],
            &[
                "a tbl7-r0 tbl7-h0 10.7.0.10 10.7.0.1",
                "b tbl7-r1 tbl7-h1 10.7.1.10 10.7.1.1",
                "c tbl7-r0 tbl7-h2 10.7.0.11 10.7.0.1",
            ],
        );
    }

    #[test]
    fn networks_of_one_region_are_apart() {
        lays_out(
            &[&["a@x/1", "b@x/2", "c@x", "d@x/1", "e@y/1"]],
            &[
                "a tbl7-r0 tbl7-h0 10.7.0.10 10.7.0.1",
                "b tbl7-r1 tbl7-h1 10.7.1.10 10.7.1.1",
                "c tbl7-r2 tbl7-h2 10.7.2.10 10.7.2.1",
                "d tbl7-r0 tbl7-h3 10.7.0.11 10.7.0.1",
                "e tbl7-r3 tbl7-h4 10.7.3.10 10.7.3.1",
            ],
        );
    }

    fn link(one: &str, other: &str, rtt: u64) -> Link {
        let between = [one.to_owned(), other.to_owned()];
        let rtt = std::time::Duration::from_millis(rtt);
        Link { between, rtt, jitter: std::time::Duration::ZERO, loss: 0.0, rate: None, source: String::new() }
    }

    #[test]
    fn links_are_between_networks_and_keep_their_devices() {
        let mut layout = Layout::new("t", 7, PathBuf::new());
        let mut lay = |links: Vec<Link>| {
            layout.extend(&Spec { links, ..spec(&["a@x/1", "b@x/2", "c@y", "d@z"]) }, &[]).unwrap();
            let device = |from: usize, to: usize| {
                let wire = layout.wire(from, to)?;
                Some(format!("{} {}", wire.device, wire.link.rtt.as_millis()))
            };
            (0..4)
                .map(|from| (0..4).map(|to| device(from, to).unwrap_or("-".into())).collect::<Vec<_>>().join(", "))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lay(vec![link("x", "x", 1), link("y", "x", 9)]),
            [
                "-, tbl7-rl0 1, tbl7-rl1 9, -",
                "tbl7-rl0 1, -, tbl7-rl1 9, -",
                "tbl7-rl1 9, tbl7-rl1 9, -, -",
                "-, -, -, -",
            ]
        );
        assert_eq!(
            lay(vec![link("z", "x", 3), link("x", "y", 8)]),
            [
                "-, -, tbl7-rl1 8, tbl7-rl2 3",
                "-, -, tbl7-rl1 8, tbl7-rl2 3",
                "tbl7-rl1 8, tbl7-rl1 8, -, -",
                "tbl7-rl2 3, tbl7-rl2 3, -, -"
            ],
            "the device of a link that goes is not given to another at once"
        );
        assert_eq!(lay(vec![link("y", "z", 2)])[2], "-, -, -, tbl7-rl0 2");
        assert_eq!(lay(vec![]), ["-, -, -, -"; 4]);
    }

    #[test]
    fn wishes_come_first_and_nobody_moves() {
        lays_out(
            &[&["a", "b=10.7.0.10", "c=10.20.0.1"], &["d", "a"]],
            &[
                "a tbl7-r0 tbl7-h2 10.7.0.11 10.7.0.1",
                "b tbl7-r0 tbl7-h0 10.7.0.10 10.7.0.1",
                "c tbl7-r0 tbl7-h1 10.20.0.1 10.20.0.254",
                "d tbl7-r0 tbl7-h3 10.7.0.12 10.7.0.1",
            ],
        );
    }

    #[test]
    fn what_cannot_be_had() {
        refuses(&[&[]], "has no hosts");
        refuses(&[&["a", "a"]], "`a` is there twice");
        refuses(&[&["a b"]], "`a b` cannot name a host");
        refuses(&[&["../a"]], "cannot name a host");
        refuses(&[&["a=10.1.1.1", "b=10.1.1.1"]], "another host too");
        refuses(&[&["a=10.1.1.255"]], "choose one within a /24");
        refuses(&[&["a=127.0.0.9"]], "cannot have the address");
        refuses(
            &[&["a@x=10.1.1.5", "b@y=10.1.1.6"]],
            "10.1.1.0/24 would be in two networks, the region `x` and the region `y`",
        );
        refuses(
            &[&["a=192.168.1.5"]],
            "192.168.1.0/24 of the region `lab` overlaps 192.168.1.0/24, which this machine reaches by eth0",
        );
        refuses(&[&["a=10.1.1.5"], &["b=10.1.1.1"]], "is in use in the lab");
        refuses(&[&["a=10.1.1.5"], &["a=10.1.1.6"]], "take the lab `t` down first");
        refuses(&[&["a@x"], &["a@y"]], "take the lab `t` down first");
        refuses(&[&["a@x/n"], &["a@x"]], "is up as 10.7.0.10 in the network `n` of the region `x`");
        refuses(&[&["a@x/n=10.1.1.5", "b@x=10.1.1.6"]], "the network `n` of the region `x` and the region `x`");
    }

    #[test]
    fn a_full_region_says_so() {
        let names: Vec<String> = (0..246).map(|number| format!("h{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        refuses(&[&names], "is full");
    }

    #[test]
    fn a_slot_belongs_to_a_name_unless_it_is_in_use() {
        let none = BTreeSet::new();
        let first = choose_slot("t", &none, &[home()]).unwrap();
        assert_eq!(choose_slot("t", &none, &[]).unwrap(), first);
        let net = |prefix| Taken { first: Ipv4Addr::new(10, first, 3, 0), prefix, device: "tun0".to_owned() };
        for (used, taken) in
            [(BTreeSet::from([first]), vec![]), (none.clone(), vec![net(24)]), (none.clone(), vec![net(13)])]
        {
            assert_ne!(choose_slot("t", &used, &taken).unwrap(), first, "{used:?} {taken:?}");
        }
        assert_eq!(choose_slot("t", &none, &[net(8)]).unwrap(), first);
        assert!(choose_slot("t", &(0..=255).collect(), &[]).is_err());
    }
}
