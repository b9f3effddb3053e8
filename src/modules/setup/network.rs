//! Facts of interfaces, addresses and default routes, from `/sys/class/net`, `/proc/net` and `ip -o addr`.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use serde_json::Value;
use serde_json::json;

use crate::modules::setup::facts::Facts;
use crate::modules::setup::facts::Printed;

const SYS: &str = "/sys/class/net/";

/// Adds everything about the network.
pub(super) fn facts(printed: &Printed<'_>, facts: &mut Facts) {
    let mut found: Vec<Interface> = printed.between(SYS, "/mtu").map(|(name, mtu)| Interface::read(printed, name, mtu)).collect();
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for line in printed.section("ip") {
        if let Some((name, address)) = address(line) {
            match &address {
                Address::Four { address, .. } if !address.is_loopback() => four.push(address.to_string()),
                Address::Six { address, .. } if !address.is_loopback() => six.push(address.to_string()),
                _ => {}
            }
            let at = found.iter().position(|one| one.name == name).unwrap_or_else(|| {
                found.push(Interface::read(printed, name, ""));
                found.len() - 1
            });
            found[at].addresses.push(address);
        }
    }
    facts.insert("all_ipv4_addresses".into(), four.into());
    facts.insert("all_ipv6_addresses".into(), six.into());
    facts.insert("default_ipv4".into(), default_four(printed, &found).unwrap_or_else(|| json!({})));
    facts.insert("default_ipv6".into(), default_six(printed, &found).unwrap_or_else(|| json!({})));
    facts.insert("interfaces".into(), found.iter().map(|one| Value::from(one.name.as_str())).collect());
    facts.insert("dns".into(), dns(printed));
    for one in &found {
        facts.insert(one.name.replace('-', "_"), one.fact());
    }
}

enum Address {
    Four { address: Ipv4Addr, prefix: u32, broadcast: String },
    Six { address: Ipv6Addr, prefix: u32, scope: String },
}

struct Interface {
    name: String,
    mtu: Option<u64>,
    mac: String,
    kind: &'static str,
    active: bool,
    promiscuous: bool,
    ports: Vec<String>,
    addresses: Vec<Address>,
}

impl Interface {
    fn read(printed: &Printed<'_>, name: &str, mtu: &str) -> Interface {
        let line = |file: &str| printed.line(&format!("{SYS}{name}/{file}")).unwrap_or_default();
        let kind = match line("type") {
            _ if printed.exists(&format!("{SYS}{name}/bridge")) => "bridge",
            _ if printed.exists(&format!("{SYS}{name}/bonding")) => "bonding",
            "1" => "ether",
            "32" => "infiniband",
            "512" => "ppp",
            "772" => "loopback",
            "65534" => "tunnel",
            _ => "unknown",
        };
        let ports = format!("{SYS}{name}/brif/");
        let flags = u32::from_str_radix(line("flags").trim_start_matches("0x"), 16).unwrap_or_default();
        Interface {
            name: name.to_string(),
            mtu: mtu.trim().parse().ok(),
            mac: line("address").to_string(),
            kind,
            active: line("operstate") != "down",
            promiscuous: flags & 0x100 != 0,
            ports: printed.section("paths").filter_map(|path| path.strip_prefix(ports.as_str())).map(str::to_string).collect(),
            addresses: Vec::new(),
        }
    }

    fn fact(&self) -> Value {
        let mut fact = json!({"device": self.name, "active": self.active, "promisc": self.promiscuous, "type": self.kind});
        if let Some(mtu) = self.mtu {
            fact["mtu"] = mtu.into();
        }
        if !self.mac.is_empty() && self.kind != "loopback" {
            fact["macaddress"] = self.mac.as_str().into();
        }
        if self.kind == "bridge" {
            fact["interfaces"] = self.ports.clone().into();
        }
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for address in &self.addresses {
            match address {
                Address::Four { .. } => four.push(address.fact()),
                Address::Six { .. } => six.push(address.fact()),
            }
        }
        let mut four = four.into_iter();
        if let Some(first) = four.next() {
            fact["ipv4"] = first;
        }
        let others: Vec<Value> = four.collect();
        if !others.is_empty() {
            fact["ipv4_secondaries"] = others.into();
        }
        if !six.is_empty() {
            fact["ipv6"] = six.into();
        }
        fact
    }
}

fn mask(prefix: u32) -> u32 {
    u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or_default()
}

impl Address {
    fn fact(&self) -> Value {
        match self {
            Address::Four { address, prefix, broadcast } => json!({
                "address": address.to_string(),
                "broadcast": broadcast,
                "netmask": Ipv4Addr::from(mask(*prefix)).to_string(),
                "network": Ipv4Addr::from(u32::from(*address) & mask(*prefix)).to_string(),
                "prefix": prefix.to_string(),
            }),
            Address::Six { address, prefix, scope } => {
                json!({"address": address.to_string(), "prefix": prefix.to_string(), "scope": scope})
            }
        }
    }
}

