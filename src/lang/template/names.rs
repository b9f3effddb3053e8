//! What a template reads, and what is wrong with it before it runs.
//!
//! Names the template sets itself are not reported. Knows nothing of values.

use std::ops::Range;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Source;
use crate::lang::filters;
use crate::lang::node::Node;
use crate::lang::node::Tree;
use crate::lang::template::Name;
use crate::lang::template::Part;
use crate::lang::template::Templates;
use crate::lang::template::files;
use crate::lang::template::lower::Mode;
use crate::lang::template::place::Place;
use crate::lang::template::syntax::*;

/// Walks one parsed text.
struct Walk<'p> {
    place: &'p Place,
    /// Names set so far, by scope; a name is only looked for, never removed from an outer one.
    locals: Vec<Vec<Arc<str>>>,
    names: Vec<Name>,
    faults: Diagnostics,
}

/// The parsed texts of a tree, each with its place.
fn texts(node: &Node, visit: &mut dyn FnMut(&Node, &str)) {
    match &node.tree {
        Tree::Text(text) if node.is_live() => visit(node, &text.text),
        Tree::List(items) => items.iter().for_each(|item| texts(item, visit)),
        Tree::Map(entries) => entries.iter().for_each(|(_, item)| texts(item, visit)),
        _ => {}
    }
}

/// The texts of an expression or a list of them, with or without braces.
fn expressions(node: &Node, visit: &mut dyn FnMut(&Node, &str, Mode)) {
    match &node.tree {
        Tree::Text(text) => {
            let trimmed = text.text.trim();
            let braced = trimmed.starts_with("{{") || trimmed.starts_with("{%");
            visit(node, trimmed, if braced { Mode::Inline } else { Mode::Expression });
        }
        Tree::List(items) => items.iter().for_each(|item| expressions(item, visit)),
        _ => {}
    }
}

fn walk(templates: &Templates, text: &str, mode: &Mode, place: &Place) -> (Vec<Name>, Diagnostics) {
    match templates.unit(text, mode, place) {
        Err(fault) => (Vec::new(), fault.into()),
        Ok(unit) => {
            let mut walk = Walk { place, locals: vec![Vec::new()], names: Vec::new(), faults: Diagnostics::default() };
            match &unit.body {
                Body::Expression(expr) => walk.expr(expr, false),
                Body::Template(stmts) => walk.stmts(stmts),
            }
            let mut names = walk.names;
            guard(&mut names);
            (names, walk.faults)
        }
    }
}

/// A name whose absence is allowed for somewhere in the text is allowed for in all of it.
fn guard(names: &mut [Name]) {
    let guarded: Vec<Vec<Part>> = names.iter().filter(|name| name.guarded).map(|name| name.parts.clone()).collect();
    for name in names {
        name.guarded |= guarded.iter().any(|parts| name.parts.starts_with(parts));
    }
}

fn scalar(node: &Node, text: &str) -> Place {
    Place::Scalar(node.span.clone(), Arc::from(text))
}

pub(super) fn of_tree(templates: &Templates, node: &Node) -> Vec<Name> {
    let mut names = Vec::new();
    texts(node, &mut |node, text| names.extend(walk(templates, text, &Mode::Inline, &scalar(node, text)).0));
    names
}

pub(super) fn of_expression(templates: &Templates, node: &Node) -> Vec<Name> {
    let mut names = Vec::new();
    expressions(node, &mut |node, text, mode| names.extend(walk(templates, text, &mode, &scalar(node, text)).0));
    names
}

fn file(templates: &Templates, source: &Arc<Source>) -> (Vec<Name>, Diagnostics) {
    match files::styled(source) {
        Err(fault) => (Vec::new(), fault.into()),
        Ok((start, style)) => {
            let text = source.text.get(start..).unwrap_or_default();
            walk(templates, text, &Mode::File(style), &Place::File(source.clone(), start))
        }
    }
}

pub(super) fn of_file(templates: &Templates, source: &Arc<Source>) -> Vec<Name> {
    file(templates, source).0
}

pub(super) fn check_tree(templates: &Templates, node: &Node) -> Diagnostics {
    let mut faults = Diagnostics::default();
    texts(node, &mut |node, text| faults.extend(walk(templates, text, &Mode::Inline, &scalar(node, text)).1));
    faults
}

