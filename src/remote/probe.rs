//! Asking a host: one script for all questions of one user, and the answers told apart.
//!
//! A script that passes its deadline is cut in halves until the question at fault is known. Does not know what the answers
//! mean, nor which tasks want them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::change::Look;
use crate::change::fuse;
use crate::change::sh;

use super::host::Limits;
use super::host::Worker;
use super::link::Link;
use super::order::As;
use super::session::Broken;
use super::session::Shell;
use super::sudo::Fault;
use super::sudo::explain;
use super::sudo::open;

/// Added to the deadline for each question.
const EACH: Duration = Duration::from_millis(200);

/// Shorter texts are read byte by byte.
const LONG: usize = 32 << 10;

/// A user's questions, and what is needed to ask them.
pub(super) struct Asking {
    pub(super) link: Arc<Link>,
    pub(super) worker: Arc<Worker>,
    pub(super) limits: Limits,
    pub(super) user: As,
    pub(super) shell: Option<Shell>,
    /// Distinct.
    pub(super) looks: Vec<Look>,
    /// How to ask for the journal as well.
    pub(super) journal: Option<Reading>,
}

/// What a question for the journal brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    All,
    /// Only that there is none, if so: a full one is read when it is needed.
    None,
}

pub(super) struct Asked {
    pub(super) user: As,
    /// In the order of the questions.
    pub(super) answers: Result<Vec<Result<String, String>>, Fault>,
    pub(super) journal: Option<Vec<u8>>,
    pub(super) shell: Option<Shell>,
    pub(super) trips: u64,
}

/// Asks everything.
pub(super) async fn ask(mut asking: Asking) -> Asked {
    let mut trips = 0;
    let mut journal = None;
    let looks = std::mem::take(&mut asking.looks);
    let answers = match asking.once(&looks, asking.limits.probe, &mut trips, &mut journal).await {
        Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
        Err(Trouble::Fault(fault)) => Err(fault),
        Err(Trouble::Late) => asking.bisect(looks, &mut trips).await,
    };
    Asked { user: asking.user, answers, journal, shell: asking.shell, trips }
}

enum Trouble {
    Fault(Fault),
    Late,
}

