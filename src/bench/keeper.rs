//! Writes measurements down as they come: each file beside its place, synced, renamed; never half of one.

use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use crate::bench::merge;
use crate::bench::proof;
use crate::bench::runs;
use crate::event::Event;
use crate::event::Mode;
use crate::event::What;
use crate::results::RECORD;
use crate::results::SAMPLES;
use crate::results::TASKS;
use crate::results::record::Digests;
use crate::results::record::Record;
use crate::results::sample;
use crate::results::sample::Sample;
use crate::results::taken::Taken;
use crate::results::tasks;

/// Where measurements of one testbed are kept, and what became of those of this run.
#[derive(Debug)]
pub struct Keeper {
    /// `results/TESTBED`
    directory: PathBuf,
    testbed: String,
    digests: Digests,
    applies: bool,
    /// Directories that were written to, in order.
    pub kept: Vec<PathBuf>,
    /// What could not be written, in sentences.
    pub faults: Vec<String>,
}

impl Keeper {
    /// Nothing is made before there is something to keep.
    pub fn new(directory: PathBuf, testbed: String, digests: Digests) -> Keeper {
        Keeper { directory, testbed, digests, applies: false, kept: Vec::new(), faults: Vec::new() }
    }

    pub fn see(&mut self, event: &Event) {
        match &event.what {
            What::RunStarted { mode, .. } => self.applies = *mode == Mode::Apply,
            What::Measured { taken: Some(taken), .. } if self.applies => self.keep(taken),
            _ => {}
        }
    }

    fn keep(&mut self, taken: &Taken) {
        let directory = self.directory.join(&taken.record.run);
        match self.write(&directory, taken) {
            Ok(true) if !self.kept.contains(&directory) => self.kept.push(directory),
            Ok(_) => {}
            Err(error) => {
                let place = directory.display();
                self.faults.push(format!("cannot keep what was measured in {place}: {error}; the host still has it"));
            }
        }
    }

    /// False: there was nothing worth a file.
    fn write(&self, directory: &Path, taken: &Taken) -> io::Result<bool> {
        let known = runs::record(directory);
        let samples = match &taken.samples {
            Some(samples) if samples.is_empty() && known.is_none() => return Ok(false),
            Some(samples) => samples.clone(),
            None if known.is_none() => return Ok(false),
            None => sample::read(SAMPLES, &std::fs::read(directory.join(SAMPLES))?).rows,
        };
        let record = self.record(known.unwrap_or_default(), taken, &samples);
        std::fs::create_dir_all(directory)?;
        if taken.samples.is_some() {
            let mut text = Vec::new();
            sample::write(&mut text, &samples)?;
            put(directory, SAMPLES, &text)?;
            put(directory, TASKS, &json(&tasks(taken, &record))?)?;
        }
        // The record comes last: without it the run is not known.
        put(directory, RECORD, &json(&record)?)?;
        Ok(true)
    }

    fn record(&self, known: Record, taken: &Taken, samples: &[Sample]) -> Record {
        let mut record = merge::merge(known, taken, samples.len());
        record.testbed.clone_from(&self.testbed);
        record.digests = Some(self.digests.clone());
        record.versions.insert("tbctl".into(), env!("CARGO_PKG_VERSION").into());
        if taken.samples.is_none() {
            record.path = taken.tunnel.as_ref().map(|tunnel| proof::prove(&record, tunnel, samples));
        }
        record
    }
}

