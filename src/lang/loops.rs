//! Loops: how they are written, and how their values become items.
//!
//! Pure: values are rendered before they come here.

use minijinja::value::Value;
use minijinja::value::ValueKind;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Span;
use crate::lang::keyword::Keywords;
use crate::lang::node::Key;
use crate::lang::node::Node;
use crate::lang::sequence;
use crate::lang::word;

/// `loop:` or one of the `with_` family.
#[derive(Debug, Clone)]
pub struct Loop {
    /// The keyword.
    pub span: Span,
    pub kind: LoopKind,
    pub over: Node,
    pub control: LoopControl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopKind {
    /// `loop`, `with_list`: a list as it stands.
    List,
    /// `with_items`: lists inside are flattened by one level.
    Items,
    /// `with_flattened`: flattened to the ground.
    Flattened,
    /// `with_dict`: entries with `key` and `value`.
    Dict,
    /// `with_nested`, `with_cartesian`: every combination.
    Nested,
    /// `with_together`: one of each, side by side.
    Together,
    /// `with_sequence`: numbers, formatted.
    Sequence,
    /// `with_subelements`: pairs of an element and one of its sub-elements.
    Subelements,
    /// `with_indexed_items`: pairs of number and item.
    IndexedItems,
    /// `with_fileglob`: files here that match; the caller looks them up.
    FileGlob,
    /// `with_first_found`: the first file here that exists; the caller looks it up.
    FirstFound,
}

/// `loop_control:`.
#[derive(Debug, Clone)]
pub struct LoopControl {
    /// The name of the item, `item` by default.
    pub variable: String,
    pub index_variable: Option<Key>,
    /// What is shown in place of the item.
    pub label: Option<Node>,
    /// Seconds between items.
    pub pause: Option<Node>,
    /// Whether `ansible_loop` is set.
    pub extended: Option<Node>,
    /// Whether `ansible_loop` holds all items, too; the default is yes.
    pub all_items: Option<Node>,
}

impl Default for LoopControl {
    fn default() -> LoopControl {
        LoopControl {
            variable: "item".into(),
            index_variable: None,
            label: None,
            pause: None,
            extended: None,
            all_items: None,
        }
    }
}

/// The `with_` family: what each means, or what to write instead.
const WITH: &[(&str, Result<LoopKind, &str>)] = &[
    ("with_list", Ok(LoopKind::List)),
    ("with_items", Ok(LoopKind::Items)),
    ("with_flattened", Ok(LoopKind::Flattened)),
    ("with_dict", Ok(LoopKind::Dict)),
    ("with_nested", Ok(LoopKind::Nested)),
    ("with_cartesian", Ok(LoopKind::Nested)),
    ("with_together", Ok(LoopKind::Together)),
    ("with_sequence", Ok(LoopKind::Sequence)),
    ("with_subelements", Ok(LoopKind::Subelements)),
    ("with_indexed_items", Ok(LoopKind::IndexedItems)),
    ("with_fileglob", Ok(LoopKind::FileGlob)),
    ("with_first_found", Ok(LoopKind::FirstFound)),
    ("with_file", Err("loop over the names and read with `lookup('file', item)`")),
    ("with_filetree", Err("copy a directory with `copy: src=dir/`")),
    ("with_lines", Err("register a command and loop over its `stdout_lines`")),
    ("with_pipe", Err("register a command and loop over its `stdout_lines`")),
    ("with_random_choice", Err("a testbed should be the same each time: choose an item yourself")),
    ("with_inventory_hostnames", Err("loop over `groups['name']`")),
    ("with_template", Err("use `lookup('template', …)`")),
    ("with_env", Err("use `lookup('env', …)`")),
    ("with_password", Err("use `lookup('password', …)`")),
    ("with_url", Err("use the kind `uri`")),
    ("with_dig", Err("register a command and loop over its `stdout_lines`")),
    ("with_varnames", Err("use `query('varnames', …)`")),
];

/// Names of the `with_` family that can be written.
pub fn with_names() -> impl Iterator<Item = &'static str> {
    WITH.iter().filter(|(_, kind)| kind.is_ok()).map(|(name, _)| *name)
}

