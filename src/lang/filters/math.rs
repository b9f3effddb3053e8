//! Numbers: rounding, powers, sizes for humans, and seeded chance.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::lang::filters::Filter;
use crate::lang::template::call::Args;
use crate::lang::template::python::Number;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::deep("abs", abs),
    Filter::deep("round", round),
    Filter::deep("log", log),
    Filter::deep("pow", pow),
    Filter::deep("root", root),
    Filter::deep("human_readable", human_readable),
    Filter::deep("human_to_bytes", human_to_bytes),
    Filter::deep("filesizeformat", filesizeformat),
    Filter::deep("random", random),
    Filter::deep("shuffle", shuffle),
];

fn number(args: &mut Args, name: &str) -> Res<Number> {
    let value = args.need(name)?;
    match value.number() {
        Some(number) => Ok(number),
        None => {
            let what = &args.what;
            let fault = Diagnostic::error(format!("`{what}` needs a number, not {}", value.a_type()));
            Err(fault.help("`| int` or `| float` makes a number of text").into())
        }
    }
}

fn number_or(args: &mut Args, name: &str, default: f64) -> Res<f64> {
    match args.take(name) {
        None | Some(Val::None) => Ok(default),
        Some(value) => match value.number() {
            Some(number) => Ok(number.float()),
            None => fail(format!("`{}` needs a number as `{name}`, not {}", args.what, value.a_type())),
        },
    }
}

fn abs(_: &mut Cx, mut args: Args) -> Res {
    let value = number(&mut args, "value")?;
    args.done()?;
    Ok(match value {
        Number::Int(value) => Val::Int(value.saturating_abs()),
        Number::Float(value) => Val::Float(value.abs()),
    })
}

/// Half to even, as Python rounds, on the decimal digits the number really has.
fn rounded(value: f64, precision: i128) -> f64 {
    match usize::try_from(precision) {
        // The formatter works on the exact binary value, ties to even.
        Ok(places) => format!("{value:.*}", places.min(300)).parse().unwrap_or(value),
        Err(_) => {
            let scale = 10f64.powi(i32::try_from(-precision).unwrap_or(308));
            (value / scale).round_ties_even() * scale
        }
    }
}

fn round(_: &mut Cx, mut args: Args) -> Res {
    let value = number(&mut args, "value")?;
    let precision = args.int_or("precision", 0)?;
    let method = args.text_if("method").unwrap_or_else(|| Arc::from("common"));
    args.done()?;
    let scale = 10f64.powi(i32::try_from(precision).unwrap_or(0).clamp(-300, 300));
    match (&*method, value) {
        ("common", Number::Int(value)) if precision >= 0 => Ok(Val::Int(value)),
        ("common", value) => Ok(Val::Float(rounded(value.float(), precision))),
        ("ceil", value) => Ok(Val::Float((value.float() * scale).ceil() / scale)),
        ("floor", value) => Ok(Val::Float((value.float() * scale).floor() / scale)),
        (other, _) => fail(format!("`round` knows no method `{other}`, only common, ceil, floor")),
    }
}

fn log(_: &mut Cx, mut args: Args) -> Res {
    let value = number(&mut args, "value")?.float();
    let base = number_or(&mut args, "base", std::f64::consts::E)?;
    args.done()?;
    if value <= 0.0 || base <= 0.0 || base == 1.0 {
        return fail("`log` needs a positive number and base");
    }
    Ok(Val::Float(match base {
        10.0 => value.log10(),
        2.0 => value.log2(),
        _ => value.ln() / base.ln(),
    }))
}

fn pow(_: &mut Cx, mut args: Args) -> Res {
    let value = number(&mut args, "value")?.float();
    let power = number(&mut args, "y")?.float();
    args.done()?;
    Ok(Val::Float(value.powf(power)))
}

fn root(_: &mut Cx, mut args: Args) -> Res {
    let value = number(&mut args, "value")?.float();
    let base = number_or(&mut args, "base", 2.0)?;
    args.done()?;
    if value < 0.0 || base == 0.0 {
        return fail("`root` needs a number that is not negative, and a base that is not zero");
    }
    Ok(Val::Float(if base == 2.0 { value.sqrt() } else { value.powf(1.0 / base) }))
}

