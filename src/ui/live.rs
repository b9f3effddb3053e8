//! The live rows on the terminal, redrawn as time passes.
//!
//! Knows how to draw; what is drawn comes from [`crate::ui::rows`].

use std::fmt::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use console::Term;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressState;
use indicatif::ProgressStyle;

use crate::event::Run;
use crate::secret::Redactor;
use crate::ui::look::Look;
use crate::ui::rows::View;

/// How often the clocks move.
const TICK: Duration = Duration::from_millis(200);

/// Rows of the terminal that are left to what has been said.
const KEPT: usize = 4;

/// Who wants to write to the terminal asks here first: the live rows step aside meanwhile. Clones share one terminal.
#[derive(Debug, Clone, Default)]
pub struct Pause(Arc<Mutex<Option<ProgressBar>>>);

impl Pause {
    /// Runs `f` while no live rows are on the terminal.
    pub fn over<T>(&self, f: impl FnOnce() -> T) -> T {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(f),
            None => f(),
        }
    }

    fn set(&self, bar: Option<ProgressBar>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }
}

/// The rows while a run is shown; gone when dropped.
pub struct Live {
    bar: ProgressBar,
    view: Arc<Mutex<View>>,
    pause: Pause,
}

impl Live {
    /// Starts drawing on stderr.
    pub fn start(look: &Look, redactor: &Redactor, pause: &Pause) -> Live {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let view: Arc<Mutex<View>> = Arc::default();
        let (shared, look, redactor, began) = (view.clone(), look.clone(), redactor.clone(), Instant::now());
        let draw = move |_: &ProgressState, out: &mut dyn Write| {
            let (height, width) = Term::stderr().size();
            let look = Look { width: usize::from(width), ..look.clone() };
            let height = usize::from(height).saturating_sub(KEPT).max(1);
            let now = began.elapsed().as_secs_f64();
            let rows = shared.lock().unwrap_or_else(PoisonError::into_inner).rows(now, height, &look);
            // Nothing can be done about a row that cannot be drawn.
            let _ = out.write_str(&redactor.clean(&rows.join("\n")));
        };
        if let Ok(style) = ProgressStyle::with_template("{rows}") {
            bar.set_style(style.with_key("rows", draw));
        }
        bar.enable_steady_tick(TICK);
        pause.set(Some(bar.clone()));
        Live { bar, view, pause: pause.clone() }
    }

    /// The run as it is now.
    pub fn show(&self, run: &Run) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = View::of(run);
    }

    /// Runs `f` with the rows out of the way.
    pub fn over<T>(&self, f: impl FnOnce() -> T) -> T {
        self.bar.suspend(f)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.pause.set(None);
        self.bar.finish_and_clear();
    }
}
