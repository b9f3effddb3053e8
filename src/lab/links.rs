//! The links of a lab: delay, jitter, loss and rate between its networks.
//!
//! Where the kernel has netem, it does it (see `netem`). Where it has not, each link is a tun device: a routing table for
//! each bridge sends what goes to a linked network into it, the forwarder (see `forward`) keeps the packets for their time and
//! writes them back, and from there they go on by the machine's own routes. The way back is looked up by the same tables, so
//! that reverse path filters agree. A second, weaker route drops what the first cannot carry: a link without its forwarder is
//! a cut cable, never a short cut.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use serde::Deserialize;

use crate::lab::LinkStatus;
use crate::lab::LinksBy;
use crate::lab::Spec;
use crate::lab::forward::ORDERS;
use crate::lab::forward::Orders;
use crate::lab::host;
use crate::lab::layout;
use crate::lab::layout::Layout;
use crate::lab::netem;
use crate::lab::program::command;
use crate::lab::program::run;
use crate::lab::state;
use crate::lab::state::Lock;

/// The routing tables of all labs: from here on, 256 for each slot.
const TABLES: u32 = 0x1a7e_0000;
/// Of our rules; the machine's own tables come at 32766.
const PREFERENCE: &str = "17000";
/// Weaker than the way through the link, which has 1.
const CUT: &str = "4096";
/// How long the forwarder may take to have all devices.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is done with a packet that comes from a bridge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    table: u32,
    bridge: String,
    target: Ipv4Addr,
    device: String,
}

fn routes(layout: &Layout) -> Vec<Route> {
    let mut routes = Vec::new();
    for (from, region) in layout.regions.iter().enumerate() {
        for (to, other) in layout.regions.iter().enumerate() {
            let Some(wire) = layout.wire(from, to) else { continue };
            let table = TABLES + u32::from(layout.slot) * 256 + from as u32;
            routes.extend(other.gateways.iter().map(|gateway| Route {
                table,
                bridge: region.bridge.clone(),
                target: layout::network(*gateway),
                device: wire.device.clone(),
            }));
        }
    }
    routes
}

/// Who makes the links: as it was, or what the kernel can.
pub(super) fn choose(layout: &mut Layout) {
    if !layout.links.is_empty() && layout.links_by.is_none() {
        layout.links_by = Some(if netem::is_there() { LinksBy::Netem } else { LinksBy::Forwarder });
    }
}

/// Makes the links as the layout has them, and takes away those it has not. Packets on the way through links that stay are
/// not lost.
pub(super) fn make(layout: &Layout, spec: &Spec, lock: &Lock, progress: &mut dyn FnMut(&str)) -> Result<()> {
    match layout.links_by {
        None => Ok(()),
        Some(LinksBy::Netem) => netem::make(layout),
        Some(LinksBy::Forwarder) => {
            let routes = routes(layout);
            let devices: BTreeSet<&str> = routes.iter().map(|route| route.device.as_str()).collect();
            for device in &devices {
                make_device(device)?;
            }
            command_forwarder(layout, &devices)?;
            if !devices.is_empty() {
                start(layout, spec, lock, progress)?;
                wait(&layout.name, &devices)?;
            }
            lead(layout, &routes)?;
            for device in net_devices(layout.slot)?.iter().filter(|name| !devices.contains(name.as_str())) {
                run("ip", &["link", "delete", device])?;
            }
            Ok(())
        }
    }
}

fn make_device(device: &str) -> Result<()> {
    if !is_link(device) {
        run("ip", &["tuntap", "add", "dev", device, "mode", "tun", "vnet_hdr"])?;
        // The kernel would send router solicitations through the link.
        let six = format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
        if Path::new(&six).exists() {
            fs::write(&six, "1").with_context(|| format!("cannot write {six}"))?;
        }
    }
    // Bursts wait here until the forwarder has its turn.
    run("ip", &["link", "set", device, "mtu", "1500", "txqueuelen", "4000", "up"])?;
    Ok(())
}

fn is_link(device: &str) -> bool {
    Path::new("/sys/class/net").join(device).exists()
}

/// Whether somebody reads what is sent to a device.
fn is_carried(device: &str) -> bool {
    fs::read_to_string(format!("/sys/class/net/{device}/carrier")).is_ok_and(|text| text.trim() == "1")
}

fn net_devices(slot: u8) -> Result<Vec<String>> {
    let entries = fs::read_dir("/sys/class/net").context("cannot read the machine's links")?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.starts_with(&layout::devices(slot))).collect())
}

fn command_forwarder(layout: &Layout, devices: &BTreeSet<&str>) -> Result<()> {
    let links = layout.links.iter().filter(|wire| devices.contains(wire.device.as_str()));
    let orders = Orders {
        networks: layout.regions.iter().map(|region| region.gateways.clone()).collect(),
        links: links.cloned().collect(),
    };
    state::replace(&state::lab_dir(&layout.name).join(ORDERS), &serde_json::to_string_pretty(&orders)?)
}

fn log(name: &str) -> PathBuf {
    state::lab_dir(name).join("links.log")
}

/// Starts what keeps the forwarder running, unless it is there. It has the lab's lock until it can be found by `sweep`.
fn start(layout: &Layout, spec: &Spec, lock: &Lock, progress: &mut dyn FnMut(&str)) -> Result<()> {
    if host::is_supervised_link(&layout.name) {
        return Ok(());
    }
    let Some(program) = &spec.program else { bail!("the links of a lab need the program itself, to run it anew") };
    progress("this kernel has no netem: a forwarder makes the links");
    let lab = state::lab_dir(&layout.name);
    host::write_script(&layout.name)?;
    let path = log(&layout.name);
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let errors = log.try_clone().context("cannot share the log")?;
    let mut command = command("env");
    command.args(["--default-signal", "setsid", "--fork", "unshare", "--mount", "--propagation", "slave", "sh"]);
    command.arg(lab.join("host.sh")).arg("links").arg(&lab).arg("").arg(program);
    let command = command.stdin(lock.share()?).current_dir("/");
    let status = command.stdout(log).stderr(errors).status().context("cannot start the forwarder")?;
    if !status.success() {
        bail!("cannot start the forwarder: {}", said(&layout.name));
    }
    Ok(())
}

