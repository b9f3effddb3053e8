//! Variables of the command line: `-e k=v`, `-e '{"k": …}'`, `-e @file`.
//!
//! Knows the three forms only.

use std::path::Path;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::diag::Span;
use crate::lang::files::Files;
use crate::lang::inventory::overlay;
use crate::lang::keyvalue;
use crate::lang::keyvalue::Pick;
use crate::lang::node::Node;
use crate::lang::task::Vars;
use crate::lang::word;
use crate::lang::yaml;

/// All of them laid over each other, later ones over earlier ones.
pub(crate) fn read(files: &Files, texts: &[String], faults: &mut Diagnostics) -> Vars {
    let mut all = Vars::new();
    for text in texts {
        let vars = one(files, text, faults);
        overlay(&mut all, vars);
    }
    all
}

fn one(files: &Files, text: &str, faults: &mut Diagnostics) -> Vars {
    let source = Source::new("--extra-vars", text);
    let span = Span::new(&source, 0, text.len());
    if let Some(path) = text.strip_prefix('@') {
        let root = files.yaml(Path::new(path), Some(&span), faults);
        return root.map(|root| word::vars(&root, faults)).unwrap_or_default();
    }
    let text = text.trim();
    if text.starts_with(['{', '[', '-', '/', '.']) {
        return match yaml::document(&source, faults) {
            Some(root) if root.as_map().is_some() => word::vars(&root, faults),
            Some(_) => {
                faults.push(wrong(&span));
                Vars::new()
            }
            None => Vars::new(),
        };
    }
    match keyvalue::split(&Node::live(&span, source.text.as_str()), Pick::All) {
        Ok(line) => {
            if let Some(free) = line.free {
                faults.push(wrong(&free.span));
            }
            for (key, _) in &line.options {
                word::variable(&Node::literal(&key.span, key.name.clone()), faults);
            }
            line.options
        }
        Err(fault) => {
            faults.push(fault);
            Vars::new()
        }
    }
}

fn wrong(span: &Span) -> Diagnostic {
    let fault = Diagnostic::error("this gives no variables").at(span);
    fault.help("write `-e name=value`, `-e '{\"name\": …}'`, or `-e @file.yml`")
}
