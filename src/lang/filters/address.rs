//! An address in its network: reading, printing and the arithmetic of prefixes.
//!
//! Knows nothing of templates.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Net {
    pub(super) value: u128,
    pub(super) prefix: u32,
    /// 32 or 128
    pub(super) bits: u32,
    /// Whether the text says a prefix.
    pub(super) slash: bool,
}

impl Net {
    pub(super) fn parse(text: &str) -> Option<Net> {
        let text = text.trim();
        let (address, suffix) = text.split_once('/').map_or((text, None), |(address, suffix)| (address, Some(suffix)));
        let (value, bits) = match address.parse().ok()? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let prefix = match suffix {
            None => bits,
            Some(suffix) => match suffix.parse::<u32>() {
                Ok(prefix) => prefix,
                Err(_) => mask_length(suffix)?,
            },
        };
        (prefix <= bits).then_some(Net { value, prefix, bits, slash: suffix.is_some() })
    }

    pub(super) fn version(&self) -> i128 {
        if self.bits == 32 { 4 } else { 6 }
    }

    pub(super) fn hostmask(&self) -> u128 {
        let host_bits = self.bits - self.prefix;
        if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 }
    }

    pub(super) fn netmask(&self) -> u128 {
        let all = if self.bits == 128 { u128::MAX } else { (1 << self.bits) - 1 };
        all & !self.hostmask()
    }

    pub(super) fn network(&self) -> u128 {
        self.value & self.netmask()
    }

    pub(super) fn last(&self) -> u128 {
        self.network() | self.hostmask()
    }

    pub(super) fn show(&self, value: u128) -> String {
        match self.bits {
            32 => Ipv4Addr::from(u32::try_from(value).unwrap_or(0)).to_string(),
            _ => Ipv6Addr::from(value).to_string(),
        }
    }

    pub(super) fn address(&self) -> String {
        self.show(self.value)
    }

    pub(super) fn with_prefix(&self, value: u128) -> String {
        format!("{}/{}", self.show(value), self.prefix)
    }

    /// As it was given.
    pub(super) fn text(&self) -> String {
        if self.slash { self.with_prefix(self.value) } else { self.address() }
    }

    pub(super) fn is_single(&self) -> bool {
        self.prefix == self.bits
    }

    pub(super) fn is_point_to_point(&self) -> bool {
        self.bits - self.prefix == 1
    }

    /// A network's own address, rather than a host's in it.
    pub(super) fn is_network(&self) -> bool {
        self.slash && !self.is_single() && self.value == self.network()
    }

    /// Whether a host may have the address.
    pub(super) fn is_host(&self) -> bool {
        !self.is_network() || self.is_point_to_point()
    }

    pub(super) fn contains(&self, other: &Net) -> bool {
        self.bits == other.bits && other.network() >= self.network() && other.last() <= self.last()
    }

    /// The first and last address a host may have.
    pub(super) fn usable(&self) -> Option<(u128, u128)> {
        match self.bits - self.prefix {
            0 => None,
            1 => Some((self.network(), self.last())),
            _ => Some((self.network() + 1, self.last() - 1)),
        }
    }

    /// The address at a position of the network, from its end when negative.
    pub(super) fn at(&self, index: i128) -> Option<u128> {
        let found = if index < 0 {
            self.last().checked_sub(index.unsigned_abs() - 1)?
        } else {
            self.network().checked_add(index.unsigned_abs())?
        };
        (found >= self.network() && found <= self.last()).then_some(found)
    }
}

fn mask_length(mask: &str) -> Option<u32> {
    let mask = u32::from(mask.parse::<Ipv4Addr>().ok()?);
    let ones = mask.leading_ones();
    (mask.count_ones() == ones || mask == 0).then_some(ones)
}

fn v4(net: &Net) -> Option<Ipv4Addr> {
    (net.bits == 32).then(|| Ipv4Addr::from(u32::try_from(net.value).unwrap_or(0)))
}

pub(super) fn is_loopback(net: &Net) -> bool {
    v4(net).map_or_else(|| Ipv6Addr::from(net.value).is_loopback(), |address| address.is_loopback())
}

pub(super) fn is_multicast(net: &Net) -> bool {
    v4(net).map_or_else(|| Ipv6Addr::from(net.value).is_multicast(), |address| address.is_multicast())
}

pub(super) fn is_link_local(net: &Net) -> bool {
    v4(net).map_or_else(|| Ipv6Addr::from(net.value).is_unicast_link_local(), |address| address.is_link_local())
}

/// Ranges that are not for the open internet, without loopback, multicast and link-local ones.
const PRIVATE: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "198.18.0.0/15",
    "fc00::/7",
    "2001:db8::/32",
    "fec0::/10",
];

pub(super) fn is_private(net: &Net) -> bool {
    is_loopback(net)
        || is_link_local(net)
        || PRIVATE.iter().any(|range| Net::parse(range).is_some_and(|range| range.contains(net)))
}

pub(super) fn is_special(net: &Net) -> bool {
    is_private(net) || is_multicast(net) || net.value == 0 || v4(net).is_some_and(|address| address.octets()[0] >= 240)
}
