//! The host's journal: what was changed there, in which order, and how to take it back.
//!
//! The host's copy is the truth. It is a file of lines, each `<digest> <json>`: the controller writes the text of a line into
//! the script, the host only appends it, and the digest shows whether a line is whole. State before and after a change, and
//! old content, are files on the host beside it, by the entry's number. Knows nothing of connections.

pub mod near;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

/// The version of the format; a newer one is refused.
pub const VERSION: u32 = 2;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Record {
    /// The first line.
    Head { version: u32, testbed: String },
    /// A resource is about to be changed for the first time, or a command with a way back to be run.
    Intent(Box<Entry>),
    /// Another task writes the entry's resource as well.
    Also { seq: u32, writer: Writer },
    /// The entry was taken back and its files are gone.
    Undone { seq: u32 },
}

/// Which task wants a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Writer {
    pub task: String,
    /// Names what the task manages, also when the task is called otherwise; empty in old journals.
    #[serde(default)]
    pub key: String,
}

/// A resource that is ours to give back. Sequence numbers grow in order of first touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u32,
    /// `file:/etc/hosts`; `None` for a command with an `undo:` and for handlers that are repeated.
    pub resource: Option<String>,
    /// One line for people.
    pub what: String,
    /// The task that wanted it first.
    #[serde(flatten)]
    pub writer: Writer,
    /// The tasks that want it too.
    #[serde(skip)]
    pub also: Vec<Writer>,
    /// Which run, by its id.
    pub run: String,
    /// `no_log`: what it is about is shown to nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Shell text that prints the resource's state.
    pub look: Option<String>,
    pub undo: Back,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Back {
    /// The path was kept in the entry's directory.
    Restore {
        path: String,
    },
    By {
        script: String,
    },
    Again {
        unit: String,
        script: String,
    },
    Never {
        why: String,
    },
}

/// A journal that cannot be trusted, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(pub String);

/// What a host remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// Not yet undone, in order of first touch.
    pub entries: Vec<Entry>,
    /// The next free number.
    pub next: u32,
    /// Whether the file exists at all.
    pub begun: bool,
}

impl Entry {
    /// What it is about, for people.
    pub fn name(&self) -> String {
        match self.hidden {
            true => format!("(hidden by no_log) «{}»", self.writer.task),
            false => self.resource.clone().unwrap_or_else(|| self.what.clone()),
        }
    }

    /// Everyone who wants the resource.
    pub fn writers(&self) -> impl Iterator<Item = &Writer> {
        std::iter::once(&self.writer).chain(&self.also)
    }
}

impl Journal {
    /// Reads the file's text. A last line that was cut short is a crash before its step began, and is passed over;
    /// anything else that does not fit its digest is damage.
    pub fn parse(text: &str, testbed: &str) -> Result<Journal, Damage> {
        let mut journal = Journal { next: 1, ..Journal::default() };
        let lines: Vec<&str> = text.split('\n').collect();
        // What follows the last line end is empty, or a line that was never synced: its step cannot have begun.
        for (at, line) in lines.iter().take(lines.len() - 1).enumerate() {
            journal.add(line, at, testbed)?;
        }
        Ok(journal)
    }

    /// Refuses a journal that does not speak of everything that is kept beside it: its end was cut off, or all of it.
    pub fn speaks_of(self, places: impl Iterator<Item = u32>) -> Result<Journal, Damage> {
        match places.max() {
            Some(_) if !self.begun => Err(Damage("the journal is gone, but what it spoke of is still kept".into())),
            Some(last) if last >= self.next => {
                Err(Damage(format!("the journal was cut short: entry {last} is kept, and it does not speak of it")))
            }
            _ => Ok(self),
        }
    }

