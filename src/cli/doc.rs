//! `tbctl doc`: the manual of the kinds of task, made from their argument structs.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::modules;
use crate::modules::Kind;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::ui::look::WIDTH;
use crate::ui::look::pad;
use crate::ui::look::wrap;

/// Show the kinds of task and their arguments
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The kind of task; without one, the list of all
    #[arg(value_name = "KIND")]
    kind: Option<String>,

    /// The JSON schema of its arguments
    #[arg(long, requires = "kind")]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  tbctl doc                            All kinds
  tbctl doc command                    One, with all its arguments
  tbctl doc command --json             Its schema, for editors";

pub(super) fn run(console: &Console, args: &Args) -> Done {
    let text = match &args.kind {
        None => list(),
        Some(name) => {
            let kind = modules::find(name).ok_or_else(|| {
                let fault = Diagnostic::error(format!("there is no kind of task `{name}`"));
                let fault = fault.at(&Span::synthetic("KIND", name)).suggest(name, modules::names());
                if fault.help.is_some() { fault } else { fault.help("`tbctl doc` lists all kinds") }
            })?;
            let schema = serde_json::to_value((kind.schema)()).map_err(anyhow::Error::new)?;
            match args.json {
                true => serde_json::to_string_pretty(&schema).map_err(anyhow::Error::new)? + "\n",
                false => manual(kind, &schema),
            }
        }
    };
    console.data(&text)?;
    Ok(0)
}

fn list() -> String {
    let mut kinds: Vec<&Kind> = modules::KINDS.iter().collect();
    kinds.sort_by_key(|kind| kind.name);
    let width = kinds.iter().map(|kind| kind.name.len()).max().unwrap_or_default();
    let mut out = String::new();
    for kind in kinds {
        item(&mut out, kind.name, width, kind.summary);
    }
    out
}

fn item(out: &mut String, name: &str, width: usize, text: &str) {
    for (at, line) in wrap(text, WIDTH - width - 2).iter().enumerate() {
        let head = if at == 0 { name } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}  {line}", pad(head, width));
    }
}

fn manual(kind: &Kind, schema: &Value) -> String {
    let mut out = format!("{}\n\n", kind.name.to_uppercase());
    let about = schema["description"].as_str().unwrap_or(kind.summary);
    paragraph(&mut out, about, 2);
    out.push('\n');
    paragraph(&mut out, &traits(kind), 2);
    let properties = schema["properties"].as_object();
    if let Some(properties) = properties.filter(|properties| !properties.is_empty()) {
        out.push_str("\nARGUMENTS\n");
        let required = schema["required"].as_array();
        for (name, about) in properties.iter().filter(|(name, _)| !name.starts_with('_') && !name.ends_with('_')) {
            let needed = required.is_some_and(|names| names.iter().any(|known| known == name));
            argument(&mut out, name, about, schema, needed);
        }
    }
    out.push_str("\nEXAMPLE\n");
    for line in kind.example.lines() {
        let _ = writeln!(out, "{}", format!("  {line}").trim_end());
    }
    out
}

/// What running it means, in sentences.
fn traits(kind: &Kind) -> String {
    let nature = match kind.nature {
        Nature::State => "Looks first, and changes only what is not as wanted.",
        Nature::Look => "Looks and reports; never changes anything.",
        Nature::Act => "Runs each time.",
        Nature::Here => "Happens on the controller, without the host.",
    };
    let reach = match kind.reach {
        Reach::Own => "Touches its own host only.",
        Reach::Beyond => "May have to do with other hosts: ordered against their changes.",
    };
    let mut text = match kind.nature {
        Nature::Here => nature.to_string(),
        _ => format!("{nature} {reach}"),
    };
    if let Some(free) = kind.free {
        text += &format!(" Text right behind the name is `{free}`.");
    }
    if !kind.aliases.is_empty() {
        text += &format!(" Also called {}.", kind.aliases.join(", "));
    }
    text
}

