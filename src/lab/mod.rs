//! The lab: the hosts of a testbed as real systems on this Linux machine, each in namespaces of its own over a shared,
//! read-only tree, with systemd as its process 1 and OpenSSH to reach it by.
//!
//! It makes hosts and says how to reach them. It knows nothing of playbooks, inventories or runs.
//!
//! ```text
//! Spec ─layout→ slot, networks, addresses ─┬→ tree   (once: Debian without Python)
//!                                          ├→ net    (bridges, NAT)
//!                                          ├→ links  (netem, or forward: line, packet)
//!                                          └→ host   (host.sh: namespaces, overlay, init) ─→ Status, Access
//! ```
//!
//! Everything of a lab lies under `/run/tbctl-lab/NAME`, in the cgroup `tbctl-lab/NAME`, in links named after its slot
//! and in firewall rules with its name as comment: [`down`] needs only these to remove a lab that is half up or half dead.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::lang::links::Link;

#[cfg(target_os = "linux")]
mod apt;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod forward;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod keys;
#[cfg(any(target_os = "linux", test))]
mod layout;
#[cfg(target_os = "linux")]
mod life;
#[cfg(any(target_os = "linux", test))]
mod line;
#[cfg(target_os = "linux")]
mod links;
#[cfg(target_os = "linux")]
mod net;
#[cfg(target_os = "linux")]
mod netem;
#[cfg(any(target_os = "linux", test))]
mod packet;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod state;
#[cfg(target_os = "linux")]
mod tree;

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use life as system;

#[cfg(target_os = "linux")]
pub use forward::forward;
pub use system::access;
pub use system::down;
pub use system::exec;
#[cfg(not(target_os = "linux"))]
pub use system::forward;
pub use system::names;
pub use system::status;
pub use system::up;

/// The region of a host that names none.
pub const REGION: &str = "lab";

/// What is to be up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// The testbed. Letters, digits, `.`, `_` and `-`; at most 40.
    pub name: String,
    pub hosts: Vec<HostSpec>,
    /// The tree the hosts are made over; none: a minimal Debian, built once and cached.
    pub rootfs: Option<PathBuf>,
    /// Debian packages the built tree has in addition. Ignored with `rootfs`.
    pub packages: Vec<String>,
    pub storage: Storage,
    /// Of regions that hosts are in.
    pub links: Vec<Link>,
    /// tbctl itself, to be run as `lab forward DIR` where the kernel has no netem.
    pub program: Option<PathBuf>,
}

/// One host that is to be up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// Letters, digits, `.`, `_` and `-`; at most 60.
    pub name: String,
    /// Hosts of one region share a network; see [`REGION`].
    pub region: String,
    /// A network of its own within the region; none: the one all such hosts of the region share.
    pub network: Option<String>,
    /// None: chosen from the order of the hosts in the spec.
    pub address: Option<Ipv4Addr>,
}

impl HostSpec {
    /// A host of the region [`REGION`] without a wish for an address.
    pub fn new(name: &str) -> HostSpec {
        HostSpec { name: name.to_owned(), region: REGION.to_owned(), network: None, address: None }
    }
}

/// Where what the hosts write is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory: fast, and gone with the machine.
    #[default]
    Memory,
    /// On the disk that holds `/run`.
    Disk,
}

/// A lab as it is now. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// In the order in which they were added; empty when no lab of that name is up.
    pub hosts: Vec<HostStatus>,
    /// In the order of the inventory.
    #[serde(default)]
    pub links: Vec<LinkStatus>,
}

/// One link as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    pub between: [String; 2],
    /// What it adds to a round trip.
    pub rtt_ms: f64,
    /// The standard deviation of one way.
    pub jitter_ms: f64,
    /// Of one way.
    pub loss_percent: f64,
    /// Each way; none: no limit.
    pub rate_bits: Option<u64>,
    /// Where the figures are from.
    pub source: String,
    pub by: LinksBy,
    /// Whether packets pass.
    pub up: bool,
}

/// What makes the links of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinksBy {
    /// The kernel.
    Netem,
    /// tbctl, in user space.
    Forwarder,
}

/// One host as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    pub name: String,
    pub addresses: Vec<Ipv4Addr>,
    /// The host's process 1 as this machine numbers it; none while the host is off.
    pub pid: Option<u32>,
    /// The tree below, which is never written.
    pub lower: PathBuf,
    /// What the host has written over it.
    pub upper: PathBuf,
}

/// How a lab host is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub address: Ipv4Addr,
    pub port: u16,
    /// Where nothing else is asked for: root.
    pub user: String,
    /// Of root, and of `lab` (sudo without a password) and `labpw` (sudo by its password, which is "labpw").
    pub key: PathBuf,
    /// Has the keys of all hosts of the lab; nothing has to be asked.
    pub known_hosts: PathBuf,
}
