//! Python's two ways to format text: `'%02d' % x` and `'{:>5}'.format(x)`.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use crate::lang::template::call::Args;
use crate::lang::template::python::Number;
use crate::lang::template::python::repr;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::entry;
use crate::lang::template::val::*;

/// How one value is to be shown.
#[derive(Default)]
struct Shape {
    fill: Option<char>,
    /// `<`, `>`, `^` or `=`
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    /// `s`, `d`, `x`, `f` …; as the value is when absent.
    letter: Option<char>,
}

/// Widths and precisions beyond this are refused.
const WIDEST: usize = 10_000;

fn number(chars: &mut Peekable<Chars>) -> Res<Option<usize>> {
    let mut value = None;
    while let Some(digit) = chars.peek().and_then(|one| one.to_digit(10)) {
        let next: usize = value.unwrap_or(0) * 10 + digit as usize;
        if next > WIDEST {
            return fail(format!("a width of more than {WIDEST} is unsupported"));
        }
        value = Some(next);
        chars.next();
    }
    Ok(value)
}

/// `pattern % value`
pub(crate) fn percent(cx: &mut Cx, pattern: &str, value: &Val) -> Res<String> {
    let value = cx.deep(value)?;
    let (values, single): (Vec<Val>, bool) = match &value {
        Val::Tuple(items) => (items.to_vec(), false),
        other => (vec![other.clone()], true),
    };
    let mut values = values.into_iter();
    let mut by_name = false;
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(one) = chars.next() {
        if one != '%' {
            out.push(one);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let named = if chars.next_if_eq(&'(').is_some() {
            let name: String = chars.by_ref().take_while(|&one| one != ')').collect();
            by_name = true;
            let Some(found) = entry(&value, &Key::Str(Arc::from(&*name))) else {
                return fail(format!("the mapping has no entry '{name}' for `%({name})`"));
            };
            Some(found)
        } else {
            None
        };
        let mut next = || match values.next() {
            Some(value) => Ok(value),
            None => fail("not enough values for the `%` marks in the text"),
        };
        let shape = percent_shape(&mut chars, &mut next)?;
        let value = match named {
            Some(value) => value,
            None => next()?,
        };
        let shown = show_percent(&shape, &value)?;
        cx.burn_text(shown.len())?;
        out.push_str(&shown);
    }
    // A lone mapping may be left unused, as in Python.
    let unused = values.next().is_some() && !by_name;
    if unused && !(single && matches!(value, Val::Map(_) | Val::List(_))) {
        return fail("more values than `%` marks in the text");
    }
    Ok(out)
}

fn percent_shape(chars: &mut Peekable<Chars>, next: &mut dyn FnMut() -> Res) -> Res<Shape> {
    let mut shape = Shape { align: Some('>'), ..Shape::default() };
    while let Some(flag) = chars.next_if(|one| "-+ 0#".contains(*one)) {
        match flag {
            '-' => shape.align = Some('<'),
            '0' => shape.zero = true,
            '#' => shape.alternate = true,
            sign => shape.sign = Some(sign),
        }
    }
    if shape.align == Some('<') {
        shape.zero = false;
    }
    let mut size = |chars: &mut Peekable<Chars>| {
        if chars.next_if_eq(&'*').is_none() {
            return number(chars);
        }
        match next()?.number() {
            Some(Number::Int(value)) => Ok(usize::try_from(value).ok().filter(|value| *value <= WIDEST)),
            _ => fail("`*` in a format needs an integer"),
        }
    };
    shape.width = size(chars)?.unwrap_or(0);
    if chars.next_if_eq(&'.').is_some() {
        shape.precision = Some(size(chars)?.unwrap_or(0));
    }
    while chars.next_if(|one| "hlL".contains(*one)).is_some() {}
    shape.letter = chars.next();
    Ok(shape)
}

fn show_percent(shape: &Shape, value: &Val) -> Res<String> {
    match shape.letter {
        Some('s') => Ok(pad(shape, cut(shape, value.to_text()), false)),
        Some('r' | 'a') => Ok(pad(shape, cut(shape, repr(value)), false)),
        Some('c') => match value {
            Val::Int(code) => {
                let one = u32::try_from(*code).ok().and_then(char::from_u32);
                one.map_or_else(|| fail("`%c` needs a character"), |one| Ok(pad(shape, one.to_string(), false)))
            }
            other => Ok(pad(shape, other.to_text(), false)),
        },
        Some('d' | 'i' | 'u') => match value.number() {
            Some(Number::Int(int)) => Ok(pad(shape, integer(shape, int, 'd'), true)),
            #[expect(clippy::cast_possible_truncation, reason = "as `%d` cuts a float")]
            Some(Number::Float(float)) => Ok(pad(shape, integer(shape, float as i128, 'd'), true)),
            None => fail(format!("`%d` needs a number, not {}; `| int` makes one", value.a_type())),
        },
        Some(letter @ ('x' | 'X' | 'o')) => match value.number() {
            Some(Number::Int(int)) => Ok(pad(shape, integer(shape, int, letter), true)),
            _ => fail(format!("`%{letter}` needs an integer, not {}", value.a_type())),
        },
        Some(letter @ ('f' | 'F' | 'e' | 'E' | 'g' | 'G')) => match value.number() {
            Some(number) => Ok(pad(shape, float(shape, number.float(), letter), true)),
            None => fail(format!("`%{letter}` needs a number, not {}; `| float` makes one", value.a_type())),
        },
        Some(letter) => fail(format!("`%{letter}` is no format; write `%%` for a percent sign")),
        None => fail("the text ends within a `%` format; write `%%` for a percent sign"),
    }
}

fn cut(shape: &Shape, text: String) -> String {
    match shape.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    }
}

