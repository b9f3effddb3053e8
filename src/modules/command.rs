//! `command`: runs a program without a shell.

use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Script;
use crate::change::Undo;
use crate::change::look::Look;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::setup::clock;

/// Runs a program, without a shell in between: no pipes, no globs. Variables of the host's environment and `~` are put in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments, split as a shell would split words.
    #[serde(default)]
    pub cmd: Option<String>,
    /// The program and its arguments as a list, used as they are.
    #[serde(default)]
    pub argv: Option<Vec<String>>,
    /// Not run when this path (or glob) exists.
    #[serde(default)]
    pub creates: Option<String>,
    /// Not run when this path (or glob) does not exist.
    #[serde(default)]
    pub removes: Option<String>,
    /// The directory to run in.
    #[serde(default)]
    pub chdir: Option<String>,
    /// Text for the program's standard input.
    #[serde(default)]
    pub stdin: Option<String>,
    /// Ends `stdin` with a line end.
    #[serde(default = "yes")]
    pub stdin_add_newline: bool,
    /// Puts in `$NAME`, `${NAME}` and `~`, as the host's environment has them; what it does not have stays as it is written.
    #[serde(default = "yes")]
    pub expand_argument_vars: bool,
    /// Leaves out line ends at the end of the output.
    #[serde(default = "yes")]
    pub strip_empty_ends: bool,
}

fn yes() -> bool {
    true
}

/// What decides whether a command runs at all.
#[derive(Debug, Deserialize)]
pub struct Guarded {
    #[serde(default)]
    creates: Option<String>,
    #[serde(default)]
    removes: Option<String>,
    #[serde(default)]
    chdir: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    creates: String,
    #[serde(default)]
    removes: String,
}

/// Looks whether the globs match anything; the shell expands them itself.
pub fn probe(guard: &Guarded) -> Probe {
    let mut probe = Probe::none();
    for (name, pattern) in [("creates", &guard.creates), ("removes", &guard.removes)] {
        if let Some(pattern) = pattern {
            let cd = guard.chdir.as_ref().map(|dir| format!("cd {} || exit\n", sh::quote(dir))).unwrap_or_default();
            let text = format!("{cd}for _tb_p in {}; do [ -e \"$_tb_p\" ] && echo yes; break; done", glob(pattern));
            probe = probe.ask(name, Look::Script { text });
        }
    }
    probe
}

/// The pattern as a shell word in which only `*`, `?` and `[…]` are special, and a home at its start: `~/` is that of the user
/// it runs as, `~name/` that of another.
fn glob(pattern: &str) -> String {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let home = pattern.strip_prefix('~').and_then(|rest| rest.find('/')).filter(|end| plain(&pattern[1..=*end]));
    let (home, rest) = pattern.split_at(home.map_or(0, |end| end + 2));
    let mut word = String::from(home);
    for letter in rest.chars() {
        match letter {
            '*' | '?' | '[' | ']' => word.push(letter),
            _ => word.push_str(&sh::quote(&letter.to_string())),
        }
    }
    word
}

/// The result of a command that ran, or did not have to, as Ansible names its fields.
pub fn result(cmd: Value, creates: Option<&str>, removes: Option<&str>, ran: &[Ran], strip: bool) -> Fields {
    let mut fields = Fields::new();
    fields.insert("cmd".into(), cmd);
    let trim = |text: &str| if strip { text.trim_end_matches(['\r', '\n']).to_string() } else { text.to_string() };
    let lines = |text: &str| text.lines().map(Value::from).collect::<Value>();
    match ran.last() {
        Some(ran) => {
            let (stdout, stderr) = (trim(&ran.stdout), trim(&ran.stderr));
            fields.insert("rc".into(), Value::from(ran.rc));
            fields.insert("stdout_lines".into(), lines(&stdout));
            fields.insert("stderr_lines".into(), lines(&stderr));
            fields.insert("stdout".into(), Value::from(stdout));
            fields.insert("stderr".into(), Value::from(stderr));
            fields.insert("msg".into(), Value::from(if ran.rc == 0 { "" } else { "non-zero return code" }));
            fields.insert("delta".into(), Value::from(clock::length(ran.end - ran.start)));
            fields.insert("start".into(), Value::from(clock::moment(ran.start)));
            fields.insert("end".into(), Value::from(clock::moment(ran.end)));
        }
        None => {
            let why = match (creates, removes) {
                (Some(path), _) => format!("skipped, since {path} exists"),
                (None, Some(path)) => format!("skipped, since {path} does not exist"),
                (None, None) => String::new(),
            };
            fields.insert("rc".into(), Value::from(0));
            fields.insert("stdout".into(), Value::from(why.clone()));
            fields.insert("stdout_lines".into(), lines(&why));
            fields.insert("stderr".into(), Value::from(""));
            fields.insert("stderr_lines".into(), lines(""));
            fields.insert("msg".into(), Value::from(format!("Did not run command: {why}")));
        }
    }
    fields
}

/// Whether `creates` and `removes` let the command run.
pub fn wanted(now: &State, removes: Option<&str>) -> bool {
    now.creates.is_empty() && (removes.is_none() || !now.removes.is_empty())
}

/// Neither a program's arguments nor a shell's text can hold a NUL byte; a shell would leave it out and go on.
pub fn no_nul(text: &str) -> Result<(), Refusal> {
    match text.contains('\0') {
        true => Err(Refusal::new("a command cannot hold a NUL byte").help("write it with `printf '\\000'` in a `shell` task")),
        false => Ok(()),
    }
}

