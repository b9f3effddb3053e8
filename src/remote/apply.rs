//! A stream sent to its host, and what the host says of it while it runs.
//!
//! A lost connection leaves the stream running; after a reconnection the host says everything again. Nothing is ever run a
//! second time. Does not know what the steps do; their text is made in `stream`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use indexmap::IndexSet;
use tokio::task::AbortHandle;

use crate::change::Look;
use crate::change::Ran;
use crate::change::Step;
use crate::change::fuse;
use crate::journal::Entry;

use super::confirm::Watched;
use super::confirm::silence;
use super::host::Host;
use super::host::Thing;
use super::link::Link;
use super::live;
use super::live::Watch;
use super::lock;
use super::order::Answer;
use super::order::As;
use super::order::Part;
use super::order::Stream;
use super::order::Way;
use super::probe;
use super::session::Mark;
use super::session::Shell;
use super::session::nonce;
use super::stream;
use super::stream::Kept;
use super::stream::Names;
use super::sudo::Fault;
use super::sudo::explain;
use super::sudo::open;
use super::unreached::Unreached;
use super::unreached::Why;
use super::watchdog;

/// More of a command's output is cut off.
const OUTPUT: usize = 10 << 20;

/// How one sending of a stream ended.
pub(super) enum End {
    /// The host came to the end of the script.
    Whole,
    /// It never began and never will.
    Never(Unreached),
    Lost(Unreached),
    /// The user's shell cannot be used.
    Refused(String),
}

/// A step whose output is being shown: its part and its number.
struct Watching {
    step: (u64, usize),
    task: AbortHandle,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is known of a stream that runs.
#[derive(Default)]
pub(super) struct Progress {
    /// The part that began and has not ended.
    running: Option<u64>,
    began: bool,
    ran: Vec<Ran>,
    since: f64,
    /// The number and rc of the step whose output is being read, and its standard output.
    step: Option<i32>,
    stdout: Vec<u8>,
    /// Steps that have ended.
    steps: usize,
    /// Why the stream stopped: the word of its last mark.
    word: String,
    pub(super) setup: Option<String>,
    /// Entries that left the journal.
    pub(super) undone: Vec<u32>,
    /// The part before which the stream ends since its content could not be copied, and why.
    cut: Option<(u64, String)>,
    rest: Option<String>,
    over: bool,
    /// The part is to be confirmed, and how it ended until then.
    pub(super) watched: Option<Watched>,
    pub(super) held: Option<Answer>,
    /// Answers made so far, and those of them that were given.
    made: usize,
    given: usize,
    open: String,
}

impl Host {
    pub(super) async fn apply(&mut self, mut stream: Stream) -> Result<Option<Answer>, Unreached> {
        let mut seen = Progress::default();
        // A second sending only after it is sure that the first one never began.
        for _ in 0..2 {
            let end = self.apply_once(&mut stream, &mut seen).await?;
            if let Some(watched) = seen.unsettled(&end) {
                return self.settle(&stream, seen, watched).await;
            }
            match end {
                End::Whole => return self.ended(&stream, seen).await.map(Some),
                End::Never(why) => {
                    tracing::debug!(host = self.worker.name, "sending a stream again: {why}");
                    seen = Progress::default();
                }
                End::Lost(why) => {
                    self.say(Answer::Lost { part: seen.running, why });
                    return Ok(None);
                }
                End::Refused(why) => {
                    self.fail_first(&stream, why);
                    return Ok(Some(Answer::Applied { rest: None }));
                }
            }
        }
        Err(Unreached::new(Why::Lost, format!("the connection to {} was lost again and again", self.worker.name)))
    }

    fn fail_first(&self, stream: &Stream, why: String) {
        let stepping = stream.parts.iter().find(|part| !part.steps.is_empty());
        if let Some(part) = stepping.or(stream.parts.first()) {
            self.say(Answer::Failed { part: part.id, ran: Vec::new(), why: Some(why) });
        }
    }

