//! The live rows at the bottom of the terminal.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use indicatif::ProgressBar;

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
}
