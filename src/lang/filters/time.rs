//! Times: reading and writing them, and what lies between two of them. All in UTC.

use std::fmt::Write;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::lang::filters::Filter;
use crate::lang::template::call::Args;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[Filter::deep("strftime", strftime), Filter::deep("to_datetime", to_datetime)];

const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A point in time: microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) micros: i128,
}

struct Fields {
    year: i128,
    month: i128,
    day: i128,
    hour: i128,
    minute: i128,
    second: i128,
    micro: i128,
    /// 0 is Monday.
    weekday: i128,
    /// 1 is the first of January.
    yearday: i128,
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i128, month: i128, day: i128) -> i128 {
    // Years begin in March, so that the day that comes and goes is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Moment {
    fn fields(self) -> Fields {
        let day_number = self.micros.div_euclid(DAY);
        let rest = self.micros.rem_euclid(DAY);
        let shifted = day_number + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400 + i128::from(month <= 2);
        Fields {
            year,
            month,
            day: of_year - (153 * march_month + 2) / 5 + 1,
            hour: rest / (3600 * SECOND),
            minute: rest / (60 * SECOND) % 60,
            second: rest / SECOND % 60,
            micro: rest % SECOND,
            weekday: (day_number + 3).rem_euclid(7),
            yearday: day_number - days(year, 1, 1) + 1,
        }
    }

    pub(crate) fn to_text(self) -> String {
        let fields = self.fields();
        let text = self.strftime("%Y-%m-%d %H:%M:%S").unwrap_or_default();
        if fields.micro > 0 { format!("{text}.{:06}", fields.micro) } else { text }
    }

    pub(crate) fn strftime(self, format: &str) -> Res<String> {
        let fields = self.fields();
        let name = |names: &[&'static str], at: i128| {
            usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or("")
        };
        let twelve = |hour: i128| if hour % 12 == 0 { 12 } else { hour % 12 };
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(one) = chars.next() {
            if one != '%' {
                out.push(one);
                continue;
            }
            let next = chars.next().unwrap_or('%');
            let bare = next == '-';
            let letter = if bare { chars.next().unwrap_or('%') } else { next };
            let (value, width) = match letter {
                'Y' => (fields.year, 4),
                'y' => (fields.year % 100, 2),
                'm' => (fields.month, 2),
                'd' => (fields.day, 2),
                'H' => (fields.hour, 2),
                'I' => (twelve(fields.hour), 2),
                'M' => (fields.minute, 2),
                'S' => (fields.second, 2),
                'f' => (fields.micro, 6),
                'j' => (fields.yearday, 3),
                'u' => (fields.weekday + 1, 1),
                'w' => ((fields.weekday + 1) % 7, 1),
                's' => (self.micros.div_euclid(SECOND), 1),
                'C' => (fields.year / 100, 2),
                'U' => ((fields.yearday + 6 - (fields.weekday + 1) % 7) / 7, 2),
                'W' => ((fields.yearday + 6 - fields.weekday) / 7, 2),
                _ => {
                    match letter {
                        'e' => _ = write!(out, "{:2}", fields.day),
                        'B' => out.push_str(name(&MONTHS, fields.month - 1)),
                        'b' | 'h' => out.push_str(&name(&MONTHS, fields.month - 1)[..3]),
                        'A' => out.push_str(name(&DAYS, fields.weekday)),
                        'a' => out.push_str(&name(&DAYS, fields.weekday)[..3]),
                        'p' => out.push_str(if fields.hour < 12 { "AM" } else { "PM" }),
                        'F' => out.push_str(&self.strftime("%Y-%m-%d")?),
                        'T' | 'X' => out.push_str(&self.strftime("%H:%M:%S")?),
                        'R' => out.push_str(&self.strftime("%H:%M")?),
                        'D' | 'x' => out.push_str(&self.strftime("%m/%d/%y")?),
                        'c' => out.push_str(&self.strftime("%a %b %e %H:%M:%S %Y")?),
                        'z' => out.push_str("+0000"),
                        'Z' => out.push_str("UTC"),
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        '%' => out.push('%'),
                        other => return fail(format!("the time format `%{other}` is unsupported")),
                    }
                    continue;
                }
            };
            let width = if bare { 1 } else { width };
            _ = write!(out, "{value:0width$}");
        }
        Ok(out)
    }

    pub(crate) fn attr(self, name: &str) -> Option<Val> {
        let fields = self.fields();
        Some(Val::Int(match name {
            "year" => fields.year,
            "month" => fields.month,
            "day" => fields.day,
            "hour" => fields.hour,
            "minute" => fields.minute,
            "second" => fields.second,
            "microsecond" => fields.micro,
            _ => return None,
        }))
    }

    pub(crate) fn method(self, name: &str, mut args: Args) -> Res {
        match name {
            "strftime" => self.strftime(&args.text("format")?).map(Val::str),
            "isoformat" => Ok(Val::str(self.to_text().replace(' ', "T"))),
            "date" => self.strftime("%Y-%m-%d").map(Val::str),
            #[expect(clippy::cast_precision_loss, reason = "as Python's timestamp")]
            "timestamp" => Ok(Val::Float(self.micros as f64 / 1e6)),
            "weekday" => Ok(Val::Int(self.fields().weekday)),
            "isoweekday" => Ok(Val::Int(self.fields().weekday + 1)),
            _ => fail(format!("a time has no method `{name}`")),
        }
    }
}