fn wait(name: &str, devices: &BTreeSet<&str>) -> Result<()> {
    let begin = Instant::now();
    while let Some(device) = devices.iter().find(|device| !is_carried(device)) {
        if begin.elapsed() > PATIENCE {
            bail!("the forwarder does not take the link {device} after {} s: {}", PATIENCE.as_secs(), said(name));
        }
        // A device tells nobody that it has been taken.
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn said(name: &str) -> String {
    let text = fs::read_to_string(log(name)).unwrap_or_default();
    match text.trim() {
        "" => format!("nothing was said in {}", log(name).display()),
        text => text.to_owned(),
    }
}

/// Sends packets into the links, and no longer into those that are gone.
fn lead(layout: &Layout, routes: &[Route]) -> Result<()> {
    let mut batch = String::new();
    for Route { table, target, device, .. } in routes {
        // The cut first: there is no moment of a short cut.
        batch += &format!("route replace blackhole {target}/24 metric {CUT} table {table}\n");
        batch += &format!("route replace {target}/24 dev {device} metric 1 table {table}\n");
    }
    let wanted: BTreeMap<u32, &String> = routes.iter().map(|route| (route.table, &route.bridge)).collect();
    let known = rules(layout.slot)?;
    for (table, bridge) in wanted.iter().filter(|(table, _)| !known.contains_key(table)) {
        batch += &format!("rule add pref {PREFERENCE} iif {bridge} lookup {table}\n");
    }
    for (table, bridge) in known.iter().filter(|(table, _)| !wanted.contains_key(table)) {
        batch += &format!("rule delete pref {PREFERENCE} iif {bridge} lookup {table}\n");
    }
    for (table, target, kind) in table_routes(layout.slot)? {
        if !routes.iter().any(|route| route.table == table && route.target == target) {
            let kind = if kind { "blackhole " } else { "" };
            batch += &format!("route delete {kind}{target}/24 table {table}\n");
        }
    }
    run_batch(&layout.name, &batch)
}

fn run_batch(name: &str, batch: &str) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let path = state::lab_dir(name).join("links.batch");
    state::replace(&path, batch)?;
    run("ip", &["-batch", &path.to_string_lossy()]).map(|_| ())
}

#[derive(Deserialize)]
struct RuleLine {
    #[serde(default)]
    iif: String,
    #[serde(default)]
    table: String,
}

/// The tables of a slot that a rule leads to, and the bridges it is for.
fn rules(slot: u8) -> Result<BTreeMap<u32, String>> {
    let all: Vec<RuleLine> =
        serde_json::from_str(&run("ip", &["-j", "-4", "rule", "show"])?).context("cannot read the machine's rules")?;
    let own = all.into_iter().filter_map(|rule| Some((own_table(slot, &rule.table)?, rule.iif)));
    Ok(own.collect())
}

fn own_table(slot: u8, name: &str) -> Option<u32> {
    let first = TABLES + u32::from(slot) * 256;
    name.parse().ok().filter(|table| (first..first + 256).contains(table))
}

#[derive(Deserialize)]
struct RouteLine {
    #[serde(default, rename = "type")]
    kind: String,
    dst: String,
    #[serde(default)]
    table: String,
}

/// Table, target and whether it is a cut, of each route in the tables of a slot.
fn table_routes(slot: u8) -> Result<Vec<(u32, Ipv4Addr, bool)>> {
    let all: Vec<RouteLine> = serde_json::from_str(&run("ip", &["-j", "-4", "route", "show", "table", "all"])?)
        .context("cannot read the machine's routes")?;
    let own = all.into_iter().filter_map(|route| {
        let target = route.dst.split('/').next()?.parse().ok()?;
        Some((own_table(slot, &route.table)?, target, route.kind == "blackhole"))
    });
    Ok(own.collect())
}

/// Removes the rules and routes of a slot, whatever is left of them; the devices go with the other links.
pub(super) fn remove(slot: u8) -> Result<()> {
    for (table, bridge) in rules(slot)? {
        run("ip", &["rule", "delete", "pref", PREFERENCE, "iif", &bridge, "lookup", &table.to_string()])?;
    }
    let tables: BTreeSet<u32> = table_routes(slot)?.into_iter().map(|(table, ..)| table).collect();
    for table in tables {
        run("ip", &["route", "flush", "table", &table.to_string()])?;
    }
    Ok(())
}

/// The links as they are now.
pub(super) fn status(layout: &Layout) -> Vec<LinkStatus> {
    let Some(by) = layout.links_by else { return Vec::new() };
    let one = |wire: &layout::Wire| LinkStatus {
        between: wire.link.between.clone(),
        rtt_ms: wire.link.rtt.as_nanos() as f64 / 1e6,
        jitter_ms: wire.link.jitter.as_nanos() as f64 / 1e6,
        loss_percent: wire.link.loss,
        rate_bits: wire.link.rate,
        source: wire.link.source.clone(),
        by,
        up: match by {
            LinksBy::Netem => true,
            // One without two networks at its ends has no device.
            LinksBy::Forwarder => is_carried(&wire.device),
        },
    };
    layout.links.iter().map(one).collect()
}