/// Units from large to small, with their size.
const UNITS: [(char, u128); 9] = [
    ('Y', 1 << 80),
    ('Z', 1 << 70),
    ('E', 1 << 60),
    ('P', 1 << 50),
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
    ('B', 1),
];

#[expect(clippy::cast_precision_loss, reason = "as Python divides")]
fn human_readable(_: &mut Cx, mut args: Args) -> Res {
    let size = number(&mut args, "size")?.float();
    let bits = args.flag("isbits", false);
    let unit = args.text_if("unit");
    args.done()?;
    let chosen = UNITS.iter().find(|(letter, limit)| match &unit {
        Some(unit) => unit.to_uppercase().starts_with(*letter),
        None => size >= *limit as f64,
    });
    let (letter, limit) = chosen.copied().unwrap_or(('B', 1));
    let name = match (letter, bits) {
        ('B', false) => "Bytes".to_string(),
        ('B', true) => "bits".to_string(),
        (letter, false) => format!("{letter}B"),
        (letter, true) => format!("{letter}b"),
    };
    Ok(Val::str(format!("{:.2} {name}", size / limit as f64)))
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "sizes as Python computes them")]
fn human_to_bytes(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("size")?;
    let default = args.text_if("default_unit");
    let bits = args.flag("isbits", false);
    args.done()?;
    let trimmed = text.trim();
    let end = trimmed.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    let unit = if unit.trim().is_empty() { default.as_deref().unwrap_or("B") } else { unit.trim() };
    let Ok(number) = digits.parse::<f64>() else {
        return fail(format!("`{text}` is no size: write `10 MB` or `1.5G`"));
    };
    let letter = unit.chars().next().unwrap_or('B').to_ascii_uppercase();
    let Some((_, size)) = UNITS.iter().find(|(one, _)| *one == letter) else {
        return fail(format!("`{text}` has the unknown unit `{unit}`; known are Y, Z, E, P, T, G, M, K and B"));
    };
    let rest = &unit[unit.chars().next().map_or(0, char::len_utf8)..];
    let right = match (letter, bits) {
        ('B', _) => true,
        (_, false) => rest.is_empty() || rest == "B" || rest.eq_ignore_ascii_case("bytes"),
        (_, true) => rest.is_empty() || rest == "b" || rest.eq_ignore_ascii_case("bits"),
    };
    if !right {
        let hint = if bits { "bits are written `Kb`" } else { "bytes are written `KB`; for bits, give isbits=true" };
        return Err(Diagnostic::error(format!("`{text}` does not end with a unit that is wanted")).help(hint).into());
    }
    Ok(Val::Int((number * *size as f64).round() as i128))
}

fn filesizeformat(_: &mut Cx, mut args: Args) -> Res {
    let bytes = number(&mut args, "value")?.float();
    let binary = args.flag("binary", false);
    args.done()?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes < base {
        let plural = if bytes == 1.0 { "Byte" } else { "Bytes" };
        return Ok(Val::str(format!("{bytes} {plural}")));
    }
    let mut size = bytes / base;
    let mut letters = "kMGTPEZY".chars().peekable();
    while size >= base && letters.clone().count() > 1 {
        size /= base;
        letters.next();
    }
    let letter = letters.next().unwrap_or('Y');
    let unit = if binary { format!("{}iB", letter.to_ascii_uppercase()) } else { format!("{letter}B") };
    Ok(Val::str(format!("{size:.1} {unit}")))
}

/// Python's generator (MT19937), so that a seed picks here what it picks in Ansible.
struct Chance {
    state: [u32; 624],
    at: usize,
}

