//! A host's actor: it connects when first asked, does one order after the other, and says what came of it.
//!
//! Knows nothing of tasks, plays or other hosts; orders are plain data.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use indexmap::IndexSet;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::change::Look;
use crate::journal::Back;
use crate::journal::Damage;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::Writer;
use crate::journal::near::Near;

use super::link::Link;
use super::link::connect;
use super::order::Answer;
use super::order::As;
use super::order::Manner;
use super::order::Order;
use super::probe;
use super::probe::Asked;
use super::probe::Asking;
use super::probe::Reading;
use super::session::Shell;
use super::sudo::Fault;
use super::target::Ask;
use super::target::Settings;
use super::target::Target;
use super::target::Via;
use super::unreached::Unreached;
use super::unreached::Why;

/// How often the holder of a lock shows that it is alive.
const BEAT: Duration = Duration::from_secs(15);

/// What a host's actor needs to know.
pub struct Worker {
    /// The inventory name, used in messages.
    pub name: String,
    pub target: Target,
    pub settings: Settings,
    pub ask: Arc<dyn Ask>,
    pub manner: Manner,
}

/// How long the host may take to answer.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For all questions of a user together, besides a little for each.
    pub probe: Duration,
    /// For a part of them, when the whole took too long.
    pub again: Duration,
    /// For a connection to come back after it was lost in the middle of a stream.
    pub back: Duration,
    /// Between tries that are refused for another reason than time: more would look like an attack.
    pub calm: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            probe: Duration::from_secs(60),
            again: Duration::from_secs(15),
            back: Duration::from_secs(60),
            calm: Duration::from_secs(10),
        }
    }
}

/// The other end of a host's actor.
pub struct Handle {
    /// With the number of times it was to stop before.
    orders: mpsc::UnboundedSender<(u64, Order)>,
    stop: watch::Sender<u64>,
    trips: Arc<AtomicU64>,
    actor: JoinHandle<()>,
}

/// Starts the host's actor. Its answers go to `answers`, tagged with `index`.
pub fn spawn(index: usize, worker: Worker, answers: mpsc::UnboundedSender<(usize, Answer)>) -> Handle {
    spawn_within(Limits::default(), index, worker, answers)
}

/// Like [`spawn`], with other limits.
pub fn spawn_within(
    limits: Limits,
    index: usize,
    worker: Worker,
    answers: mpsc::UnboundedSender<(usize, Answer)>,
) -> Handle {
    let (orders, mut queue) = mpsc::unbounded_channel::<(u64, Order)>();
    let (stop, stops) = watch::channel(0);
    let trips = Arc::<AtomicU64>::default();
    let mut host = Host {
        index,
        worker: Arc::new(worker),
        limits,
        answers,
        trips: trips.clone(),
        stops,
        link: None,
        users: HashMap::new(),
    };
    let actor = tokio::spawn(async move {
        while let Some((before, order)) = host.next(&mut queue).await {
            // A stream that was ordered before the stop, and did not begin, does not begin any more.
            let stopped = *host.stops.borrow_and_update() != before;
            host.obey(order, stopped).await;
        }
        host.leave().await;
    });
    Handle { orders, stop, trips, actor }
}

impl Handle {
    /// Puts an order behind those that wait.
    pub fn send(&self, order: Order) {
        // The actor lives as long as its handle.
        let _ = self.orders.send((*self.stop.borrow(), order));
    }

    /// Ends the stream that runs now at its next task.
    pub fn stop(&self) {
        self.stop.send_modify(|count| *count += 1);
    }

    /// Round trips after the login.
    pub fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    /// Lets the orders that wait be done, and says goodbye.
    pub async fn close(self) {
        let Handle { orders, stop, actor, .. } = self;
        drop(orders);
        // A panic in the actor was printed already; there is nothing to add.
        let _ = actor.await;
        drop(stop);
    }
}

