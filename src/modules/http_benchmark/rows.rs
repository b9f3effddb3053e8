//! What a host hands over after a measurement, as samples. Knows the form of the files `measure.sh` writes.
//!
//! curl measures each request to the microsecond but says nothing of when it began. In a closed loop that is summed up: a
//! request begins when the one before has ended, plus the mean pause between two of them, which the clock around all of
//! them gives. In an open loop it is noted as it happens.

use crate::results::sample::Sample;

/// All that was handed over.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Handed {
    /// What was known before, as JSON.
    pub(super) before: String,
    pub(super) samples: Vec<Sample>,
    /// Requests that were made and are not among the samples.
    pub(super) discarded: u64,
    /// How often curl was started: more than once if something came between.
    pub(super) sessions: usize,
    /// Milliseconds between two requests of a closed loop, where the clock tells.
    pub(super) pause_ms: Option<f64>,
    pub(super) version: String,
    /// Addresses of the connection.
    pub(super) client: String,
    pub(super) server: String,
}

/// What decides how rows are read.
pub(super) struct Reading {
    pub(super) requests: usize,
    pub(super) expected: u16,
    /// Microseconds between two requests of an open loop.
    pub(super) period: Option<u64>,
}

/// One run of curl.
#[derive(Default)]
struct Session<'a> {
    began: f64,
    ended: Option<f64>,
    /// Each with whether it is counted.
    rows: Vec<(bool, Row<'a>)>,
    /// Of an open loop: the clock at its first request, then when each was due and began, in microseconds.
    clock: u64,
    starts: Vec<(u64, u64)>,
}

struct Row<'a> {
    status: u16,
    exit: u32,
    connect: f64,
    first_byte: f64,
    total: f64,
    bytes: u64,
    responder: &'a str,
    message: &'a str,
}

/// Reads the text of the step that hands over.
pub(super) fn read(text: &str, reading: &Reading) -> Handed {
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (rows, starts) = rest.split_once("\n%\n").unwrap_or((rest, ""));
    let mut handed = Handed { before: head.to_string(), ..Handed::default() };
    let mut sessions = sessions(rows, &mut handed);
    add_starts(&mut sessions, starts);
    handed.sessions = sessions.len();
    handed.pause_ms = pause(&sessions).filter(|_| reading.period.is_none());
    for session in &sessions {
        match reading.period {
            None => closed(session, sessions[0].began, &mut handed, reading),
            Some(_) => open(session, &sessions, &mut handed, reading),
        }
    }
    handed.samples.truncate(reading.requests);
    // The measurement begins with its first request.
    let zero = handed.samples.first().map_or(0.0, |first| first.intended_ms);
    for (at, sample) in handed.samples.iter_mut().enumerate() {
        sample.number = at as u64 + 1;
        sample.intended_ms = (sample.intended_ms - zero).max(0.0);
        sample.start_ms = (sample.start_ms - zero).max(0.0);
    }
    handed
}

fn sessions<'a>(text: &'a str, handed: &mut Handed) -> Vec<Session<'a>> {
    let mut found: Vec<Session<'_>> = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields.as_slice() {
            ["@", began, version, discarded, client, server] => {
                handed.version = (*version).to_string();
                handed.client = (*client).to_string();
                handed.server = (*server).to_string();
                handed.discarded += discarded.parse::<u64>().unwrap_or_default();
                found.push(Session { began: began.parse().unwrap_or_default(), ..Session::default() });
            }
            ["=", ended] => {
                if let Some(last) = found.last_mut() {
                    last.ended = ended.parse().ok();
                }
            }
            _ => {
                let row = row(line);
                if let (Some(last), Some((kind, row))) = (found.last_mut(), row) {
                    match kind {
                        "w" => last.rows.push((false, row)),
                        kind if kind.starts_with("file:") => {}
                        _ => last.rows.push((true, row)),
                    }
                }
            }
        }
    }
    found
}

/// A row that is whole.
fn row(line: &str) -> Option<(&str, Row<'_>)> {
    let fields: Vec<&str> = line.strip_suffix("\t.")?.splitn(9, '\t').collect();
    let [kind, status, exit, connect, first_byte, total, bytes, responder, message] = fields.as_slice() else { return None };
    let ms = |text: &str| text.parse::<f64>().ok().filter(|time| time.is_finite()).map(|time| time.max(0.0) * 1000.0);
    let row = Row {
        status: status.parse().ok()?,
        exit: exit.parse().ok()?,
        connect: ms(connect)?,
        first_byte: ms(first_byte)?,
        total: ms(total)?,
        bytes: bytes.parse().ok()?,
        responder: responder.trim(),
        message: message.trim(),
    };
    Some((kind, row))
}

/// The times of an open loop, session by session; a session that never came to its first request has none.
fn add_starts(sessions: &mut [Session<'_>], text: &str) {
    let mut at = None;
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("@", clock)) => {
                let next = at.map_or(0, |at: usize| at + 1);
                at = Some(next);
                if let Some(session) = sessions.get_mut(next) {
                    session.clock = clock.parse().unwrap_or_default();
                }
            }
            Some((due, began)) => {
                let session = at.and_then(|at| sessions.get_mut(at));
                if let (Some(session), Ok(due), Ok(began)) = (session, due.parse(), began.parse()) {
                    session.starts.push((due, began));
                }
            }
            None => {}
        }
    }
}

