//! `plan` and `apply`: one run over the hosts, shown on the screen. Wiring of the language, the graph, the engine and the
//! display.

use std::path::Path;
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
use crate::engine::drive;
use crate::engine::drive::Interrupts;
use crate::engine::keys::Keys;
use crate::engine::lockout::Door;
use crate::engine::lockout::SSH;
use crate::engine::measured::Measured;
use crate::engine::precheck;
use crate::engine::ready::Users;
use crate::engine::schedule::Leaving;
use crate::engine::schedule::Rules;
use crate::engine::schedule::Schedule;
use crate::engine::scope::Store;
use crate::engine::survey;
use crate::event::Event;
use crate::event::Mode;
use crate::event::Run;
use crate::event::What;
use crate::graph::build;
use crate::lang::config::Config;
use crate::remote::Ask;
use crate::remote::Settings;
use crate::remote::Via;
use crate::remote::host::Worker;
use crate::remote::order::Manner;
use crate::remote::order::Owner;
use crate::secret::Secret;
use crate::ui::live::Pause;

/// What `plan` and `apply` have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    sources: Sources,

    #[command(flatten)]
    tags: Tags,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    running: Running,

    #[command(flatten)]
    measuring: Measuring,
}

/// Runs a plan or an apply to its end.
pub(super) fn run(console: &Console, pause: &Pause, options: &Options, mode: Mode, left: Leaving) -> Done {
    let connection = &options.connection;
    let left = leaving(options, left)?;
    if connection.forks.is_some() {
        console.note("note: `--forks` means nothing here: all hosts are worked on at once");
    }
    let Loaded { project, files, templates, .. } =
        load::load(console, &options.sources, Some(connection), Playbooks::Needed)?;
    let digests = load::digests(&project, &files);
    let (graph, faults) = build::built(&project, &templates, &options.tags.choice());
    let project = Arc::new(project);
    let ways = reach::ways(console, &project, &templates)?;
    let gone = met::gone(&project.inventory.testbed, &project)?;
    let settings = reach::settings(console, &project.config, connection)?;
    let ask: Arc<dyn Ask> = Arc::new(Person::new(pause, &console.redactor));
    let testbed = project.inventory.testbed.clone();
    let (password, id) = (password(&project.config, &*ask)?, run_id());
    let crew =
        Crew { settings, ask, testbed: testbed.clone(), run: id.clone(), journals: left != Leaving::Stays, password };
    let workers = crew.workers(&graph.hosts, &ways)?;
    let leavers: Vec<String> = gone.keys().cloned().collect();
    let leaving = crew.workers(&leavers, &gone)?;
    let users = Users {
        escalate: project.config.r#become.unwrap_or(false),
        become_user: project.config.become_user.clone(),
        login: workers.iter().map(login).collect(),
        doors: workers.iter().map(door).collect(),
    };
    let plan = mode == Mode::Plan;
    let mut store = Store::new(project, Arc::new(graph), Arc::new(templates), Arc::new(files), plan);
    store.diff = options.running.diff;
    store.verbosity = console.verbose;
    store.environment = Arc::new(std::env::vars().collect());
    store.keys = Arc::new(Keys::open(&reach::store(&testbed), console.redactor.clone())?);
    let results = options.measuring.directory(&testbed);
    store.measured = Arc::new(measured(&options.measuring, &results));
    precheck::check(&store, &users, faults)?;
    let window = options.running.window.and_then(|window| usize::try_from(window).ok());
    let rules = Rules { plan, window, verbose: console.verbose > 1 || options.running.json, run: id, left };
    let schedule = Schedule::new(store, users, rules);
    let mut screen = show::screen(console, pause, &options.running);
    let mut keeper = Keeper::new(results, testbed.clone(), digests);
    let run = wait(async {
        let interrupts = interrupts()?;
        let see = &mut |event: &Event, _: &Run| {
            keeper.see(event);
            screen.see(event);
        };
        Ok::<_, Stop>(drive::run(schedule, workers, testbed.clone(), interrupts, see).await)
    })??;
    for directory in &keeper.kept {
        console.note(&format!("results: {}", directory.display()));
    }
    screen.close()?;
    if !plan {
        met::note(&testbed, run.hosts.iter().filter(|(_, host)| host.up).map(|(name, _)| name), &ways)?;
    }
    if let Some(fault) = keeper.faults.first() {
        return Err(anyhow::anyhow!("{fault}").into());
    }
    if left == Leaving::Undone && code(&run) == 0 && !leaving.is_empty() {
        return wait(part_with(console, &testbed, leaving, &leavers))?;
    }
    if left != Leaving::Stays {
        for name in &leavers {
            console.note(&format!(
                "left: {name} is not in the inventory any more; `apply --prune` or `destroy` gives it back"
            ));
        }
    }
    Ok(code(&run))
}

/// Gives hosts back that have left the inventory, as far as they can be reached.
async fn part_with(console: &Console, testbed: &str, workers: Vec<Worker>, names: &[String]) -> Done {
    console.note(&format!("giving back what left the inventory: {}", names.join(", ")));
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
fn leaving(options: &Options, left: Leaving) -> Result<Leaving, Diagnostic> {
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

/// What is known of earlier measurements.
fn measured(measuring: &Measuring, results: &Path) -> Measured {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let begun = now.replace(['-', ':'], "");
    Measured { rerun: measuring.rerun, begun, runs: runs::runs(results) }
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