impl Asking {
    /// One script, one trip.
    async fn once(
        &mut self,
        looks: &[Look],
        limit: Duration,
        trips: &mut u64,
        journal: &mut Option<Vec<u8>>,
    ) -> Result<Vec<String>, Trouble> {
        let mut shell = match self.shell.take() {
            Some(shell) => shell,
            None => {
                let password = self.worker.manner.become_password.as_ref();
                let opened = open(&self.link, &self.worker.name, &self.user, password).await;
                let (shell, waited) = opened.map_err(Trouble::Fault)?;
                *trips += waited;
                shell
            }
        };
        let wanted = self.journal;
        let text = script(&shell, &self.worker.manner.testbed, looks, wanted);
        shell.begun = true;
        shell.send(text).await;
        *trips += 1;
        let count = u32::try_from(looks.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + limit + EACH.saturating_mul(count);
        match read(&mut shell, deadline, journal).await {
            Ok(printed) => {
                self.journal = None;
                let answers = fuse::split(looks, &shell.mark, &printed);
                self.shell = Some(shell);
                answers
                    .map_err(|why| Trouble::Fault(Fault::User(format!("{} answered wrongly: {why}", self.worker.name))))
            }
            Err(Broken::Late) => {
                self.end(&shell).await;
                Err(Trouble::Late)
            }
            Err(broken) => Err(Trouble::Fault(explain(&self.link, &self.worker.name, &self.user, broken))),
        }
    }

    /// Kills what hangs, by another shell: the one that waits for it hears nothing.
    async fn end(&mut self, shell: &Shell) {
        let Some(pid) = shell.pid else { return };
        let password = self.worker.manner.become_password.as_ref();
        if let Ok((mut other, _)) = open(&self.link, &self.worker.name, &self.user, password).await {
            let text = opening(&other, &self.worker.manner.testbed) + &format!("_tb_kill {pid}\n");
            other.begun = true;
            other.send(text).await;
            self.shell = Some(other);
        }
    }

    /// Finds the question that is not answered; the others get their answers.
    async fn bisect(&mut self, looks: Vec<Look>, trips: &mut u64) -> Result<Vec<Result<String, String>>, Fault> {
        let mut answers = Vec::new();
        let mut pending = vec![(looks, true)];
        while let Some((mut looks, failed)) = pending.pop() {
            let late = failed
                || match self.once(&looks, self.limits.again, trips, &mut None).await {
                    Ok(own) => {
                        answers.extend(own.into_iter().map(Ok));
                        false
                    }
                    Err(Trouble::Late) => true,
                    Err(Trouble::Fault(fault)) => return Err(fault),
                };
            match (late, looks.len()) {
                (false, _) => {}
                (true, 0 | 1) => answers.extend(looks.iter().map(|look| Err(silent(look)))),
                (true, count) => {
                    let second = looks.split_off(count / 2);
                    pending.push((second, false));
                    pending.push((looks, false));
                }
            }
        }
        Ok(answers)
    }
}

fn silent(look: &Look) -> String {
    let what = match look {
        Look::Path { path, .. } | Look::Stat { path, .. } | Look::Text { path } => format!("looking at {path}"),
        Look::Package { name } => format!("asking for the package {name}"),
        Look::Unit { name } | Look::Reread { name } => format!("asking for the unit {name}"),
        Look::Files { .. } => "reading facts".to_string(),
        Look::Passwd { .. } | Look::Shadow { .. } | Look::Group { .. } | Look::Member { .. } => {
            "reading the account files".to_string()
        }
        Look::Script { text } | Look::Live { text } => {
            let line = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
            format!("`{}`", line.chars().take(60).collect::<String>())
        }
    };
    format!("{what} takes too long; is a file system or a service hanging?")
}

/// What a new shell is told before anything else.
pub(super) fn opening(shell: &Shell, testbed: &str) -> String {
    if shell.begun {
        return String::new();
    }
    format!("{}\n_tb_m={}\n_tb_home {}\n", fuse::PRELUDE, shell.mark, sh::quote(&directory(testbed)))
}

/// Text from which bash, which reads its input byte by byte, takes long texts in one piece. Other shells read on as ever.
pub(super) fn in_one_piece(text: String) -> String {
    if text.len() < LONG {
        return text;
    }
    format!("[ -z \"$BASH_VERSION\" ] || eval \"$(head -c {})\"\n{text}", text.len())
}

/// A testbed's name as the name of a directory.
pub(super) fn directory(testbed: &str) -> String {
    let mut name = String::new();
    for (at, byte) in testbed.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte as char),
            b'.' if at > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.is_empty() { "%".to_string() } else { name }
}

fn script(shell: &Shell, testbed: &str, looks: &[Look], journal: Option<Reading>) -> String {
    let mut text = String::from("{\n");
    if shell.pid.is_none() {
        text.push_str("_tb_say H $$\n_tb_owed\n");
    }
    match journal {
        Some(Reading::All) => text.push_str("_tb_journal\n"),
        Some(Reading::None) => text.push_str("[ -s \"$_tb_j/journal\" ] || _tb_journal\n"),
        None => {}
    }
    text.push_str(&frame(looks, &shell.mark));
    text.push_str("}\n");
    opening(shell, testbed) + &in_one_piece(text)
}

/// The questions as a frame: shell text.
pub(super) fn frame(looks: &[Look], mark: &str) -> String {
    let body = match looks {
        [] => String::new(),
        looks => format!("(\nLC_ALL=C; export LC_ALL; exec </dev/null 2>/dev/null\n{})\n", fuse::script(looks, mark)),
    };
    format!("_tb_say P\n{body}_tb_say .\n")
}

/// Reads up to the end of the questions' frame. A frame is a mark, its body, and the mark that ends it.
async fn read(shell: &mut Shell, deadline: Instant, journal: &mut Option<Vec<u8>>) -> Result<String, Broken> {
    let mut open = String::new();
    loop {
        let mark = shell.mark(Some(deadline)).await?;
        let words = mark.words();
        match (words.as_slice(), open.as_str()) {
            (["H", pid], _) => shell.pid = pid.parse().ok(),
            (["W", ..], "") => shell.owed.push(mark.head[2..].to_string()),
            (["."], "P") => return Ok(String::from_utf8_lossy(&mark.before).into_owned()),
            (["."], "J") => *journal = Some(mark.before),
            ([letter @ ("J" | "P")], _) => open = (*letter).to_string(),
            _ => {}
        }
    }
}
