//! The way out: from what evaluation gives to trees, values, conditions and faults.

use std::sync::Arc;

use minijinja::value::Value;

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::filters::lookups;
use crate::lang::lookup::Fault;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::Pending;
use crate::lang::node::Key as Written;
use crate::lang::node::Node;
use crate::lang::node::Text;
use crate::lang::node::Tree;
use crate::lang::template::Templates;
use crate::lang::template::call::Args;
use crate::lang::template::eval::need;
use crate::lang::template::lower::Mode;
use crate::lang::template::place::Place;
use crate::lang::template::python::repr;
use crate::lang::template::scope::Cx;
use crate::lang::template::syntax::Body;
use crate::lang::template::val::*;

/// What stops a rendering, for those outside; with a place in any case.
pub(super) fn fault(stop: Stop, span: &Span) -> Fault {
    match stop {
        Stop::Undefined(absent) => absent.diagnostic().at(span).into(),
        Stop::Unknown(pending) => Fault::Unknown(pending.to_vec()),
        Stop::Error(diagnostic) => Fault::Error(Box::new(diagnostic.at(span))),
        Stop::Break | Stop::Continue => {
            Diagnostic::error("`break` and `continue` stand only in a loop").at(span).into()
        }
    }
}

/// Renders a tree. All unknowns are gathered, but an error counts first.
pub(super) fn render(templates: &Templates, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Option<Node>, Fault> {
    if !node.is_live() {
        return Ok(Some(node.clone()));
    }
    let mut cx = Cx::new(templates, scope, Place::Scalar(node.span.clone(), Arc::from("")));
    let mut pending = Vec::new();
    let rendered = tree(&mut cx, node, scope, &mut pending)?;
    if pending.is_empty() { Ok(rendered) } else { Err(Fault::Unknown(pending)) }
}

fn tree(cx: &mut Cx, node: &Node, scope: &Arc<dyn Lookup>, pending: &mut Vec<Pending>) -> Result<Option<Node>, Fault> {
    let rendered = match &node.tree {
        Tree::Text(text) if text.live => return rendered_text(cx, node, text, scope, pending),
        Tree::List(items) => {
            let mut made = Vec::with_capacity(items.len());
            for item in items {
                made.extend(tree(cx, item, scope, pending)?);
            }
            Tree::List(made)
        }
        Tree::Map(entries) => {
            let mut made = Vec::with_capacity(entries.len());
            for (key, item) in entries {
                made.extend(tree(cx, item, scope, pending)?.map(|item| (key.clone(), item)));
            }
            Tree::Map(made)
        }
        _ => return Ok(Some(node.clone())),
    };
    Ok(Some(Node::new(&node.span, rendered)))
}

fn rendered_text(
    cx: &mut Cx,
    node: &Node,
    text: &Text,
    scope: &Arc<dyn Lookup>,
    pending: &mut Vec<Pending>,
) -> Result<Option<Node>, Fault> {
    let value = cx.inline(&node.span, &text.text, scope).and_then(|value| cx.deep(&value));
    match value {
        Ok(Val::Omit) => Ok(None),
        Ok(value) => Ok(Some(to_node(&node.span, &value)?)),
        Err(Stop::Unknown(more)) => {
            pending.extend(more.iter().filter(|one| !pending.contains(one)).cloned().collect::<Vec<_>>());
            Ok(None)
        }
        Err(stop) => Err(fault(stop, &node.span)),
    }
}

/// A made value as a tree that is never rendered again.
pub(super) fn to_node(span: &Span, value: &Val) -> Result<Node, Diagnostic> {
    let refuse = |what: String| Err(Diagnostic::error(what).at(span));
    let tree = match value {
        Val::None | Val::Omit => Tree::Null,
        Val::Bool(value) => Tree::Bool(*value),
        Val::Int(value) => match i64::try_from(*value) {
            Ok(value) => Tree::Int(value),
            Err(_) => return refuse(format!("the number {value} needs more than 64 bits: unsupported")),
        },
        Val::Float(value) => Tree::Float(*value),
        Val::Str(text) => Tree::Text(Text { text: text.to_string(), live: false }),
        Val::Moment(_) | Val::Duration(_) => Tree::Text(Text { text: value.to_text(), live: false }),
        Val::List(list) => {
            Tree::List(list.0.borrow().iter().map(|item| to_node(span, item)).collect::<Result<_, _>>()?)
        }
        Val::Tuple(items) => Tree::List(items.iter().map(|item| to_node(span, item)).collect::<Result<_, _>>()?),
        Val::Map(map) | Val::Namespace(map) => {
            let mut entries = Vec::new();
            for (key, item) in map.0.borrow().iter() {
                let key = match key {
                    Key::Bool(value) => Written::plain(span, value.to_string()),
                    Key::Int(_) | Key::Float(_) => Written::plain(span, key.name()),
                    _ => Written { span: span.clone(), name: key.name() },
                };
                entries.push((key, to_node(span, item)?));
            }
            Tree::Map(entries)
        }
        other => {
            let help = "a function is called with `()`";
            return Err(Diagnostic::error(format!("the template gives {}, which is no value", other.a_type()))
                .at(span)
                .help(help));
        }
    };
    Ok(Node::new(span, tree))
}

/// What makes an expression of a tree: its text, or itself when it is no text.
fn evaluated(templates: &Templates, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Val, Fault> {
    let wrong = |stop: Stop| fault(stop, &node.span);
    let mut cx = Cx::new(templates, scope, Place::Scalar(node.span.clone(), Arc::from("")));
    let Tree::Text(text) = &node.tree else { return cx.literal(node).map_err(wrong) };
    let trimmed = text.text.trim();
    if trimmed.is_empty() {
        return Err(Diagnostic::error("the expression is empty").at(&node.span).help("leave the line out").into());
    }
    let mut source = trimmed.to_string();
    if is_braced(trimmed) {
        let value =
            cx.inline(&node.span, trimmed, scope).and_then(need).and_then(|value| cx.deep(&value)).map_err(wrong)?;
        match value {
            // Braces may stand for the expression itself.
            Val::Str(inner) => source = inner.trim().to_string(),
            other => return Ok(other),
        }
    }
    let place = Place::Scalar(node.span.clone(), Arc::from(source.as_str()));
    let unit = templates.unit(&source, &Mode::Expression, &place).map_err(|fault| braces_help(fault, &source))?;
    let mut cx = Cx::new(templates, scope, place);
    cx.env.nested = true;
    let Body::Expression(expr) = &unit.body else { return Ok(Val::None) };
    cx.eval(expr).and_then(need).and_then(|value| cx.deep(&value)).map_err(wrong)
}

fn is_braced(text: &str) -> bool {
    (text.starts_with("{{") && text.ends_with("}}")) || (text.starts_with("{%") && text.ends_with("%}"))
}

fn braces_help(fault: Diagnostic, source: &str) -> Diagnostic {
    if source.contains("{{") {
        let mut fault = fault;
        fault.help = Some("an expression stands without braces: `x == 1`, not `{{ x }} == 1`".into());
        return fault;
    }
    fault
}

pub(super) fn expression(templates: &Templates, node: &Node, scope: &Arc<dyn Lookup>) -> Result<Value, Fault> {
    let value = evaluated(templates, node, scope)?;
    Ok(to_node(&node.span, &value)?.to_value())
}

/// One condition: a boolean, or an expression that gives one.
pub(super) fn condition(templates: &Templates, node: &Node, scope: &Arc<dyn Lookup>) -> Result<bool, Fault> {
    match &node.tree {
        Tree::Bool(value) => return Ok(*value),
        Tree::List(list) => {
            for one in list {
                if !condition(templates, one, scope)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        Tree::Text(_) => {}
        _ => {
            let fault =
                Diagnostic::error(format!("a condition must be an expression, not {}", node.kind())).at(&node.span);
            return Err(fault.help("write `true`, `false` or an expression such as `x == 1`").into());
        }
    }
    let value = evaluated(templates, node, scope)?;
    match &value {
        Val::Bool(value) => Ok(*value),
        other => Err(no_boolean(node, other).into()),
    }
}

fn no_boolean(node: &Node, value: &Val) -> Diagnostic {
    let shown = repr(value);
    let shown = if shown.chars().count() > 30 { String::new() } else { format!(" {shown}") };
    let fault =
        Diagnostic::error(format!("the condition gives {}{shown}, not a boolean", value.a_type())).at(&node.span);
    let text = node.as_text().unwrap_or_default().trim();
    let simple = !text.contains([' ', '(', '{']);
    fault.help(match value {
        _ if !simple => "end it with a comparison, a test or `| bool`".to_string(),
        Val::Str(_) => format!("write `{text} | bool` for yes/no text, or `{text} | length > 0`"),
        Val::Int(_) | Val::Float(_) => format!("write `{text} != 0`"),
        Val::None => format!("write `{text} is not none`"),
        _ => format!("write `{text} | length > 0`"),
    })
}

/// The items a `with_…` loop goes through.
pub(super) fn query(
    templates: &Templates,
    name: &str,
    terms: &Node,
    scope: &Arc<dyn Lookup>,
) -> Result<Vec<Node>, Fault> {
    let wrong = |stop: Stop| fault(stop, &terms.span);
    let terms_node = templates.render(terms, scope)?;
    let mut cx = Cx::new(templates, scope, Place::Scalar(terms.span.clone(), Arc::from("")));
    let value = cx.literal(&terms_node).map_err(wrong)?;
    let plain = match &value {
        Val::List(list) => list.0.borrow().clone(),
        _ => vec![value],
    };
    let found = lookups::run(&mut cx, name, Args::new(name, plain, Vec::new())).map_err(wrong)?.unwrap_or_default();
    let mut nodes = Vec::new();
    for item in found {
        let item = cx.deep(&item).map_err(wrong)?;
        nodes.push(to_node(&terms.span, &item)?);
    }
    Ok(nodes)
}
