//! Names of hosts in inventories: `node[01:10].lab`, `10.0.0.1:2222`, `[2001:db8::1]:22`.
//!
//! Pure text; knows nothing of groups.

/// The most names one range may give.
pub const MAX_RANGE: usize = 100_000;

/// A host entry: the names it stands for, and the port behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    pub names: Vec<String>,
    pub port: Option<u16>,
}

/// Takes a host entry apart. The error is a sentence.
pub fn expand(text: &str) -> Result<Hosts, String> {
    let (pattern, port) = port(text)?;
    Ok(Hosts { names: ranges(pattern)?, port })
}

/// `name:22`, `[v6]:22`; a bare IPv6 address has no port.
fn port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (name, digits) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if is_v6(address) => match rest.strip_prefix(':') {
            Some(digits) => (address, digits),
            None if rest.is_empty() => return Ok((address, None)),
            None => return Err(format!("`{text}` has something else than a port behind the address")),
        },
        _ => match text.rsplit_once(':') {
            // A colon in a range is no port.
            Some((name, digits)) if !digits.contains(']') && !is_v6(text) => (name, digits),
            _ => return Ok((text, None)),
        },
    };
    match digits.parse::<u16>() {
        Ok(port) if port > 0 => Ok((name, Some(port))),
        _ => Err(format!("`{digits}` is not a port: write a number from 1 to 65535")),
    }
}

fn is_v6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// All names of a pattern; several ranges multiply.
fn ranges(pattern: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('[') {
        let (range, tail) =
            after.split_once(']').ok_or_else(|| format!("the bracket in `{pattern}` is never closed"))?;
        let values = range_values(range)?;
        if names.len() * values.len() > MAX_RANGE {
            return Err(format!("`{pattern}` stands for more than {MAX_RANGE} hosts"));
        }
        names =
            names.iter().flat_map(|name| values.iter().map(move |value| format!("{name}{before}{value}"))).collect();
        rest = tail;
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// `01:10`, `a:f`, `0:10:2`; the end counts.
fn range_values(range: &str) -> Result<Vec<String>, String> {
    let wrong = |why: &str| Err(format!("the range `[{range}]` {why}"));
    let parts: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (*first, *last, "1"),
        [first, last, step] => (*first, *last, *step),
        _ => return wrong("is not of the form [first:last] or [first:last:step]"),
    };
    let Some(step) = step.parse::<usize>().ok().filter(|step| *step > 0) else {
        return wrong("has a step that is no number above 0");
    };
    if let ([first], [last]) = (first.as_bytes(), last.as_bytes())
        && first.is_ascii_alphabetic()
        && last.is_ascii_alphabetic()
    {
        if first > last {
            return wrong("ends before it begins");
        }
        return Ok((*first..=*last).step_by(step).map(|one| char::from(one).to_string()).collect());
    }
    let first_number = if first.is_empty() { Ok(0) } else { first.parse::<usize>() };
    let (Ok(begin), Ok(end)) = (first_number, last.parse::<usize>()) else {
        return wrong("has ends that are neither two numbers nor two letters");
    };
    if begin > end {
        return wrong("ends before it begins");
    }
    if (end - begin) / step >= MAX_RANGE {
        return wrong(&format!("stands for more than {MAX_RANGE} hosts"));
    }
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return wrong("has ends of unlike length: write [01:10], not [01:100]");
    }
    Ok((begin..=end).step_by(step).map(|one| format!("{one:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match expand(text) {
            Ok(hosts) => format!("{} {:?}", hosts.names.join(" "), hosts.port),
            Err(why) => why,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn names_ports_and_ranges() {
        check("web", "web None");
        check("web:22", "web Some(22)");
        check("10.0.0.1:2222", "10.0.0.1 Some(2222)");
        check("2001:db8::1", "2001:db8::1 None");
        check("[2001:db8::1]:22", "2001:db8::1 Some(22)");
        check("[2001:db8::1]", "2001:db8::1 None");
        check("n[1:3].lab", "n1.lab n2.lab n3.lab None");
        check("n[08:10]:22", "n08 n09 n10 Some(22)");
        check("[a:c]x", "ax bx cx None");
        check("n[0:10:5]", "n0 n5 n10 None");
        check("n[:2]", "n0 n1 n2 None");
        check("r[1:2]n[1:2]", "r1n1 r1n2 r2n1 r2n2 None");
    }

    #[test]
    fn faults_are_sentences() {
        check("n[1", "the bracket in `n[1` is never closed");
        check("n[3:1]", "the range `[3:1]` ends before it begins");
        check("n[c:a]", "the range `[c:a]` ends before it begins");
        check("n[1]", "the range `[1]` is not of the form [first:last] or [first:last:step]");
        check("n[1:5:0]", "the range `[1:5:0]` has a step that is no number above 0");
        check("n[a:5]", "the range `[a:5]` has ends that are neither two numbers nor two letters");
        check("n[01:100]", "the range `[01:100]` has ends of unlike length: write [01:10], not [01:100]");
        check("n[0:99999999]", "the range `[0:99999999]` stands for more than 100000 hosts");
        check("n[0:999][0:999]", "`n[0:999][0:999]` stands for more than 100000 hosts");
        check("web:ssh", "`ssh` is not a port: write a number from 1 to 65535");
        check("[::1]x", "`[::1]x` has something else than a port behind the address");
    }
}