/// The loop of a task: from `loop`, or one of the `with_` entries that are no keywords.
pub(crate) fn read(words: &Keywords<'_>, faults: &mut Diagnostics) -> Option<Loop> {
    let mut found: Vec<(&Key, &Node, LoopKind)> = Vec::new();
    found.extend(words.entry("loop").map(|(key, node)| (key, node, LoopKind::List)));
    for (key, node) in words.rest.iter().filter(|(key, _)| key.name.starts_with("with_")) {
        match WITH.iter().find(|(name, _)| *name == key.name) {
            Some((_, Ok(kind))) => found.push((key, node, *kind)),
            Some((name, Err(instead))) => {
                faults.push(Diagnostic::error(format!("`{name}` is unsupported")).at(&key.span).help(*instead));
            }
            None => {
                let fault = Diagnostic::error(format!("there is no loop `{}`", key.name)).at(&key.span);
                let fault = fault.suggest(&key.name, with_names().chain(["loop"]));
                faults.push(if fault.help.is_none() { fault.help("use `loop:` with a list") } else { fault });
            }
        }
    }
    if let [(first, ..), (second, ..), ..] = found.as_slice() {
        let fault = Diagnostic::error(format!("a task has one loop, found `{}` and `{}`", first.name, second.name));
        faults.push(fault.at(&second.span).note(&first.span, "the other one").help("remove one of the two"));
    }
    let control = words.get("loop_control").map(|node| control(node, faults)).unwrap_or_default();
    let (key, over, kind) = found.into_iter().next()?;
    if key.name == "loop" && over.as_list().is_none() && !over.is_live() {
        let fault = Diagnostic::error(format!("`loop` needs a list, found {}", over.kind())).at(&over.span);
        faults.push(match over.as_map() {
            Some(_) => fault.help("use `with_dict`, or `loop: \"{{ … | dict2items }}\"`"),
            None => fault.help("write a list, or a template in braces and quotes"),
        });
    }
    Some(Loop { span: key.span.clone(), kind, over: over.clone(), control })
}

fn control(node: &Node, faults: &mut Diagnostics) -> LoopControl {
    let mut control = LoopControl::default();
    for (key, node) in word::mapping(node, faults) {
        match key.name.as_str() {
            "loop_var" => control.variable = word::variable(&node, faults).map_or(control.variable, |key| key.name),
            "index_var" => control.index_variable = word::variable(&node, faults),
            "label" => control.label = Some(node),
            "pause" => control.pause = word::count(&node, faults),
            "extended" => control.extended = word::flag(&node, faults),
            "extended_allitems" => control.all_items = word::flag(&node, faults),
            "break_when" => {
                let fault = Diagnostic::error("`break_when` is unsupported: all items run side by side or not at all");
                faults.push(fault.at(&key.span).help("choose the items before the loop"));
            }
            other => {
                let known = ["loop_var", "index_var", "label", "pause", "extended", "extended_allitems"];
                let fault = Diagnostic::error(format!("unknown key `{other}` in loop_control")).at(&key.span);
                faults.push(fault.suggest(other, known));
            }
        }
    }
    control
}

/// The most items one loop may have.
pub const MAX_ITEMS: usize = 100_000;

/// The items of a loop from the rendered value. The error is a sentence.
///
/// For [`LoopKind::FileGlob`] and [`LoopKind::FirstFound`] these are the patterns and names; the caller looks them up.
pub fn expand(kind: LoopKind, value: &Value) -> Result<Vec<Value>, String> {
    let items = match kind {
        LoopKind::List => list(value).ok_or_else(|| format!("a loop needs a list, found {}", kind_of(value)))?,
        LoopKind::Items | LoopKind::FileGlob => flat(&listed(value), 1),
        LoopKind::Flattened => flat(&listed(value), 16),
        LoopKind::Dict => dict(value)?,
        LoopKind::Nested => nested(&listed(value))?,
        LoopKind::Together => together(&listed(value)),
        LoopKind::Sequence => {
            flat(&listed(value), 1).iter().map(sequence::expand).collect::<Result<Vec<_>, _>>()?.concat()
        }
        LoopKind::Subelements => subelements(&listed(value))?,
        LoopKind::IndexedItems => {
            let items = flat(&listed(value), 1);
            items.into_iter().enumerate().map(|(at, item)| Value::from(vec![Value::from(at), item])).collect()
        }
        LoopKind::FirstFound => first_found(value),
    };
    match items.len() > MAX_ITEMS {
        true => Err(format!("the loop has {} items, more than {MAX_ITEMS}", items.len())),
        false => Ok(items),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => "nothing",
        ValueKind::Map => "a mapping",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::String => "text",
        ValueKind::Bool => "a boolean",
        _ => "a single value",
    }
}

