//! A part that is confirmed by a new connection, or else taken back by its host.
//!
//! A whole new connection is made over the same way, login and all; one that was there already proves nothing. Whatever comes of
//! it, the host is believed: it has decided by itself when nobody came. Does not know what the part did.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::change::Ran;
use crate::change::Step;
use crate::change::sh;
use crate::journal::Entry;

use super::apply::Progress;
use super::host::Host;
use super::link::Link;
use super::lock;
use super::order::Answer;
use super::order::As;
use super::order::Confirm;
use super::order::Part;
use super::order::Stream;
use super::order::Way;
use super::stream;
use super::stream::Kept;
use super::stream::Names;
use super::sudo::Fault;
use super::sudo::explain;
use super::target::Via;
use super::unreached::Unreached;
use super::unreached::Why;
use super::watchdog;

/// How often a connection is asked for a sign of life while a part runs that may cut it.
const PULSE: Duration = Duration::from_secs(5);
const LEAST_PULSE: Duration = Duration::from_secs(1);

/// The host begins to count a little later than we do, and undoing takes its time.
const SLACK: Duration = Duration::from_secs(1);

/// A part under way that is to be confirmed.
pub(super) struct Watched {
    user: As,
    /// The run directory's name.
    run: String,
    confirm: Confirm,
    since: Instant,
    /// Why the connection was given up, if it was.
    pub(super) shut: Option<String>,
    /// What its own steps do, in order of first touch.
    own: Vec<Entry>,
    /// Whether something before it is taken back with it.
    more: bool,
}

impl Watched {
    pub(super) fn within(&self) -> Duration {
        self.confirm.within
    }
}

/// What the host says when somebody comes.
enum Verdict {
    /// It stays.
    Sure,
    /// It was taken back, but for these.
    Back(Vec<(u32, String)>),
    /// It was being taken back, and that did not end.
    Broken,
}

impl Host {
    /// What a stream needs to be watched: shell text in front of it, and who it is. On this machine there is nothing to confirm.
    pub(super) fn watched(
        &self,
        stream: &Stream,
        kept: &[Option<Kept>],
        user: &As,
        names: &mut Names,
    ) -> Option<Watched> {
        let confirm = stream.parts.iter().find_map(|part| part.confirm.clone())?;
        if self.worker.target.via == Via::Local {
            return None;
        }
        let steps = stream.parts.iter().flat_map(|part| part.steps.iter().map(move |step| (part, step)));
        let own = |((part, step), kept): ((&Part, &Step), &Option<Kept>)| match kept {
            Some(Kept::New(entry)) => Some(entry.clone()),
            // A command that ran before: its way back is the same each time.
            Some(Kept::Known(seq, _)) => stream::entry(*seq, step, &part.writer, &self.worker.manner.run),
            None => None,
        };
        let own: Vec<Entry> = steps.zip(kept).filter_map(own).collect();
        let known = self.users.get(user);
        let earlier = confirm.with.iter().filter_map(|name| known?.confirmed.get(name)).flatten();
        let mut all: Vec<Entry> = earlier.chain(&own).cloned().collect();
        all.sort_by_key(|entry| entry.seq);
        all.dedup_by_key(|entry| entry.seq);
        let more = all.len() > own.len();
        names.arm = Some(watchdog::arm(confirm.within, &all));
        let (user, run, since) = (user.clone(), names.run.clone(), Instant::now());
        Some(Watched { user, run, confirm, since, shut: None, own, more })
    }

    /// The last answer to a stream with a part that is to be confirmed; `None` when it was given already.
    pub(super) async fn settle(
        &mut self,
        stream: &Stream,
        mut seen: Progress,
        watched: Watched,
    ) -> Result<Option<Answer>, Unreached> {
        let part = stream.parts.iter().find(|part| part.confirm.is_some()).map_or(0, |part| part.id);
        let held = seen.held.take();
        let (verdict, shut) = self.verdict(&watched).await;
        let shut = shut.or_else(|| watched.shut.clone());
        let within = watched.confirm.within.as_secs();
        let known = self.users.entry(watched.user.clone()).or_default();
        let (why, end) = match (verdict, &held) {
            (Ok(Verdict::Sure), Some(_)) => {
                for name in &watched.confirm.with {
                    known.confirmed.entry(name.clone()).or_default().extend(watched.own.iter().cloned());
                }
                held.into_iter().for_each(|held| self.say(held));
                return self.ended(stream, seen).await.map(Some);
            }
            (Ok(Verdict::Sure), None) => {
                let why = Unreached::new(Why::Lost, "its end was not heard");
                self.say(Answer::Lost { part: Some(part), why });
                return Ok(None);
            }
            (Ok(verdict), _) => {
                // What is in the journal now is only known to the host.
                known.journal = None;
                watched.confirm.with.iter().for_each(|name| drop(known.confirmed.remove(name)));
                (told(&held, shut.as_deref(), &verdict, &watched), Ok(Some(Answer::Applied { rest: None })))
            }
            (Err(why), _) => {
                let text = format!(
                    "it locked tbctl out, and the host is not reached even after the {within} s in which it takes it back"
                );
                (format!("{text} ({why})"), Err(why))
            }
        };
        let ran = match held {
            Some(Answer::Did { ran, .. } | Answer::Failed { ran, .. }) => ran,
            _ => Vec::<Ran>::new(),
        };
        self.say(Answer::Failed { part, ran, why: Some(why) });
        end
    }

