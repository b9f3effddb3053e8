//! The one loop that waits: answers and timers go into the scheduler, its orders go to the hosts, its events to whoever looks.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::engine::prune;
use crate::engine::schedule::Command;
use crate::engine::schedule::Input;
use crate::engine::schedule::Leaving;
use crate::engine::schedule::Schedule;
use crate::event::Event;
use crate::event::Mode;
use crate::event::NodeId;
use crate::event::Run;
use crate::event::What;
use crate::graph::HostId;
use crate::remote::host;
use crate::remote::host::Handle;
use crate::remote::host::Worker;
use crate::remote::order::Answer;

/// How long hosts are given to end what runs after an interruption, before tbctl leaves.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Where events go: each with the state of the run after it.
pub type See<'a> = &'a mut dyn FnMut(&Event, &Run);

/// A request to end the run early; the second one ends it at once.
pub type Interrupts = mpsc::UnboundedReceiver<()>;

/// The clock, the fold and the audience of a run.
pub struct Telling<'a> {
    began: Instant,
    pub run: Run,
    see: See<'a>,
}

impl<'a> Telling<'a> {
    pub fn new(see: See<'a>) -> Telling<'a> {
        Telling { began: Instant::now(), run: Run::default(), see }
    }

    pub fn tell(&mut self, what: What) {
        let event = Event { seconds: self.began.elapsed().as_secs_f64(), what };
        self.run.fold(&event);
        (self.see)(&event, &self.run);
    }

    /// The end, with what it took.
    pub fn close(&mut self, handles: &[Option<Handle>], names: &[String]) {
        let trips: BTreeMap<String, u64> = handles
            .iter()
            .zip(names)
            .filter_map(|(handle, name)| Some((name.clone(), handle.as_ref()?.trips())))
            .collect();
        let seconds = self.began.elapsed().as_secs_f64();
        let recap = self.run.hosts.iter().map(|(name, host)| (name.clone(), host.counts.clone())).collect();
        self.tell(What::RunEnded { seconds, trips, recap });
    }
}

/// Plays a schedule to its end; it can be asked afterwards what was decided. `workers`: one for each host of the graph, in its order.
pub async fn run(
    schedule: &mut Schedule,
    workers: Vec<Worker>,
    testbed: String,
    mut interrupts: Interrupts,
    see: See<'_>,
) -> Run {
    let (sender, mut answers) = mpsc::unbounded_channel();
    let mut workers: Vec<Option<Worker>> = workers.into_iter().map(Some).collect();
    let mut handles: Vec<Option<Handle>> = workers.iter().map(|_| None).collect();
    let names = schedule.graph.hosts.clone();
    let mut telling = Telling::new(see);
    let mode = if schedule.rules.plan { Mode::Plan } else { Mode::Apply };
    let with_work = names.iter().zip(&schedule.graph.chains).filter(|(_, chain)| !chain.is_empty());
    let hosts = with_work.map(|(name, _)| name.clone()).collect();
    telling.tell(What::RunStarted { mode, testbed, hosts, nodes: schedule.graph.tasks() });
    let mut timers: Vec<Timer> = Vec::new();
    let mut input = Input::Start;
    loop {
        let interrupted = matches!(input, Input::Interrupt);
        let (events, commands) = schedule.on(input);
        events.into_iter().for_each(|what| telling.tell(what));
        for command in commands {
            match command {
                Command::Send(host, order) => {
                    let worker = workers.get_mut(host).and_then(Option::take);
                    if let Some(worker) = worker {
                        handles[host] = Some(host::spawn(host, worker, sender.clone()));
                    }
                    if let Some(handle) = &handles[host] {
                        handle.send(order);
                    }
                }
                Command::Stop(host) => {
                    if let Some(handle) = &handles[host] {
                        handle.stop();
                    }
                }
                Command::Wake(node, delay) => timers.push(timer(node, delay)),
            }
        }
        if schedule.is_over() {
            break;
        }
        if interrupted {
            timers.clear();
        }
        match next(&mut answers, &mut timers, &mut interrupts, schedule.is_stopping()).await {
            Some(found) => input = found,
            // Asked twice to leave: nobody waits for what the hosts still do.
            None => {
                telling.close(&handles, &names);
                return telling.run;
            }
        }
    }
    if schedule.rules.left != Leaving::Stays && !schedule.is_stopping() {
        prune::run(schedule, &handles, &mut answers, &mut interrupts, &mut telling).await;
    }
    telling.close(&handles, &names);
    close(handles).await;
    telling.run
}

type Timer = Pin<Box<dyn Future<Output = NodeId> + Send>>;

fn timer(node: NodeId, delay: Duration) -> Timer {
    Box::pin(async move {
        tokio::time::sleep(delay).await;
        node
    })
}

/// Waits for whatever happens first; `None` when the run is to be left at once.
async fn next(
    answers: &mut mpsc::UnboundedReceiver<(HostId, Answer)>,
    timers: &mut Vec<Timer>,
    interrupts: &mut Interrupts,
    stopping: bool,
) -> Option<Input> {
    let woken = async {
        if timers.is_empty() {
            return std::future::pending().await;
        }
        std::future::poll_fn(|context| {
            let ready = timers.iter_mut().enumerate().find_map(|(at, timer)| match timer.as_mut().poll(context) {
                std::task::Poll::Ready(node) => Some((at, node)),
                std::task::Poll::Pending => None,
            });
            ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    };
    tokio::select! {
        answer = answers.recv() => answer.map(|(host, answer)| Input::Answer(host, answer)),
        (at, node) = woken => {
            drop(timers.swap_remove(at));
            Some(Input::Wake(node))
        }
        asked = interrupts.recv() => match (asked, stopping) {
            (Some(()), false) => Some(Input::Interrupt),
            (Some(()), true) => None,
            // Nobody can interrupt any more; wait for the hosts alone.
            (None, _) => answers.recv().await.map(|(host, answer)| Input::Answer(host, answer)),
        },
        () = tokio::time::sleep(PATIENCE), if stopping => None,
    }
}

/// Ends all connections, side by side.
pub(crate) async fn close(handles: Vec<Option<Handle>>) {
    let mut closing = tokio::task::JoinSet::new();
    for handle in handles.into_iter().flatten() {
        closing.spawn(handle.close());
    }
    while closing.join_next().await.is_some() {}
}
