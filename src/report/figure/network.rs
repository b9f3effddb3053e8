//! Where the hosts are: regions, the networks in them, and the links between.

use anyhow::Result;
use indexmap::IndexMap;
use plotters::style::FontStyle;

use crate::report::figure::Figure;
use crate::report::figure::sheet;
use crate::report::figure::sheet::Anchor;
use crate::report::figure::sheet::Sheet;
use crate::report::figure::sheet::Width;
use crate::report::figure::style::GREY;
use crate::report::figure::style::PALE;
use crate::report::figure::style::WHITE;
use crate::report::group::Scenario;
use crate::results::record::Link;
use crate::results::record::Record;

/// In pixels, for estimates before there is a sheet: a letter, and the height of a line.
const LETTER: i32 = 9;
const LINE: i32 = 19;
const PAD: i32 = 8;

/// Hosts by networks by regions.
type Regions = IndexMap<String, IndexMap<String, Vec<String>>>;

/// A box in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

/// A region's box, and those of its networks with their names and hosts.
#[derive(Debug, Clone, PartialEq)]
struct Region {
    name: String,
    place: Place,
    networks: Vec<(String, Vec<String>, Place)>,
}

/// None if the record does not say where hosts are.
pub(super) fn figure(one: &Scenario) -> Option<Result<Figure>> {
    let record = one.record()?;
    let regions = regions(record);
    if regions.is_empty() {
        return None;
    }
    let said = regions.iter().map(|(region, networks)| {
        let networks = networks.iter().map(|(network, hosts)| match network.as_str() {
            "" => hosts.join(", "),
            network => format!("{} in network {network}", hosts.join(", ")),
        });
        format!("{region}: {}", networks.collect::<Vec<_>>().join("; "))
    });
    let links = record.links.iter().map(|link| format!("{}: {}", link.between.join(" to "), label(link)));
    let tunnel = match record.path.as_ref().map(|path| path.interface.as_str()) {
        None | Some("") => "There is no tunnel.".to_string(),
        Some(name) => format!("Requests go between the nodes through tunnels ({name})."),
    };
    let brackets = if record.links.is_empty() { "" } else { " Brackets: round trips of the links, as stated." };
    let shell = Figure {
        name: format!("network-{}", one.slug),
        title: format!("{}: where the hosts are", one.marked()),
        caption: format!("White boxes: networks. ● is a replica of the application.{brackets} {tunnel}"),
        alt: said.chain(links).collect::<Vec<_>>().join(". ") + ". " + &tunnel,
        wide: String::new(),
        narrow: String::new(),
    };
    let lay = |width| layout(&regions, record, width);
    let height = |width| lay(width).last().map_or(0, |last| last.place.top + last.place.height) + PAD;
    Some(sheet::figure(shell, height, |sheet| draw(sheet, &lay(sheet.width), record)))
}

fn regions(record: &Record) -> Regions {
    let mut found = Regions::new();
    for (name, host) in &record.hosts {
        let Some(region) = &host.region else { continue };
        let network = host.network.clone().unwrap_or_default();
        let replicas = record.placement.iter().filter(|placed| *placed == name).count();
        let text = format!("{name}{}", " ●".repeat(replicas.min(3)));
        found.entry(region.clone()).or_default().entry(network).or_default().push(text);
    }
    found
}

fn label(link: &Link) -> String {
    match (link.rtt_ms, link.jitter_ms.filter(|jitter| *jitter > 0.0)) {
        (None, _) => "not stated".into(),
        (Some(rtt), None) => format!("{rtt} ms"),
        (Some(rtt), Some(jitter)) => format!("{rtt} ± {jitter} ms"),
    }
}

fn letters(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(1000) * LETTER
}

/// How much room brackets and their labels need on the right.
fn room(record: &Record, width: Width) -> i32 {
    let widest = record.links.iter().map(|link| letters(&label(link))).max().unwrap_or(0);
    let lanes = if record.links.is_empty() { 0 } else { lanes(record).into_iter().max().unwrap_or(0) + 1 };
    let lanes = i32::try_from(lanes).unwrap_or(1);
    (lanes * (widest + 26) + PAD).min(if width.is_narrow() { 210 } else { 460 })
}

