//! Plans as files: `plan -o FILE` keeps one, `apply FILE` does what it says or names what has drifted.
//!
//! Wiring of `engine::saved` (the document), `engine::drift` (what differs) and `engine::promise` (what an apply may do).

use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::cli::args::Connection;
use crate::cli::args::Measuring;
use crate::cli::args::RESULTS;
use crate::cli::args::Sources;
use crate::cli::args::Tags;
use crate::cli::ask::Twice;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::INTERRUPTED;
use crate::cli::console::Stop;
use crate::cli::console::WRONG;
use crate::cli::reach;
use crate::cli::reach::Way;
use crate::cli::run;
use crate::cli::run::Job;
use crate::cli::run::Options;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::engine::digest::Digests;
use crate::engine::drift;
use crate::engine::plan_key;
use crate::engine::plan_key::PlanKey;
use crate::engine::promise::Promise;
use crate::engine::saved;
use crate::engine::saved::Extra;
use crate::engine::saved::Head;
use crate::engine::saved::Hosts;
use crate::engine::saved::Saved;
use crate::engine::saved::Words;
use crate::engine::schedule::Leaving;
use crate::engine::schedule::Rules;
use crate::engine::schedule::Schedule;
use crate::event::Failure;
use crate::event::Mode;
use crate::event::Place;
use crate::event::Run;
use crate::lang::extra;
use crate::lang::files;
use crate::lang::files::Files;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::sources::is_testbed;
use crate::remote::Via;
use crate::secret::Redactor;
use crate::ui::live::Pause;
use crate::ui::look;

/// What is read of a file to see whether it is a plan, in bytes.
const HEAD: u64 = 512;

/// A plan that was named on the command line.
pub(super) struct Named {
    pub(super) name: String,
    text: String,
}

/// The plan among the words of the command line, known by its content. It stands alone.
pub(super) fn named(options: &Options) -> Result<Option<Named>, Diagnostic> {
    let Sources { files, inventory, .. } = &options.sources;
    let Some(name) = files.iter().find(|name| begins_as_plan(Path::new(name))) else { return Ok(None) };
    if files.len() > 1 || !inventory.is_empty() {
        let fault = Diagnostic::error(format!("`{name}` is a plan, which names its inventory and playbooks itself"));
        return Err(fault.help(format!("write `tbctl apply {name}` alone")));
    }
    let bytes = std::fs::read(name).map_err(|error| Diagnostic::error(format!("cannot read `{name}`: {error}")))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(Named { name: name.clone(), text })),
        Err(_) => Err(Diagnostic::error(format!("the plan `{name}` is damaged: it is not UTF-8 text"))
            .help("make the plan anew: `tbctl plan … -o FILE`")),
    }
}

fn begins_as_plan(path: &Path) -> bool {
    let head = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path).ok()?.take(HEAD).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    // Pipes are read once only, by whoever needs what is in them.
    path.is_file() && head().is_some_and(|head| saved::is_plan(&head))
}

/// Makes a plan, shows it, and keeps it.
pub(super) fn keep(console: &Console, pause: &Pause, options: &Options, out: &Path) -> Done {
    check_target(out)?;
    let left = run::leaving(options, Leaving::Named)?;
    let job = Job::read(console, pause, options, |person| Arc::new(person))?;
    let key = PlanKey::get(&reach::store(job.testbed()))?;
    let salt = plan_key::random();
    let digests = Arc::new(key.digests(&salt));
    let rules = Rules { keep: Some(digests.clone()), ..job.rules(Mode::Plan, left) };
    let (mut schedule, workers) = job.start(rules)?;
    let run = run::wait(job.show(pause, &mut schedule, workers))??;
    let code = job.end(&run, Mode::Plan, left)?;
    if code != 0 {
        console.note("the plan is not kept: it is not whole");
        return Ok(code);
    }
    let head = Head {
        testbed: job.testbed().to_string(),
        made: job.begun.clone(),
        key: key.id,
        salt,
        words: words(options, &job.files, &digests)?,
    };
    let plan = Saved::new(head, read_files(&job.files, &digests)?, decided(&job, &schedule, options), &digests);
    let named = |error| Diagnostic::error(format!("cannot write `{}`: {error}", out.display()));
    write(out, &plan.to_text()).map_err(named)?;
    console.note(&format!("the plan is kept in {0}; `tbctl apply {0}` does exactly that", out.display()));
    Ok(code)
}