/// The items of a list; `None` for anything else, also for mappings and text.
fn list(value: &Value) -> Option<Vec<Value>> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value.try_iter().ok().map(Iterator::collect),
        _ => None,
    }
}

/// A list, or a single value as a list of it.
fn listed(value: &Value) -> Vec<Value> {
    list(value).unwrap_or_else(|| vec![value.clone()])
}

fn flat(items: &[Value], levels: usize) -> Vec<Value> {
    let mut out = Vec::new();
    for item in items {
        match list(item).filter(|_| levels > 0) {
            Some(inner) => out.extend(flat(&inner, levels - 1)),
            None => out.push(item.clone()),
        }
    }
    out
}

fn dict(value: &Value) -> Result<Vec<Value>, String> {
    let maps = match value.kind() {
        ValueKind::Map => vec![value.clone()],
        _ => listed(value),
    };
    let mut items = Vec::new();
    for map in maps {
        if map.kind() != ValueKind::Map {
            return Err(format!("`with_dict` needs a mapping, found {}", kind_of(&map)));
        }
        for key in map.try_iter().map_err(|error| error.to_string())? {
            let item = map.get_item(&key).map_err(|error| error.to_string())?;
            items.push(Value::from_pairs([("key", key), ("value", item)]));
        }
    }
    Ok(items)
}

/// Every combination of one of each, the last list the fastest.
fn nested(lists: &[Value]) -> Result<Vec<Value>, String> {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for one in lists {
        let items = listed(one);
        if rows.len().saturating_mul(items.len()) > MAX_ITEMS {
            return Err(format!("the loop has more than {MAX_ITEMS} items"));
        }
        let longer = |row: &Vec<Value>, item: &Value| row.iter().chain([item]).cloned().collect();
        rows = rows.iter().flat_map(|row| items.iter().map(move |item| longer(row, item))).collect();
    }
    match lists.is_empty() {
        true => Err("`with_nested` needs at least one list".into()),
        false => Ok(rows.into_iter().map(|row| Value::from(flat(&row, 1))).collect()),
    }
}

/// One of each side by side; a shorter list is filled with nothing.
fn together(lists: &[Value]) -> Vec<Value> {
    let lists: Vec<Vec<Value>> = lists.iter().map(listed).collect();
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| lists.iter().map(|list| list.get(at).cloned().unwrap_or(Value::from(()))).collect::<Vec<_>>();
    (0..longest).map(|at| Value::from(row(at))).collect()
}

/// `[elements, 'path.to.list', {skip_missing: true}]` as pairs.
fn subelements(terms: &[Value]) -> Result<Vec<Value>, String> {
    let (elements, path, flags) = match terms {
        [elements, path] => (elements, path, Value::UNDEFINED),
        [elements, path, flags] => (elements, path, flags.clone()),
        _ => return Err("`with_subelements` needs a list and the name of the list inside".into()),
    };
    let skip = flags.get_attr("skip_missing").is_ok_and(|value| value.is_true());
    let path = path.as_str().ok_or("the second value of `with_subelements` is the name of the list inside")?;
    let elements = match elements.kind() {
        ValueKind::Map => dict(elements)?.iter().filter_map(|entry| entry.get_attr("value").ok()).collect(),
        _ => list(elements).ok_or("the first value of `with_subelements` is a list or a mapping")?,
    };
    let mut pairs = Vec::new();
    for element in elements {
        let mut inner = element.clone();
        for step in path.split('.') {
            inner = inner.get_attr(step).unwrap_or_default();
        }
        match list(&inner) {
            Some(items) => pairs.extend(items.into_iter().map(|item| Value::from(vec![element.clone(), item]))),
            None if skip && inner.is_undefined() => {}
            None if inner.is_undefined() => {
                return Err(format!("an element has no `{path}`: write `skip_missing: true` to pass it over"));
            }
            None => return Err(format!("`{path}` of an element is no list, but {}", kind_of(&inner))),
        }
    }
    Ok(pairs)
}

