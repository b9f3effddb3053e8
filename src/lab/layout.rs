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
use crate::lab::Spec;

/// The first host of a region; below are gateways and room for people.
const FIRST_HOST: u8 = 10;

/// A lab as it was laid out; what is written down before anything of it exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) name: String,
    pub(super) slot: u8,
    pub(super) lower: PathBuf,
    pub(super) regions: Vec<Region>,
    pub(super) hosts: Vec<Host>,
}

/// One bridge and the networks on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) bridge: String,
    /// The machine's address in each /24 of the region.
    pub(super) gateways: Vec<Ipv4Addr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) bridge: String,
    /// The machine's end of the host's only cable.
    pub(super) cable: String,
    pub(super) address: Ipv4Addr,
    pub(super) gateway: Ipv4Addr,
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
        Layout { name: name.to_owned(), slot, lower, regions: Vec::new(), hosts: Vec::new() }
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
            if host.region != wanted.region || wanted.address.is_some_and(|address| address != host.address) {
                bail!(
                    "the host `{}` is up as {} in region `{}`, which is not what is asked for now: take the lab `{}` \
                     down first",
                    host.name,
                    host.address,
                    host.region,
                    self.name
                );
            }
        }
        // Wishes first, so that a chosen address never stands in the way of a wanted one.
        let (wishes, others): (Vec<_>, Vec<_>) = spec.hosts.iter().partition(|host| host.address.is_some());
        for wanted in spec.hosts.iter() {
            self.region(&wanted.region)?;
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
        Ok(())
    }

    /// The index of a region, which is made if it is new.
    fn region(&mut self, name: &str) -> Result<usize> {
        if let Some(index) = self.regions.iter().position(|region| region.name == name) {
            return Ok(index);
        }
        let index = self.regions.len();
        if index > 255 {
            bail!("the lab `{}` has more than 256 regions", self.name);
        }
        let bridge = format!("{}{index}", bridges(self.slot));
        self.regions.push(Region { name: name.to_owned(), bridge, gateways: Vec::new() });
        Ok(index)
    }

    fn place(&mut self, wanted: &HostSpec, spec: &Spec, taken: &[Taken]) -> Result<Host> {
        let index = self.region(&wanted.region)?;
        let address = match wanted.address {
            Some(address) => address,
            None => self.free_address(index, &wanted.region)?,
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
            bridge: self.regions[index].bridge.clone(),
            cable: format!("{}{}", cables(self.slot), number.unwrap_or(0)),
            address,
            gateway,
        })
    }

    fn free_address(&self, region: usize, name: &str) -> Result<Ipv4Addr> {
        let free = (FIRST_HOST..=254)
            .map(|number| Ipv4Addr::new(10, self.slot, region as u8, number))
            .find(|address| self.hosts.iter().all(|host| host.address != *address));
        match free {
            Some(address) => Ok(address),
            None => bail!("the region `{name}` is full: a region has room for 245 hosts"),
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
                bail!(
                    "the network {first}/24 would be in two regions, `{}` and `{}`",
                    other.name,
                    self.regions[region].name
                );
            }
        }
        if let Some(net) = taken.iter().find(|net| net.prefix >= 12 && net.overlaps(first, 24)) {
            bail!(
                "the network {first}/24 of the region `{}` overlaps {}/{}, which this machine reaches by {}: \
                 choose other addresses for the lab",
                self.regions[region].name,
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
