//! The live rows: what runs on every host now, and for how long; never more of them than the terminal has.
//!
//! Pure: a view of the run, a time and a size become lines.

use crate::event::Mode;
use crate::event::Run;
use crate::ui::lines::title;
use crate::ui::lines::verb;
use crate::ui::look::Look;
use crate::ui::look::Tone;
use crate::ui::look::columns;
use crate::ui::look::count;
use crate::ui::look::cut;
use crate::ui::look::one_line;
use crate::ui::look::pad;
use crate::ui::look::time;

/// What the rows are made of; taken from the run at each event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    mode: Option<Mode>,
    testbed: String,
    nodes: usize,
    ended: usize,
    hosts: usize,
    /// Neither there nor lost.
    coming: usize,
    lost: usize,
    failed: usize,
    interrupted: bool,
    busy: Vec<Busy>,
}

/// A host with something to do.
#[derive(Debug, Clone, PartialEq)]
struct Busy {
    host: String,
    task: String,
    /// Seconds from the start of the run.
    since: f64,
}

impl View {
    pub fn of(run: &Run) -> View {
        let mut busy: Vec<Busy> = run
            .hosts
            .iter()
            .filter_map(|(host, state)| {
                let (_, place, since) = state.running.as_ref()?;
                Some(Busy { host: host.clone(), task: title(place), since: *since })
            })
            .collect();
        // Who has run for longest is who is waited for.
        busy.sort_by(|a, b| a.since.total_cmp(&b.since));
        View {
            mode: run.mode,
            testbed: run.testbed.clone(),
            nodes: run.nodes,
            ended: run.ended + run.hosts.values().map(|host| (host.undone + host.kept) as usize).sum::<usize>(),
            hosts: run.hosts.len(),
            // A destroy begins with hosts that were asked already.
            coming: match run.mode {
                Some(Mode::Destroy) => 0,
                _ => run.hosts.values().filter(|host| !host.up && host.lost.is_none()).count(),
            },
            lost: run.hosts.values().filter(|host| host.lost.is_some()).count(),
            failed: run.failures.len(),
            interrupted: run.interrupted,
            busy,
        }
    }

    /// At most `height` lines of at most the look's width. `now`: seconds from the start of the run.
    pub fn rows(&self, now: f64, height: usize, look: &Look) -> Vec<String> {
        // A line that fills the last column makes some terminals wrap.
        let width = look.width.saturating_sub(1);
        let mut rows = vec![look.paint(Tone::Bold, &cut(&self.head(now), width))];
        let room = height.saturating_sub(1);
        let shown = if self.busy.len() > room { room.saturating_sub(1) } else { self.busy.len() };
        let names = self.busy.iter().take(shown).map(|busy| columns(&busy.host)).max().unwrap_or_default().min(20);
        for busy in self.busy.iter().take(shown) {
            let clock = time(now - busy.since);
            let host = pad(&cut(&busy.host, names), names);
            let task = width.saturating_sub(columns(&host) + columns(&clock) + 6);
            let task = pad(&cut(&one_line(&busy.task), task), task);
            rows.push(format!("  {host}  {task}  {}", look.paint(Tone::Dim, &clock)));
        }
        if shown < self.busy.len() && room > 0 {
            rows.push(cut(&format!("  … and {}", count(self.busy.len() - shown, "more host")), width));
        }
        rows
    }

    fn head(&self, now: f64) -> String {
        let mut parts = vec![format!("{}/{}", self.ended, self.nodes)];
        if self.coming > 0 {
            parts.push(format!("connecting to {} of {}", self.coming, count(self.hosts, "host")));
        }
        if !self.busy.is_empty() {
            parts.push(format!("{} of {} busy", self.busy.len(), count(self.hosts, "host")));
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.lost > 0 {
            parts.push(format!("{} not reached", self.lost));
        }
        if self.interrupted {
            parts.push("ending".into());
        }
        parts.push(time(now));
        format!("{} {}: {}", self.mode.map_or("run", verb), self.testbed, parts.join(" · "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::event::Place;
    use crate::event::What;

    fn run(hosts: usize) -> Run {
        let names: Vec<String> = (0..hosts).map(|at| format!("host{at}")).collect();
        let mut run = Run::default();
        let mut tell = |seconds, what| run.fold(&Event { seconds, what });
        let (testbed, mode) = ("site".to_string(), Mode::Apply);
        tell(0.0, What::RunStarted { mode, testbed, hosts: names.clone(), nodes: 100 });
        for (at, host) in names.into_iter().enumerate() {
            tell(1.0, What::HostUp { host: host.clone(), peer: String::new(), seconds: 0.1 });
            let (kind, place_at) = ("shell".to_string(), "a.yml:1:1".to_string());
            let task = "a task with a name that is far too long for the width of a terminal of eighty".to_string();
            let place = Place { host, task, kind, at: place_at, delegated: None, handler: false };
            tell(10.0 - at as f64 / 100.0, What::NodeStarted { node: at as u32, place });
        }
        run
    }

    #[test]
    fn rows_fit_the_terminal() {
        for (hosts, height, expected) in
            [(0, 24, 1), (3, 24, 4), (23, 24, 24), (24, 24, 24), (500, 24, 24), (9, 1, 1), (9, 2, 2)]
        {
            let rows = View::of(&run(hosts)).rows(20.0, height, &Look::default());
            assert_eq!(rows.len(), expected, "{hosts} hosts on {height} rows");
            assert!(rows.iter().all(|row| columns(row) < 80), "{rows:?}");
        }
    }

    #[test]
    fn who_runs_longest_comes_first() {
        let rows = View::of(&run(30)).rows(130.0, 4, &Look::default());
        assert_eq!(
            rows,
            [
                "apply site: 0/100 · 30 of 30 hosts busy · 2 min 10 s",
                "  host29  a task with a name that is far too long for the width of…  2 min 00 s",
                "  host28  a task with a name that is far too long for the width of…  2 min 00 s",
                "  … and 28 more hosts",
            ]
        );
    }
}
