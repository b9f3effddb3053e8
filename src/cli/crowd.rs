//! The hosts a command without a playbook is about: those of the inventory, and those that have left it, ready to be asked.

use std::sync::Arc;

use crate::cli::args::Connection;
use crate::cli::args::Sources;
use crate::cli::ask::Person;
use crate::cli::console::Console;
use crate::cli::console::Stop;
use crate::cli::load;
use crate::cli::load::Playbooks;
use crate::cli::met;
use crate::cli::reach;
use crate::cli::run;
use crate::cli::run::Crew;
use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::lang::pattern;
use crate::lang::project::Project;
use crate::remote::Ask;
use crate::remote::host::Worker;
use crate::ui::live::Pause;

/// What to read, and whom it is about.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Whom {
    /// The inventory; playbooks are not needed
    #[arg(value_name = "INVENTORY")]
    files: Vec<String>,

    /// The same, as Ansible writes it; may be repeated
    #[arg(short, long, value_name = "INVENTORY")]
    inventory: Vec<String>,

    /// Variables: k=v, YAML or JSON, @file; may be repeated
    #[arg(short, long, value_name = "VARS")]
    extra_vars: Vec<String>,

    /// Only these hosts: patterns
    #[arg(short, long, value_name = "PATTERN")]
    limit: Option<String>,
}

/// The hosts, with what it takes to reach them.
pub(super) struct Crowd {
    pub(super) testbed: String,
    pub(super) workers: Vec<Worker>,
    pub(super) ask: Arc<dyn Ask>,
}

impl Crowd {
    /// Reads the inventory. Without a limit, hosts that have left it are among them.
    pub(super) fn gather(
        console: &Console,
        pause: &Pause,
        whom: &Whom,
        connection: &Connection,
    ) -> Result<Crowd, Stop> {
        let sources = Sources {
            files: whom.files.clone(),
            inventory: whom.inventory.clone(),
            extra_vars: whom.extra_vars.clone(),
            limit: whom.limit.clone(),
        };
        let loaded = load::load(console, &sources, Some(connection), Playbooks::None)?;
        let project = Arc::new(loaded.project);
        let mut hosts = hosts(console, &project, whom.limit.as_deref())?;
        let mut ways = reach::ways(console, &project, &loaded.templates)?;
        let settings = reach::settings(console, &project.config, connection)?;
        let ask: Arc<dyn Ask> = Arc::new(Person::new(pause, &console.redactor));
        let testbed = project.inventory.testbed.clone();
        if whom.limit.is_none() {
            for (name, way) in met::gone(&testbed, &project)? {
                console.note(&format!("note: {name} has left the inventory, and is asked as well"));
                ways.insert(name.clone(), way);
                hosts.push(name);
            }
        }
        let password = run::password(&project.config, &*ask)?;
        let crew =
            Crew { settings, ask: ask.clone(), testbed: testbed.clone(), run: run::run_id(), journals: true, password };
        Ok(Crowd { workers: crew.workers(&hosts, &ways)?, testbed, ask })
    }
}

/// The hosts of the limit; without one, all.
fn hosts(console: &Console, project: &Project, limit: Option<&str>) -> Result<Vec<String>, Stop> {
    let mut faults = Diagnostics::default();
    let all = limit.unwrap_or("all");
    let parts = pattern::split(all, &Span::synthetic("--limit", all));
    let hosts = pattern::hosts(&parts, &project.inventory, &mut faults);
    if hosts.is_empty() && !faults.has_errors() {
        faults.push(Diagnostic::error("the inventory has no hosts"));
    }
    load::settle(console, faults)?;
    Ok(hosts)
}