    fn add(&mut self, line: &str, at: usize, testbed: &str) -> Result<(), Damage> {
        let damage = |why: &str| Damage(format!("line {} of the journal {why}", at + 1));
        let (digest, json) = line.split_once(' ').ok_or_else(|| damage("is not of its form"))?;
        if digest != self::digest(json) {
            return Err(damage("does not fit its digest"));
        }
        let record: Record = serde_json::from_str(json).map_err(|_| damage("is of another version of tbctl"))?;
        match record {
            Record::Head { version, .. } if version == 0 || version > VERSION => {
                return Err(Damage(format!("the journal has version {version}, this tbctl knows up to {VERSION}")));
            }
            Record::Head { testbed: other, .. } if other != testbed => {
                return Err(Damage(format!("the journal belongs to testbed `{other}`, not to `{testbed}`")));
            }
            Record::Head { .. } => self.begun = true,
            Record::Intent(entry) => {
                if !self.begun || entry.seq < self.next {
                    return Err(damage("is out of order"));
                }
                self.next = entry.seq + 1;
                self.entries.push(*entry);
            }
            Record::Also { seq, writer } => {
                let entry = self.entries.iter_mut().find(|entry| entry.seq == seq);
                entry.ok_or_else(|| damage("is out of order"))?.also.push(writer);
            }
            Record::Undone { seq } => self.entries.retain(|entry| entry.seq != seq),
        }
        Ok(())
    }
}

/// A record as its line, without the line end.
pub fn line(record: &Record) -> String {
    // A record holds only text and numbers, which always have a JSON form.
    let json = serde_json::to_string(record).unwrap_or_default();
    format!("{} {json}", digest(&json))
}

fn digest(json: &str) -> String {
    Sha256::digest(json.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u32) -> Record {
        Record::Intent(Box::new(Entry {
            seq,
            resource: Some(format!("file:/{seq}")),
            what: "create".into(),
            writer: Writer { task: "t".into(), key: String::new() },
            also: Vec::new(),
            run: "r".into(),
            hidden: false,
            look: Some("true".into()),
            undo: Back::Restore { path: format!("/{seq}") },
        }))
    }

    fn text(records: &[Record]) -> String {
        records.iter().map(|record| line(record) + "\n").collect()
    }

    #[test]
    fn entries_come_back_in_order_without_those_undone() {
        let head = Record::Head { version: VERSION, testbed: "a".into() };
        let text = text(&[head, entry(1), entry(2), entry(5), Record::Undone { seq: 2 }]);
        let journal = Journal::parse(&text, "a").unwrap();
        assert_eq!(journal.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(journal.next, 6);
        for cut in 0..text.len() {
            // Cut anywhere, the journal is either whole up to there or damaged: never read wrongly.
            if let Ok(short) = Journal::parse(&text[..cut], "a") {
                assert!(short.entries.len() <= 3);
            }
        }
    }

    #[test]
    fn what_is_kept_must_be_spoken_of() {
        let head = Record::Head { version: VERSION, testbed: "a".into() };
        let text = text(&[head, entry(1), entry(2), Record::Undone { seq: 2 }]);
        let check = |text: &str, places: &[u32]| {
            let journal = Journal::parse(text, "a").unwrap().speaks_of(places.iter().copied());
            journal.map(|journal| journal.entries.len()).map_err(|damage| damage.0)
        };
        assert_eq!(check(&text, &[1]), Ok(1));
        assert_eq!(check(&text, &[1, 2]), Ok(1), "a crash between its end and its clearing");
        assert_eq!(check("", &[]), Ok(0));
        assert!(check(&text, &[1, 3]).unwrap_err().contains("entry 3 is kept"));
        assert!(check("", &[1]).unwrap_err().contains("the journal is gone"));
    }

    #[test]
    fn damage_is_a_sentence() {
        let head = |version, testbed: &str| Record::Head { version, testbed: testbed.into() };
        for (records, expected) in [
            (vec![head(9, "a")], "the journal has version 9, this tbctl knows up to 2"),
            (vec![head(VERSION, "b")], "the journal belongs to testbed `b`, not to `a`"),
            (vec![head(VERSION, "a"), entry(2), entry(2)], "line 3 of the journal is out of order"),
            (vec![entry(1)], "line 1 of the journal is out of order"),
        ] {
            assert_eq!(Journal::parse(&text(&records), "a"), Err(Damage(expected.into())));
        }
        let flipped = text(&[head(VERSION, "a"), entry(1)]).replace("create", "creatE");
        assert_eq!(Journal::parse(&flipped, "a"), Err(Damage("line 2 of the journal does not fit its digest".into())));
    }
}