/// Regions below each other, networks beside each other as far as they fit.
fn layout(regions: &Regions, record: &Record, width: Width) -> Vec<Region> {
    let right = if width.is_narrow() { 360 } else { 960 } - room(record, width);
    let mut top = PAD;
    let mut laid = Vec::new();
    for (name, networks) in regions {
        let (mut left, mut row, mut lowest) = (PAD * 2, top + LINE + PAD, 0);
        let mut boxes = Vec::new();
        for (network, hosts) in networks {
            let widest = hosts.iter().chain([network]).map(|text| letters(text)).max().unwrap_or(0) + 2 * PAD;
            let lines = i32::try_from(hosts.len()).unwrap_or(1) + i32::from(!network.is_empty());
            let height = lines * LINE + PAD;
            if left > PAD * 2 && left + widest > right - PAD {
                (left, row) = (PAD * 2, lowest + PAD);
            }
            boxes.push((network.clone(), hosts.clone(), Place { left, top: row, width: widest, height }));
            left += widest + PAD;
            lowest = lowest.max(row + height);
        }
        let place = Place { left: PAD, top, width: 0, height: lowest + PAD - top };
        top = lowest + 2 * PAD + 4;
        laid.push(Region { name: name.clone(), place, networks: boxes });
    }
    // All as wide as the widest has to be.
    let inner = laid.iter().flat_map(|region| &region.networks).map(|(_, _, place)| place.left + place.width);
    let names = laid.iter().map(|region| letters(&region.name) + 2 * PAD);
    let edge = inner.chain(names).max().unwrap_or(0) + PAD;
    for region in &mut laid {
        region.place.width = edge - PAD;
    }
    laid
}

/// Which lane each link's bracket takes: the lowest in which it meets no other one. Links are taken as they stand.
fn lanes(record: &Record) -> Vec<usize> {
    let names: Vec<String> = regions(record).keys().cloned().collect();
    let mut taken: Vec<(usize, usize, usize)> = Vec::new();
    let mut found = Vec::new();
    for link in &record.links {
        let ends = link.between.each_ref().map(|end| row(&names, record, end).unwrap_or(0));
        let (from, to) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let meets = |lane: usize| taken.iter().any(|(other, a, b)| *other == lane && *a < to && from < *b);
        let lane = (0..).find(|lane| !meets(*lane)).unwrap_or(0);
        taken.push((lane, from, to));
        found.push(lane);
    }
    found
}

/// The row of a region, or of a host's region.
fn row(names: &[String], record: &Record, end: &str) -> Option<usize> {
    let region = record.hosts.get(end).and_then(|host| host.region.as_deref()).unwrap_or(end);
    names.iter().position(|name| name == region)
}

fn draw(sheet: &Sheet, laid: &[Region], record: &Record) -> Result<()> {
    let unit = |pixels: i32| sheet.units(pixels);
    let corners = |place: &Place| {
        let from = (unit(place.left), unit(place.top));
        (from, (from.0 + unit(place.width), from.1 + unit(place.height)))
    };
    for region in laid {
        let (from, to) = corners(&region.place);
        sheet.fill(from, to, PALE)?;
        sheet.outline(from, to, GREY)?;
        let title = (from.0 + unit(PAD), from.1 + unit(LINE / 2 + 4));
        sheet.bold(title, Anchor::Left, &region.name)?;
        for (network, hosts, place) in &region.networks {
            let (from, to) = corners(place);
            sheet.fill(from, to, WHITE)?;
            sheet.outline(from, to, GREY)?;
            let mut y = from.1 + unit(LINE / 2 + 4);
            if !network.is_empty() {
                sheet.letters((from.0 + unit(PAD), y), Anchor::Left, network, GREY, FontStyle::Normal)?;
                y += unit(LINE);
            }
            for host in hosts {
                sheet.text((from.0 + unit(PAD), y), Anchor::Left, host)?;
                y += unit(LINE);
            }
        }
    }
    brackets(sheet, laid, record)
}

/// A bracket for each link between two regions, with what it takes.
fn brackets(sheet: &Sheet, laid: &[Region], record: &Record) -> Result<()> {
    let names: Vec<String> = laid.iter().map(|region| region.name.clone()).collect();
    let lanes = lanes(record);
    let count = i32::try_from(lanes.iter().max().map_or(0, |lane| lane + 1)).unwrap_or(1);
    let room = room(record, sheet.width);
    for (link, lane) in record.links.iter().zip(lanes) {
        let rows = link.between.each_ref().map(|end| row(&names, record, end).and_then(|row| laid.get(row)));
        let [Some(first), Some(second)] = rows else { continue };
        if first.name == second.name {
            continue;
        }
        let lane = i32::try_from(lane).unwrap_or(0);
        let edge = first.place.left + first.place.width;
        let x = sheet.units(edge + 12 + lane * (room - PAD) / count.max(1));
        let spread = sheet.units(7 * lane);
        let ends = [first, second].map(|region| sheet.units(region.place.top + region.place.height / 2) + spread);
        let edge = sheet.units(edge);
        sheet.line(&[(edge, ends[0]), (x, ends[0]), (x, ends[1]), (edge, ends[1])], GREY, 3)?;
        let middle = i32::midpoint(ends[0], ends[1]);
        let text = label(link);
        let half = sheet.line_height() / 2;
        let left = x + sheet.units(6);
        sheet.fill((left - 4, middle - half), (left + sheet.text_width(&text), middle + half), WHITE)?;
        sheet.text((left, middle), Anchor::Left, &text)?;
    }
    Ok(())
}
