//! Addresses and networks: `ipaddr` and its kin from the collection `ansible.utils`.
//!
//! Works on text alone; no name is resolved.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::lang::filters::Filter;
use crate::lang::filters::Test;
use crate::lang::filters::address::Net;
use crate::lang::filters::address::is_link_local;
use crate::lang::filters::address::is_loopback;
use crate::lang::filters::address::is_multicast;
use crate::lang::filters::address::is_private;
use crate::lang::filters::address::is_special;
use crate::lang::template::call::Args;
use crate::lang::template::python::Number;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::deep("ipaddr", |cx, args| each(cx, args, None)),
    Filter::deep("ipv4", |cx, args| each(cx, args, Some(4))),
    Filter::deep("ipv6", |cx, args| each(cx, args, Some(6))),
    Filter::deep("ipwrap", ipwrap),
    Filter::deep("ipsubnet", ipsubnet),
    Filter::deep("ipmath", ipmath),
    Filter::deep("nthhost", nthhost),
    Filter::deep("next_nth_usable", |_, args| nth_usable(args, 1)),
    Filter::deep("previous_nth_usable", |_, args| nth_usable(args, -1)),
    Filter::deep("network_in_network", |_, args| within(args, false)),
    Filter::deep("network_in_usable", |_, args| within(args, true)),
    Filter::deep("reduce_on_network", reduce_on_network),
    Filter::deep("ip4_hex", ip4_hex),
];
pub(super) const TESTS: &[Test] = &[
    Test::deep("ip", |_, args| is_ip(args, |_| true)),
    Test::deep("ip_address", |_, args| is_ip(args, |net| !net.slash)),
    Test::deep("ipv4", |_, args| is_ip(args, |net| net.version() == 4)),
    Test::deep("ipv6", |_, args| is_ip(args, |net| net.version() == 6)),
    Test::deep("ipv4_address", |_, args| is_ip(args, |net| net.version() == 4 && !net.slash)),
    Test::deep("ipv6_address", |_, args| is_ip(args, |net| net.version() == 6 && !net.slash)),
    Test::deep("in_network", |_, mut args| {
        let (inner, outer) = (args.text("value")?, args.text("network")?);
        args.done()?;
        Ok(Net::parse(&inner).zip(Net::parse(&outer)).is_some_and(|(inner, outer)| outer.contains(&inner)))
    }),
];

/// A value that may stand for an address.
fn parse(value: &Val) -> Option<Net> {
    match value {
        Val::Str(text) => Net::parse(text),
        Val::Int(value) => {
            let value = u128::try_from(*value).ok()?;
            let bits = if value <= u128::from(u32::MAX) { 32 } else { 128 };
            Some(Net { value, prefix: bits, bits, slash: false })
        }
        _ => None,
    }
}

fn each(_: &mut Cx, mut args: Args, version: Option<i128>) -> Res {
    let value = args.need("value")?;
    let query = args.take("query").unwrap_or_else(|| Val::str(""));
    args.take("version");
    args.take("alias");
    args.done()?;
    let one = |value: &Val| match parse(value) {
        Some(net) if version.is_none_or(|version| version == net.version()) => ask(&net, &query),
        _ => Ok(Val::Bool(false)),
    };
    match &value {
        Val::List(list) => {
            let mut kept = Vec::new();
            for item in list.0.borrow().iter() {
                let answer = one(item)?;
                if answer.truthy() {
                    kept.push(answer);
                }
            }
            Ok(Val::list(kept))
        }
        value => one(value),
    }
}

const QUERIES: &[&str] = &[
    "address",
    "address/prefix",
    "bool",
    "broadcast",
    "cidr",
    "first_usable",
    "gateway",
    "host",
    "host/prefix",
    "hostmask",
    "hostnet",
    "int",
    "ip",
    "ip/prefix",
    "ip_netmask",
    "ipv4",
    "ipv6",
    "last_usable",
    "link-local",
    "loopback",
    "multicast",
    "net",
    "netmask",
    "network",
    "network/prefix",
    "network_id",
    "network_netmask",
    "next_usable",
    "peer",
    "prefix",
    "previous_usable",
    "private",
    "public",
    "range_usable",
    "revdns",
    "router",
    "size",
    "size_usable",
    "subnet",
    "type",
    "unicast",
    "version",
    "wildcard",
    "wrap",
];

