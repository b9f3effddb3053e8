//! Moments as Ansible writes them: the fact `date_time`, from one line of `date`, and when a command began and ended.
//!
//! Knows no time zones: moments are in UTC.

use serde_json::Value;
use serde_json::json;

/// From `year|month|weekday|weekday number|week|day|hour|minute|second|epoch|zone|offset`.
pub(super) fn date_time(line: &str) -> Value {
    let fields: Vec<&str> = line.split('|').collect();
    let [year, month, weekday, weekday_number, week, day, hour, minute, second, epoch, zone, offset] = fields[..] else {
        return json!({});
    };
    let (utc_date, utc_time) = utc(epoch.parse().unwrap_or_default());
    json!({
        "year": year, "month": month, "day": day, "hour": hour, "minute": minute, "second": second,
        "weekday": weekday, "weekday_number": weekday_number, "weeknumber": week,
        "epoch": epoch, "epoch_int": epoch,
        "date": format!("{year}-{month}-{day}"), "time": format!("{hour}:{minute}:{second}"),
        "iso8601": format!("{utc_date}T{utc_time}Z"), "iso8601_micro": format!("{utc_date}T{utc_time}.000000Z"),
        "iso8601_basic": format!("{year}{month}{day}T{hour}{minute}{second}000000"),
        "iso8601_basic_short": format!("{year}{month}{day}T{hour}{minute}{second}"),
        "tz": zone, "tz_dst": zone, "tz_offset": offset,
    })
}

/// A moment as a command's `start` and `end` have it.
pub fn moment(seconds: f64) -> String {
    let micros = (seconds * 1e6).round() as i64;
    let (date, time) = utc(micros.div_euclid(1_000_000));
    format!("{date} {time}.{:06}", micros.rem_euclid(1_000_000))
}

/// A length of time as a command's `delta` has it.
pub fn length(seconds: f64) -> String {
    let micros = (seconds.max(0.0) * 1e6).round() as i64;
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let days = match whole / 86_400 {
        0 => String::new(),
        1 => "1 day, ".to_string(),
        days => format!("{days} days, "),
    };
    format!("{days}{}:{:02}:{:02}.{rest:06}", whole / 3600 % 24, whole / 60 % 60, whole % 60)
}

/// Date and time of a second since the epoch, by the Gregorian calendar.
fn utc(epoch: i64) -> (String, String) {
    let (days, second) = (epoch.div_euclid(86_400), epoch.rem_euclid(86_400));
    // Counted from 1 March 0000, so that the leap day ends a year; 146097 days are 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{day:02}"), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_dates() {
        for (epoch, date, time) in [
            (0, "1970-01-01", "00:00:00"),
            (951_782_399, "2000-02-28", "23:59:59"),
            (951_782_400, "2000-02-29", "00:00:00"),
            (1_709_251_199, "2024-02-29", "23:59:59"),
            (1_735_689_600, "2025-01-01", "00:00:00"),
        ] {
            assert_eq!(utc(epoch), (date.to_string(), time.to_string()), "{epoch}");
        }
        assert_eq!(moment(951_782_399.25), "2000-02-28 23:59:59.250000");
    }

    #[test]
    fn lengths_of_time() {
        for (seconds, text) in
            [(0.0035, "0:00:00.003500"), (3_725.5, "1:02:05.500000"), (176_400.0, "2 days, 1:00:00.000000")]
        {
            assert_eq!(length(seconds), text);
        }
    }
}
