//! Recorded events shown again: what people see of a run, as text.
//!
//! Each file in `tests/ui` begins with a line of settings: `width=`, `verbose=`, `secret=`, and the words `diff`, `colour`,
//! `json`.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

use std::fs;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;

use tbctl::event::Event;
use tbctl::event::Run;
use tbctl::secret::Redactor;
use tbctl::ui::look::Colour;
use tbctl::ui::look::Diffs;
use tbctl::ui::look::Look;
use tbctl::ui::look::columns;
use tbctl::ui::screen::Form;
use tbctl::ui::screen::Screen;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe whose reader has left.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Case {
    form: Form,
    width: usize,
    redactor: Redactor,
    events: Vec<Event>,
}

fn case(text: &str) -> Case {
    let (head, events) = text.split_once('\n').unwrap();
    let mut look = Look::default();
    let (redactor, mut json) = (Redactor::default(), false);
    for word in head.strip_prefix("#>").unwrap().split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("width", value) => look.width = value.parse().unwrap(),
            ("verbose", value) => look.verbose = value.parse().unwrap(),
            ("secret", value) => redactor.hide(value),
            ("diff", _) => look.diffs = Diffs::Shown,
            ("colour", _) => look.colour = Colour::On,
            ("json", _) => json = true,
            other => panic!("unknown setting {other:?}"),
        }
    }
    let events = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let width = look.width;
    Case { form: if json { Form::Json } else { Form::Text(look) }, width, redactor, events }
}

fn show(case: &Case, out: Box<dyn Write + Send>) -> Run {
    let mut screen = Screen::new(case.form.clone(), &case.redactor, out, None);
    let mut run = Run::default();
    for event in &case.events {
        run.fold(event);
        screen.see(event);
    }
    run
}

#[test]
fn recorded_runs() {
    insta::glob!("ui/*.jsonl", |path| {
        let case = case(&fs::read_to_string(path).unwrap());
        let paper = Paper::default();
        let run = show(&case, Box::new(paper.clone()));
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        if let Form::Text(look) = &case.form {
            let wide = text.lines().find(|line| columns(line) > case.width && !line.contains("ok="));
            assert_eq!(wide, None, "wider than {}", case.width);
            let escapes = text.contains('\x1b');
            assert_eq!(escapes, look.colour == Colour::On, "escape sequences");
        }
        insta::assert_snapshot!(format!("{}exit code {}", text.replace('\x1b', "␛"), run.exit_code()));
    });
}

#[test]
fn a_secret_is_hidden_wherever_a_line_breaks() {
    let secret = "correct horse battery staple";
    let text = fs::read_to_string("tests/ui/apply.jsonl").unwrap();
    for width in 20..120 {
        let case = case(&text.replace("geheim-123", secret).replace("#>", &format!("#> width={width}")));
        case.redactor.hide(secret);
        let paper = Paper::default();
        show(&case, Box::new(paper.clone()));
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        for word in secret.split(' ') {
            assert!(!text.contains(word), "`{word}` at width {width}");
        }
    }
}

#[test]
fn a_run_goes_on_when_nobody_reads() {
    let case = case(&fs::read_to_string("tests/ui/apply.jsonl").unwrap());
    let run = show(&case, Box::new(Closed));
    assert!(run.over);
}