/// Only a new file or an older plan is written over.
fn check_target(out: &Path) -> Result<(), Diagnostic> {
    let name = out.display();
    let fault = |why: &str| {
        let fault = Diagnostic::error(format!("the plan cannot be kept in `{name}`: {why}"));
        Err(fault.help("`-o` names a new file, or the file of an older plan"))
    };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match out.symlink_metadata() {
        Ok(_) if begins_as_plan(out) => Ok(()),
        Ok(_) => fault("there is something else"),
        Err(_) if !parent.is_dir() => fault("its directory does not exist"),
        Err(_) => Ok(()),
    }
}

/// Written beside, synced, renamed; for its owner alone.
fn write(out: &Path, text: &str) -> std::io::Result<()> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Only its owner may read a temporary file, and it keeps that.
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(out).map_err(|failed| failed.error)?;
    Ok(())
}

fn words(options: &Options, files: &Files, digests: &Digests) -> Result<Words, Stop> {
    let Options { sources, tags, connection, measuring, .. } = options;
    let extra = |text: &String| match text.strip_prefix('@') {
        Some(name) => Extra::File(name.to_string()),
        None => {
            let vars = extra::read(files, std::slice::from_ref(text), &mut Diagnostics::default());
            let names = vars.into_iter().map(|(key, _)| key.name).collect();
            Extra::Given { names, digest: saved::extra(digests, text) }
        }
    };
    let directory =
        std::env::current_dir().map_err(|error| anyhow::anyhow!("there is no current directory: {error}"))?;
    Ok(Words {
        directory: directory.display().to_string(),
        files: sources.files.clone(),
        inventory: sources.inventory.clone(),
        extra_vars: sources.extra_vars.iter().map(extra).collect(),
        limit: sources.limit.clone(),
        tags: tags.tags.clone(),
        skip_tags: tags.skip_tags.clone(),
        user: connection.user.clone(),
        private_key: connection.private_key.as_ref().map(|path| path.display().to_string()),
        ask_pass: connection.ask_pass,
        r#become: connection.r#become,
        become_user: connection.become_user.clone(),
        become_method: connection.become_method.clone(),
        ask_become_pass: connection.ask_become_pass,
        rerun: measuring.rerun,
        results: measuring.results.display().to_string(),
    })
}

/// Everything that was read, by whole paths.
fn read_files(files: &Files, digests: &Digests) -> Result<IndexMap<String, String>, Diagnostic> {
    let mut all = IndexMap::new();
    for (path, sha256) in files.digests() {
        let whole = files::tidy(&std::path::absolute(&path).unwrap_or(path));
        if !whole.is_file() {
            let message = format!("the plan cannot be kept: {} can be read once only", whole.display());
            return Err(Diagnostic::error(message).help("give it as a file that stays"));
        }
        all.insert(whole.display().to_string(), saved::file(digests, &sha256));
    }
    Ok(all)
}

/// What was decided, as it may stand in a file: values of the command line are secrets there.
fn decided(job: &Job<'_>, schedule: &Schedule, options: &Options) -> Hosts {
    let values = Redactor::default();
    let vars = extra::read(&job.files, &options.sources.extra_vars, &mut Diagnostics::default());
    vars.iter().for_each(|(_, node)| hide(node, &values));
    let mut hosts = schedule.decisions(&|text| values.clean(&job.clean(text)));
    for (name, host) in &mut hosts {
        host.reached = job.ways.get(name).map(reached).unwrap_or_default();
    }
    hosts
}