pub(super) struct Host {
    index: usize,
    pub(super) worker: Arc<Worker>,
    pub(super) limits: Limits,
    answers: mpsc::UnboundedSender<(usize, Answer)>,
    trips: Arc<AtomicU64>,
    pub(super) stops: watch::Receiver<u64>,
    pub(super) link: Option<Arc<Link>>,
    pub(super) users: HashMap<As, Known>,
}

/// What an entry of the journal is about. What has no resource is known by its task and its way back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Thing {
    Resource(String),
    Act(String, Back),
}

impl Thing {
    pub(super) fn of(entry: &Entry) -> Thing {
        match &entry.resource {
            Some(id) => Thing::Resource(id.clone()),
            None => Thing::Act(entry.writer.task.clone(), entry.undo.clone()),
        }
    }
}

/// The journal as this run goes on with it.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    /// Entries that were not taken back.
    pub(super) live: BTreeSet<u32>,
    /// The entry of each thing, and who wants it.
    pub(super) kept: HashMap<Thing, (u32, HashSet<Writer>)>,
    /// The next free number.
    pub(super) next: u32,
}

impl Book {
    /// What sees what, of everything that is kept and of these entries.
    pub(super) fn near(&self, more: &[Entry]) -> Near {
        let kept = self.kept.iter().filter_map(|(thing, (seq, _))| match thing {
            Thing::Resource(id) => Some((id.as_str(), *seq)),
            Thing::Act(..) => None,
        });
        Near::new(kept.chain(more.iter().filter_map(|entry| Some((entry.resource.as_deref()?, entry.seq)))))
    }
}

/// What is known of one user of the host.
#[derive(Default)]
pub(super) struct Known {
    pub(super) shell: Option<Shell>,
    /// Why there is no shell: not tried again, since wrong passwords lock accounts.
    pub(super) refused: Option<String>,
    /// The journal as it was read at first; names are the ones it was told under.
    pub(super) journal: Option<Result<Journal, Damage>>,
    pub(super) names: HashSet<As>,
    pub(super) book: Book,
    /// The testbed is locked by this run.
    pub(super) locked: bool,
    /// What this run did and had confirmed, by the names under which it is taken back together.
    pub(super) confirmed: HashMap<String, Vec<Entry>>,
    /// The length of the journal up to its last complete line, if there is something behind it.
    pub(super) whole: Option<usize>,
}

impl Host {
    pub(super) fn say(&self, answer: Answer) {
        // Whoever does not listen any more does not want to know.
        let _ = self.answers.send((self.index, answer));
    }

