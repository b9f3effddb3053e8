//! Where a run is shown: lines and live rows on a terminal, plain lines in a pipe, or JSON.
//!
//! The only place of `ui` that writes. Everything passes the redactor.

use std::io;
use std::io::Write;

use crate::event::Event;
use crate::event::Mode;
use crate::event::Run;
use crate::event::What;
use crate::secret::Redactor;
use crate::ui::lines;
use crate::ui::live::Live;
use crate::ui::look::Look;
use crate::ui::plan::Plan;
use crate::ui::recap;

/// In which form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    Text(Look),
    /// One event a line.
    Json,
}

/// The audience of a run's events.
pub struct Screen {
    form: Form,
    redactor: Redactor,
    out: Box<dyn Write + Send>,
    live: Option<Live>,
    /// Folded from what was redacted: rows and recaps have no other source.
    run: Run,
    plan: Plan,
    /// Nothing can be written any more; the run goes on in silence.
    deaf: Option<io::Error>,
}

impl Screen {
    pub fn new(form: Form, redactor: &Redactor, out: Box<dyn Write + Send>, live: Option<Live>) -> Screen {
        Screen { form, redactor: redactor.clone(), out, live, run: Run::default(), plan: Plan::default(), deaf: None }
    }

    /// Shows one event.
    pub fn see(&mut self, event: &Event) {
        // Before anything is wrapped or cut: half a secret would not be found.
        let json = self.redactor.clean(&serde_json::to_string(event).unwrap_or_default());
        let clean = serde_json::from_str(&json);
        let event = clean.as_ref().unwrap_or(event);
        self.run.fold(event);
        let text = match &self.form {
            Form::Json => json + "\n",
            Form::Text(look) => text(event, &self.run, look, &mut self.plan),
        };
        if matches!(event.what, What::RunEnded { .. }) {
            self.live = None;
        }
        if let Some(live) = &self.live {
            live.show(&self.run);
        }
        if !text.is_empty() && self.deaf.is_none() {
            let clean = self.redactor.clean(&text);
            let out = &mut self.out;
            let mut write = || out.write_all(clean.as_bytes()).and_then(|()| out.flush());
            let written = match &self.live {
                Some(live) => live.over(write),
                None => write(),
            };
            self.deaf = written.err();
        }
    }

    /// Whether all was written. A reader that left early is no fault.
    pub fn close(self) -> io::Result<()> {
        match self.deaf {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// What one event adds to the text.
fn text(event: &Event, run: &Run, look: &Look, plan: &mut Plan) -> String {
    let planning = run.mode == Some(Mode::Plan);
    if let (What::NodeEnded { node, place, ended }, true) = (&event.what, planning) {
        plan.add(*node, place, ended);
    }
    match &event.what {
        What::RunEnded { .. } => {
            let steps = if planning { plan.text(run, look) } else { String::new() };
            steps + &recap::recap(run, plan.without_way_back(), look)
        }
        _ => lines::lines(event, run, look),
    }
}
