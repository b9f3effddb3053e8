//! Questions to the person at the terminal: one at a time, with the live rows out of the way.
//!
//! Speaks to `/dev/tty`, so that pipes stay clean.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
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

/// Remembers what was answered, for a second run right behind the first: nobody types the same password twice.
pub(super) struct Twice {
    person: Arc<dyn Ask>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The last answer to each prompt.
    answers: BTreeMap<String, Secret<String>>,
    /// Answers are given from memory, each once: one that is asked for again was wrong.
    second: bool,
}

impl Twice {
    pub(super) fn new(person: Arc<dyn Ask>) -> Twice {
        Twice { person, memory: Mutex::default() }
    }

    /// From now on it is the second run that asks.
    pub(super) fn again(&self) {
        self.memory().second = true;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask for Twice {
    fn secret(&self, prompt: &str) -> Option<Secret<String>> {
        {
            let mut memory = self.memory();
            let known = if memory.second { memory.answers.remove(prompt) } else { None };
            if known.is_some() {
                return known;
            }
        }
        let answer = self.person.secret(prompt)?;
        let mut memory = self.memory();
        if !memory.second {
            memory.answers.insert(prompt.to_string(), answer.clone());
        }
        Some(answer)
    }

    fn confirm(&self, question: &str) -> bool {
        self.person.confirm(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each prompt with how often it was asked anything.
    #[derive(Default)]
    struct Counting(Mutex<u32>);

    impl Ask for Counting {
        fn secret(&self, prompt: &str) -> Option<Secret<String>> {
            let mut count = self.0.lock().unwrap();
            *count += 1;
            Some(Secret::new(format!("{prompt}{count}")))
        }

        fn confirm(&self, _: &str) -> bool {
            false
        }
    }

    #[test]
    fn a_second_run_asks_only_for_what_is_new_or_was_wrong() {
        let twice = Twice::new(Arc::new(Counting::default()));
        let ask = |prompt: &str| twice.secret(prompt).unwrap().expose().clone();
        // The first answer to `a` was wrong.
        assert_eq!([ask("a"), ask("a"), ask("b")], ["a1", "a2", "b3"]);
        twice.again();
        assert_eq!([ask("a"), ask("b"), ask("c")], ["a2", "b3", "c4"]);
        assert_eq!([ask("a"), ask("c")], ["a5", "c6"]);
    }
}