    /// Connects anew until the host says what became of the part, and why that did not work before.
    async fn verdict(&mut self, watched: &Watched) -> (Result<Verdict, Unreached>, Option<String>) {
        let decided = watched.since + watched.confirm.within;
        let deadline = (decided + self.limits.back).max(Instant::now() + self.limits.calm);
        let mut shut = None;
        loop {
            // However well the old one works.
            let met = match self.regain(decided, deadline, &mut shut).await {
                Ok(link) => self.meet_watchdog(&link, watched).await,
                Err(why) => return (Err(why), shut),
            };
            let why = match met {
                Ok(verdict) => return (Ok(verdict), shut),
                Err(Fault::Link(why)) => why,
                Err(Fault::User(why)) => Unreached::new(Why::Start, why),
            };
            shut.get_or_insert_with(|| why.message.clone());
            if Instant::now() + self.limits.calm >= deadline {
                return (Err(why), shut);
            }
            sleep(self.patience(decided)).await;
        }
    }

    /// A new connection. What time alone does not help against may yet be gone once the host has taken the part back.
    async fn regain(
        &mut self,
        decided: Instant,
        deadline: Instant,
        shut: &mut Option<String>,
    ) -> Result<Arc<Link>, Unreached> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Tried once by itself, so that it is known why the first try failed.
            self.start_anew();
            let why = match timeout(left, self.linked()).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(why)) => why,
                Err(_) => Unreached::new(Why::Timeout, format!("{} did not come back", self.worker.name)),
            };
            shut.get_or_insert_with(|| why.message.clone());
            let pause = if why.retryable { Duration::from_secs(1) } else { self.patience(decided) };
            if Instant::now() + pause >= deadline {
                return Err(why);
            }
            sleep(pause).await;
        }
    }

    /// How long to wait with what will not work before the host has decided.
    fn patience(&self, decided: Instant) -> Duration {
        (decided + SLACK).saturating_duration_since(Instant::now()).max(self.limits.calm)
    }

    /// Tells the watchdog that somebody came, as the user whose work it watches.
    async fn meet_watchdog(&mut self, link: &Arc<Link>, watched: &Watched) -> Result<Verdict, Fault> {
        let mut shell = self.shell(link, &watched.user).await?;
        let text = self.stepping(&mut shell);
        let functions = watchdog::FUNCTIONS;
        let lock = sh::quote(&lock::text(&self.worker.manner));
        shell.send(format!("{text}{functions}\n_tb_lock_on {lock}\n_tb_sure tbctl-{}\n", watched.run)).await;
        self.count(1);
        let mut failed = Vec::new();
        let deadline = Instant::now() + self.limits.back + watched.confirm.within;
        loop {
            let mark = match shell.mark(Some(deadline)).await {
                Ok(mark) => mark,
                Err(broken) => return Err(explain(link, &self.worker.name, &watched.user, broken)),
            };
            let verdict = match mark.head.as_str() {
                // Without the run directory there is no watchdog either, and somebody came.
                "V sure" | "V gone" => Verdict::Sure,
                "V back" => Verdict::Back(failed),
                "V broken" => Verdict::Broken,
                head => {
                    if let Some(Answer::Undone { seq, how: Way::Failed(why) }) = Progress::default().undone(head) {
                        failed.push((seq, why));
                    }
                    continue;
                }
            };
            self.users.entry(watched.user.clone()).or_default().shell = Some(shell);
            return Ok(verdict);
        }
    }
}

/// Ends when a connection gives no sign of life any more, and says so. `within`: the time there is.
pub(super) async fn silence(link: &Link, host: &str, within: Duration) -> Unreached {
    let pulse = (within / 4).clamp(LEAST_PULSE, PULSE);
    loop {
        sleep(pulse).await;
        match timeout(pulse, link.exec("true")).await {
            Err(_) => return Unreached::new(Why::Lost, format!("{host} does not answer any more")),
            Ok(Err(why)) if why.kind == Why::Lost => return why,
            // One session too many is a sign of life.
            Ok(_) => {}
        }
    }
}

/// What became of a part that the host took back. `shut`: why a connection was not possible, if one was tried.
fn told(held: &Option<Answer>, shut: Option<&str>, verdict: &Verdict, watched: &Watched) -> String {
    let within = watched.confirm.within.as_secs();
    let with = if watched.more { ", with what was changed before under the same `confirm`" } else { "" };
    // The host counts from later on than we do: if it was that fast, somebody told it to end.
    let early = watched.since.elapsed() < watched.confirm.within;
    let when = if early { format!("before its {within} s were over") } else { format!("after {within} s") };
    let what = match (held, shut) {
        (_, None) if early => "its host goes down",
        (Some(Answer::Failed { .. }), _) => "it failed, and locked tbctl out",
        (Some(_), _) | (None, Some(_)) => "it locked tbctl out",
        (None, None) => "it took longer than its `confirm`",
    };
    let because = shut.map(|why| format!(" ({why})")).unwrap_or_default();
    match verdict {
        Verdict::Broken => format!("{what}; the host began to take it back{with}, and did not finish{because}"),
        Verdict::Sure => what.to_string(),
        Verdict::Back(failed) => {
            let mut text = format!("{what}; the host took it back {when}{with}{because}");
            for (seq, why) in failed {
                let entry = watched.own.iter().find(|entry| entry.seq == *seq);
                let name = entry.map_or("something else", |entry| entry.what.as_str());
                text += &format!("; but «{name}» could not be taken back: {why}");
            }
            text
        }
    }
}