/// Whether `with_first_found` is content with nothing: `skip: true`.
pub fn may_be_missing(value: &Value) -> bool {
    let skips = |term: &Value| term.get_attr("skip").is_ok_and(|skip| skip.is_true());
    flat(&listed(value), 16).iter().any(skips)
}

/// Names to try: from a list, from `files` and `paths` of mappings, or from text with separators.
fn first_found(value: &Value) -> Vec<Value> {
    let mut names = Vec::new();
    for term in flat(&listed(value), 16) {
        if term.kind() != ValueKind::Map {
            names.push(term);
            continue;
        }
        let words = |name: &str| -> Vec<String> {
            let value = term.get_attr(name).unwrap_or_default();
            let items = if value.is_undefined() { Vec::new() } else { flat(&listed(&value), 16) };
            let split =
                |item: &Value| item.to_string().split([',', ';']).map(|it| it.trim().to_string()).collect::<Vec<_>>();
            items.iter().flat_map(split).filter(|it| !it.is_empty()).collect()
        };
        let (files, paths) = (words("files"), words("paths"));
        match paths.is_empty() {
            true => names.extend(files.into_iter().map(Value::from)),
            false => {
                let joined = paths
                    .iter()
                    .flat_map(|path| files.iter().map(move |file| format!("{}/{file}", path.trim_end_matches('/'))));
                names.extend(joined.map(Value::from));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: LoopKind, value: serde_json::Value, expected: &str) {
        let found = match expand(kind, &Value::from(minijinja::value::Serde(value))) {
            Ok(items) => serde_json::to_string(&items).unwrap(),
            Err(why) => why,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn items_of_each_kind() {
        use serde_json::json;
        check(LoopKind::List, json!([1, [2]]), "[1,[2]]");
        check(LoopKind::List, json!({"a": 1}), "a loop needs a list, found a mapping");
        check(LoopKind::List, json!("a"), "a loop needs a list, found text");
        check(LoopKind::Items, json!([1, [2, [3]]]), "[1,2,[3]]");
        check(LoopKind::Items, json!("a"), "[\"a\"]");
        check(LoopKind::Flattened, json!([1, [2, [3]]]), "[1,2,3]");
        check(LoopKind::Dict, json!({"a": 1, "b": [2]}), r#"[{"key":"a","value":1},{"key":"b","value":[2]}]"#);
        check(LoopKind::Dict, json!([1]), "`with_dict` needs a mapping, found a single value");
        check(LoopKind::Nested, json!([[1, 2], ["a", "b"]]), r#"[[1,"a"],[1,"b"],[2,"a"],[2,"b"]]"#);
        check(LoopKind::Nested, json!([]), "`with_nested` needs at least one list");
        check(LoopKind::Together, json!([[1, 2], ["a"]]), r#"[[1,"a"],[2,null]]"#);
        check(LoopKind::Sequence, json!(["2", "end=1"]), r#"["1","2","1"]"#);
        check(LoopKind::IndexedItems, json!(["a", ["b"]]), r#"[[0,"a"],[1,"b"]]"#);
        check(LoopKind::FileGlob, json!("*.conf"), r#"["*.conf"]"#);
        check(LoopKind::FirstFound, json!([{"files": "a,b", "paths": ["/x/"]}, "c"]), r#"["/x/a","/x/b","c"]"#);
        check(
            LoopKind::Subelements,
            json!([[{"n": 1, "k": {"l": [1, 2]}}, {"n": 2}], "k.l", {"skip_missing": true}]),
            r#"[[{"n":1,"k":{"l":[1,2]}},1],[{"n":1,"k":{"l":[1,2]}},2]]"#,
        );
        check(
            LoopKind::Subelements,
            json!([[{"n": 2}], "k"]),
            "an element has no `k`: write `skip_missing: true` to pass it over",
        );
        check(LoopKind::Subelements, json!([[{"k": 2}], "k"]), "`k` of an element is no list, but a single value");
        check(LoopKind::Subelements, json!([1]), "`with_subelements` needs a list and the name of the list inside");
    }

    #[test]
    fn combinations_are_counted_before_they_are_made() {
        let many: Vec<u8> = vec![0; 200];
        check(
            LoopKind::Nested,
            serde_json::json!([many, many, many, many, many]),
            "the loop has more than 100000 items",
        );
    }
}