fn integer(shape: &Shape, value: i128, letter: char) -> String {
    let size = value.unsigned_abs();
    let (prefix, digits) = match letter {
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'o' => ("0o", format!("{size:o}")),
        'b' => ("0b", format!("{size:b}")),
        _ => ("", size.to_string()),
    };
    let digits = match shape.precision {
        Some(least) => format!("{digits:0>least$}"),
        None => digits,
    };
    let digits = grouped(digits, shape.group);
    signed(shape, value < 0, if shape.alternate { format!("{prefix}{digits}") } else { digits })
}

fn signed(shape: &Shape, negative: bool, digits: String) -> String {
    match (negative, shape.sign) {
        (true, _) => format!("-{digits}"),
        (false, Some(sign @ ('+' | ' '))) => format!("{sign}{digits}"),
        _ => digits,
    }
}

fn grouped(digits: String, group: Option<char>) -> String {
    let Some(group) = group else { return digits };
    let (whole, rest) = digits.split_once('.').map_or((digits.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(group);
        }
        out.push(digit);
    }
    match rest {
        Some(rest) => format!("{out}.{rest}"),
        None => out,
    }
}

fn float(shape: &Shape, value: f64, letter: char) -> String {
    let size = value.abs();
    let places = shape.precision.unwrap_or(6);
    let digits = match letter.to_ascii_lowercase() {
        _ if !value.is_finite() => crate::lang::template::python::float_text(size),
        'f' => format!("{size:.places$}"),
        '%' => format!("{:.places$}%", size * 100.0),
        'e' => exponent(&format!("{size:.places$e}")),
        _ => general(size, places.max(1), shape.alternate),
    };
    let digits = if letter.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
    signed(shape, value.is_sign_negative() && !value.is_nan(), grouped(digits, shape.group))
}