    async fn apply_once(&mut self, stream: &mut Stream, seen: &mut Progress) -> Result<End, Unreached> {
        let link = self.linked().await?;
        let user = self.key(&stream.user, &link);
        // Numbers of entries cannot be given before the journal is known.
        if self.users.get(&user).is_none_or(|known| known.journal.is_none()) && stream.parts.iter().any(is_kept) {
            let name = stream.user.clone();
            self.meet(&name).await?;
        }
        if let Some(Err(damage)) = self.users.get(&user).and_then(|known| known.journal.as_ref()) {
            let help = "look at /var/lib/tbctl on the host; nothing was changed";
            return Ok(End::Refused(format!("its journal cannot be trusted: {}; {help}", damage.0)));
        }
        let shell = match self.shell(&link, &user).await {
            Ok(shell) => shell,
            Err(Fault::User(why)) => return Ok(End::Refused(why)),
            Err(Fault::Link(why)) => return Err(why),
        };
        let mut names = Names {
            run: format!("{}.{}", probe::directory(&self.worker.manner.testbed), nonce()),
            staged: false,
            testbed: self.worker.manner.testbed.clone(),
            owner: lock::text(&self.worker.manner),
            mark: shell.mark.clone(),
            arm: None,
        };
        if let Err((at, why)) = self.stage(&link, &user, stream, &mut names).await? {
            seen.cut = cut_at(stream, at).map(|part| (part, why));
        }
        let rest = own_rest(self, stream, &user, &link);
        let titles: Vec<&str> = stream.parts.iter().map(|part| part.writer.task.as_str()).collect();
        tracing::debug!(host = self.worker.name, "a stream: {}", titles.join(", "));
        let before = self.users.entry(user.clone()).or_default().book.clone();
        let kept = self.entries(stream, &user);
        let mut text = String::new();
        seen.watched = self.watched(stream, &kept, &user, &mut names);
        if seen.watched.is_some() {
            text.push_str(watchdog::FUNCTIONS);
            // The shell that would be asked is not the one that is there in the end.
            stream.ask_at_end = false;
        }
        let known = self.users.entry(user.clone()).or_default();
        if let Some(whole) = known.whole.take() {
            text.push_str(&format!("_tb_mend {whole}\n"));
        }
        text.push_str(&stream::script(stream, &kept, &known.book.near(&[]), &rest, &names));
        known.locked |= stream.locks;
        let end = self.run_through(&link, &user, shell, &names, text, seen).await;
        let known = self.users.entry(user).or_default();
        match &end {
            Ok(End::Whole) if seen.setup.is_none() => {}
            Ok(End::Never(_)) => known.book = before,
            // What of it was written into the journal is not known: it has to be read again.
            _ => {
                known.book = before;
                known.journal = None;
            }
        }
        end
    }

    /// Sends a script that makes a run directory, and hears it to its end, over several connections if need be.
    pub(super) async fn run_through(
        &mut self,
        link: &Arc<Link>,
        user: &As,
        mut shell: Shell,
        names: &Names,
        text: String,
        seen: &mut Progress,
    ) -> Result<End, Unreached> {
        let text = self.stepping(&mut shell) + &probe::in_one_piece(text);
        shell.send(text).await;
        self.count(1);
        match self.follow(link, user, names, &mut shell, seen).await {
            Ok(()) => {
                if !seen.is_open() {
                    self.clean(&mut shell, names).await;
                }
                self.users.entry(user.clone()).or_default().shell = Some(shell);
                Ok(End::Whole)
            }
            Err(Fault::User(why)) if link.lost().is_none() && seen.given == 0 => Ok(End::Refused(why)),
            Err(Fault::User(why)) => Ok(self.resume(user, names, Unreached::new(Why::Lost, why), seen).await),
            Err(Fault::Link(why)) => {
                seen.cut_off(&why);
                Ok(self.resume(user, names, why, seen).await)
            }
        }
    }

    /// Removes the run directory of what has been heard to its end. Nobody waits for it.
    async fn clean(&self, shell: &mut Shell, names: &Names) {
        shell.send(format!("rm -rf /tmp/tbctl-{0} /var/tmp/tbctl-{0}\n", names.run)).await;
        shell.dirty = true;
    }

    /// The journal entry of each step: that of its resource, else a new one.
    fn entries(&mut self, stream: &Stream, user: &As) -> Vec<Option<Kept>> {
        let run = self.worker.manner.run.clone();
        let known = self.users.entry(user.clone()).or_default();
        let steps = stream.parts.iter().flat_map(|part| part.steps.iter().map(move |step| (part, step)));
        let entry = |(part, step): (&Part, &Step)| {
            let entry = stream::entry(known.book.next.max(1), step, &part.writer, &run)?;
            let entry = Entry { hidden: part.hidden, ..entry };
            // What is confirmed goes back to right before it, and not to the beginning: it has an entry of its own on top.
            let on_top = part.confirm.is_some() && entry.resource.is_some();
            if let Some((seq, writers)) = known.book.kept.get_mut(&Thing::of(&entry)).filter(|_| !on_top) {
                let new = writers.insert(part.writer.clone());
                return Some(Kept::Known(*seq, new.then(|| part.writer.clone())));
            }
            known.book.next = entry.seq + 1;
            known.book.live.insert(entry.seq);
            known.book.kept.insert(Thing::of(&entry), (entry.seq, HashSet::from([part.writer.clone()])));
            Some(Kept::New(entry))
        };
        steps.map(entry).collect()
    }

