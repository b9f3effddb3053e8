//! One request, and the file of all requests of a run.
//!
//! A damaged file is read up to its first fault: what was measured before it stays measured.

use std::io;
use std::sync::Arc;

use csv::ByteRecord;

use crate::diag::Diagnostic;
use crate::diag::Source;
use crate::diag::Span;

/// The columns, in the order they are written. Times are in milliseconds.
pub const HEADER: [&str; 10] = [
    "number",
    "intended_ms",
    "start_ms",
    "connect_ms",
    "first_byte_ms",
    "total_ms",
    "status",
    "bytes",
    "responder",
    "error",
];

/// No measurement takes longer than a week, and no request in it either.
const LONGEST_MS: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;

/// What one request took.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Counted from 1; the warm-up is not counted.
    pub number: u64,
    /// When it was due, since the start of the measurement. In a closed loop that is when it started.
    pub intended_ms: f64,
    /// When it started, since the start of the measurement.
    pub start_ms: f64,
    /// From the start until the connection stood; 0 if it never did or was there already.
    pub connect_ms: f64,
    /// From the start until the first byte of the answer; 0 if there was none.
    pub first_byte_ms: f64,
    /// From the start until all was there, or until it failed.
    pub total_ms: f64,
    /// Of HTTP; 0 when there was no answer.
    pub status: u16,
    pub bytes: u64,
    /// Who answered, as the answer itself says; may be empty.
    pub responder: String,
    /// What went wrong, in a short sentence; empty if nothing did.
    pub error: String,
}

impl Sample {
    /// Whether there is no answer, or not the right one.
    pub fn failed(&self) -> bool {
        self.status == 0 || !self.error.is_empty()
    }

    /// From when it was due until all was there: what a user that does not wait for others would have seen.
    pub fn response_ms(&self) -> f64 {
        self.start_ms - self.intended_ms + self.total_ms
    }

    /// The row as it is written: times to the microsecond.
    fn fields(&self) -> [String; 10] {
        let ms = |value: f64| format!("{value:.3}");
        [
            self.number.to_string(),
            ms(self.intended_ms),
            ms(self.start_ms),
            ms(self.connect_ms),
            ms(self.first_byte_ms),
            ms(self.total_ms),
            self.status.to_string(),
            self.bytes.to_string(),
            self.responder.clone(),
            self.error.clone(),
        ]
    }
}

/// What could be read of a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// The rows before the fault, or all.
    pub rows: Vec<Sample>,
    /// Where reading ended, if not at the end.
    pub fault: Option<Diagnostic>,
}

/// The whole file, with its header.
pub fn write(out: impl io::Write, rows: &[Sample]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(HEADER)?;
    for row in rows {
        writer.write_record(row.fields())?;
    }
    writer.flush()
}

/// Reads a file's bytes; `name` is what messages call it. A byte order mark and lines ended as on Windows are no fault;
/// columns may stand in any order, and further ones are passed over.
pub fn read(name: &str, bytes: &[u8]) -> Samples {
    let mut samples = Samples::default();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let columns = match reader.byte_headers().map(columns) {
        Ok(Ok(columns)) => columns,
        Ok(Err(missing)) => {
            samples.fault = Some(headless(name, bytes, &missing));
            return samples;
        }
        Err(error) => {
            samples.fault = Some(Diagnostic::error(format!("cannot read {name}: {error}")));
            return samples;
        }
    };
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return samples,
            Err(error) => {
                samples.fault = Some(Diagnostic::error(format!("cannot read {name}: {error}")));
                return samples;
            }
        }
        match row(&record, &columns) {
            Ok(row) => samples.rows.push(row),
            Err((column, why)) => {
                let start = record.position().map_or(0, |at| usize::try_from(at.byte()).unwrap_or(usize::MAX));
                samples.fault = Some(place(name, bytes, start, column, &why));
                return samples;
            }
        }
    }
}

