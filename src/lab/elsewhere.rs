//! The lab on systems that cannot have one: says so.

use std::process::ExitStatus;

use anyhow::Result;
use anyhow::bail;

use crate::lab::Access;
use crate::lab::Spec;
use crate::lab::Status;

const SENTENCE: &str = "the lab needs Linux (namespaces, overlayfs); run it on a Linux machine or in a virtual one";

/// Always an error here.
pub fn up(_: &Spec, _: &mut dyn FnMut(&str)) -> Result<Status> {
    bail!(SENTENCE)
}

/// Always an error here.
pub fn down(_: &str) -> Result<()> {
    bail!(SENTENCE)
}

/// Always an error here.
pub fn exec(_: &str, _: &str, _: &[String]) -> Result<ExitStatus> {
    bail!(SENTENCE)
}

/// Always an error here.
pub fn status(_: &str) -> Result<Status> {
    bail!(SENTENCE)
}

/// Always an error here.
pub fn forward(_: &std::path::Path) -> Result<()> {
    bail!(SENTENCE)
}

/// No lab can be up here.
pub fn access(_: &str) -> Result<Option<Vec<(String, Access)>>> {
    Ok(None)
}

/// No lab can be up here.
pub fn names() -> Result<Vec<String>> {
    Ok(Vec::new())
}
