//! The command line's own voice: data to stdout, everything else to stderr, nothing without the redactor, and the exit code.
//!
//! Knows nothing of runs (see `crate::ui`).

use std::io;
use std::io::Write;
use std::process::ExitCode;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::secret::Redactor;
use crate::ui::look;
use crate::ui::look::Colour;
use crate::ui::look::Tone;

/// The exit code of text that is wrong, and of everything that kept tbctl from starting.
pub(super) const WRONG: u8 = 1;
/// Ended by Ctrl-C.
pub(super) const INTERRUPTED: u8 = 130;

/// What a command ends with.
pub(super) type Done = Result<u8, Stop>;

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The user's text is wrong.
    Faults(Diagnostics),
    /// tbctl cannot go on.
    Error(anyhow::Error),
    /// Nobody reads stdout any more.
    Hangup,
}

impl From<Diagnostics> for Stop {
    fn from(faults: Diagnostics) -> Stop {
        Stop::Faults(faults)
    }
}

impl From<Diagnostic> for Stop {
    fn from(fault: Diagnostic) -> Stop {
        Stop::Faults(fault.into())
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::Error(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::Hangup,
            _ => Stop::Error(anyhow::Error::new(error).context("cannot write to stdout")),
        }
    }
}

/// Where to speak.
#[derive(Debug, Clone)]
pub(super) struct Console {
    pub(super) redactor: Redactor,
    /// How often `-v` was given.
    pub(super) verbose: u8,
    /// Of stderr.
    pub(super) colour: Colour,
}

impl Console {
    pub(super) fn new(verbose: u8) -> Console {
        Console { redactor: Redactor::default(), verbose, colour: Colour::of(&io::stderr()) }
    }

    /// The data that was asked for, to stdout.
    pub(super) fn data(&self, text: &str) -> Result<(), Stop> {
        let mut out = io::stdout().lock();
        out.write_all(self.redactor.clean(text).as_bytes())?;
        Ok(out.flush()?)
    }

    /// A sentence for people, to stderr.
    pub(super) fn note(&self, text: &str) {
        // Who does not listen to stderr gets no second message about it.
        let _ = writeln!(io::stderr(), "{}", self.redactor.clean(text));
    }

    pub(super) fn faults(&self, faults: &Diagnostics) {
        for fault in &faults.list {
            self.note(&(fault.render(self.colour == Colour::On) + "\n"));
        }
    }

    fn error(&self, error: &anyhow::Error) {
        let text: Vec<String> = error.chain().map(|cause| look::one_line(&cause.to_string())).collect();
        let lines = look::wrap(&text.join(": "), look::WIDTH - "error: ".len());
        for (at, line) in lines.iter().enumerate() {
            let head = if at == 0 { self.colour.paint(Tone::Bad, "error:") } else { "      ".into() };
            self.note(&format!("{head} {line}"));
        }
    }

    /// Says why a command ended early, and gives the code to exit with.
    pub(super) fn end(&self, done: Done) -> ExitCode {
        ExitCode::from(match done {
            Ok(code) => code,
            Err(Stop::Hangup) => 0,
            Err(Stop::Faults(faults)) => {
                self.faults(&faults);
                WRONG
            }
            Err(Stop::Error(error)) => {
                self.error(&error);
                WRONG
            }
        })
    }
}