/// Where each column of [`HEADER`] stands; or the name of one that is not there.
fn columns(header: &ByteRecord) -> Result<[usize; 10], String> {
    let mut columns = [0; 10];
    for (at, name) in HEADER.iter().enumerate() {
        let found = header.iter().position(|field| field.trim_ascii() == name.as_bytes());
        columns[at] = found.ok_or_else(|| (*name).to_string())?;
    }
    Ok(columns)
}

/// A row, or the column that is wrong (none: the row is too short) and why.
fn row(record: &ByteRecord, columns: &[usize; 10]) -> Result<Sample, (Option<usize>, String)> {
    let text = |at: usize| match record.get(columns[at]) {
        Some(field) => Ok(String::from_utf8_lossy(field).trim().to_string()),
        None => Err((None, format!("the row ends before `{}`", HEADER[at]))),
    };
    let wrong = |at: usize, why: String| (Some(columns[at]), format!("`{}` {why}", HEADER[at]));
    let ms = |at: usize| {
        let text = text(at)?;
        let value: f64 = text.parse().map_err(|_| wrong(at, format!("is `{text}`, which is not a number")))?;
        match value {
            value if value.is_nan() => Err(wrong(at, "is not a number".into())),
            value if value < 0.0 => Err(wrong(at, format!("is `{text}`, and a time is never negative"))),
            value if value > LONGEST_MS => Err(wrong(at, format!("is `{text}`, and nothing takes more than a week"))),
            value => Ok(value),
        }
    };
    let whole = |at: usize| {
        let text = text(at)?;
        text.parse::<u64>().map_err(|_| wrong(at, format!("is `{text}`, which is not a whole number")))
    };
    let status = || {
        let status = whole(6)?;
        u16::try_from(status).map_err(|_| wrong(6, format!("is `{status}`, which no status is")))
    };
    Ok(Sample {
        number: whole(0)?,
        intended_ms: ms(1)?,
        start_ms: ms(2)?,
        connect_ms: ms(3)?,
        first_byte_ms: ms(4)?,
        total_ms: ms(5)?,
        status: status()?,
        bytes: whole(7)?,
        responder: text(8)?,
        error: text(9)?,
    })
}

fn headless(name: &str, bytes: &[u8], missing: &str) -> Diagnostic {
    let text = String::from_utf8_lossy(bytes);
    if text.trim().trim_start_matches('\u{feff}').is_empty() {
        return Diagnostic::error(format!("{name} is empty: not even a header is there"));
    }
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    let span = Span::new(&Source::new(name, &text[..end]), 0, end);
    Diagnostic::error(format!("there is no column `{missing}`"))
        .at(&span)
        .help(format!("the first line is to be `{}`", HEADER.join(",")))
}

/// The fault at its field. Only the row's own text is kept, behind as many empty lines as there are before it.
fn place(name: &str, bytes: &[u8], start: usize, column: Option<usize>, why: &str) -> Diagnostic {
    let (before, rest) = bytes.split_at(start.min(bytes.len()));
    let skip = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let lines = before.iter().chain(&rest[..skip]).filter(|byte| **byte == b'\n').count();
    let row = String::from_utf8_lossy(&rest[skip..]);
    let row = row.lines().next().unwrap_or_default();
    let (from, to) = match column {
        Some(column) => field(row, column),
        None => (row.len(), row.len()),
    };
    let source: Arc<Source> = Source::new(name, "\n".repeat(lines) + row);
    Diagnostic::error(why).at(&Span::new(&source, lines + from, lines + to)).help("the rows before it are used")
}

