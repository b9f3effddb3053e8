//! Expressions: from a syntax tree and an environment to a value.
//!
//! A missing or unknown value travels as a marker and stops the evaluation only where it is used, so that `default`, `is defined`
//! and short-circuits see it first.

use std::cmp::Ordering;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Span;
use crate::lang::lookup::Lookup;
use crate::lang::template::lower::Mode;
use crate::lang::template::ops;
use crate::lang::template::place::Place;
use crate::lang::template::python;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::Env;
use crate::lang::template::scope::entry;
use crate::lang::template::syntax::*;
use crate::lang::template::val::*;

/// Containers nested deeper than this are refused.
const DEEPEST: usize = 200;

impl Cx<'_> {
    /// A text of a playbook: exactly one `{{ … }}` gives its value, anything else is joined as text.
    pub(crate) fn inline(&mut self, span: &Span, text: &str, scope: &Arc<dyn Lookup>) -> Res {
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return Ok(Val::str(text));
        }
        let place = Place::Scalar(span.clone(), Arc::from(text));
        let unit = self.templates.unit(text, &Mode::Inline, &place)?;
        let env = Env::new(scope, place);
        self.within(env, |cx| match &unit.body {
            Body::Expression(expr) => cx.eval(expr),
            Body::Template(stmts) => {
                let out = cx.template(stmts)?;
                let value = cx.native(out)?;
                Ok(with_newlines(value, text))
            }
        })
    }

    /// Evaluates an expression; a fault without a place gets the place of the expression.
    pub(crate) fn eval(&mut self, expr: &Expr) -> Res {
        self.burn(1)?;
        let done = stacker::maybe_grow(128 << 10, 1 << 20, || self.kind(expr));
        match done {
            Ok(Val::Undefined(absent)) => Ok(Val::Undefined(self.placed_absent(absent, &expr.at))),
            Ok(value) => Ok(value),
            Err(stop) => Err(self.placed(stop, &expr.at)),
        }
    }

    fn placed_absent(&self, absent: Rc<Absent>, at: &Range<usize>) -> Rc<Absent> {
        if absent.fault.span.is_some() {
            return absent;
        }
        Rc::new(Absent::new(absent.diagnostic().at(&self.env.place.span(at))))
    }

    pub(crate) fn placed(&self, stop: Stop, at: &Range<usize>) -> Stop {
        match stop {
            Stop::Error(fault) if fault.span.is_none() => Stop::Error(Box::new(fault.at(&self.env.place.span(at)))),
            Stop::Undefined(absent) => Stop::Undefined(self.placed_absent(absent, at)),
            other => other,
        }
    }

    fn kind(&mut self, expr: &Expr) -> Res {
        Ok(match &expr.kind {
            ExprKind::Name(name) => self.name(name, &expr.at)?,
            ExprKind::None => Val::None,
            ExprKind::Bool(value) => Val::Bool(*value),
            ExprKind::Int(value) => Val::Int(*value),
            ExprKind::Float(value) => Val::Float(*value),
            ExprKind::Str(text) if self.env.nested && text.contains("{{") => {
                let span = self.env.place.span(&expr.at);
                let scope = self.env.scope.clone();
                self.inline(&span, text, &scope)?
            }
            ExprKind::Str(text) => Val::Str(text.clone()),
            ExprKind::List(items) => Val::list(self.evals(items)?),
            ExprKind::Tuple(items) => Val::tuple(self.evals(items)?),
            ExprKind::Map(pairs) => {
                let mut made = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    made.push((Key::from(&self.eval(key)?)?, self.eval(value)?));
                }
                Val::map(made)
            }
            ExprKind::Not(_) | ExprKind::Neg(_) | ExprKind::And(..) | ExprKind::Or(..) => self.operator(expr)?,
            ExprKind::Binary(..) | ExprKind::Compare(..) | ExprKind::If(..) => self.operator(expr)?,
            ExprKind::Attr(inner, name) => {
                let value = self.eval(inner)?;
                self.attr(&value, name, &expr.at)?
            }
            ExprKind::Item(inner, key) => {
                let value = self.eval(inner)?;
                let key = self.eval(key)?;
                self.item(&value, &key, &expr.at)?
            }
            ExprKind::Slice(inner, parts) => self.slice(inner, parts)?,
            ExprKind::Call(callee, args) => self.call_expr(callee, args, &expr.at)?,
            ExprKind::Filter(input, name, filter, args) => {
                let input = match input {
                    Some(input) => self.eval(input)?,
                    None => self.block_input.take().unwrap_or(Val::None),
                };
                self.filter_expr(input, name, *filter, args)?
            }
            ExprKind::Test(input, name, test, args) => {
                let input = self.eval(input)?;
                self.test_expr(input, name, *test, args)?
            }
        })
    }

    fn operator(&mut self, expr: &Expr) -> Res {
        Ok(match &expr.kind {
            ExprKind::Not(inner) => {
                let value = self.eval(inner)?;
                Val::Bool(!self.truth(&value)?)
            }
            ExprKind::Neg(inner) => {
                let value = self.used(inner)?;
                ops::negate(&value)?
            }
            ExprKind::And(left, right) => {
                let left = self.eval(left)?;
                if self.truth(&left)? { self.eval(right)? } else { left }
            }
            ExprKind::Or(left, right) => {
                let left = self.eval(left)?;
                if self.truth(&left)? { left } else { self.eval(right)? }
            }
            ExprKind::Binary(Binary::Concat, left, right) => {
                let (left, right) = (self.eval(left)?, self.eval(right)?);
                ops::binary(self, Binary::Concat, &left, &right)?
            }
            ExprKind::Binary(op, left, right) => {
                let (left, right) = (self.used(left)?, self.used(right)?);
                ops::binary(self, *op, &left, &right)?
            }
            ExprKind::Compare(first, rest) => Val::Bool(self.compared(first, rest)?),
            ExprKind::If(test, then, otherwise) => {
                let test = self.eval(test)?;
                match (self.truth(&test)?, otherwise) {
                    (true, _) => self.eval(then)?,
                    (false, Some(otherwise)) => self.eval(otherwise)?,
                    (false, None) => self.blank(&expr.at),
                }
            }
            _ => Val::None,
        })
    }

    fn evals(&mut self, list: &[Expr]) -> Res<Vec<Val>> {
        list.iter().map(|one| self.eval(one)).collect()
    }

    /// An operand: not missing, not unknown, opened.
    fn used(&mut self, expr: &Expr) -> Res {
        let value = self.eval(expr)?;
        let value = need(value)?;
        self.open(&value)
    }

    fn blank(&self, at: &Range<usize>) -> Val {
        let fault = Diagnostic::error("the inline `if` is false and has no `else`").at(&self.env.place.span(at));
        let fault = fault.help("add `else ''`, or `else omit` to leave the argument out");
        Val::Undefined(Rc::new(Absent { fault, near: None, blank: true }))
    }

    /// Whether a value counts as true; missing and unknown values stop here.
    pub(crate) fn truth(&mut self, value: &Val) -> Res<bool> {
        match value {
            Val::Undefined(absent) if absent.blank => Ok(false),
            Val::Undefined(absent) => Err(Stop::Undefined(absent.clone())),
            Val::Unknown(pending) => Err(Stop::Unknown(pending.clone())),
            Val::Lazy(lazy) => {
                let whole = lazy.whole.borrow().clone();
                match whole {
                    Some(whole) => Ok(whole.truthy()),
                    None => Ok(!self.keys(lazy)?.is_empty()),
                }
            }
            other => Ok(other.truthy()),
        }
    }

    /// A value with everything in it made: no markers, nothing lazy. Omitted entries are gone.
    pub(crate) fn deep(&mut self, value: &Val) -> Res {
        if self.is_plain(value, 0)? { Ok(value.clone()) } else { self.plain(value, 0) }
    }

    fn is_plain(&mut self, value: &Val, depth: usize) -> Res<bool> {
        self.burn(1)?;
        if depth > DEEPEST {
            return fail(format!("a value nested deeper than {DEEPEST} levels is unsupported"));
        }
        let mut all = |items: &[Val]| {
            for item in items {
                if !self.is_plain(item, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match value {
            Val::Undefined(_) | Val::Unknown(_) | Val::Lazy(_) => Ok(false),
            Val::Omit => Ok(depth == 0),
            Val::List(list) => all(&list.0.borrow()),
            Val::Tuple(items) => all(items),
            Val::Map(map) => {
                for item in map.0.borrow().values() {
                    if !self.is_plain(item, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Val::Str(text) => self.burn_text(text.len()).map(|()| true),
            _ => Ok(true),
        }
    }

    fn plain(&mut self, value: &Val, depth: usize) -> Res {
        self.burn(1)?;
        if depth > DEEPEST {
            return fail(format!("a value nested deeper than {DEEPEST} levels is unsupported"));
        }
        let value = need(value.clone())?;
        let opened = self.deeper(|cx| cx.open(&value))?;
        Ok(match &opened {
            Val::List(list) => Val::list(self.plain_items(&list.0.borrow().clone(), depth)?),
            Val::Tuple(items) => Val::tuple(self.plain_items(items, depth)?),
            Val::Map(map) => {
                let entries: Vec<(Key, Val)> = map.0.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                let mut made = Vec::with_capacity(entries.len());
                for (key, item) in entries {
                    match self.plain(&item, depth + 1)? {
                        Val::Omit => {}
                        item => made.push((key, item)),
                    }
                }
                Val::map(made)
            }
            _ => opened,
        })
    }

    fn plain_items(&mut self, items: &[Val], depth: usize) -> Res<Vec<Val>> {
        let mut made = Vec::with_capacity(items.len());
        for item in items {
            match self.plain(item, depth + 1)? {
                Val::Omit => {}
                item => made.push(item),
            }
        }
        Ok(made)
    }

    /// What `str()` gives, once everything in it is made.
    pub(crate) fn text(&mut self, value: &Val) -> Res<Arc<str>> {
        match value {
            Val::Str(text) => Ok(text.clone()),
            Val::Undefined(absent) if absent.blank => Ok(Arc::from("")),
            _ => {
                let value = self.deep(value)?;
                let text = value.to_shared_text();
                self.burn_text(text.len())?;
                Ok(text)
            }
        }
    }

    /// The elements of anything that can be iterated: characters, keys, items.
    pub(crate) fn items(&mut self, value: &Val) -> Res<Vec<Val>> {
        let value = need(value.clone())?;
        let items: Vec<Val> = match self.open(&value)? {
            Val::List(list) => list.0.borrow().clone(),
            Val::Tuple(items) => items.to_vec(),
            Val::Map(map) => map.0.borrow().keys().map(Key::val).collect(),
            Val::Str(text) => text.chars().map(|one| Val::str(one.to_string())).collect(),
            other => return fail(format!("{} cannot be iterated", other.a_type())),
        };
        self.burn(items.len())?;
        Ok(items)
    }

    fn compared(&mut self, first: &Expr, rest: &[(Compare, Expr)]) -> Res<bool> {
        let mut left = present(self.eval(first)?)?;
        for (op, right) in rest {
            let right = present(self.eval(right)?)?;
            if !self.compare(*op, &left, &right)? {
                return Ok(false);
            }
            left = right;
        }
        Ok(true)
    }

    pub(crate) fn compare(&mut self, op: Compare, left: &Val, right: &Val) -> Res<bool> {
        match op {
            Compare::In => return self.contains(right, left),
            Compare::NotIn => return Ok(!self.contains(right, left)?),
            _ => {}
        }
        let (left, right) = (self.deep(left)?, self.deep(right)?);
        Ok(match op {
            Compare::Eq => python::equal(&left, &right),
            Compare::Ne => !python::equal(&left, &right),
            Compare::Lt => python::order(&left, &right)? == Ordering::Less,
            Compare::Le => python::equal(&left, &right) || python::order(&left, &right)? == Ordering::Less,
            Compare::Gt => python::order(&left, &right)? == Ordering::Greater,
            _ => python::equal(&left, &right) || python::order(&left, &right)? == Ordering::Greater,
        })
    }

    /// `item in container`
    pub(crate) fn contains(&mut self, container: &Val, item: &Val) -> Res<bool> {
        let item = self.deep(item)?;
        match container {
            Val::Str(text) => match &item {
                Val::Str(part) => Ok(text.contains(&**part)),
                other => fail(format!("`in` text needs text on its left, not {}", other.a_type())),
            },
            Val::Map(_) | Val::Namespace(_) => Ok(entry(container, &Key::from(&item)?).is_some()),
            Val::Lazy(lazy) if !lazy.is_list() => {
                let key = Key::from(&item)?;
                Ok(self.keys(lazy)?.contains(&key))
            }
            Val::List(_) | Val::Tuple(_) | Val::Lazy(_) => {
                for one in self.items(container)? {
                    let one = self.deep(&one)?;
                    if python::equal(&one, &item) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            other => {
                need(other.clone())?;
                fail(format!("`in` needs text, a list or a mapping on its right, not {}", other.a_type()))
            }
        }
    }
}

/// The value, unless it is missing or unknown.
pub(crate) fn need(value: Val) -> Res {
    match value {
        Val::Undefined(absent) => Err(Stop::Undefined(absent)),
        Val::Unknown(pending) => Err(Stop::Unknown(pending)),
        other => Ok(other),
    }
}

/// As [`need`]; what prints as nothing compares as nothing.
fn present(value: Val) -> Res {
    match value {
        Val::Undefined(absent) if absent.blank => Ok(Val::None),
        other => need(other),
    }
}

/// The first marker among values that a filter or test is about to use.
pub(crate) fn marker(values: &[Val]) -> Option<Val> {
    values.iter().find(|value| matches!(value, Val::Undefined(_) | Val::Unknown(_))).cloned()
}

/// Text keeps the newlines its template ends with; the parser takes one away.
pub(crate) fn with_newlines(value: Val, template: &str) -> Val {
    let count = |text: &str| text.len() - text.trim_end_matches('\n').len();
    match &value {
        Val::Str(text) if count(template) > count(text) => {
            Val::str(format!("{text}{}", "\n".repeat(count(template) - count(text))))
        }
        _ => value,
    }
}