/// Reads `2: eth0    inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0\ …`.
fn address(line: &str) -> Option<(&str, Address)> {
    let mut words = line.split_whitespace().skip(1);
    let (name, family, own) = (words.next()?, words.next()?, words.next()?);
    let rest: Vec<&str> = words.collect();
    let after = |word: &str| {
        let at = rest.iter().position(|one| *one == word)?;
        rest.get(at + 1).map(|text| text.trim_end_matches('\\').to_string())
    };
    // The prefix stands with the peer's address when there is one.
    let (address, prefix) = match own.split_once('/') {
        Some((address, prefix)) => (address, prefix.to_string()),
        None => (own, after("peer")?.split_once('/')?.1.to_string()),
    };
    let prefix = prefix.parse().ok()?;
    let name = name.split('@').next()?.trim_end_matches(':');
    match family {
        "inet" => {
            let broadcast = after("brd").unwrap_or_default();
            Some((name, Address::Four { address: address.parse().ok()?, prefix, broadcast }))
        }
        "inet6" => {
            let scope = after("scope").unwrap_or_default();
            Some((name, Address::Six { address: address.parse().ok()?, prefix, scope }))
        }
        _ => None,
    }
}

/// An address of `/proc/net/route`: hex, in the byte order of a little-endian machine.
fn little(hex: &str) -> Option<Ipv4Addr> {
    u32::from_str_radix(hex, 16).ok().map(|bits| Ipv4Addr::from(bits.swap_bytes()))
}

fn default_four(printed: &Printed<'_>, found: &[Interface]) -> Option<Value> {
    let routes = printed.file("/proc/net/route").filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_default = fields.len() > 7 && fields[1] == "00000000" && fields[7] == "00000000";
        let up = is_default && u32::from_str_radix(fields[3], 16).is_ok_and(|flags| flags & 1 != 0 && flags & 0x200 == 0);
        up.then(|| (fields[6].parse::<u32>().unwrap_or_default(), fields[0], fields[2]))
    });
    let (_, name, gateway) = routes.min_by_key(|(metric, ..)| *metric)?;
    let gateway = little(gateway).filter(|address| !address.is_unspecified());
    let interface = found.iter().find(|one| one.name == name)?;
    let addresses = || interface.addresses.iter().filter(|one| matches!(one, Address::Four { .. }));
    // The kernel takes the address of the gateway's own network, else the first one.
    let near = addresses().find(|one| match (one, gateway) {
        (Address::Four { address, prefix, .. }, Some(gateway)) => {
            u32::from(*address) & mask(*prefix) == u32::from(gateway) & mask(*prefix)
        }
        _ => false,
    });
    let mut fact = near.or_else(|| addresses().next())?.fact();
    if let Some(gateway) = gateway {
        fact["gateway"] = gateway.to_string().into();
    }
    describe(&mut fact, interface);
    Some(fact)
}

fn default_six(printed: &Printed<'_>, found: &[Interface]) -> Option<Value> {
    let routes = printed.file("/proc/net/ipv6_route").filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_default = fields.len() > 9 && fields[1] == "00" && fields[0].bytes().all(|b| b == b'0') && fields[9] != "lo";
        is_default.then(|| (u32::from_str_radix(fields[5], 16).unwrap_or(u32::MAX), fields[9], fields[4]))
    });
    let (_, name, gateway) = routes.min_by_key(|(metric, ..)| *metric)?;
    let interface = found.iter().find(|one| one.name == name)?;
    let addresses = || interface.addresses.iter().filter(|one| matches!(one, Address::Six { .. }));
    let global = addresses().find(|one| matches!(one, Address::Six { scope, .. } if scope == "global"));
    let mut fact = global.or_else(|| addresses().next())?.fact();
    let gateway = u128::from_str_radix(gateway, 16).map(Ipv6Addr::from).ok().filter(|address| !address.is_unspecified());
    if let Some(gateway) = gateway {
        fact["gateway"] = gateway.to_string().into();
    }
    describe(&mut fact, interface);
    Some(fact)
}

fn describe(fact: &mut Value, interface: &Interface) {
    fact["interface"] = interface.name.as_str().into();
    fact["alias"] = interface.name.as_str().into();
    fact["macaddress"] = interface.mac.as_str().into();
    fact["type"] = interface.kind.into();
    if let Some(mtu) = interface.mtu {
        fact["mtu"] = mtu.into();
    }
}

fn dns(printed: &Printed<'_>) -> Value {
    let mut dns = Facts::new();
    let mut servers: Vec<Value> = Vec::new();
    for line in printed.file("/etc/resolv.conf") {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => servers.extend(words.next().map(Value::from)),
            Some("domain") => drop(dns.insert("domain".into(), words.next().into())),
            Some("search") => drop(dns.insert("search".into(), words.map(Value::from).collect())),
            Some("options") => {
                let options = words.map(|word| match word.split_once(':') {
                    Some((name, value)) => (name.to_string(), Value::from(value)),
                    None => (word.to_string(), Value::from(true)),
                });
                dns.insert("options".into(), options.collect::<Facts>().into());
            }
            _ => {}
        }
    }
    if !servers.is_empty() {
        dns.insert("nameservers".into(), servers.into());
    }
    dns.into()
}