fn usable(net: &Net) -> Res<Option<(u128, u128)>> {
    if net.slash { Ok(net.usable()) } else { fail("this query needs a network, with a prefix: `10.0.0.0/24`") }
}

fn ask(net: &Net, query: &Val) -> Res {
    let text = |text: String| Ok(Val::Str(Arc::from(text)));
    let some = |yes: bool, text: String| Ok(if yes { Val::str(text) } else { Val::None });
    let or_false = |yes: bool, text: String| Ok(if yes { Val::str(text) } else { Val::Bool(false) });
    let query = match query {
        Val::Int(index) => return position(net, *index),
        other => other.to_text(),
    };
    if let Ok(index) = query.parse() {
        return position(net, index);
    }
    if let Some(outer) = Net::parse(&query) {
        return some(outer.contains(net), net.text());
    }
    match &*query {
        "" => text(net.text()),
        "address" | "ip" => some(net.is_host(), net.address()),
        "network" | "network_id" => text(net.show(net.network())),
        "netmask" => text(net.show(net.netmask())),
        "hostmask" | "wildcard" => text(net.show(net.hostmask())),
        "prefix" => Ok(Val::Int(net.prefix.into())),
        "subnet" | "network/prefix" => text(net.with_prefix(net.network())),
        "broadcast" => some(net.bits - net.prefix > 1, net.show(net.last())),
        "host" => some(net.is_host(), net.with_prefix(net.value)),
        "cidr" => text(net.with_prefix(net.value)),
        "host/prefix" | "address/prefix" | "hostnet" | "gateway" | "gw" | "router" => {
            or_false(net.is_host(), net.with_prefix(net.value))
        }
        "ip/prefix" => some(net.is_host() && !net.is_single(), net.with_prefix(net.value)),
        "ip_netmask" => {
            some(net.is_host() && !net.is_single(), format!("{} {}", net.address(), net.show(net.netmask())))
        }
        "network_netmask" => text(format!("{} {}", net.show(net.network()), net.show(net.netmask()))),
        "net" => some(net.is_network(), net.with_prefix(net.network())),
        "size" => {
            Ok(i128::try_from(net.hostmask()).ok().and_then(|size| size.checked_add(1)).map_or(Val::None, Val::Int))
        }
        "size_usable" => {
            Ok(Val::Int(net.usable().map_or(0, |(first, last)| i128::try_from(last - first).unwrap_or(0) + 1)))
        }
        "type" => text(if net.is_network() { "network".into() } else { "address".into() }),
        "version" => Ok(Val::Int(net.version())),
        "bool" => Ok(Val::Bool(true)),
        "int" if net.slash => text(format!("{}/{}", net.value, net.prefix)),
        "int" => i128::try_from(net.value)
            .map_or_else(|_| fail("the address does not fit an integer: unsupported"), |int| Ok(Val::Int(int))),
        "ipv4" => or_false(net.bits == 32, net.text()),
        "ipv6" if net.bits == 32 => {
            let mapped = Ipv4Addr::from(u32::try_from(net.value).unwrap_or(0)).to_ipv6_mapped();
            text(format!("{mapped}/{}", net.prefix + 96))
        }
        "ipv6" => text(net.text()),
        "wrap" => text(wrapped(net)),
        "revdns" => text(reverse_name(net)),
        "range_usable" => {
            Ok(usable(net)?
                .map_or(Val::None, |(first, last)| Val::str(format!("{}-{}", net.show(first), net.show(last)))))
        }
        "first_usable" => Ok(usable(net)?.map_or(Val::None, |(first, _)| Val::str(net.show(first)))),
        "last_usable" => Ok(usable(net)?.map_or(Val::None, |(_, last)| Val::str(net.show(last)))),
        "next_usable" => Ok(beside(net, 1, usable(net)?)),
        "previous_usable" => Ok(beside(net, -1, usable(net)?)),
        "peer" => match (net.slash, net.bits - net.prefix) {
            (true, 1) => text(net.show(net.value ^ 1)),
            (true, 2) if net.value != net.network() && net.value != net.last() => text(net.show(net.value ^ 3)),
            _ => fail("`peer` needs an address in a point-to-point network"),
        },
        "private" => some(is_private(net), net.text()),
        "public" => some(!is_special(net), net.text()),
        "loopback" | "lo" => some(is_loopback(net), net.text()),
        "multicast" => some(is_multicast(net), net.text()),
        "unicast" => some(!is_multicast(net), net.text()),
        "link-local" | "lladdr" => some(is_link_local(net), net.text()),
        other => Err(Diagnostic::error(format!("`ipaddr` knows no query `{other}`"))
            .suggest(other, QUERIES.iter().copied())
            .into()),
    }
}

