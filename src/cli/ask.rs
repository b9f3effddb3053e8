//! Questions to the person at the terminal: one at a time, with the live rows out of the way.
//!
//! Speaks to `/dev/tty`, so that pipes stay clean.

use std::fs::OpenOptions;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::remote::Ask;
use crate::secret::Redactor;
use crate::secret::Secret;
use crate::ui::live::Pause;

/// The person at the terminal, if there is one.
#[derive(Debug)]
pub(super) struct Person {
    turn: Mutex<()>,
    pause: Pause,
    redactor: Redactor,
}

impl Person {
    pub(super) fn new(pause: &Pause, redactor: &Redactor) -> Person {
        Person { turn: Mutex::new(()), pause: pause.clone(), redactor: redactor.clone() }
    }
}

impl Ask for Person {
    fn secret(&self, prompt: &str) -> Option<Secret<String>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = self.pause.over(|| rpassword::prompt_password(self.redactor.clean(prompt)).ok())?;
        self.redactor.hide(&answer);
        Some(Secret::new(answer))
    }

    fn confirm(&self, question: &str) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let question = self.redactor.clean(question);
        let answer = self.pause.over(|| {
            let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
            write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).ok()?;
            let mut line = String::new();
            BufReader::new(terminal).read_line(&mut line).ok()?;
            Some(line)
        });
        answer.is_some_and(|line| matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}
