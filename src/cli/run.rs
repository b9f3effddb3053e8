//! `plan` and `apply`: one run over the hosts, shown on the screen. Wiring of the language, the graph, the engine and the
//! display.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::bench::keeper::Keeper;
use crate::bench::runs;
use crate::cli::args::Connection;
use crate::cli::args::Measuring;
use crate::cli::args::Running;
use crate::cli::args::Sources;
use crate::cli::args::Tags;
use crate::cli::ask::Person;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::INTERRUPTED;
use crate::cli::console::Stop;
use crate::cli::load;
use crate::cli::load::Loaded;
use crate::cli::load::Playbooks;
use crate::cli::met;
use crate::cli::reach;
use crate::cli::reach::Ways;
use crate::cli::show;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::engine::drive;
use crate::engine::drive::Interrupts;
use crate::engine::drive::See;
use crate::engine::keys::Keys;
use crate::engine::lockout::Door;
use crate::engine::lockout::SSH;
use crate::engine::measured::Measured;
use crate::engine::precheck;
use crate::engine::ready::Users;
use crate::engine::schedule::Leaving;
use crate::engine::schedule::Rules;
use crate::engine::schedule::Schedule;
use crate::engine::store::Store;
use crate::engine::survey;
use crate::event::Event;
use crate::event::Mode;
use crate::event::Run;
use crate::event::What;
use crate::graph::Graph;
use crate::lang::config::Config;
use crate::lang::files::Files;
use crate::lang::project::Project;
use crate::lang::template::Templates;
use crate::remote::Ask;
use crate::remote::Settings;
use crate::remote::Via;
use crate::remote::host::Worker;
use crate::remote::order::Manner;
use crate::remote::order::Owner;
use crate::results::record::Digests;
use crate::secret::Secret;
use crate::ui::live::Pause;

/// What `plan` and `apply` have in common.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) sources: Sources,

    #[command(flatten)]
    pub(super) tags: Tags,

    #[command(flatten)]
    pub(super) connection: Connection,

    #[command(flatten)]
    pub(super) running: Running,

    #[command(flatten)]
    pub(super) measuring: Measuring,
}

/// Runs a plan or an apply to its end.
pub(super) fn run(console: &Console, pause: &Pause, options: &Options, mode: Mode, left: Leaving) -> Done {
    let left = leaving(options, left)?;
    let job = Job::read(console, pause, options, |person| Arc::new(person))?;
    let (mut schedule, workers) = job.start(job.rules(mode, left))?;
    let run = wait(job.show(pause, &mut schedule, workers))??;
    job.end(&run, mode, left)
}

/// Gives hosts back that have left the inventory or all plays, as far as they can be reached.
async fn part_with(console: &Console, testbed: &str, workers: Vec<Worker>, names: &[String]) -> Done {
    console.note(&format!("giving back: {}", names.join(", ")));
    let survey = survey::survey(workers, survey::nothing()).await;
    let mut kept = Vec::new();
    let see = &mut |event: &Event, _: &Run| match &event.what {
        What::Undone { host, what, how, kept: stays } => {
            console.note(&format!("{host}: {what}: {how}"));
            if *stays {
                kept.push(host.clone());
            }
        }
        What::HostLost { host, why, .. } => {
            console.note(&format!("{host}: not reached, and not given back yet: {why}"));
            kept.push(host.clone());
        }
        _ => {}
    };
    survey.undo(testbed.to_string(), false, interrupts()?, see).await;
    let back: Vec<String> = names.iter().filter(|name| !kept.contains(name)).cloned().collect();
    met::forget(testbed, &back)?;
    Ok(if back.len() == names.len() { 0 } else { 4 })
}