fn json(value: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

/// The command in the form of other tools.
fn tasks(taken: &Taken, record: &Record) -> tasks::Tasks {
    let command = &taken.command;
    let end = |end: &crate::results::taken::End| tasks::End {
        worker: end.host.clone(),
        ip: end.address.clone(),
        vm: tasks::Machine {
            hostname: end.host.clone(),
            availability_zone: record.hosts.get(&end.host).and_then(|host| host.region.clone()).unwrap_or_default(),
        },
        idle: false,
    };
    let task = tasks::Task {
        command: "curl".into(),
        args: command.words.clone(),
        task_options: tasks::Options { timeout_seconds: command.timeout_seconds },
        status: 0,
        client: end(&command.client),
        server: end(&command.server),
    };
    tasks::Tasks { results: vec![tasks::Entry { output: command.output.clone(), task }] }
}

/// Writes a file beside its place, syncs it, and puts it there.
fn put(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(&format!(".{name}.")).tempfile_in(directory)?;
    file.write_all(content)?;
    // What is measured is no secret; others are to make reports of it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name)).map_err(|fault| fault.error)?;
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::results::record::Around;
    use crate::results::record::Settings;
    use crate::results::record::State;
    use crate::results::record::Tunnel;
    use crate::results::taken::Through;

    const RUN: &str = "20261126T005512Z-0123abcd";

    fn event(what: What) -> Event {
        Event { seconds: 0.0, what }
    }

    fn started(mode: Mode) -> Event {
        event(What::RunStarted { mode, testbed: "t".into(), hosts: Vec::new(), nodes: 0 })
    }

    fn measured(record: Record, rows: Option<usize>) -> Event {
        let sample = |number| Sample { number, status: 200, bytes: 100, total_ms: 2.0, ..Sample::default() };
        let samples = rows.map(|rows| (1..=rows as u64).map(sample).collect::<Vec<_>>());
        let tunnel = Some(Through { host: "m".into(), interface: "wg0".into() });
        let taken = Taken { record, samples, tunnel, ..Taken::default() };
        let taken = Some(Arc::new(taken));
        event(What::Measured { host: "c".into(), run: RUN.into(), samples: rows, failed: 0, taken })
    }

    fn counters(rx_bytes: u64) -> Vec<Tunnel> {
        vec![Tunnel { host: "m".into(), interface: "wg0".into(), rx_bytes, tx_bytes: 1 }]
    }

    fn part(state: State, requests: u64) -> Record {
        let settings = Settings {
            url: "http://m/".into(),
            requests,
            warm_up: 1,
            connection: crate::results::record::Connection::New,
            pace: crate::results::record::Pace::Closed,
        };
        let tunnels = Some(Around { before: counters(1000), after: Vec::new() });
        Record {
            run: RUN.into(),
            inputs: Some("0123abcd".into()),
            state,
            settings: Some(settings),
            tunnels,
            ..Record::default()
        }
    }

    fn keeper(directory: &Path) -> Keeper {
        Keeper::new(directory.join("results/t"), "t".into(), Digests::default())
    }

    #[test]
    fn both_parts_become_one_run() {
        let home = tempfile::tempdir().unwrap();
        let mut keeper = keeper(home.path());
        keeper.see(&started(Mode::Apply));
        keeper.see(&measured(part(State::Partial("it waits".into()), 3), Some(3)));
        let directory = home.path().join("results/t").join(RUN);
        let first = runs::record(&directory).unwrap();
        assert_eq!((first.state, first.started.as_str()), (State::Partial("it waits".into()), "2026-11-26T00:55:12Z"));
        assert_eq!(runs::runs(&home.path().join("results/t"))[RUN], ("0123abcd".to_string(), false));
        let tunnels = Some(Around { before: Vec::new(), after: counters(1400) });
        keeper.see(&measured(Record { run: RUN.into(), tunnels, ..Record::default() }, None));
        let record = runs::record(&directory).unwrap();
        let path = record.path.unwrap();
        assert_eq!((record.state, path.valid), (State::Complete, true), "{:?}", path.why);
        assert_eq!((path.bytes_over_tunnel, path.bytes_of_requests), (400, 300));
        assert_eq!(runs::runs(&home.path().join("results/t"))[RUN], ("0123abcd".to_string(), true));
        let rows = sample::read(SAMPLES, &std::fs::read(directory.join(SAMPLES)).unwrap());
        assert_eq!((rows.rows.len(), rows.fault), (3, None));
        assert_eq!((keeper.kept.len(), keeper.faults.len()), (1, 0));
        let mut names: Vec<_> =
            std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [RECORD, TASKS, SAMPLES]);
    }

    #[test]
    fn a_run_that_is_not_whole_stays_so() {
        let home = tempfile::tempdir().unwrap();
        let mut keeper = keeper(home.path());
        keeper.see(&started(Mode::Apply));
        keeper.see(&measured(part(State::Partial("nobody answered".into()), 10), Some(3)));
        keeper.see(&measured(Record { run: RUN.into(), ..Record::default() }, None));
        let record = runs::record(&home.path().join("results/t").join(RUN)).unwrap();
        assert_eq!(record.state, State::Partial("nobody answered".into()));
        assert!(!record.path.unwrap().valid);
    }

    #[test]
    fn nothing_is_written_for_nothing() {
        let home = tempfile::tempdir().unwrap();
        let mut keeper = keeper(home.path());
        keeper.see(&started(Mode::Plan));
        keeper.see(&measured(part(State::Complete, 3), Some(3)));
        keeper.see(&started(Mode::Apply));
        keeper.see(&measured(part(State::Complete, 3), Some(0)));
        keeper.see(&measured(part(State::Complete, 3), None));
        assert!(!home.path().join("results").exists());
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("results"), "a file").unwrap();
        let mut keeper = keeper(home.path());
        keeper.see(&started(Mode::Apply));
        keeper.see(&measured(part(State::Complete, 3), Some(3)));
        assert!(keeper.faults[0].contains("cannot keep what was measured"), "{:?}", keeper.faults);
    }
}
