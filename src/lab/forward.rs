//! The links in user space: takes packets from the kernel, keeps each for its time, and gives it back.
//!
//! One thread for all links of a lab: it sleeps until a packet comes or one is due. What it is to do stands in a file, which
//! it reads again whenever that is replaced; what is on the way then goes on. It makes no devices and no routes (see
//! `links`), so that without it packets have nowhere to go.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use nix::errno::Errno;
use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::ppoll;
use nix::sys::inotify::AddWatchFlags;
use nix::sys::inotify::InitFlags;
use nix::sys::inotify::Inotify;
use serde::Deserialize;
use serde::Serialize;
use tun_rs::DeviceBuilder;
use tun_rs::SyncDevice;

use crate::lab::layout;
use crate::lab::layout::Wire;
use crate::lab::line::Line;
use crate::lab::packet::Form;
use crate::lab::packet::LONGEST;
use crate::lab::packet::Packet;
use crate::lang::links::Link;

/// In the lab's directory.
pub(super) const ORDERS: &str = "links.json";
/// Packets taken from one device before others have their turn.
const TURN: usize = 64;
/// A sleep ends late by about this much, so it ends earlier and the rest is waited for awake, in nanoseconds.
const AWAKE: u64 = 60_000;
/// Below this rate packets come one by one, else a large piece would be late as a whole.
const COARSE: u64 = 200_000_000;

/// What the forwarder is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Orders {
    /// The /24s of each of the lab's networks.
    pub(super) networks: Vec<Vec<Ipv4Addr>>,
    pub(super) links: Vec<Wire>,
}

/// Loss hits single packets, and a slow rate sends them one after another; all else may stay joined, which is faster.
fn form(link: &Link) -> Form {
    match link.loss > 0.0 || link.rate.is_some_and(|rate| rate < COARSE) {
        true => Form::Plain,
        false => Form::Joined,
    }
}

/// Forwards for the lab of a directory until killed.
///
/// # Errors
/// When the orders cannot be read, or a device is not there any more.
pub fn forward(dir: &Path) -> Result<()> {
    // Else short sleeps are made up to 50 µs longer to save energy. Where it fails they are just that.
    let _ = nix::sys::prctl::set_timerslack(1);
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).context("cannot watch the orders")?;
    watch.add_watch(dir, AddWatchFlags::IN_MOVED_TO).context("cannot watch the orders")?;
    let mut forwarder = Forwarder { start: Instant::now(), homes: HashMap::new(), ways: Vec::new() };
    forwarder.obey(read(dir)?)?;
    loop {
        let ready = forwarder.wait(&watch)?;
        if changed(&watch)? {
            forwarder.obey(read(dir)?)?;
            continue;
        }
        forwarder.turn(&ready)?;
    }
}

fn read(dir: &Path) -> Result<Orders> {
    let path = dir.join(ORDERS);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} has no orders", path.display()))
}

/// Whether the orders were replaced since the last question.
fn changed(watch: &Inotify) -> Result<bool> {
    match watch.read_events() {
        Ok(events) => Ok(events.iter().any(|event| event.name.as_deref() == Some(ORDERS.as_ref()))),
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error).context("cannot watch the orders"),
    }
}

struct Forwarder {
    start: Instant,
    /// Which network a /24 belongs to.
    homes: HashMap<Ipv4Addr, usize>,
    ways: Vec<Way>,
}

impl Forwarder {
    fn now(&self) -> u64 {
        // 584 years of nanoseconds.
        self.start.elapsed().as_nanos() as u64
    }

    /// Goes over to new orders; links that stay keep what is on the way.
    fn obey(&mut self, orders: Orders) -> Result<()> {
        let homes = orders.networks.iter().enumerate();
        let homes = homes.flat_map(|(number, all)| all.iter().map(move |one| (layout::network(*one), number)));
        self.homes = homes.collect();
        let mut old = std::mem::take(&mut self.ways);
        old.retain(|way| {
            orders.links.iter().any(|wire| wire.device == way.wire.device && form(&wire.link) == way.form)
        });
        for wire in orders.links {
            let known = old.iter().position(|way| way.wire.device == wire.device);
            self.ways.push(match known {
                Some(at) => old.swap_remove(at).with(wire),
                None => Way::open(wire)?,
            });
        }
        Ok(())
    }