fn hide(node: &Node, redactor: &Redactor) {
    match &node.tree {
        Tree::List(items) => items.iter().for_each(|item| hide(item, redactor)),
        Tree::Map(entries) => entries.iter().for_each(|(_, item)| hide(item, redactor)),
        _ => node.scalar().iter().for_each(|text| redactor.hide(text)),
    }
}

fn reached(way: &Way) -> String {
    let target = &way.target;
    match target.via {
        Via::Local => "this machine".into(),
        Via::Ssh => {
            let user = target.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            let port = target.port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{user}{}{port}", target.host.as_ref().unwrap_or(&target.name))
        }
    }
}

/// Applies a plan, if it still holds.
pub(super) fn apply(console: &Console, pause: &Pause, options: &Options, named: &Named) -> Done {
    let plan = saved::read(&named.name, &named.text)?;
    let digests = unlock(&named.name, &plan)?;
    refuse(options, &plan.words)?;
    let options = again(options, &plan.words, &digests)?;
    go_there(&plan.words)?;
    let sha256 = |path: &str| {
        let bytes = Path::new(path).is_file().then(|| std::fs::read(path).ok())??;
        Some(saved::file(&digests, &files::sha256(&bytes)))
    };
    let drifts = drift::changed_files(&plan.files, sha256);
    if !drifts.is_empty() {
        return drifted(console, &drifts);
    }
    let mut twice = None;
    let mut job = Job::read(console, pause, &options, |person| {
        let asking = Arc::new(Twice::new(Arc::new(person)));
        twice = Some(asking.clone());
        asking
    })?;
    job.begun.clone_from(&plan.made);
    let done = run::wait(async {
        if let Some(code) = compare(console, &job, &options, &plan, &digests).await? {
            return Ok::<_, Stop>(Err(code));
        }
        twice.iter().for_each(|asking| asking.again());
        console.note(&format!("the plan of {} still holds", plan.made));
        let only = Promise::new(&plan.hosts, digests.clone());
        let rules = Rules { only: Some(Arc::new(only)), ..job.rules(Mode::Apply, Leaving::Stays) };
        let (mut schedule, workers) = job.start(rules)?;
        Ok(Ok(job.show(pause, &mut schedule, workers).await?))
    })??;
    match done {
        Ok(run) => job.end(&run, Mode::Apply, Leaving::Stays),
        Err(code) => Ok(code),
    }
}

/// The digests of a plan, if its key is here and its seal whole.
fn unlock(name: &str, plan: &Saved) -> Result<Digests, Diagnostic> {
    let anew = "make the plan anew: `tbctl plan … -o FILE`";
    if !is_testbed(&plan.testbed) {
        return Err(Diagnostic::error(format!("the plan `{name}` is damaged: it names no testbed")).help(anew));
    }
    let key = PlanKey::find(&reach::store(&plan.testbed))?.filter(|key| key.id == plan.key);
    let Some(key) = key else {
        let message = format!("the plan `{name}` was made elsewhere: its key is not here");
        return Err(Diagnostic::error(message).help("apply it where and as whom it was made, or make a plan here"));
    };
    let digests = key.digests(&plan.salt);
    match plan.holds(&digests) {
        true => Ok(digests),
        false => {
            let fault =
                Diagnostic::error(format!("the plan `{name}` was changed since it was made: its seal is broken"));
            Err(fault.help(anew))
        }
    }
}