pub(crate) fn duration_attr(micros: i128, name: &str) -> Option<Val> {
    Some(Val::Int(match name {
        "days" => micros.div_euclid(DAY),
        "seconds" => micros.rem_euclid(DAY) / SECOND,
        "microseconds" => micros.rem_euclid(SECOND),
        _ => return None,
    }))
}

pub(crate) fn duration_text(micros: i128) -> String {
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let seconds = rest / SECOND;
    let clock = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock = if rest % SECOND > 0 { format!("{clock}.{:06}", rest % SECOND) } else { clock };
    match days {
        0 => clock,
        1 | -1 => format!("{days} day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

/// Sums and differences of times and durations.
pub(crate) fn arithmetic(add: bool, left: &Val, right: &Val) -> Res {
    let limited = |micros: Option<i128>| micros.filter(|micros| micros.abs() < DAY * 400 * 10_000);
    let joined = |a: i128, b: i128| limited(if add { a.checked_add(b) } else { a.checked_sub(b) });
    let made = match (left, right) {
        (Val::Moment(a), Val::Moment(b)) if !add => joined(a.micros, b.micros).map(Val::Duration),
        (Val::Moment(a), Val::Duration(b)) => joined(a.micros, *b).map(|micros| Val::Moment(Moment { micros })),
        (Val::Duration(a), Val::Moment(b)) if add => joined(*a, b.micros).map(|micros| Val::Moment(Moment { micros })),
        (Val::Duration(a), Val::Duration(b)) => joined(*a, *b).map(Val::Duration),
        _ => return fail("two times cannot be added; their difference can be taken"),
    };
    made.map_or_else(|| fail("the time lies too far away"), Ok)
}

/// The time of the run, if templates may know it.
pub(crate) fn now(cx: &Cx) -> Res<Moment> {
    match cx.env.scope.files() {
        Some(files) => {
            let since = files.now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Moment { micros: i128::try_from(since.as_micros()).unwrap_or(0) })
        }
        None => fail("the time is unsupported here: it is not known at this point"),
    }
}

/// `format | strftime(seconds)`
fn strftime(cx: &mut Cx, mut args: Args) -> Res {
    let format = args.text("format")?;
    let seconds = args.take("second").filter(|one| !matches!(one, Val::None));
    args.take("utc");
    args.done()?;
    let moment = match seconds {
        None => now(cx)?,
        Some(value) => {
            let number = match &value {
                Val::Str(text) => text.trim().parse::<f64>().ok(),
                other => other.number().map(|number| number.float()),
            };
            match number.filter(|number| number.abs() < 1e12) {
                #[expect(clippy::cast_possible_truncation, reason = "checked to be small enough")]
                Some(number) => Moment { micros: (number * 1e6) as i128 },
                None => return fail(format!("`strftime` needs seconds since 1970, not {}", value.a_type())),
            }
        }
    };
    moment.strftime(&format).map(Val::str)
}

fn to_datetime(_: &mut Cx, mut args: Args) -> Res {
    let text = args.text("value")?;
    let format = args.text_if("format").unwrap_or_else(|| Arc::from("%Y-%m-%d %H:%M:%S"));
    args.done()?;
    match strptime(&text, &format)? {
        Some(moment) => Ok(Val::Moment(moment)),
        None => fail(format!("`{text}` is no time of the form `{format}`")),
    }
}

/// What was read of a time so far.
struct Clock {
    date: [i128; 3],
    time: [i128; 3],
    micro: i128,
    afternoon: Option<bool>,
    /// Seconds east of UTC.
    offset: i128,
    epoch: Option<i128>,
}

fn strptime(text: &str, format: &str) -> Res<Option<Moment>> {
    let format = format.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S").replace("%R", "%H:%M");
    let mut clock = Clock { date: [1900, 1, 1], time: [0, 0, 0], micro: 0, afternoon: None, offset: 0, epoch: None };
    let mut rest = text;
    let mut marks = format.chars();
    while let Some(mark) = marks.next() {
        if mark.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        let read = match mark {
            '%' => clock.read(marks.next().unwrap_or('%'), rest)?,
            other => rest.strip_prefix(other),
        };
        match read {
            Some(after) => rest = after,
            None => return Ok(None),
        }
    }
    Ok(if rest.is_empty() { clock.moment() } else { None })
}

/// At most so many digits, and what follows them.
fn digits(text: &str, most: usize) -> Option<(i128, usize, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(count);
    Some((number.parse().ok()?, count, rest))
}

/// Which of the names the text begins with, in full or by three letters, and what follows.
fn named<'t>(text: &'t str, names: &[&str]) -> Option<(usize, &'t str)> {
    let at = names.iter().position(|name| starts_with(text, &name[..3]))?;
    let length = if starts_with(text, names[at]) { names[at].len() } else { 3 };
    Some((at, &text[length..]))
}

impl Clock {
    /// Reads what a mark stands for; gives what follows it, or nothing if it is not there.
    fn read<'t>(&mut self, mark: char, text: &'t str) -> Res<Option<&'t str>> {
        let (slot, most) = match mark {
            'Y' => (&mut self.date[0], 4),
            'm' => (&mut self.date[1], 2),
            'd' | 'e' => (&mut self.date[2], 2),
            'H' | 'I' => (&mut self.time[0], 2),
            'M' => (&mut self.time[1], 2),
            'S' => (&mut self.time[2], 2),
            'y' | 'f' | 's' => return Ok(self.read_scaled(mark, text)),
            'p' => {
                self.afternoon = Some(starts_with(text, "pm"));
                return Ok((starts_with(text, "am") || starts_with(text, "pm")).then(|| &text[2..]));
            }
            'b' | 'B' | 'h' => {
                let Some((at, rest)) = named(text, &MONTHS) else { return Ok(None) };
                self.date[1] = at as i128 + 1;
                return Ok(Some(rest));
            }
            'a' | 'A' => return Ok(named(text, &DAYS).map(|(_, rest)| rest)),
            'z' => {
                let Some((seconds, rest)) = zone(text) else { return Ok(None) };
                self.offset = seconds;
                return Ok(Some(rest));
            }
            'Z' => return Ok(Some(text.trim_start_matches(|one: char| one.is_ascii_alphabetic()))),
            '%' => return Ok(text.strip_prefix('%')),
            other => return fail(format!("the time format `%{other}` is unsupported")),
        };
        let Some((value, _, rest)) = digits(text, most) else { return Ok(None) };
        *slot = value;
        Ok(Some(rest))
    }

    fn read_scaled<'t>(&mut self, mark: char, text: &'t str) -> Option<&'t str> {
        let most = match mark {
            'y' => 2,
            'f' => 6,
            _ => 12,
        };
        let (value, count, rest) = digits(text, most)?;
        match mark {
            'y' => self.date[0] = if value < 69 { 2000 + value } else { 1900 + value },
            'f' => self.micro = value * 10i128.pow(6 - u32::try_from(count).ok()?),
            _ => self.epoch = Some(value * SECOND),
        }
        Some(rest)
    }

    /// The time, if there is such a day and hour.
    fn moment(&self) -> Option<Moment> {
        let [year, month, day] = self.date;
        let [hour, minute, second] = self.time;
        let hour = self.afternoon.map_or(hour, |afternoon| hour % 12 + if afternoon { 12 } else { 0 });
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let lengths = [31, 28 + i128::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let longest = *lengths.get(usize::try_from(month - 1).ok()?)?;
        if !(1..=longest).contains(&day) || hour > 23 || minute > 59 || second > 61 {
            return None;
        }
        let clock = (hour * 3600 + minute * 60 + second - self.offset) * SECOND + self.micro;
        Some(Moment { micros: self.epoch.unwrap_or(days(year, month, day) * DAY + clock) })
    }
}

fn starts_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// `Z`, `+0100` or `+01:00` in seconds.
fn zone(text: &str) -> Option<(i128, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours: i128 = text.get(1..3)?.parse().ok()?;
    let rest = text.get(3..)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let minutes: i128 = rest.get(..2)?.parse().ok()?;
    Some((sign * (hours * 3600 + minutes * 60), rest.get(2..)?))
}
