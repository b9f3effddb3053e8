//! The live rows on the terminal, redrawn as time passes.
//!
//! Knows how to draw; what is drawn comes from [`crate::ui::rows`]. The cursor rests at the beginning of the first row, so
//! that what the terminal echoes (`^C`) is overwritten and moves nothing.

use std::fmt;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use console::Term;

use crate::event::Run;
use crate::secret::Redactor;
use crate::ui::look::Look;
use crate::ui::rows::View;

/// How often the clocks move.
const TICK: Duration = Duration::from_millis(200);

/// Rows of the terminal that are left to what has been said.
const KEPT: usize = 4;

/// Back to the first column, and nothing below.
const WIPE: &str = "\r\x1b[J";

/// Who wants to write to the terminal asks here first: the live rows step aside meanwhile. Clones share one terminal.
#[derive(Clone, Default)]
pub struct Pause(Arc<Mutex<Option<Drawing>>>);

/// What is on the terminal now.
struct Drawing {
    view: View,
    look: Look,
    redactor: Redactor,
    began: Instant,
}

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pause")
    }
}

impl Pause {
    /// Runs `f` while no live rows are on the terminal. Nobody else writes meanwhile; `f` must not come back here.
    pub fn over<T>(&self, f: impl FnOnce() -> T) -> T {
        let drawing = self.lock();
        if drawing.is_some() {
            write(WIPE);
        }
        let done = f();
        if let Some(drawing) = &*drawing {
            drawing.draw();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, Option<Drawing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn redraw(&self) {
        if let Some(drawing) = &*self.lock() {
            drawing.draw();
        }
    }
}

/// Nothing can be done about a terminal that takes no text.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

impl Drawing {
    fn draw(&self) {
        let (height, width) = Term::stderr().size();
        let look = Look { width: usize::from(width), ..self.look.clone() };
        let height = usize::from(height).saturating_sub(KEPT).max(1);
        let rows = self.view.rows(self.began.elapsed().as_secs_f64(), height, &look);
        let clean: Vec<String> = rows.iter().map(|row| self.redactor.clean(row)).collect();
        write(&frame(&clean));
    }
}

/// The rows over what was there before, without a moment of emptiness.
fn frame(rows: &[String]) -> String {
    let back = match rows.len() {
        0 | 1 => String::new(),
        rows => format!("\x1b[{}A", rows - 1),
    };
    format!("\r{}\x1b[K\x1b[J{back}\r", rows.join("\x1b[K\r\n"))
}

/// The rows while a run is shown; gone when dropped.
pub struct Live {
    pause: Pause,
    /// Dropped: the clock stops.
    end: Option<mpsc::Sender<()>>,
    clock: Option<JoinHandle<()>>,
}

impl Live {
    /// Starts drawing on stderr.
    pub fn start(look: &Look, redactor: &Redactor, pause: &Pause) -> Live {
        let (look, redactor) = (look.clone(), redactor.clone());
        *pause.lock() = Some(Drawing { view: View::default(), look, redactor, began: Instant::now() });
        let (end, ended) = mpsc::channel();
        let shared = pause.clone();
        let clock = std::thread::spawn(move || {
            while ended.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                shared.redraw();
            }
        });
        Live { pause: pause.clone(), end: Some(end), clock: Some(clock) }
    }

    /// The run as it is now; drawn at the next tick.
    pub fn show(&self, run: &Run) {
        if let Some(drawing) = &mut *self.pause.lock() {
            drawing.view = View::of(run);
        }
    }

    /// Runs `f` with the rows out of the way.
    pub fn over<T>(&self, f: impl FnOnce() -> T) -> T {
        self.pause.over(f)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(clock) = self.clock.take() {
            // It only draws; a panic in it was said by the hook.
            let _ = clock.join();
        }
        if self.pause.lock().take().is_some() {
            write(WIPE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_rests_at_the_first_row() {
        for (rows, expected) in
            [(vec!["a"], "\ra\x1b[K\x1b[J\r"), (vec!["a", "b", "c"], "\ra\x1b[K\r\nb\x1b[K\r\nc\x1b[K\x1b[J\x1b[2A\r")]
        {
            let rows: Vec<String> = rows.into_iter().map(String::from).collect();
            assert_eq!(frame(&rows), expected);
        }
    }
}