    /// Like [`Host::say`], for tasks beside the actor.
    pub(super) fn sayer(&self) -> impl Fn(Answer) + Send + Sync + 'static {
        let (answers, index) = (self.answers.clone(), self.index);
        move |answer| {
            let _ = answers.send((index, answer));
        }
    }

    pub(super) fn count(&self, trips: u64) {
        self.trips.fetch_add(trips, Ordering::Relaxed);
    }

    async fn obey(&mut self, order: Order, stopped: bool) {
        let done = match order {
            Order::Probe(questions) => self.probe(&questions).await.map(Answer::Probed).map(Some),
            Order::Apply(_) if stopped => Ok(Some(Answer::Applied { rest: None })),
            Order::Apply(stream) => self.apply(stream).await,
            Order::Reconnect { timeout } => self.reconnect(timeout).await.map(|()| Some(Answer::Finished)),
            Order::Undo { .. } if stopped => Ok(Some(Answer::Finished)),
            Order::Undo { user, entries, force } => self.undo(&user, &entries, force).await.map(Some),
            Order::Forget { user } => self.forget(&user).await.map(Some),
            Order::Unlock { user } => self.unlock(&user).await.map(Some),
            Order::Rest { user, handler } => {
                self.rest(&user, &handler).await;
                Ok(None)
            }
        };
        match done {
            Ok(Some(answer)) => self.say(answer),
            // It has been said already.
            Ok(None) => {}
            Err(why) => self.say(Answer::Lost { part: None, why }),
        }
    }

    /// The next order. Who holds a lock meanwhile shows from time to time that it is alive.
    async fn next(&mut self, queue: &mut mpsc::UnboundedReceiver<(u64, Order)>) -> Option<(u64, Order)> {
        loop {
            match tokio::time::timeout(BEAT, queue.recv()).await {
                Ok(order) => return order,
                Err(_) => self.beat().await,
            }
        }
    }

    async fn leave(&mut self) {
        self.unlock_own().await;
        for known in self.users.values_mut() {
            if let Some(shell) = known.shell.take().filter(|shell| shell.dirty) {
                shell.leave().await;
            }
        }
        if let Some(link) = self.link.take().and_then(Arc::into_inner) {
            link.close().await;
        }
    }

    /// The connection, made anew if there is none.
    pub(super) async fn linked(&mut self) -> Result<Arc<Link>, Unreached> {
        if let Some(link) = &self.link
            && link.lost().is_none()
        {
            return Ok(link.clone());
        }
        self.forget_link();
        let start = Instant::now();
        let Worker { target, settings, ask, .. } = &*self.worker;
        let link = Arc::new(connect(target, settings, ask).await?);
        self.say(Answer::Up { peer: link.peer(), seconds: start.elapsed().as_secs_f64() });
        self.link = Some(link.clone());
        Ok(link)
    }

    pub(super) fn forget_link(&mut self) {
        self.link = None;
        for known in self.users.values_mut() {
            known.shell = None;
        }
    }

    /// Forgets the connection, and that somebody was refused there.
    pub(super) fn start_anew(&mut self) {
        self.forget_link();
        for known in self.users.values_mut() {
            known.refused = None;
        }
    }

    /// Tries until it works or the time is over.
    pub(super) async fn reconnect(&mut self, limit: Duration) -> Result<(), Unreached> {
        const PAUSE: Duration = Duration::from_secs(1);
        let deadline = Instant::now() + limit;
        self.start_anew();
        loop {
            let why = match tokio::time::timeout_at(deadline, self.linked()).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => {
                    let limit = humantime::format_duration(limit);
                    let text = format!("{} did not come back within {limit}", self.worker.name);
                    return Err(Unreached::new(Why::Timeout, text));
                }
            };
            if !why.retryable || Instant::now() + PAUSE >= deadline {
                return Err(why);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The shell that serves a user: somebody who is the login user anyway needs no second one.
    pub(super) fn key(&self, user: &As, link: &Link) -> As {
        let peer = link.peer();
        let login = match self.worker.target.via {
            Via::Local => self.worker.settings.local_user.as_str(),
            Via::Ssh => peer.rsplit_once('@').map_or("", |(login, _)| login),
        };
        user.clone().filter(|user| user != login)
    }

    /// Asks all users side by side. Reading again does no harm, so that a lost connection costs one more try.
    pub(super) async fn probe(&mut self, questions: &[(As, Look)]) -> Result<Vec<Result<String, String>>, Unreached> {
        match self.probe_once(questions).await {
            Err(why) if why.kind == Why::Lost => {
                self.forget_link();
                self.probe_once(questions).await
            }
            done => done,
        }
    }

    async fn probe_once(&mut self, questions: &[(As, Look)]) -> Result<Vec<Result<String, String>>, Unreached> {
        let link = self.linked().await?;
        let reading = if self.worker.manner.journals { Reading::All } else { Reading::None };
        let mut distinct: IndexMap<As, IndexSet<Look>> = IndexMap::new();
        for (user, look) in questions {
            distinct.entry(self.key(user, &link)).or_default().insert(look.clone());
        }
        let mut answers = self.ask_all(&link, distinct, reading).await?;
        for (user, _) in questions {
            self.introduce(user, &link);
        }
        let find = |(user, look): &(As, Look)| match answers.get_mut(&self.key(user, &link)) {
            Some(Ok(found)) => found.get(look).cloned().unwrap_or_else(|| Err("it was not asked".into())),
            Some(Err(why)) => Err(why.clone()),
            None => Err("it was not asked".into()),
        };
        let found = questions.iter().map(find).collect();
        Ok(found)
    }

    /// Reads a user's journal.
    pub(super) async fn meet(&mut self, user: &As) -> Result<(), Unreached> {
        let link = self.linked().await?;
        let nothing = IndexMap::from([(self.key(user, &link), IndexSet::new())]);
        self.ask_all(&link, nothing, Reading::All).await?;
        self.introduce(user, &link);
        Ok(())
    }

    /// Tells the journal under every name its user goes by.
    fn introduce(&mut self, user: &As, link: &Link) {
        let Some(known) = self.users.get_mut(&self.key(user, link)) else { return };
        if let Some(journal) = &known.journal
            && known.names.insert(user.clone())
        {
            let journal = journal.clone();
            self.say(Answer::Journal { user: user.clone(), journal });
        }
    }

    async fn ask_all(
        &mut self,
        link: &Arc<Link>,
        distinct: IndexMap<As, IndexSet<Look>>,
        reading: Reading,
    ) -> Result<HashMap<As, Result<HashMap<Look, Result<String, String>>, String>>, Unreached> {
        let mut found = HashMap::new();
        let mut asked = JoinSet::new();
        for (user, looks) in &distinct {
            let known = self.users.entry(user.clone()).or_default();
            if let Some(why) = &known.refused {
                found.insert(user.clone(), Err(why.clone()));
                continue;
            }
            asked.spawn(probe::ask(Asking {
                link: link.clone(),
                worker: self.worker.clone(),
                limits: self.limits,
                user: user.clone(),
                shell: known.shell.take(),
                looks: looks.iter().cloned().collect(),
                journal: known.journal.is_none().then_some(reading),
            }));
        }
        let (mut trips, mut lost) = (0, None);
        while let Some(done) = asked.join_next().await {
            // The task only fails if it panics, which is then printed; its user has no answers.
            let Ok(done) = done else { continue };
            trips = done.trips.max(trips);
            let user = done.user.clone();
            match self.heard(done) {
                Ok(answers) => {
                    let looks = distinct[&user].iter().cloned();
                    found.insert(user, Ok(looks.zip(answers).collect()));
                }
                Err(Fault::User(why)) => {
                    found.insert(user, Err(why));
                }
                Err(Fault::Link(why)) => lost = Some(why),
            }
        }
        self.count(trips);
        lost.map_or(Ok(found), Err)
    }

    /// Keeps what a user's answers brought along.
    fn heard(&mut self, mut asked: Asked) -> Result<Vec<Result<String, String>>, Fault> {
        let journal = asked.journal.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let owed = asked.shell.as_mut().map(|shell| std::mem::take(&mut shell.owed)).unwrap_or_default();
        if !owed.is_empty() {
            self.say(Answer::Owed { user: asked.user.clone(), handlers: owed });
        }
        let known = self.users.entry(asked.user.clone()).or_default();
        known.shell = asked.shell;
        if let Err(Fault::User(why)) = &asked.answers
            && known.journal.is_none()
            && known.shell.is_none()
        {
            known.refused = Some(why.clone());
        }
        if let Some(text) = journal {
            let (text, places) = text.split_once("\n@places").unwrap_or((&text, ""));
            let whole = text.rfind('\n').map_or(0, |at| at + 1);
            known.whole = (whole != text.len()).then_some(whole);
            let places = places.split_whitespace().filter_map(|place| place.parse().ok());
            let journal =
                Journal::parse(text, &self.worker.manner.testbed).and_then(|journal| journal.speaks_of(places));
            if let Ok(journal) = &journal {
                known.book.live = journal.entries.iter().map(|entry| entry.seq).collect();
                let things = journal.entries.iter().map(|entry| {
                    let writers = entry.writers().cloned().collect();
                    (Thing::of(entry), (entry.seq, writers))
                });
                known.book.kept = things.collect();
                known.book.next = journal.next;
            }
            known.journal = Some(journal);
        }
        asked.answers
    }
}