/// A run of a part of the playbook cannot tell what left it.
pub(super) fn leaving(options: &Options, left: Leaving) -> Result<Leaving, Diagnostic> {
    let choice = options.tags.choice();
    match (left, choice.tags.is_empty() && choice.skip_tags.is_empty()) {
        (left, true) => Ok(left),
        (Leaving::Undone, false) => {
            let fault =
                Diagnostic::error("with tags, only a part of the playbook runs: `--prune` cannot tell what left it");
            Err(fault.help("leave out `--tags` and `--skip-tags`, or `--prune`"))
        }
        (Leaving::Named | Leaving::Stays, false) => Ok(Leaving::Stays),
    }
}

/// The time, as people and programs read it.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Everything that was read, and the ways to the hosts: good for several runs.
pub(super) struct Job<'a> {
    console: &'a Console,
    options: &'a Options,
    pub(super) project: Arc<Project>,
    graph: Arc<Graph>,
    templates: Arc<Templates>,
    pub(super) files: Arc<Files>,
    pub(super) ways: Ways,
    settings: Settings,
    ask: Arc<dyn Ask>,
    password: Option<Secret<String>>,
    /// Hosts that have left the inventory, and the ways to them.
    gone: Ways,
    /// Hosts that were applied to, and that no play uses any more.
    idle: Vec<String>,
    /// What is known to be wrong before values are.
    faults: Diagnostics,
    /// Of what was read, for records of measurements.
    digests: Digests,
    /// When it began, as measurements are named after it: for a plan that is kept, when that was made.
    pub(super) begun: String,
}

/// Of some hosts those without any task, also by delegation as far as that is known.
fn idle(graph: &Graph, met: &[String]) -> Vec<String> {
    let delegates = || graph.nodes.iter().filter_map(|node| node.task()?.inherited.delegate_to.as_ref());
    if delegates().any(|to| to.is_live()) {
        return Vec::new();
    }
    let without = graph.hosts.iter().zip(&graph.chains).filter(|(name, chain)| chain.is_empty() && met.contains(name));
    let used = |name: &String| delegates().any(|to| to.scalar().as_ref() == Some(name));
    without.map(|(name, _)| name.clone()).filter(|name| !used(name)).collect()
}

