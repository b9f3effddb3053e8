//! The options that several commands share, as Ansible's users type them.
//!
//! Knows their names; `load` and `reach` know what they mean.

use std::path::PathBuf;

use clap::Args;

use crate::graph::build::Choice;

/// What to read.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Sources {
    /// The inventory (unless -i names it), then the playbooks
    #[arg(value_name = "INVENTORY PLAYBOOK")]
    pub(super) files: Vec<String>,

    /// Inventory file, directory or host list `a,b,`; may be repeated
    #[arg(short, long, value_name = "INVENTORY")]
    pub(super) inventory: Vec<String>,

    /// Variables: k=v, YAML or JSON, @file; may be repeated
    #[arg(short, long, value_name = "VARS")]
    pub(super) extra_vars: Vec<String>,

    /// Only these hosts: patterns, or @file with one a line
    #[arg(short, long, value_name = "PATTERN")]
    pub(super) limit: Option<String>,
}

/// Which tasks.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Tags {
    /// Only tasks with one of these tags
    #[arg(short, long, value_name = "TAGS", value_delimiter = ',')]
    pub(super) tags: Vec<String>,

    /// No tasks with one of these tags
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(super) skip_tags: Vec<String>,
}

/// How to reach the hosts, and as whom.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Log in as this user, where nothing else is said
    #[arg(short, long, value_name = "USER")]
    pub(super) user: Option<String>,

    /// Private key, where nothing else is said
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub(super) private_key: Option<PathBuf>,

    /// Ask for the login password
    #[arg(short = 'k', long)]
    pub(super) ask_pass: bool,

    /// Seconds for each step of connecting
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub(super) timeout: Option<u64>,

    /// Become another user (root, unless --become-user says)
    #[arg(short, long)]
    pub(super) r#become: bool,

    /// The user to become
    #[arg(long, value_name = "USER")]
    pub(super) become_user: Option<String>,

    /// How to become another user
    #[arg(long, value_name = "METHOD")]
    pub(super) become_method: Option<String>,

    /// Ask for the password for becoming another user
    #[arg(short = 'K', long)]
    pub(super) ask_become_pass: bool,

    /// Taken for Ansible's sake: all hosts are worked on at once
    #[arg(short, long, value_name = "N", hide_short_help = true)]
    pub(super) forks: Option<u32>,
}

/// How a run is shown and driven.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Run")]
pub(super) struct Running {
    /// Show changes of files as unified diffs
    #[arg(short = 'D', long)]
    pub(super) diff: bool,

    /// Print one event a line as JSON on stdout
    #[arg(long)]
    pub(super) json: bool,

    /// Tasks a host may be sent ahead; 1 turns looking ahead off
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) window: Option<u32>,
}

/// Where results are kept if nobody says.
pub(super) const RESULTS: &str = "results";

/// How measurements are kept, and whether they are made again.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Measurements")]
pub(super) struct Measuring {
    /// Measure again what was measured already
    #[arg(long)]
    pub(super) rerun: bool,

    /// Where results are kept
    #[arg(long, value_name = "DIR", env = "TBCTL_RESULTS", hide_env = true, default_value = RESULTS)]
    pub(super) results: PathBuf,
}

impl Measuring {
    /// The place of one testbed's results.
    pub(super) fn directory(&self, testbed: &str) -> PathBuf {
        self.results.join(testbed)
    }
}

impl Tags {
    pub(super) fn choice(&self) -> Choice {
        let tidy =
            |tags: &[String]| tags.iter().map(|tag| tag.trim().to_string()).filter(|tag| !tag.is_empty()).collect();
        Choice { tags: tidy(&self.tags), skip_tags: tidy(&self.skip_tags) }
    }
}

/// Nothing is decrypted.
const VAULT: &str = "give secrets with `-e @file` and a file of mode 0600";

/// Ansible's options that are not here, and what to use instead of them.
const UNSUPPORTED: [(&str, &str); 12] = [
    ("--ask-vault-pass", VAULT),
    ("--ask-vault-password", VAULT),
    ("--vault-password-file", VAULT),
    ("--vault-id", VAULT),
    ("--list-tasks", "`tbctl graph` lists the tasks of each host"),
    ("--list-tags", "`tbctl graph` lists the tasks of each host"),
    ("--list-hosts", "`tbctl inventory` lists hosts and groups"),
    ("--syntax-check", "`tbctl check` says what is written wrong"),
    ("--start-at-task", "choose tasks by tags: `-t`"),
    ("--step", "`tbctl plan` shows what will be done"),
    ("--flush-cache", "facts are not kept from one run to the next"),
    ("--module-path", "`tbctl doc` lists all kinds of task"),
];

/// What is said of the first such option of a command line that cannot be read.
pub(super) fn unsupported(words: impl IntoIterator<Item = String>) -> Option<String> {
    words.into_iter().take_while(|word| word != "--").find_map(|word| {
        let name = word.split('=').next().unwrap_or_default();
        let (name, instead) = UNSUPPORTED.iter().find(|(known, _)| *known == name)?;
        Some(format!("error: `{name}` is unsupported\n\n  tip: {instead}"))
    })
}