    /// A user's shell, opened if there is none.
    pub(super) async fn shell(&mut self, link: &Arc<Link>, user: &As) -> Result<Shell, Fault> {
        let known = self.users.entry(user.clone()).or_default();
        if let Some(why) = &known.refused {
            return Err(Fault::User(why.clone()));
        }
        if let Some(shell) = known.shell.take() {
            return Ok(shell);
        }
        let password = self.worker.manner.become_password.as_ref();
        let (shell, trips) = open(link, &self.worker.name, user, password).await?;
        self.count(trips);
        Ok(shell)
    }

    /// What a shell has to be told before it can run steps.
    pub(super) fn stepping(&self, shell: &mut Shell) -> String {
        let mut text = probe::opening(shell, &self.worker.manner.testbed);
        shell.begun = true;
        if !std::mem::replace(&mut shell.steps, true) {
            text.push_str(stream::FUNCTIONS);
        }
        text
    }

    /// Hears what a stream says until it has ended.
    async fn follow(
        &mut self,
        link: &Arc<Link>,
        user: &As,
        names: &Names,
        shell: &mut Shell,
        seen: &mut Progress,
    ) -> Result<(), Fault> {
        let mut watching: Option<Watching> = None;
        while !seen.over {
            let step = seen.running.filter(|_| seen.step.is_none()).map(|part| (part, seen.steps));
            if watching.as_ref().map(|watching| watching.step) != step {
                watching = step.map(|step| self.watch(link, user, names, step));
            }
            let mark = tokio::select! {
                mark = shell.mark(None) => mark,
                Ok(()) = self.stops.changed() => {
                    self.interrupt(link, user, names);
                    continue;
                }
                why = silence(link, &self.worker.name, seen.within()), if seen.watched.is_some() => {
                    return Err(Fault::Link(why));
                }
            };
            match mark {
                Ok(mark) => self.tell(mark, seen),
                Err(broken) => return Err(explain(link, &self.worker.name, user, broken)),
            }
        }
        Ok(())
    }

    /// Shows what a step prints, if it takes its time.
    fn watch(&self, link: &Arc<Link>, user: &As, names: &Names, step: (u64, usize)) -> Watching {
        let watch = Watch {
            link: link.clone(),
            worker: self.worker.clone(),
            user: user.clone(),
            run: format!("tbctl-{}", names.run),
            number: step.1,
            part: step.0,
        };
        Watching { step, task: tokio::spawn(live::watch(watch, self.sayer())).abort_handle() }
    }

    fn tell(&self, mark: Mark, seen: &mut Progress) {
        if let Some(answer) = seen.hear(mark) {
            if seen.watched.is_some() && matches!(answer, Answer::Did { .. } | Answer::Failed { .. }) {
                seen.held = Some(answer);
                return;
            }
            seen.made += 1;
            if seen.made > seen.given {
                seen.given = seen.made;
                self.say(answer);
            }
        }
    }

    /// Touches the stop file, by a shell of its own; the stream's is busy.
    fn interrupt(&self, link: &Arc<Link>, user: &As, names: &Names) {
        let (link, user, worker, run) = (link.clone(), user.clone(), self.worker.clone(), names.run.clone());
        tokio::spawn(async move {
            let password = worker.manner.become_password.as_ref();
            if let Ok((shell, _)) = open(&link, &worker.name, &user, password).await {
                let text =
                    format!("for d in /tmp /var/tmp; do [ ! -d $d/tbctl-{run} ] || true >$d/tbctl-{run}/stop; done\n");
                shell.send(text).await;
                shell.leave().await;
            }
        });
    }

