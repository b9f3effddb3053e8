//! Filters that encode and digest: base64, hashes, URLs, UUIDs.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use crate::lang::filters::Filter;
use crate::lang::template::call::Args;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::deep("b64encode", b64encode),
    Filter::deep("b64decode", b64decode),
    Filter::deep("hash", hash),
    Filter::deep("md5", |_, args| named(args, "md5")),
    Filter::deep("sha1", |_, args| named(args, "sha1")),
    Filter::deep("checksum", |_, args| named(args, "sha1")),
    Filter::deep("to_uuid", to_uuid),
    Filter::deep("urlencode", urlencode),
    Filter::deep("urldecode", urldecode),
    Filter::deep("urlsplit", urlsplit),
];

fn encoding(args: &mut Args) -> Res<()> {
    match args.text_if("encoding") {
        Some(name) if !["utf-8", "utf8", "ascii"].contains(&name.to_lowercase().as_str()) => {
            fail(format!("the encoding `{name}` is unsupported; only utf-8 is"))
        }
        _ => Ok(()),
    }
}

fn b64encode(cx: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    encoding(&mut args)?;
    args.take_named("urlsafe");
    args.done()?;
    cx.burn_text(text.len() * 2)?;
    Ok(Val::str(STANDARD.encode(text.as_bytes())))
}

fn b64decode(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    encoding(&mut args)?;
    args.take_named("urlsafe");
    args.done()?;
    let plain: String = text.chars().filter(|one| !one.is_whitespace()).collect();
    match STANDARD.decode(&plain).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(Val::str(text)),
        Ok(Err(_)) => fail("`b64decode` gives bytes that are no text; binary values are unsupported"),
        Err(error) => fail(format!("this is not base64: {error}")),
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut out, byte| {
        _ = write!(out, "{byte:02x}");
        out
    })
}

fn digest(kind: &str, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        "md5" => format!("{:x}", md5::compute(bytes)),
        "sha1" => hex(sha1_of(bytes)),
        "sha224" => hex(sha2::Sha224::digest(bytes)),
        "sha256" => hex(sha2::Sha256::digest(bytes)),
        "sha384" => hex(sha2::Sha384::digest(bytes)),
        "sha512" => hex(sha2::Sha512::digest(bytes)),
        _ => return None,
    })
}

fn sha1_of(bytes: &[u8]) -> [u8; 20] {
    use sha1::Digest as _;
    sha1::Sha1::digest(bytes).into()
}

fn hash(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let kind = args.text_if("hashtype").unwrap_or_else(|| Arc::from("sha1"));
    args.done()?;
    match digest(&kind, text.as_bytes()) {
        Some(text) => Ok(Val::str(text)),
        None => fail(format!("the hash `{kind}` is unsupported; md5, sha1, sha224, sha256, sha384, sha512 are known")),
    }
}

fn named(mut args: Args, kind: &str) -> Res {
    let text = args.text("value")?;
    args.done()?;
    Ok(digest(kind, text.as_bytes()).map_or(Val::None, Val::str))
}

/// The namespace Ansible uses for its own.
const NAMESPACE: &str = "361E6D51-FAEC-444A-9079-341386DA8E2E";

/// A UUID of version 5: the same text gives the same one.
fn to_uuid(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let namespace = args.text_if("namespace").unwrap_or_else(|| Arc::from(NAMESPACE));
    args.done()?;
    let digits: String = namespace.chars().filter(|one| *one != '-').collect();
    let Some(space) = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32) else {
        return fail(format!("`{namespace}` is no UUID"));
    };
    let whole = sha1_of(&[&space.to_be_bytes()[..], text.as_bytes()].concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&whole[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex(bytes);
    Ok(Val::str(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])))
}

fn percent(text: &str, keep: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let one = char::from(byte);
        if byte == b' ' {
            out.push_str(space);
        } else if one.is_ascii_alphanumeric() || "_.-~".contains(one) || (one.is_ascii() && keep.contains(one)) {
            out.push(one);
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn urlencode(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    let pairs = match &value {
        Val::Map(_) => crate::lang::filters::dicts::pairs(cx, &value)?,
        Val::List(_) | Val::Tuple(_) => crate::lang::filters::dicts::pairs(cx, &value)?,
        other => return Ok(Val::str(percent(&other.to_text(), "/", "%20"))),
    };
    let query = |text: &str| percent(text, "", "+");
    let parts: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", query(&key.name()), query(&value.to_text()))).collect();
    Ok(Val::str(parts.join("&")))
}

fn unpercent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn urldecode(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    args.done()?;
    Ok(Val::str(unpercent(&text)))
}

/// The parts of a URL, or the one that is asked for.
fn urlsplit(_: &mut Cx, mut args: Args) -> Res {
    let url = args.text("value")?;
    let query = args.text_if("query");
    args.done()?;
    let parts = url_parts(&url);
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(Val::record(parts)) };
    let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    match parts.into_iter().find(|(name, _)| *name == &*query) {
        Some((_, value)) => Ok(value),
        None => fail(format!("`urlsplit` knows no `{query}`, only {}", names.join(", "))),
    }
}

fn url_parts(url: &str) -> [(&'static str, Val); 9] {
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_scheme = |scheme: &str| scheme.chars().all(|one| one.is_ascii_alphanumeric() || "+.-".contains(one));
    let (scheme, rest) =
        rest.split_once(':').filter(|(scheme, _)| is_scheme(scheme) && !scheme.is_empty()).unwrap_or(("", rest));
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(after) => after.split_at(after.find('/').unwrap_or(after.len())),
        None => ("", rest),
    };
    let (login, host) = netloc.rsplit_once('@').map_or((None, netloc), |(login, host)| (Some(login), host));
    let (host, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let user = login.map(|login| login.split_once(':').map_or(login, |(user, _)| user));
    let password = login.and_then(|login| login.split_once(':')).map(|(_, password)| password);
    let text = |part: Option<&str>| part.map_or(Val::None, Val::str);
    [
        ("fragment", Val::str(fragment)),
        ("hostname", text((!host.is_empty()).then(|| host.to_lowercase()).as_deref())),
        ("netloc", Val::str(netloc)),
        ("password", text(password)),
        ("path", Val::str(path)),
        ("port", port.and_then(|port| port.parse().ok()).map_or(Val::None, Val::Int)),
        ("query", Val::str(query)),
        ("scheme", Val::str(scheme.to_lowercase())),
        ("username", text(user)),
    ]
}