/// The mean pause between two requests, over sessions whose end is known.
fn pause(sessions: &[Session<'_>]) -> Option<f64> {
    let whole = sessions.iter().filter_map(|session| Some((session, (session.ended? - session.began) * 1000.0)));
    let (mut left, mut count) = (0.0, 0);
    for (session, lasted) in whole {
        left += lasted - session.rows.iter().map(|(_, row)| row.total).sum::<f64>();
        count += session.rows.len();
    }
    (count > 0 && left.is_finite()).then(|| (left / count as f64).max(0.0))
}

fn closed(session: &Session<'_>, first: f64, handed: &mut Handed, reading: &Reading) {
    let pause = pause(std::slice::from_ref(session)).unwrap_or_default();
    let mut now = (session.began - first) * 1000.0;
    for (counts, row) in &session.rows {
        if *counts {
            handed.samples.push(sample(row, now, now, reading));
        }
        now += row.total + pause;
    }
}

fn open(session: &Session<'_>, all: &[Session<'_>], handed: &mut Handed, reading: &Reading) {
    let ms = |microseconds: u64| microseconds as f64 / 1000.0;
    let offset = ms(session.clock.saturating_sub(all[0].clock));
    let counted = session.rows.iter().filter(|(counts, _)| *counts);
    for ((_, row), (due, began)) in counted.zip(&session.starts) {
        handed.samples.push(sample(row, offset + ms(*due), offset + ms(*began), reading));
    }
}

fn sample(row: &Row<'_>, intended_ms: f64, start_ms: f64, reading: &Reading) -> Sample {
    let answered = row.status != 0;
    let error = match (row.exit, row.message) {
        (0, _) if row.status == reading.expected => String::new(),
        (0, _) if answered => format!("status {} instead of {}", row.status, reading.expected),
        (exit, "") => format!("curl ended with {exit}"),
        (_, message) => message.to_string(),
    };
    Sample {
        number: 0,
        intended_ms,
        start_ms,
        connect_ms: row.connect,
        first_byte_ms: row.first_byte,
        total_ms: row.total,
        status: row.status,
        bytes: row.bytes,
        responder: row.responder.to_string(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(requests: usize, period: Option<u64>) -> Reading {
        Reading { requests, expected: 200, period }
    }

    fn times(handed: &Handed) -> Vec<(u64, f64, f64, f64)> {
        let round = |time: f64| (time * 1000.0).round() / 1000.0;
        let one = |one: &Sample| (one.number, round(one.intended_ms), round(one.start_ms), round(one.total_ms));
        handed.samples.iter().map(one).collect()
    }

    #[test]
    fn a_closed_loop_is_summed_up() {
        // Three requests of 2, 1 and 4 ms in 10 ms: the pauses are 1 ms each.
        let text = "{}\n\n@ 100.000 7.88.1 2 10.0.0.9 10.0.0.1\nw\t200\t0\t0.001\t0.001\t0.002\t5\tb\t\t.\n\
            r\t200\t0\t0.001\t0.001\t0.001\t5\tb\t\t.\nr\t404\t0\t0.0\t0.001\t0.004\t5\t\t\t.\n= 100.010\n\n%\n";
        let handed = read(text, &reading(10, None));
        assert_eq!(times(&handed), [(1, 0.0, 0.0, 1.0), (2, 2.0, 2.0, 4.0)]);
        assert_eq!((handed.discarded, handed.sessions, handed.version.as_str()), (2, 1, "7.88.1"));
        assert_eq!((handed.client.as_str(), handed.server.as_str()), ("10.0.0.9", "10.0.0.1"));
        assert_eq!(handed.samples[1].error, "status 404 instead of 200");
    }

    #[test]
    fn a_second_session_goes_on_by_the_clock() {
        let row = "r\t200\t0\t0.0\t0.001\t0.002\t5\tb\t\t.\n";
        let text = format!("\n\n@ 100.0 8.5.0 1 - -\n{row}r\t200\t0\t0.0\t0.0\n@ 105.0 8.5.0 1 - -\n{row}\n= 105.002\n");
        assert_eq!(times(&read(&text, &reading(10, None))), [(1, 0.0, 0.0, 2.0), (2, 5000.0, 5000.0, 2.0)]);
        assert_eq!(read(&text, &reading(1, None)).samples.len(), 1);
    }

    #[test]
    fn an_open_loop_knows_when_each_was_due() {
        let pair = |at: u32| format!("file:///d/p0\t000\t0\t0\t0\t0\t0\t\t\t.\nhttp://a/\t200\t0\t0.0\t0.001\t0.03\t5\tb {at}\t\t.\n");
        let text =
            format!("{{}}\n\n@ 100.0 7.88.1 1 - -\n{}{}\n= 100.1\n\n%\n\n@ 50000000\n0 0\n10000 30100\n", pair(1), pair(2));
        let handed = read(&text, &reading(10, Some(10_000)));
        assert_eq!(times(&handed), [(1, 0.0, 0.0, 30.0), (2, 10.0, 30.1, 30.0)]);
        assert_eq!(handed.samples[1].responder, "b 2");
    }

    #[test]
    fn requests_without_an_answer_are_samples() {
        let text = "\n@ 1.0 8.5.0 1 - -\nr\t000\t7\t0.0\t0.0\t0.0005\t0\t\tFailed to connect\t.\nr\t000\t52\t0\t0\t0\t0\t\t\t.\n";
        let errors: Vec<String> = read(text, &reading(9, None)).samples.into_iter().map(|one| one.error).collect();
        assert_eq!(errors, ["Failed to connect", "curl ended with 52"]);
    }

    #[test]
    fn damage_is_passed_over() {
        for text in ["", "\n", "x", "\n@ \n= \nr\t\n%\n@\n1\n", "\n= 1\nr\t200\t0\t0\t0\t0\t0\t\t\t.\n", "\n@ a b c d e\nr\t-\t\t.\n%\n"] {
            assert_eq!(read(text, &reading(9, None)).samples, Vec::new(), "{text}");
        }
    }
}