fn position(net: &Net, index: i128) -> Res {
    if net.is_single() {
        return Ok(Val::str(net.text()));
    }
    Ok(net.at(index).map_or(Val::Bool(false), |value| Val::str(net.with_prefix(value))))
}

fn beside(net: &Net, step: i128, usable: Option<(u128, u128)>) -> Val {
    let moved =
        if step < 0 { net.value.checked_sub(step.unsigned_abs()) } else { net.value.checked_add(step.unsigned_abs()) };
    match (usable, moved) {
        (Some((first, last)), Some(moved)) if moved >= first && moved <= last => Val::str(net.show(moved)),
        _ => Val::None,
    }
}

fn wrapped(net: &Net) -> String {
    match (net.bits, net.slash) {
        (32, _) => net.text(),
        (_, true) => format!("[{}]/{}", net.address(), net.prefix),
        (_, false) => format!("[{}]", net.address()),
    }
}

fn reverse_name(net: &Net) -> String {
    if net.bits == 32 {
        let parts: Vec<String> = (0..4).map(|at| ((net.value >> (8 * at)) & 255).to_string()).collect();
        return format!("{}.in-addr.arpa.", parts.join("."));
    }
    let parts: Vec<String> = (0..32).map(|at| format!("{:x}", (net.value >> (4 * at)) & 15)).collect();
    format!("{}.ip6.arpa.", parts.join("."))
}

fn ipwrap(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.take("query");
    args.done()?;
    Ok(parse(&value).map_or(value, |net| Val::str(wrapped(&net))))
}

fn invalid(value: &Val) -> Res {
    fail(format!("`{}` is no address", value.to_text()))
}

/// Cuts a network into smaller ones: how many, which one, or the position of one in another.
fn ipsubnet(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let query = args.take("query").map_or_else(String::new, |query| query.to_text());
    let index = args.take("index").filter(|index| !matches!(index, Val::None));
    args.done()?;
    let Some(net) = parse(&value) else { return Ok(Val::Bool(false)) };
    if query.is_empty() {
        return Ok(Val::str(net.with_prefix(net.network())));
    }
    let Ok(prefix) = query.parse::<u32>() else {
        let Some(outer) = Net::parse(&query) else { return invalid(&Val::str(query)) };
        if !outer.contains(&net) {
            return fail(format!(
                "{} is not in the network {}",
                net.with_prefix(net.network()),
                outer.with_prefix(outer.network())
            ));
        }
        let distance = net.network() - outer.network();
        let place = distance.checked_shr(net.bits - net.prefix).unwrap_or(0) + 1;
        return Ok(Val::str(place.to_string()));
    };
    if prefix > net.bits {
        return Ok(Val::Bool(false));
    }
    let index = match index.map(|index| index.to_text().parse::<i128>()) {
        None => None,
        Some(Ok(index)) => Some(index),
        Some(Err(_)) => return fail("`ipsubnet` needs a number as its index"),
    };
    if net.is_single() {
        let around = Net { prefix, slash: true, ..net };
        return match index {
            None | Some(0) => Ok(Val::str(around.with_prefix(around.network()))),
            Some(_) => fail("`ipsubnet` of a single address with another index than 0 is unsupported"),
        };
    }
    if prefix < net.prefix {
        return fail(format!("a network of /{} has no part of /{prefix}", net.prefix));
    }
    let count = 1i128.checked_shl(prefix - net.prefix).filter(|count| *count > 0);
    let Some(index) = index else {
        return Ok(Val::str(count.map_or_else(|| "0".to_string(), |count| count.to_string())));
    };
    let index = if index < 0 { index + count.unwrap_or(0) } else { index };
    match u128::try_from(index).ok().filter(|_| count.is_none_or(|count| index < count)) {
        None => Ok(Val::Bool(false)),
        Some(index) => {
            let part = Net { prefix, slash: true, ..net };
            Ok(Val::str(part.with_prefix(net.network() + index.checked_shl(net.bits - prefix).unwrap_or(0))))
        }
    }
}