    /// Finds a stream again after its connection was lost.
    async fn resume(&mut self, user: &As, names: &Names, why: Unreached, seen: &mut Progress) -> End {
        let limit = self.limits.back + seen.within();
        loop {
            self.say(Answer::Away { why: why.message.clone(), limit });
            if self.reconnect(limit).await.is_err() {
                return End::Lost(why);
            }
            let Ok(link) = self.linked().await else { return End::Lost(why) };
            let Ok(mut shell) = self.shell(&link, user).await else { return End::Lost(why) };
            let text = self.stepping(&mut shell);
            shell.send(format!("{text}_tb_resume tbctl-{} '{}'\n", names.run, names.claim())).await;
            self.count(1);
            let watched = seen.watched.take();
            *seen = Progress { given: seen.given, cut: seen.cut.take(), watched, ..Progress::default() };
            let followed = self.follow(&link, user, names, &mut shell, seen).await;
            let never = seen.word == "never";
            if followed.is_ok() && !seen.is_open() {
                self.clean(&mut shell, names).await;
            }
            self.users.entry(user.clone()).or_default().shell = Some(shell);
            match followed {
                Ok(()) if never => return End::Never(why),
                Ok(()) if seen.word == "gone" => return End::Lost(why),
                Ok(()) => return End::Whole,
                // Lost once more: the host still has everything.
                Err(Fault::Link(why)) => seen.cut_off(&why),
                Err(Fault::User(_)) => return End::Lost(why),
            }
        }
    }

    /// The last answer to a stream.
    pub(super) async fn ended(&mut self, stream: &Stream, seen: Progress) -> Result<Answer, Unreached> {
        if let Some(why) = seen.setup {
            let locked = why.strip_prefix("locked ").map(|text| lock::refused(&self.worker.manner.testbed, text));
            self.fail_first(stream, locked.unwrap_or(why));
            return Ok(Answer::Applied { rest: None });
        }
        if let Some((part, why)) = seen.cut.filter(|_| seen.word.is_empty()) {
            self.say(Answer::Failed { part, ran: Vec::new(), why: Some(why) });
            return Ok(Answer::Applied { rest: None });
        }
        let asked = seen.word == "stale" || (seen.word.is_empty() && stream.ask_at_end);
        if !asked {
            return Ok(Answer::Applied { rest: None });
        }
        let link = self.linked().await?;
        let user = self.key(&stream.user, &link);
        let own = own_rest(self, stream, &user, &link);
        let mark = self.users.get(&user).and_then(|known| known.shell.as_ref()).map(|shell| shell.mark.clone());
        let texts = seen.rest.zip(mark).and_then(|(printed, mark)| fuse::split(&own, &mark, &printed).ok());
        let mut answers: Vec<Option<Result<String, String>>> = vec![None; stream.rest.len()];
        for ((asker, look), answer) in stream.rest.iter().zip(&mut answers) {
            let at = own.iter().position(|own| own == look).filter(|_| self.key(asker, &link) == user);
            *answer = at.zip(texts.as_ref()).map(|(at, texts)| Ok(texts[at].clone()));
        }
        let open = stream.rest.iter().zip(&answers).filter(|(_, answer)| answer.is_none());
        let open: Vec<(As, Look)> = open.map(|(question, _)| question.clone()).collect();
        let mut others = if open.is_empty() { Vec::new() } else { self.probe(&open).await? }.into_iter();
        let filled = answers.into_iter().filter_map(|answer| answer.or_else(|| others.next()));
        Ok(Answer::Applied { rest: Some(filled.collect()) })
    }
}

/// Whether one of the steps has an entry in the journal.
fn is_kept(part: &Part) -> bool {
    part.steps.iter().any(|step| stream::entry(0, step, &part.writer, "").is_some())
}

/// Ends a stream before the part that has this step; says which part that is.
fn cut_at(stream: &mut Stream, number: usize) -> Option<u64> {
    let mut before = 0;
    let at = stream.parts.iter().position(|part| {
        before += part.steps.len();
        number < before
    })?;
    let part = stream.parts[at].id;
    stream.parts.truncate(at);
    Some(part)
}

/// The distinct questions of the rest that the stream's own shell can answer.
fn own_rest(host: &Host, stream: &Stream, user: &As, link: &Link) -> Vec<Look> {
    let own = stream.rest.iter().filter(|(asker, _)| host.key(asker, link) == *user);
    own.map(|(_, look)| look.clone()).collect::<IndexSet<_>>().into_iter().collect()
}

/// Now, in seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Output as text; what is too much was cut by the host, one byte later.
fn output(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(OUTPUT)]);
    if bytes.len() > OUTPUT { format!("{text}\n[tbctl: cut off after 10 MiB]\n") } else { text.into_owned() }
}