/// `1e5` as Python writes it: `1e+05`.
fn exponent(text: &str) -> String {
    let (digits, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

fn general(size: f64, places: usize, keep_zeros: bool) -> String {
    let scientific = format!("{size:.*e}", places - 1);
    let power: i64 = scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') && !keep_zeros {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if power < -4 || power >= places as i64 {
        let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        exponent(&format!("{}e{power}", trim(digits)))
    } else {
        let decimals = usize::try_from(places as i64 - 1 - power).unwrap_or(0);
        trim(&format!("{size:.decimals$}"))
    }
}

fn pad(shape: &Shape, text: String, numeric: bool) -> String {
    let missing = shape.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    let zero = shape.zero && numeric && shape.align != Some('<') && shape.fill.is_none();
    let fill = |count: usize| shape.fill.unwrap_or(if zero { '0' } else { ' ' }).to_string().repeat(count);
    if zero || shape.align == Some('=') {
        let signs = text.len() - text.trim_start_matches(['-', '+', ' ']).len();
        let (sign, digits) = text.split_at(signs);
        return format!("{sign}{}{digits}", fill(missing));
    }
    match shape.align.unwrap_or(if numeric { '>' } else { '<' }) {
        '<' => format!("{text}{}", fill(missing)),
        '^' => format!("{}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
        _ => format!("{}{text}", fill(missing)),
    }
}

/// `pattern.format(…)`
pub(crate) fn braces(cx: &mut Cx, pattern: &str, mut args: Args) -> Res<String> {
    let plain = args.rest();
    let named = args.rest_named();
    let mut out = String::new();
    let mut counter = 0;
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let (mark, after) = rest[at..].split_at(1);
        if after.starts_with(mark) {
            out.push_str(mark);
            rest = &after[1..];
            continue;
        }
        let Some(end) = after.find('}').filter(|_| mark == "{") else {
            return fail("a single brace in the text to format; write `{{` or `}}` for one");
        };
        let shown = field(cx, &after[..end], &plain, &named, &mut counter)?;
        cx.burn_text(shown.len())?;
        out.push_str(&shown);
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn field(cx: &mut Cx, field: &str, plain: &[Val], named: &[(Arc<str>, Val)], counter: &mut usize) -> Res<String> {
    let (name, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
    let head = name.find(['.', '[']).unwrap_or(name.len());
    let (first, mut path) = name.split_at(head);
    let found = match first.parse::<usize>() {
        Ok(at) => plain.get(at),
        Err(_) if first.is_empty() => {
            *counter += 1;
            plain.get(*counter - 1)
        }
        Err(_) => named.iter().find(|(one, _)| &**one == first).map(|(_, value)| value),
    };
    let Some(mut value) = found.cloned() else { return fail(format!("no value for `{{{field}}}`")) };
    while !path.is_empty() {
        let (key, after) = match path.strip_prefix('[') {
            Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
            None => {
                let Some(inner) = path.strip_prefix('.') else { return fail(format!("`{{{field}}}` is no format")) };
                inner.split_at(inner.find(['.', '[']).unwrap_or(inner.len()))
            }
        };
        let key = key.parse::<i128>().map_or_else(|_| Val::str(key), Val::Int);
        value = cx.item(&value, &key, &(0..0))?;
        path = after;
    }
    let value = cx.deep(&value)?;
    let value = match conversion {
        "r" => Val::str(repr(&value)),
        "s" => Val::str(value.to_text()),
        _ => value,
    };
    if let Val::Moment(moment) = &value
        && !spec.is_empty()
    {
        return moment.strftime(spec);
    }
    show_braces(&brace_shape(spec)?, &value)
}

fn brace_shape(spec: &str) -> Res<Shape> {
    let mut shape = Shape::default();
    let mut chars = spec.chars().peekable();
    let is_align = |one: Option<char>| one.is_some_and(|one| "<>^=".contains(one));
    if is_align(spec.chars().nth(1)) {
        shape.fill = chars.next();
        shape.align = chars.next();
    } else if is_align(spec.chars().next()) {
        shape.align = chars.next();
    }
    shape.sign = chars.next_if(|one| "+- ".contains(*one));
    shape.alternate = chars.next_if_eq(&'#').is_some();
    shape.zero = chars.next_if_eq(&'0').is_some();
    shape.width = number(&mut chars)?.unwrap_or(0);
    shape.group = chars.next_if(|one| ",_".contains(*one));
    if chars.next_if_eq(&'.').is_some() {
        shape.precision = number(&mut chars)?;
    }
    shape.letter = chars.next();
    match chars.next() {
        None => Ok(shape),
        Some(_) => fail(format!("`{spec}` is no format")),
    }
}

fn show_braces(shape: &Shape, value: &Val) -> Res<String> {
    let is_text = matches!(value, Val::Str(_));
    match (shape.letter, value.number()) {
        (None | Some('s'), None) => Ok(pad(shape, cut(shape, value.to_text()), false)),
        (None, Some(Number::Int(int))) if !matches!(value, Val::Bool(_)) => {
            Ok(pad(shape, integer(shape, int, 'd'), true))
        }
        (None, Some(Number::Float(float_value))) => Ok(match shape.precision {
            None => pad(shape, signed(shape, false, value.to_text()), true),
            Some(_) => pad(shape, float(shape, float_value, 'g'), true),
        }),
        (None, Some(_)) => Ok(pad(shape, value.to_text(), true)),
        (Some(letter @ ('d' | 'x' | 'X' | 'o' | 'b')), Some(Number::Int(int))) => {
            Ok(pad(shape, integer(shape, int, letter), true))
        }
        (Some('n'), Some(_)) => Ok(pad(shape, value.to_text(), true)),
        (Some(letter @ ('f' | 'F' | 'e' | 'E' | 'g' | 'G' | '%')), Some(number)) => {
            Ok(pad(shape, float(shape, number.float(), letter), true))
        }
        (Some(letter), _) if is_text => fail(format!("the format `{letter}` needs a number, not text")),
        (Some(letter), _) => fail(format!("the format `{letter}` does not fit {}", value.a_type())),
    }
}