impl Command {
    fn argv(&self) -> Result<Vec<String>, Refusal> {
        match (&self.cmd, &self.argv) {
            (Some(_), Some(_)) => Err(Refusal::new("`cmd` and `argv` say the same thing twice").help("write one of them")),
            (None, Some(argv)) if !argv.is_empty() => Ok(argv.clone()),
            (Some(cmd), None) => match shlex::split(cmd) {
                Some(words) if !words.is_empty() => Ok(words),
                Some(_) => Err(Refusal::new("the command is empty")),
                None => Err(Refusal::new("a quote in the command is not closed")),
            },
            _ => Err(Refusal::new("no command is given").help("write `command: program argument` or `argv: [program, argument]`")),
        }
    }
}

/// A word of the shell that is this word, with the host's variables in it.
fn expanded(word: &str) -> String {
    let (mut out, mut rest) = (String::new(), word);
    if let Some(below) = rest.strip_prefix('~').filter(|below| below.is_empty() || below.starts_with('/')) {
        out.push_str("\"${HOME-~}\"");
        rest = below;
    }
    let mut plain = String::new();
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        plain.push_str(before);
        let Some((name, behind)) = variable(&after[1..]) else {
            plain.push('$');
            rest = &after[1..];
            continue;
        };
        if !plain.is_empty() {
            out.push_str(&sh::quote(&std::mem::take(&mut plain)));
        }
        let written = &after[..after.len() - behind.len()];
        out.push_str(&format!("\"${{{name}-{}}}\"", written.replace('$', "\\$").replace('}', "\\}")));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() || out.is_empty() {
        out.push_str(&sh::quote(&plain));
    }
    out
}

/// Whether a shell gives this name a value of its own, which is in no environment.
fn is_of_the_shell(name: &str) -> bool {
    const OWN: [&str; 24] = [
        "COLUMNS", "DIRSTACK", "EUID", "FUNCNAME", "GROUPS", "HISTCMD", "HOSTNAME", "HOSTTYPE", "IFS", "LINENO", "LINES",
        "MACHTYPE", "OPTARG", "OPTERR", "OPTIND", "OSTYPE", "PIPESTATUS", "PPID", "PS1", "PS2", "PS4", "RANDOM", "SECONDS", "UID",
    ];
    OWN.contains(&name) || ["BASH", "EPOCH", "_tb_"].iter().any(|start| name.starts_with(start)) || name == "_"
}

/// The name behind a `$`, and what comes behind it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| {
        let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        word && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
    };
    let (name, behind) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}')?,
        None => text.split_at(text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())),
    };
    (is_name(name) && !is_of_the_shell(name)).then_some((name, behind))
}

impl Module for Command {
    const NAME: &'static str = "command";
    const SUMMARY: &'static str = "Runs a program without a shell.";
    const EXAMPLE: &'static str = "command: touch /root/marker\nargs:\n  creates: /root/marker\n";
    const NATURE: Nature = Nature::Act;
    const REACH: Reach = Reach::Beyond;
    const FREE: Option<&'static str> = Some("cmd");

    type Identity = Guarded;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        self.argv()?.iter().try_for_each(|word| no_nul(word))
    }

    fn probe(guard: &Guarded) -> Probe {
        probe(guard)
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        if wanted(now, self.removes.as_deref()) {
            let argv = self.argv()?;
            let stdin = self.stdin.as_ref().map(|text| if self.stdin_add_newline { format!("{text}\n") } else { text.clone() });
            let script = Script {
                text: match self.expand_argument_vars {
                    true => format!("exec {}", argv.iter().map(|word| expanded(word)).collect::<Vec<_>>().join(" ")),
                    false => format!("exec {}", sh::words(argv.iter().map(String::as_str))),
                },
                user: true,
                chdir: self.chdir.clone(),
                stdin,
                executable: None,
            };
            let never = Undo::Never("a command; give the task an `undo:` to take it back".into());
            change.act(format!("run {}", argv[0]), Apply::Run(script), never);
        }
        Ok(change)
    }

    fn result(&self, _: &State, ran: &[Ran]) -> Fields {
        let cmd = self.argv().unwrap_or_default().into_iter().map(Value::from).collect();
        result(cmd, self.creates.as_deref(), self.removes.as_deref(), ran, self.strip_empty_ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_host() {
        for (word, wanted) in [
            ("ls", "ls"),
            ("", ""),
            ("$A/x", "the a/x"),
            ("x${A}y$", "xthe ay$"),
            ("~/y", "/h/y"),
            ("~", "/h"),
            ("a~", "a~"),
            ("~root/x", "~root/x"),
            ("$NONE ${NONE}", "$NONE ${NONE}"),
            ("$PPID $OPTIND ${_tb_x}", "$PPID $OPTIND ${_tb_x}"),
            ("$1 $$ ${} ${A", "$1 $$ ${} ${A"),
            ("it's $A \"`date`\" \\", "it's the a \"`date`\" \\"),
        ] {
            for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
                let mut command = std::process::Command::new(shell[0]);
                let script = format!("printf '%s' {}", expanded(word));
                let out = command.args(&shell[1..]).args(["-c", &script]).env("A", "the a").env("HOME", "/h").output().unwrap();
                assert_eq!(String::from_utf8(out.stdout).unwrap(), wanted, "{shell:?} {script}");
            }
        }
    }
}
