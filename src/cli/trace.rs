//! The program's own log and its last words: `tracing` to stderr, and one sentence instead of a backtrace.
//!
//! `-v` shows what is done, `-vv` and `-vvv` more; `TBCTL_LOG` takes filters as `RUST_LOG` does. The SSH library is never
//! louder than a warning: its log shows what is sent.

use std::io;
use std::io::Write;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::secret::Redactor;
use crate::ui::live::Pause;

/// The exit code of a panic, as Rust has it.
const PANIC: i32 = 101;

/// The filter for a number of `-v`, or what `TBCTL_LOG` says.
fn filter(verbose: u8, named: Option<&str>) -> EnvFilter {
    let default = match verbose {
        0 => "warn",
        1 => "warn,tbctl=info",
        2 => "warn,tbctl=debug",
        _ => "warn,tbctl=trace",
    };
    let named = named.map(|text| text.split(',').filter(|part| !part.trim().starts_with("russh")).collect::<Vec<_>>());
    let named = named.map(|parts| parts.join(","));
    let filter = EnvFilter::new(named.as_deref().unwrap_or(default));
    match "russh=warn".parse() {
        Ok(cap) => filter.add_directive(cap),
        Err(_) => filter,
    }
}

/// Starts the log.
pub(super) fn start(verbose: u8, redactor: &Redactor, pause: &Pause) {
    let named = std::env::var("TBCTL_LOG").ok().filter(|text| !text.is_empty());
    let colour = crate::ui::look::Colour::of(&io::stderr()) == crate::ui::look::Colour::On;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(verbose, named.as_deref()))
        .with_ansi(colour)
        .without_time()
        .with_writer(Clean { redactor: redactor.clone(), pause: pause.clone() })
        .finish();
    // Fails only if there is a log already.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// A stderr that knows the secrets, and steps around the live rows.
#[derive(Clone)]
struct Clean {
    redactor: Redactor,
    pause: Pause,
}

impl Write for Clean {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = self.redactor.clean(&String::from_utf8_lossy(bytes));
        self.pause.over(|| io::stderr().write_all(text.as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Clean {
    type Writer = Clean;

    fn make_writer(&'a self) -> Clean {
        self.clone()
    }
}

/// A panic is a bug of tbctl: says so in one sentence and ends. `RUST_BACKTRACE=1` shows it all.
pub(super) fn catch_panics() {
    let full = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            full(panic);
        }
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        let _ = writeln!(io::stderr(), "tbctl has a bug{place}: please report it together with the command you ran.");
        std::process::exit(PANIC);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssh_library_is_never_loud() {
        for (verbose, named, expected) in [
            (0, None, "russh=warn,warn"),
            (1, None, "russh=warn,tbctl=info,warn"),
            (9, None, "russh=warn,tbctl=trace,warn"),
            (0, Some("trace,russh=trace,russh::client=trace"), "russh=warn,trace"),
        ] {
            let mut parts: Vec<String> = filter(verbose, named).to_string().split(',').map(str::to_string).collect();
            parts.sort();
            assert_eq!(parts.join(","), expected);
        }
    }
}