fn amount(args: &mut Args, name: &str) -> Res<i128> {
    let value = args.need(name)?;
    match value.number() {
        Some(Number::Int(value)) => Ok(value),
        _ => value.to_text().parse().or_else(|_| fail(format!("`{}` needs a number as `{name}`", args.what))),
    }
}

fn ipmath(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let amount = amount(&mut args, "amount")?;
    args.done()?;
    let Some(net) = parse(&value) else { return invalid(&value) };
    let moved = if amount < 0 {
        net.value.checked_sub(amount.unsigned_abs())
    } else {
        net.value.checked_add(amount.unsigned_abs())
    };
    let all = Net { prefix: 0, ..net };
    match moved.filter(|moved| *moved <= all.last()) {
        Some(moved) => Ok(Val::str(net.show(moved))),
        None => fail("the result is no address"),
    }
}

fn nthhost(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let index = amount(&mut args, "query")?;
    args.done()?;
    let found = parse(&value).filter(|net| !net.is_single() && index != 0).and_then(|net| Some((net, net.at(index)?)));
    Ok(found.map_or(Val::Bool(false), |(net, address)| Val::str(net.show(address))))
}

fn nth_usable(mut args: Args, direction: i128) -> Res {
    let value = args.need("value")?;
    let offset = amount(&mut args, "offset")?;
    args.done()?;
    let Some(net) = parse(&value) else { return Ok(Val::Bool(false)) };
    Ok(beside(&net, direction.saturating_mul(offset), net.usable()))
}

fn within(mut args: Args, usable_only: bool) -> Res {
    let (outer, inner) = (args.need("value")?, args.need("test")?);
    args.done()?;
    let Some((outer, inner)) = parse(&outer).zip(parse(&inner)) else { return Ok(Val::Bool(false)) };
    let contained = match outer.usable().filter(|_| usable_only) {
        Some((first, last)) if inner.is_single() => {
            inner.value >= first && inner.value <= last && outer.bits == inner.bits
        }
        _ => outer.contains(&inner),
    };
    Ok(Val::Bool(contained))
}

fn reduce_on_network(cx: &mut Cx, mut args: Args) -> Res {
    let list = args.list(cx, "value")?;
    let network = args.text("network")?;
    args.done()?;
    let Some(network) = Net::parse(&network) else { return invalid(&Val::Str(network)) };
    Ok(Val::list(list.into_iter().filter(|one| parse(one).is_some_and(|one| network.contains(&one))).collect()))
}

fn ip4_hex(_: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    let delimiter = args.text_if("delimiter").unwrap_or_else(|| Arc::from(""));
    args.done()?;
    let Some(net) = parse(&value).filter(|net| net.bits == 32) else { return invalid(&value) };
    let parts: Vec<String> = (0..4).rev().map(|at| format!("{:02x}", (net.value >> (8 * at)) & 255)).collect();
    Ok(Val::str(parts.join(&delimiter)))
}

fn is_ip(mut args: Args, holds: fn(&Net) -> bool) -> Res<bool> {
    let value = args.need("value")?;
    args.done()?;
    Ok(parse(&value).is_some_and(|net| holds(&net)))
}
