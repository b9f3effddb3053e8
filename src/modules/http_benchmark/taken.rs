//! How samples travel through a task's result to whoever keeps them: as one value that templates cannot look into.

use std::fmt;
use std::sync::Arc;

use minijinja::value::Object;
use minijinja::value::ObjectRepr;

use crate::results::taken::Taken;

/// The field of the result; the engine takes it out and tells of it.
pub const TAKEN: &str = "taken_";

/// A part of a run.
#[derive(Debug)]
pub struct Handover(pub Arc<Taken>);

impl Object for Handover {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.samples {
            Some(samples) => write!(f, "{} samples of {}", samples.len(), self.0.record.run),
            None => write!(f, "the record of {}", self.0.record.run),
        }
    }
}
