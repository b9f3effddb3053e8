//! Opening a shell as a user of the host, by `sudo` where that is somebody else than the one who logged in.
//!
//! The password is written only after a prompt that no other program prints. Does not know what the shell is for.

use std::time::Duration;

use tokio::time::Instant;

use crate::change::sh;
use crate::secret::Secret;

use super::link::Link;
use super::order::As;
use super::session::Broken;
use super::session::Shell;
use super::session::nonce;
use super::unreached::Unreached;

/// How long sudo may take to ask for a password or to let in: it may wait for a name service.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a shell cannot be used.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The host is there, but this user's shell is not: a sentence.
    User(String),
    Link(Unreached),
}

/// A shell, and the round trips it took to get it: none if nothing had to be waited for.
pub(super) async fn open(
    link: &Link,
    host: &str,
    user: &As,
    password: Option<&Secret<String>>,
) -> Result<(Shell, u64), Fault> {
    let Some(user) = user else {
        let pipe = link.exec("exec sh").await.map_err(Fault::Link)?;
        return Ok((Shell::over(pipe), 0));
    };
    let prompt = format!("[tbctl {}] ", nonce());
    let ready = format!("ready {}\n", nonce());
    let command = match password {
        None => command(user, "-n", "exec sh"),
        Some(_) => command(user, &format!("-S -p {}", sh::quote(&prompt)), &format!("echo {}; exec sh", ready.trim())),
    };
    let pipe = link.exec(&command).await.map_err(Fault::Link)?;
    let mut shell = Shell::over(pipe);
    let Some(password) = password else { return Ok((shell, 0)) };
    let mut trips = 1;
    let mut given = false;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match shell.prompt(&[&prompt], &ready, deadline).await {
            Ok(None) => return Ok((shell, trips)),
            Ok(Some(_)) if given => return Err(Fault::User(wrong(host, user))),
            Ok(Some(_)) => {
                given = true;
                trips += 1;
                shell.send(format!("{}\n", password.expose())).await;
            }
            Err(Broken::Ended { .. }) if given && link.lost().is_none() => return Err(Fault::User(wrong(host, user))),
            Err(broken) => return Err(explain(link, host, &Some(user.clone()), broken)),
        }
    }
}

/// What the login shell is asked to run: `sudo` if there is one; root can do without it.
fn command(user: &str, options: &str, inner: &str) -> String {
    let (quoted, name) = (sh::quote(user), sh::quote(inner));
    let root = match user {
        "root" => inner.to_string(),
        _ => format!("exec su -s /bin/sh -c {name} {quoted}"),
    };
    let text = format!(
        "if command -v sudo >/dev/null 2>&1; then exec sudo {options} -H -u {quoted} sh -c {name}; fi\n\
         if [ \"$(id -u)\" = 0 ]; then {root}; fi\n\
         echo tbctl: no sudo >&2; exit 127"
    );
    format!("exec sh -c {}", sh::quote(&text))
}

fn wrong(host: &str, user: &str) -> String {
    format!("sudo on {host} does not take the password to become {user}; give the right one with `-K`")
}

/// A shell that ended or fell silent, in a sentence.
pub(super) fn explain(link: &Link, host: &str, user: &As, broken: Broken) -> Fault {
    if let Some(lost) = link.lost() {
        return Fault::Link(lost);
    }
    let Broken::Ended { status, said } = broken else {
        let who = user.as_deref().unwrap_or("the login user");
        return Fault::User(format!("the shell of {who} on {host} does not answer"));
    };
    let last = said.lines().last().unwrap_or_default();
    let Some(user) = user else {
        let how = status.map_or("by a signal".to_string(), |status| format!("with status {status}"));
        let said = if last.is_empty() { String::new() } else { format!(": {last}") };
        return Fault::User(format!("the shell on {host} ended {how}{said}"));
    };
    let says = |text: &str| said.contains(text);
    Fault::User(if says("tbctl: no sudo") {
        format!("cannot become {user} on {host}: sudo is not installed there; log in as {user}, or install sudo")
    } else if says("password is required") || says("terminal is required") || says("no password was provided") {
        format!("sudo on {host} wants a password to become {user}; give it with `-K`")
    } else if says("not in the sudoers") || says("is not allowed to") || says("may not run sudo") {
        format!("the login user may not become {user} on {host}: {}", last.trim_start_matches("sudo: "))
    } else if says("unknown user") || says("does not exist") {
        format!("cannot become {user} on {host}: there is no such user")
    } else if says("must have a tty") {
        format!("cannot become {user} on {host}: sudo wants a terminal; remove `requiretty` from its sudoers")
    } else if last.is_empty() {
        format!(
            "cannot become {user} on {host}: nothing was said; is the login shell there no shell, such as /bin/false?"
        )
    } else {
        format!("cannot become {user} on {host}: {}", last.trim_start_matches("sudo: "))
    })
}