impl<'a> Job<'a> {
    /// `asking`: whom to ask for passwords, made of the person at the terminal.
    pub(super) fn read(
        console: &'a Console,
        pause: &Pause,
        options: &'a Options,
        asking: impl FnOnce(Person) -> Arc<dyn Ask>,
    ) -> Result<Job<'a>, Stop> {
        let connection = &options.connection;
        if connection.forks.is_some() {
            console.note("note: `--forks` means nothing here: all hosts are worked on at once");
        }
        let (sources, choice) = (&options.sources, options.tags.choice());
        let (loaded, graph, faults) = load::build(console, sources, Some(connection), Playbooks::Needed, &choice)?;
        let Loaded { project, files, templates, .. } = loaded;
        let digests = load::digests(&project, &files);
        let project = Arc::new(project);
        let ways = reach::ways(console, &project, &templates)?;
        let gone = met::gone(&project.inventory.testbed, &project)?;
        let idle = match project.limit {
            None => idle(&graph, &met::names(&project.inventory.testbed)?),
            Some(_) => Vec::new(),
        };
        let mut settings = reach::settings(console, &project.config, connection)?;
        settings.directory = project.plays.first().map(|play| play.directory.clone()).unwrap_or_default();
        let ask = asking(Person::new(pause, &console.redactor));
        let password = password(&project.config, &*ask)?;
        let (graph, templates, files) = (Arc::new(graph), Arc::new(templates), Arc::new(files));
        Ok(Job {
            console,
            options,
            project,
            graph,
            templates,
            files,
            ways,
            settings,
            ask,
            password,
            gone,
            idle,
            faults,
            digests,
            begun: now(),
        })
    }

    pub(super) fn testbed(&self) -> &str {
        &self.project.inventory.testbed
    }

    /// A text without what must not be shown.
    pub(super) fn clean(&self, text: &str) -> String {
        self.console.redactor.clean(text)
    }

    /// The rules of a new run.
    pub(super) fn rules(&self, mode: Mode, left: Leaving) -> Rules {
        let running = &self.options.running;
        let window = running.window.and_then(|window| usize::try_from(window).ok());
        let verbose = self.console.verbose > 1 || running.json;
        Rules { plan: mode == Mode::Plan, window, verbose, run: run_id(), left, ..Rules::default() }
    }

    fn crew(&self, rules: &Rules) -> Crew {
        Crew {
            settings: self.settings.clone(),
            ask: self.ask.clone(),
            testbed: self.testbed().to_string(),
            run: rules.run.clone(),
            // A plan that is kept says what is owed from earlier runs as well.
            journals: rules.left != Leaving::Stays || rules.keep.is_some(),
            password: self.password.clone(),
        }
    }

    /// A run, and those who will work for it.
    pub(super) fn start(&self, rules: Rules) -> Result<(Schedule, Vec<Worker>), Stop> {
        let workers = self.crew(&rules).workers(&self.graph.hosts, &self.ways)?;
        let config = &self.project.config;
        let users = Users {
            escalate: config.r#become.unwrap_or(false),
            become_user: config.become_user.clone(),
            login: workers.iter().map(login).collect(),
            doors: workers.iter().map(door).collect(),
        };
        let (graph, templates, files) = (self.graph.clone(), self.templates.clone(), self.files.clone());
        let mut store = Store::new(self.project.clone(), graph, templates, files, rules.plan);
        store.diff = self.options.running.diff;
        store.verbosity = self.console.verbose;
        store.environment = Arc::new(std::env::vars().collect());
        store.keys = Arc::new(Keys::open(&reach::store(self.testbed()), self.console.redactor.clone())?);
        let rerun = self.options.measuring.rerun;
        let begun = self.begun.replace(['-', ':'], "");
        store.measured = Arc::new(Measured { rerun, begun, runs: runs::runs(&self.results()) });
        precheck::check(&store, &users, self.faults.clone())?;
        Ok((Schedule::new(store, users, rules), workers))
    }

    /// Plays a run with nobody looking on but the caller.
    pub(super) async fn play(&self, schedule: &mut Schedule, workers: Vec<Worker>, see: See<'_>) -> Result<Run, Stop> {
        let interrupts = interrupts()?;
        Ok(drive::run(schedule, workers, self.testbed().to_string(), interrupts, see).await)
    }

    fn results(&self) -> PathBuf {
        self.options.measuring.directory(self.testbed())
    }

    /// Plays a run on the screen; what is measured is kept, and hosts that were changed are noted.
    pub(super) async fn show(&self, pause: &Pause, schedule: &mut Schedule, workers: Vec<Worker>) -> Result<Run, Stop> {
        let mut screen = show::screen(self.console, pause, &self.options.running);
        let mut keeper = Keeper::new(self.results(), self.testbed().to_string(), self.digests.clone());
        let see = &mut |event: &Event, _: &Run| {
            keeper.see(event);
            screen.see(event);
        };
        let run = self.play(schedule, workers, see).await?;
        for directory in &keeper.kept {
            self.console.note(&format!("results: {}", directory.display()));
        }
        screen.close()?;
        if !schedule.rules.plan {
            let up = run.hosts.iter().filter(|(_, host)| host.up).map(|(name, _)| name);
            met::note(self.testbed(), up, &self.ways)?;
        }
        match keeper.faults.first() {
            Some(fault) => Err(anyhow::anyhow!("{fault}").into()),
            None => Ok(run),
        }
    }

    /// What is to be done behind a run: hosts that have left are given back, or named. The code to exit with.
    pub(super) fn end(&self, run: &Run, mode: Mode, left: Leaving) -> Done {
        let gone: Vec<String> = self.gone.keys().cloned().collect();
        let leavers = [gone.as_slice(), &self.idle].concat();
        if left == Leaving::Undone && code(run) == 0 && !leavers.is_empty() {
            let crew = self.crew(&self.rules(mode, left));
            let mut workers = crew.workers(&gone, &self.gone)?;
            workers.extend(crew.workers(&self.idle, &self.ways)?);
            return wait(part_with(self.console, self.testbed(), workers, &leavers))?;
        }
        if left != Leaving::Stays {
            let why = |name| {
                if self.gone.contains_key(name) { "is not in the inventory any more" } else { "is in no play any more" }
            };
            for name in &leavers {
                self.console.note(&format!("left: {name} {}; `apply --prune` or `destroy` gives it back", why(name)));
            }
        }
        Ok(code(run))
    }
}