/// What a plan says itself cannot be said again.
fn refuse(options: &Options, words: &Words) -> Result<(), Diagnostic> {
    let Options { sources, tags, connection, measuring, .. } = options;
    let said = [
        ("--limit", sources.limit.is_some()),
        ("--tags", !tags.tags.is_empty()),
        ("--skip-tags", !tags.skip_tags.is_empty()),
        ("--user", connection.user.is_some()),
        ("--become", connection.r#become),
        ("--become-user", connection.become_user.is_some()),
        ("--become-method", connection.become_method.is_some()),
        ("--rerun", measuring.rerun),
        ("--results", measuring.results != Path::new(RESULTS) && measuring.results != Path::new(&words.results)),
    ];
    match said.into_iter().find(|(_, said)| *said) {
        Some((name, _)) => {
            let fault = Diagnostic::error(format!("`{name}` does not go with a plan"));
            Err(fault.help("the plan says what is done where: leave it out, or make a plan with it"))
        }
        None => Ok(()),
    }
}

/// The options the plan was made with, and those that were given now.
fn again(given: &Options, words: &Words, digests: &Digests) -> Result<Options, Diagnostic> {
    let own = given.connection.clone();
    let key = own.private_key.map(|path| std::path::absolute(&path).unwrap_or(path));
    Ok(Options {
        sources: Sources {
            files: words.files.clone(),
            inventory: words.inventory.clone(),
            extra_vars: words.extra_vars(&given.sources.extra_vars, digests)?,
            limit: words.limit.clone(),
        },
        tags: Tags { tags: words.tags.clone(), skip_tags: words.skip_tags.clone() },
        connection: Connection {
            user: words.user.clone(),
            private_key: key.or_else(|| words.private_key.as_ref().map(Into::into)),
            ask_pass: own.ask_pass || words.ask_pass,
            r#become: words.r#become,
            become_user: words.become_user.clone(),
            become_method: words.become_method.clone(),
            ask_become_pass: own.ask_become_pass || words.ask_become_pass,
            ..own
        },
        running: given.running.clone(),
        measuring: Measuring { rerun: words.rerun, results: (&words.results).into() },
    })
}

/// To where the plan was made: its words name files from there.
fn go_there(words: &Words) -> Result<(), Diagnostic> {
    std::env::set_current_dir(&words.directory).map_err(|error| {
        let message = format!("cannot go to {}, where the plan was made: {error}", words.directory);
        Diagnostic::error(message).help("make the plan anew")
    })
}

/// Makes the plan anew, unseen, and compares. A code to exit with if it does not hold.
async fn compare(
    console: &Console,
    job: &Job<'_>,
    options: &Options,
    plan: &Saved,
    digests: &Digests,
) -> Result<Option<u8>, Stop> {
    let rules = Rules { keep: Some(Arc::new(digests.clone())), ..job.rules(Mode::Plan, Leaving::Stays) };
    let (mut schedule, workers) = job.start(rules)?;
    let run = job.play(&mut schedule, workers, &mut |_, _| {}).await?;
    if run.interrupted {
        return Ok(Some(INTERRUPTED));
    }
    if let Some(code) = unreached(console, &run) {
        return Ok(Some(code));
    }
    let now = read_files(&job.files, digests)?;
    let mut drifts = drift::other_files(&plan.files, &now);
    drifts.extend(drift::decisions(&plan.hosts, &decided(job, &schedule, options)));
    let failed = |(place, failure): &(Place, Failure)| {
        format!("drifted: {} {} would fail now: {}", place.host, place.task, failure.message)
    };
    drifts.extend(run.failures.iter().map(failed));
    match drifts.is_empty() {
        true => Ok(None),
        false => drifted(console, &drifts).map(Some),
    }
}

/// Without a host nobody knows whether the plan holds there.
fn unreached(console: &Console, run: &Run) -> Option<u8> {
    let lost: Vec<_> = run.hosts.iter().filter_map(|(name, host)| Some((name, host.lost.as_ref()?))).collect();
    for (name, why) in &lost {
        say(console, &format!("not reached: {name}: {why}"));
    }
    (!lost.is_empty()).then(|| {
        console.note("nothing was changed: whether the plan still holds there is not known");
        run.exit_code()
    })
}

fn drifted(console: &Console, drifts: &[String]) -> Done {
    drifts.iter().for_each(|line| say(console, line));
    let differences = if drifts.len() == 1 { "1 difference".into() } else { format!("{} differences", drifts.len()) };
    let fault = Diagnostic::error(format!("the plan does not hold any more ({differences}); nothing was changed"));
    console.faults(&fault.help("look at a new plan: `tbctl plan … -o FILE`").into());
    Ok(WRONG)
}

fn say(console: &Console, text: &str) {
    for line in look::wrap(&look::one_line(text), look::WIDTH) {
        console.note(&line);
    }
}