fn argument(out: &mut String, name: &str, about: &Value, schema: &Value, needed: bool) {
    let mut facts = vec![type_of(about, schema)];
    if needed {
        facts.push("required".into());
    }
    if let Some(default) = about.get("default").filter(|default| !matches!(default, Value::Null)) {
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_string);
        if !default.is_empty() && default != "[]" && default != "{}" {
            facts.push(format!("default {default}"));
        }
    }
    let _ = writeln!(out, "  {name}");
    paragraph(out, &format!("({})", facts.join("; ")), 6);
    let text = about["description"].as_str().or_else(|| resolve(about, schema)["description"].as_str());
    paragraph(out, text.unwrap_or_default(), 6);
}

/// Line ends of doc comments are no line ends; empty lines are.
fn paragraph(out: &mut String, text: &str, indent: usize) {
    for (at, part) in text.split("\n\n").enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in wrap(&part, WIDTH - indent) {
            let _ = writeln!(out, "{}{line}", " ".repeat(indent));
        }
    }
}

/// The schema a `$ref` leads to.
fn resolve<'a>(about: &'a Value, schema: &'a Value) -> &'a Value {
    let target = about["$ref"].as_str().and_then(|path| schema.pointer(path.strip_prefix('#')?));
    target.unwrap_or(about)
}

/// A type in words.
fn type_of(about: &Value, schema: &Value) -> String {
    typed(about, schema, 0)
}

fn typed(about: &Value, schema: &Value, depth: usize) -> String {
    let about = resolve(about, schema);
    if depth > 4 {
        return "any".into();
    }
    if let Some(names) = about["enum"].as_array() {
        let names: Vec<String> = names.iter().filter(|name| !name.is_null()).map(plain).collect();
        return names.join(" | ");
    }
    if let Some(one) = about.get("const") {
        return plain(one);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(list) = about[key].as_array() {
            let mut names: Vec<String> = Vec::new();
            for one in list.iter().filter(|one| one["type"] != "null") {
                let name = typed(one, schema, depth + 1);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            return names.join(" | ");
        }
    }
    let of = |name: &str| match name {
        "string" => "text".to_string(),
        "integer" | "number" => "number".to_string(),
        "boolean" => "true | false".to_string(),
        "array" => match about.get("items") {
            Some(items) => format!("list of {}", typed(items, schema, depth + 1)),
            None => "list".to_string(),
        },
        "object" => "mapping".to_string(),
        other => other.to_string(),
    };
    match &about["type"] {
        Value::String(name) => of(name),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.map(of).collect::<Vec<_>>().join(" | ")
        }
        _ => "any".into(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manual_fits_the_width_and_names_every_argument() {
        for kind in modules::KINDS {
            let schema = serde_json::to_value((kind.schema)()).unwrap();
            let text = manual(kind, &schema);
            // Examples are shown as they are written.
            let own = text.split("\nEXAMPLE\n").next().unwrap();
            let wide = own.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(wide, None, "{}", kind.name);
            assert!(!kind.summary.is_empty() && !kind.example.is_empty(), "{}", kind.name);
            for (name, about) in schema["properties"].as_object().into_iter().flatten() {
                let hidden = name.starts_with('_') || name.ends_with('_');
                assert!(hidden || text.contains(&format!("\n  {name}\n")), "{} {name}", kind.name);
                let said = about["description"].as_str().or_else(|| resolve(about, &schema)["description"].as_str());
                assert!(hidden || said.is_some(), "{}: `{name}` has no doc comment", kind.name);
            }
        }
        assert!(list().lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn types_in_words() {
        let schema = serde_json::json!({"$defs": {"State": {"enum": ["present", "absent"]}}});
        for (about, expected) in [
            (serde_json::json!({"type": "string"}), "text"),
            (serde_json::json!({"type": ["string", "null"]}), "text"),
            (serde_json::json!({"type": "array", "items": {"type": "integer"}}), "list of number"),
            (serde_json::json!({"$ref": "#/$defs/State"}), "present | absent"),
            (serde_json::json!({"anyOf": [{"$ref": "#/$defs/State"}, {"type": "null"}]}), "present | absent"),
            (serde_json::json!({"oneOf": [{"const": "a"}, {"const": "b"}]}), "a | b"),
            (serde_json::json!(true), "any"),
        ] {
            assert_eq!(type_of(&about, &schema), expected);
        }
    }
}