pub(super) fn check_expression(templates: &Templates, node: &Node) -> Diagnostics {
    let mut faults = Diagnostics::default();
    expressions(node, &mut |node, text, mode| {
        let place = scalar(node, text);
        faults.extend(walk(templates, text, &mode, &place).1);
        if mode == Mode::Inline && text.starts_with("{{") {
            let warning =
                Diagnostic::warning("a condition is an expression already; braces are not needed").at(&node.span);
            let inner = text.trim_start_matches("{{").trim_end_matches("}}").trim();
            faults.push(if inner.contains("}}") {
                warning.help("write `x == 1`, not `{{ x }} == 1`")
            } else {
                warning.help(format!("write `{inner}`"))
            });
        }
    });
    faults
}

pub(super) fn check_file(templates: &Templates, source: &Arc<Source>) -> Diagnostics {
    file(templates, source).1
}

impl Walk<'_> {
    fn is_local(&self, name: &str) -> bool {
        let implied = ["loop", "self", "super", "caller", "varargs", "kwargs", "omit"];
        implied.contains(&name) || self.locals.iter().flatten().any(|one| &**one == name)
    }

    fn define(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.define_name(name),
            Target::Attr(..) => {}
            Target::Many(targets) => targets.iter().for_each(|target| self.define(target)),
        }
    }

    fn define_name(&mut self, name: &Arc<str>) {
        if let Some(scope) = self.locals.last_mut() {
            scope.push(name.clone());
        }
    }

    fn scoped(&mut self, work: impl FnOnce(&mut Self)) {
        self.locals.push(Vec::new());
        work(self);
        self.locals.pop();
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        stmts.iter().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Raw(_) | Stmt::Break | Stmt::Continue => {}
            Stmt::Print(expr) | Stmt::Do(expr) | Stmt::Extends(expr) | Stmt::Include(expr, _) => self.expr(expr, false),
            Stmt::If(test, then, otherwise) => {
                self.expr(test, false);
                self.stmts(then);
                self.stmts(otherwise);
            }
            Stmt::For(one) => {
                self.expr(&one.iter, false);
                self.scoped(|walk| {
                    walk.define(&one.target);
                    one.filter.iter().for_each(|filter| walk.expr(filter, false));
                    walk.stmts(&one.body);
                });
                self.scoped(|walk| walk.stmts(&one.otherwise));
            }
            Stmt::Set(target, expr) => {
                self.expr(expr, false);
                self.define(target);
            }
            Stmt::SetBlock(target, filter, body) => {
                self.scoped(|walk| walk.stmts(body));
                filter.iter().for_each(|filter| self.expr(filter, false));
                self.define(target);
            }
            Stmt::With(sets, body) => self.scoped(|walk| {
                for (target, expr) in sets {
                    walk.expr(expr, false);
                    walk.define(target);
                }
                walk.stmts(body);
            }),
            Stmt::FilterBlock(filter, body) => {
                self.expr(filter, false);
                self.scoped(|walk| walk.stmts(body));
            }
            Stmt::Macro(one) => {
                self.define_name(&one.name);
                self.macro_body(one);
            }
            Stmt::CallBlock(call, one) => {
                self.expr(call, false);
                self.macro_body(one);
            }
            Stmt::Block(block) => self.scoped(|walk| walk.stmts(&block.body)),
            Stmt::Import(expr, name) => {
                self.expr(expr, false);
                self.define_name(name);
            }
            Stmt::FromImport(expr, names) => {
                self.expr(expr, false);
                names.iter().for_each(|(_, here)| self.define_name(here));
            }
        }
    }

    fn macro_body(&mut self, one: &Macro) {
        self.scoped(|walk| {
            for (name, default) in &one.params {
                default.iter().for_each(|expr| walk.expr(expr, false));
                walk.define_name(name);
            }
            walk.stmts(&one.body);
        });
    }

    fn fault(&mut self, fault: Diagnostic, at: &Range<usize>) {
        self.faults.push(fault.at(&self.place.span(at)));
    }

    fn expr(&mut self, expr: &Expr, guarded: bool) {
        match &expr.kind {
            ExprKind::Name(_) | ExprKind::Attr(..) | ExprKind::Item(..) => self.path(expr, guarded),
            ExprKind::None | ExprKind::Bool(_) | ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_) => {}
            ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().for_each(|item| self.expr(item, false)),
            ExprKind::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                self.expr(key, false);
                self.expr(value, false);
            }),
            ExprKind::Not(inner) | ExprKind::Neg(inner) => self.expr(inner, false),
            ExprKind::And(left, right) | ExprKind::Or(left, right) | ExprKind::Binary(_, left, right) => {
                self.expr(left, false);
                self.expr(right, false);
            }
            ExprKind::Compare(first, rest) => {
                self.expr(first, false);
                rest.iter().for_each(|(_, one)| self.expr(one, false));
            }
            ExprKind::If(test, then, otherwise) => {
                self.expr(test, false);
                self.expr(then, guarded);
                otherwise.iter().for_each(|one| self.expr(one, guarded));
            }
            ExprKind::Slice(inner, parts) => {
                self.expr(inner, guarded);
                parts.iter().flatten().for_each(|one| self.expr(one, false));
            }
            ExprKind::Call(callee, args) => self.call(callee, args, expr, guarded),
            ExprKind::Filter(input, name, filter, args) => {
                let guards = ["default", "d", "mandatory", "type_debug"].contains(&filters::short(name));
                if filter.is_none() {
                    self.fault(filters::no_filter(name), &expr.at);
                }
                // A filter passes a missing value on, so what comes after it may still allow for it.
                input.iter().for_each(|input| self.expr(input, guards || guarded));
                self.args(args);
                self.named_filter(filters::short(name), args, &expr.at);
            }
            ExprKind::Test(input, name, test, args) => {
                if test.is_none() {
                    self.fault(filters::no_test(name), &expr.at);
                }
                self.expr(input, ["defined", "undefined"].contains(&&**name));
                self.args(args);
            }
        }
    }

    fn args(&mut self, args: &[Arg]) {
        args.iter().for_each(|arg| self.expr(arg.expr(), false));
    }

    /// The filter or test that `map` and `select` are given by name.
    fn named_filter(&mut self, filter: &str, args: &[Arg], at: &Range<usize>) {
        let place = match filter {
            "map" | "select" | "reject" => 0,
            "selectattr" | "rejectattr" => 1,
            _ => return,
        };
        let Some(Arg::Plain(Expr { kind: ExprKind::Str(name), .. })) = args.get(place) else { return };
        if filter == "map" && filters::filter(name).is_none() {
            self.fault(filters::no_filter(name), at);
        }
        if filter != "map" && filters::test(name).is_none() {
            self.fault(filters::no_test(name), at);
        }
    }

    fn call(&mut self, callee: &Expr, args: &[Arg], whole: &Expr, guarded: bool) {
        self.args(args);
        match &callee.kind {
            ExprKind::Name(name) if !self.is_local(name) && filters::function(name).is_some() => {
                let called = ["lookup", "query", "q"].contains(&&**name);
                if let Some(Arg::Plain(Expr { kind: ExprKind::Str(lookup), .. })) = args.first().filter(|_| called) {
                    self.lookup(lookup, args, whole);
                }
            }
            ExprKind::Name(name) if !self.is_local(name) && filters::unsupported_function(name).is_some() => {
                self.fault(filters::no_function(name), &callee.at);
            }
            // `x.items()` reads x.
            ExprKind::Attr(inner, _) => self.expr(inner, guarded),
            _ => self.expr(callee, guarded),
        }
    }

    fn lookup(&mut self, lookup: &str, args: &[Arg], whole: &Expr) {
        if let Some(fault) = filters::lookups::unknown(lookup) {
            self.fault(fault, &whole.at);
        }
        if filters::short(lookup) == "vars" {
            let guarded = args.iter().any(|arg| matches!(arg, Arg::Named(name, _) if &**name == "default"));
            for arg in &args[1..] {
                if let Arg::Plain(Expr { kind: ExprKind::Str(name), at }) = arg {
                    let parts = vec![Part::Key(name.to_string())];
                    self.names.push(Name { parts, span: self.place.span(at), guarded });
                }
            }
        }
    }

    /// A chain of attributes and subscripts down to a name.
    fn path(&mut self, expr: &Expr, guarded: bool) {
        let mut parts = Vec::new();
        let mut at = expr;
        loop {
            match &at.kind {
                ExprKind::Attr(inner, name) => {
                    parts.push(Part::Key(name.to_string()));
                    at = inner;
                }
                ExprKind::Item(inner, key) => {
                    parts.push(match &key.kind {
                        ExprKind::Str(name) => Part::Key(name.to_string()),
                        ExprKind::Int(index) => i64::try_from(*index).map_or(Part::Computed, Part::Index),
                        _ => {
                            self.expr(key, false);
                            Part::Computed
                        }
                    });
                    at = inner;
                }
                ExprKind::Name(name) => {
                    if self.is_local(name) {
                        return;
                    }
                    parts.push(Part::Key(name.to_string()));
                    parts.reverse();
                    let span = self.place.span(&(at.at.start..expr.at.end.max(at.at.end)));
                    self.names.push(Name { parts, span, guarded });
                    return;
                }
                _ => return self.expr(at, guarded),
            }
        }
    }
}