/// Where a field of a row stands, in bytes. Commas within quotes are text.
fn field(row: &str, column: usize) -> (usize, usize) {
    let mut quoted = false;
    let mut commas = row.bytes().enumerate().filter(|(_, byte)| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    });
    let mut next = || commas.next().map_or(row.len(), |(at, _)| at);
    let mut start = 0;
    for _ in 0..column {
        start = (next() + 1).min(row.len());
    }
    (start, next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "number,intended_ms,start_ms,connect_ms,first_byte_ms,total_ms,status,bytes,responder,error\n";
    const ROW: &str = "1,0.000,0.000,0.410,1.800,2.042,200,512,node-2,\n";

    fn sample(number: u64) -> Sample {
        Sample {
            number,
            connect_ms: 0.41,
            first_byte_ms: 1.8,
            total_ms: 2.042,
            status: 200,
            bytes: 512,
            responder: "node-2".into(),
            ..Sample::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let failed =
            Sample { number: 2, error: "no answer, after \"5 s\"".into(), total_ms: 5000.0, ..Sample::default() };
        let rows = vec![sample(1), failed];
        let mut bytes = Vec::new();
        write(&mut bytes, &rows).unwrap();
        assert!(String::from_utf8_lossy(&bytes).starts_with(&format!("{HEAD}{ROW}")));
        assert_eq!(read("samples.csv", &bytes), Samples { rows: rows.clone(), fault: None });
        assert!(rows[1].failed() && !rows[0].failed());
    }

    #[test]
    fn marks_and_line_ends_of_other_systems_are_read() {
        for text in [
            format!("\u{feff}{HEAD}{ROW}"),
            format!("{HEAD}{ROW}").replace('\n', "\r\n"),
            format!("{HEAD}\n{ROW}\n"),
            format!("note,{}{}", HEAD, "ä,".to_string() + ROW),
        ] {
            assert_eq!(read("s", text.as_bytes()), Samples { rows: vec![sample(1)], fault: None }, "{text}");
        }
        assert_eq!(read("s", HEAD.as_bytes()), Samples::default());
    }

    #[test]
    fn a_fault_has_a_place_and_what_is_before_it_stays() {
        let good = ROW;
        for (bad, place, why) in [
            ("2,0,0,0,0,abc,200,1,,\n", "3:11", "`total_ms` is `abc`, which is not a number"),
            ("2,0,0,0,0,NaN,200,1,,\n", "3:11", "`total_ms` is not a number"),
            ("2,0,0,0,0,-1,200,1,,\n", "3:11", "`total_ms` is `-1`, and a time is never negative"),
            ("2,0,0,0,0,inf,200,1,,\n", "3:11", "`total_ms` is `inf`, and nothing takes more than a week"),
            ("2,0,0,0,0,1e300,200,1,,\n", "3:11", "`total_ms` is `1e300`, and nothing takes more than a week"),
            ("x,0,0,0,0,1,200,1,,\n", "3:1", "`number` is `x`, which is not a whole number"),
            ("2,0,0,0,0,1,70000,1,,\n", "3:13", "`status` is `70000`, which no status is"),
            ("2,0,0,0\n", "3:8", "the row ends before `first_byte_ms`"),
            ("\u{0}\u{1}garbage\n", "3:1", "which is not a whole number"),
        ] {
            let read = read("samples.csv", format!("{HEAD}{good}{bad}{good}").as_bytes());
            let fault = read.fault.unwrap();
            assert_eq!(read.rows, vec![sample(1)], "{bad}");
            assert!(fault.message.contains(why), "{bad}: {}", fault.message);
            assert_eq!(fault.span.unwrap().to_string(), format!("samples.csv:{place}"), "{bad}");
        }
    }

    #[test]
    fn a_file_without_its_header_is_named() {
        for (text, why) in [
            ("", "samples.csv is empty: not even a header is there"),
            ("\n\n", "samples.csv is empty: not even a header is there"),
            ("a,b\n1,2\n", "there is no column `number`"),
            ("\u{ff}\u{fe}\u{0}", "there is no column `number`"),
        ] {
            let read = read("samples.csv", text.as_bytes());
            assert_eq!(read.fault.map(|fault| fault.message).as_deref(), Some(why), "{text:?}");
        }
    }
}