    /// Sleeps until something is to do; says which ways have packets to take.
    fn wait(&self, watch: &Inotify) -> Result<Vec<bool>> {
        let due = self.ways.iter().filter_map(Way::next).min();
        let rest = due.map(|due| Duration::from_nanos(due.saturating_sub(self.now() + AWAKE)).into());
        let mut all = vec![PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        all.extend(self.ways.iter().map(|way| PollFd::new(way.tun.as_fd(), PollFlags::POLLIN)));
        match ppoll(&mut all, rest, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for packets"),
        }
        Ok(all.iter().skip(1).map(|one| one.any().unwrap_or(true)).collect())
    }

    fn turn(&mut self, ready: &[bool]) -> Result<()> {
        for (at, ready) in ready.iter().enumerate() {
            let start = self.start;
            if *ready {
                self.ways[at].take(start, &self.homes)?;
            }
            let now = self.now();
            self.ways[at].give(now)?;
        }
        Ok(())
    }
}

/// The two directions of one link; between more than two networks of a region, each pair has its own.
struct Way {
    wire: Wire,
    form: Form,
    tun: SyncDevice,
    /// By the network a packet comes from, if that is one of the lab's, and the one it goes to.
    lines: BTreeMap<(Option<usize>, usize), Line<Packet>>,
    room: Vec<u8>,
}

impl Way {
    /// Takes over a device that is there already.
    fn open(wire: Wire) -> Result<Way> {
        let name = wire.device.as_str();
        // It would be made, without the routes that lead to it.
        if !Path::new("/sys/class/net").join(name).exists() {
            bail!("the device {name} is gone: `lab up` makes it again");
        }
        let form = form(&wire.link);
        let build = DeviceBuilder::new().name(name).inherit_enable_state().with(|device| {
            device.offload(form == Form::Joined);
        });
        let tun = build.build_sync().with_context(|| format!("cannot open the device {name}"))?;
        tun.set_nonblocking(true).with_context(|| format!("cannot open the device {name}"))?;
        Ok(Way { wire, form, tun, lines: BTreeMap::new(), room: vec![0; LONGEST] })
    }

    fn with(mut self, wire: Wire) -> Way {
        if self.wire.link != wire.link {
            self.lines.values_mut().for_each(|line| line.set(&wire.link));
        }
        Way { wire, ..self }
    }

    fn next(&self) -> Option<u64> {
        self.lines.values().filter_map(Line::next).min()
    }

    fn take(&mut self, start: Instant, homes: &HashMap<Ipv4Addr, usize>) -> Result<()> {
        for _ in 0..TURN {
            let length = match self.tun.recv(&mut self.room) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).with_context(|| format!("cannot read from {}", self.wire.device)),
            };
            let now = start.elapsed().as_nanos() as u64;
            let Some(mut packet) = Packet::new(&self.room[..length], self.form) else { continue };
            let Some(target) = homes.get(&layout::network(packet.target())) else { continue };
            let source = homes.get(&layout::network(packet.source())).copied();
            packet.rejuvenate();
            let line = self.lines.entry((source, *target));
            line.or_insert_with(|| Line::new(&self.wire.link, rand::random())).push(now, packet.size(), packet);
        }
        Ok(())
    }

    fn give(&mut self, now: u64) -> Result<()> {
        for line in self.lines.values_mut() {
            while let Some(packet) = line.pop(now) {
                match self.tun.send(packet.bytes()) {
                    Ok(_) => {}
                    // Not even a device.
                    Err(error) if error.raw_os_error() == Some(Errno::EBADFD as i32) => {
                        return Err(error).with_context(|| format!("cannot write to {}", self.wire.device));
                    }
                    // One packet that the kernel does not want, or cannot have now, is a packet lost.
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }
}