impl Chance {
    /// Seeded as Python seeds with text or an integer.
    fn seeded(seed: &Val) -> Chance {
        use sha2::Digest as _;
        let mut bytes: Vec<u8> = match seed {
            Val::Int(value) => value.unsigned_abs().to_be_bytes().to_vec(),
            other => {
                let text = other.to_text().into_bytes();
                let digest = sha2::Sha512::digest(&text);
                [&text[..], &digest[..]].concat()
            }
        };
        bytes.reverse();
        let mut key: Vec<u32> = bytes
            .chunks(4)
            .map(|chunk| chunk.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte)))
            .collect();
        while key.len() > 1 && key.last() == Some(&0) {
            key.pop();
        }
        Chance::from_key(&key)
    }

    fn from_key(key: &[u32]) -> Chance {
        let mut state = [0u32; 624];
        state[0] = 19_650_218;
        for at in 1..624 {
            let before = state[at - 1] ^ (state[at - 1] >> 30);
            state[at] = before.wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        let (mut at, mut key_at) = (1, 0);
        let before = |state: &[u32; 624], at: usize| state[at - 1] ^ (state[at - 1] >> 30);
        for _ in 0..key.len().max(624) {
            let mixed = state[at] ^ before(&state, at).wrapping_mul(1_664_525);
            state[at] = mixed.wrapping_add(key[key_at]).wrapping_add(key_at as u32);
            at += 1;
            key_at = (key_at + 1) % key.len();
            if at >= 624 {
                state[0] = state[623];
                at = 1;
            }
        }
        for _ in 0..623 {
            let mixed = state[at] ^ before(&state, at).wrapping_mul(1_566_083_941);
            state[at] = mixed.wrapping_sub(at as u32);
            at += 1;
            if at >= 624 {
                state[0] = state[623];
                at = 1;
            }
        }
        state[0] = 0x8000_0000;
        Chance { state, at: 624 }
    }

    fn word(&mut self) -> u32 {
        if self.at >= 624 {
            for at in 0..624 {
                let joined = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % 624] & 0x7fff_ffff);
                let twisted = (joined >> 1) ^ if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[at] = self.state[(at + 397) % 624] ^ twisted;
            }
            self.at = 0;
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number below the limit, which is at least 1.
    fn below(&mut self, limit: u64) -> u64 {
        let bits = 64 - limit.leading_zeros();
        loop {
            let drawn = if bits <= 32 {
                u64::from(self.word() >> (32 - bits))
            } else {
                let low = u64::from(self.word());
                low | (u64::from(self.word() >> (64 - bits)) << 32)
            };
            if drawn < limit {
                return drawn;
            }
        }
    }
}

fn seeded(args: &mut Args) -> Res<Chance> {
    match args.take("seed") {
        Some(seed) if !matches!(seed, Val::None) => Ok(Chance::seeded(&seed)),
        _ => {
            let fault =
                Diagnostic::error(format!("`{}` without a seed is unsupported: each run would differ", args.what));
            Err(fault.help("write `seed=inventory_hostname`: another value for each host, the same in each run").into())
        }
    }
}

fn random(cx: &mut Cx, mut args: Args) -> Res {
    let end = args.need("end")?;
    let seed = args.take_named("seed");
    let start = args.int_or("start", 0)?;
    let step = args.int_or("step", 1)?;
    args.done()?;
    let named = seed.map(|seed| (Arc::from("seed"), seed)).into_iter().collect();
    let mut chance = seeded(&mut Args::new("random", Vec::new(), named))?;
    if let Val::Int(end) = end {
        let width = end.saturating_sub(start);
        if step < 1 || width < 1 {
            return fail("`random` needs an end above its start, and a step of at least 1");
        }
        let count = u64::try_from((width.saturating_add(step) - 1) / step).unwrap_or(u64::MAX);
        return Ok(Val::Int(start + step * i128::from(chance.below(count))));
    }
    let items = cx.items(&end)?;
    if items.is_empty() {
        return fail("`random` cannot choose from an empty list");
    }
    let at = usize::try_from(chance.below(items.len() as u64)).unwrap_or(0);
    Ok(items.into_iter().nth(at).unwrap_or(Val::None))
}

fn shuffle(cx: &mut Cx, mut args: Args) -> Res {
    let mut items = args.list(cx, "value")?;
    let mut chance = seeded(&mut args)?;
    args.done()?;
    for at in (1..items.len()).rev() {
        items.swap(at, usize::try_from(chance.below(at as u64 + 1)).unwrap_or(0));
    }
    Ok(Val::list(items))
}