impl Progress {
    /// The time in which the part is to be confirmed, if it is.
    fn within(&self) -> Duration {
        self.watched.as_ref().map_or(Duration::ZERO, Watched::within)
    }

    /// Whether somebody may watch over what was done: then the run directory is still needed.
    fn is_open(&self) -> bool {
        self.watched.is_some() && self.began
    }

    /// Remembers why the connection was lost; a host that ends a stream whose time is over does not cut it.
    fn cut_off(&mut self, why: &Unreached) {
        if let Some(watched) = &mut self.watched {
            watched.shut.get_or_insert_with(|| why.message.clone());
        }
    }

    /// What is still to be confirmed at the end of a stream.
    fn unsettled(&mut self, end: &End) -> Option<Watched> {
        let open = match end {
            End::Whole => self.began,
            End::Lost(_) => true,
            End::Never(_) | End::Refused(_) => false,
        };
        self.watched.take().filter(|_| open)
    }

    /// Takes a mark, and says what is to be told.
    fn hear(&mut self, mark: Mark) -> Option<Answer> {
        let words = mark.words();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        match words[0] {
            "B" => {
                self.began = true;
                self.running = Some(number(1));
                self.since = now();
                self.ran.clear();
                return Some(Answer::Began { part: number(1) });
            }
            "R" => self.step = words.get(2).and_then(|word| word.parse().ok()),
            "E" => self.stdout = mark.before,
            "." if self.step.is_some() => {
                let (start, end) = (self.since, now());
                self.since = end;
                self.steps += 1;
                self.ran.push(Ran {
                    rc: self.step.take().unwrap_or_default(),
                    stdout: output(&std::mem::take(&mut self.stdout)),
                    stderr: output(&mark.before),
                    start,
                    end,
                });
            }
            "P" => self.open = "P".into(),
            "." if self.open == "P" => self.rest = Some(String::from_utf8_lossy(&mark.before).into_owned()),
            "D" => {
                self.running = None;
                return Some(Answer::Did { part: number(1), ran: std::mem::take(&mut self.ran) });
            }
            "F" => {
                self.running = None;
                let ran = std::mem::take(&mut self.ran);
                let why = why(words.get(2).copied().unwrap_or_default(), &ran);
                return Some(Answer::Failed { part: number(1), ran, why });
            }
            "U" => return self.undone(&mark.head),
            "T" => return Some(Answer::Stale { part: number(1) }),
            "X" => self.setup = Some(mark.head[2..].to_string()),
            "A" => {
                self.word = words.get(1).copied().unwrap_or_default().to_string();
                self.over = true;
            }
            "N" => {
                self.word = "never".into();
                self.over = true;
            }
            "Z" if !self.over => {
                self.word = "gone".into();
                self.over = true;
            }
            _ => {}
        }
        None
    }
}

impl Progress {
    /// `U`, the entry, how it ended, and a sentence.
    pub(super) fn undone(&mut self, head: &str) -> Option<Answer> {
        let mut words = head.splitn(4, ' ').skip(1);
        let seq = words.next()?.parse().ok()?;
        let (how, why) = (words.next()?, words.next().unwrap_or_default().to_string());
        let how = match how {
            "back" => Way::Back,
            "already" => Way::Already,
            "changed" => Way::Changed,
            "never" => Way::Never(why),
            _ => Way::Failed(why),
        };
        if matches!(how, Way::Back | Way::Already | Way::Never(_)) {
            self.undone.push(seq);
        }
        Some(Answer::Undone { seq, how })
    }
}

/// Why a part failed, where that was not its step's own doing.
fn why(word: &str, ran: &[Ran]) -> Option<String> {
    let last = ran.last();
    match word {
        "late" => Some("it was stopped, since it took longer than its `timeout`".into()),
        word if word.starts_with("claimed:") => {
            let other = &word["claimed:".len()..];
            Some(format!(
                "the testbed `{other}` manages this here too; destroy it there, or leave it to one of the two"
            ))
        }
        "unwatched" => {
            Some("the host cannot watch over it, as `confirm` asks: it could not start a process of its own".into())
        }
        "keep" => Some("what was there before could not be kept; is the disk full?".into()),
        "unseen" => {
            Some("what was there before could not be seen: who knows it does not answer; does the host go down?".into())
        }
        // The last line on standard error is a sentence of ours.
        "sorry" => last.and_then(|ran| ran.stderr.lines().last()).map(str::to_string),
        _ => None,
    }
}