/// What all hosts' actors have in common.
pub(super) struct Crew {
    pub(super) settings: Settings,
    pub(super) ask: Arc<dyn Ask>,
    pub(super) testbed: String,
    pub(super) run: String,
    /// See [`Manner::journals`].
    pub(super) journals: bool,
    pub(super) password: Option<Secret<String>>,
}

impl Crew {
    /// One worker for each host, in order.
    pub(super) fn workers(&self, hosts: &[String], ways: &Ways) -> Result<Vec<Worker>, Stop> {
        let worker = |name: &String| {
            let way = ways.get(name).ok_or_else(|| anyhow::anyhow!("the inventory has no host `{name}`"))?;
            let password = way.become_password.clone().or_else(|| self.password.clone());
            let manner = Manner {
                testbed: self.testbed.clone(),
                run: self.run.clone(),
                owner: owner(),
                journals: self.journals,
                become_password: password,
            };
            Ok(Worker {
                name: name.clone(),
                target: way.target.clone(),
                settings: self.settings.clone(),
                ask: self.ask.clone(),
                manner,
            })
        };
        hosts.iter().map(worker).collect()
    }
}

/// The password for becoming another user, asked for at once: `-K`.
pub(super) fn password(config: &Config, ask: &dyn Ask) -> Result<Option<Secret<String>>, Stop> {
    if config.become_ask_pass != Some(true) {
        return Ok(None);
    }
    match ask.secret("BECOME password: ") {
        Some(password) => Ok(Some(password)),
        None => Err(anyhow::anyhow!("there is no terminal to ask for the BECOME password at").into()),
    }
}

/// Who logs in to a host, if that is known before.
pub(super) fn login(worker: &Worker) -> Option<String> {
    match worker.target.via {
        Via::Local => Some(worker.settings.local_user.clone()),
        Via::Ssh => worker.target.user.clone(),
    }
}

/// Who runs this, for whoever finds its locks.
fn owner() -> Owner {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".into());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "this machine".into());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Owner { name: format!("{user}@{}", machine.trim()), since }
}

/// Where tbctl comes in on a host. What `~/.ssh/config` says of ports is not looked at.
fn door(worker: &Worker) -> Door {
    let target = &worker.target;
    match target.via {
        Via::Local => Door::None,
        Via::Ssh => Door::Ssh {
            port: target.port.unwrap_or(SSH),
            address: target.host.as_ref().unwrap_or(&target.name).parse().ok(),
        },
    }
}

/// Names the run on the hosts: unique, and in order of time.
pub(super) fn run_id() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:04x}", since.as_secs(), rand::random::<u16>())
}

/// Ctrl-C and SIGTERM, each time they come.
pub(super) fn interrupts() -> Result<Interrupts, Stop> {
    use tokio::signal::unix::SignalKind;
    use tokio::signal::unix::signal;
    let (sender, receiver) = mpsc::unbounded_channel();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signal = signal(kind).map_err(anyhow::Error::new)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                // After the run nobody listens.
                let _ = sender.send(());
            }
        });
    }
    Ok(receiver)
}

/// Waits for a future on a runtime of its own. A question at the terminal that nobody answered does not hold the end up.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> Result<T, Stop> {
    let runtime = Runtime::new().map_err(anyhow::Error::new)?;
    let done = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(done)
}

/// The exit code of a run.
pub(super) fn code(run: &Run) -> u8 {
    if run.interrupted { INTERRUPTED } else { run.exit_code() }
}
