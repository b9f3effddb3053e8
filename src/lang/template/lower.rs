//! From text to [`syntax`]: minijinja's parser does the reading; its tree is turned into ours, the only place that knows it.
//!
//! Here live the differences between the parser and Ansible: backslashes in `{{ … }}` of a playbook are plain characters,
//! and expressions have a depth limit, so that nothing later can exhaust the stack.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use minijinja::machinery::Span;
use minijinja::machinery::ast;
use minijinja::machinery::parse as parse_template;
use minijinja::machinery::parse_expr;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::value::ValueKind;

use crate::lang::filters;
use crate::lang::template::syntax::*;

/// Expressions nested deeper than this are refused.
const DEEPEST: usize = 400;
/// The longest text that is read as a template, in bytes.
const LONGEST: usize = 4 << 20;
/// The longest `{{ … }}` or `{% … %}`, in bytes.
const LONGEST_TAG: usize = 64 << 10;
/// Stack the parser may need for each byte of a tag: it recurses for each sign of `---x` and each link of a chain.
const STACK_PER_BYTE: usize = 2048;

/// How a text is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Text in a playbook: backslashes in `{{ }}` stay as they are.
    Inline,
    /// An expression without braces.
    Expression,
    /// A template file, or what it includes.
    File(Style),
}

/// What the first line `#jinja2: …` of a template file can change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Style {
    pub(crate) trim_blocks: bool,
    pub(crate) lstrip_blocks: bool,
    pub(crate) keep_trailing_newline: bool,
    pub(crate) newline: String,
    pub(crate) block: [String; 2],
    pub(crate) variable: [String; 2],
    pub(crate) comment: [String; 2],
}

impl Default for Style {
    fn default() -> Style {
        let pair = |open: &str, close: &str| [open.to_string(), close.to_string()];
        Style {
            trim_blocks: true,
            lstrip_blocks: false,
            keep_trailing_newline: false,
            newline: "\n".into(),
            block: pair("{%", "%}"),
            variable: pair("{{", "}}"),
            comment: pair("{#", "#}"),
        }
    }
}

/// A fault in a template and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SyntaxFault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) at: Range<usize>,
}

type Low<T> = Result<T, SyntaxFault>;

fn refuse<T>(at: Range<usize>, message: impl Into<String>) -> Low<T> {
    Err(SyntaxFault { message: message.into(), help: None, at })
}

/// Parses a text. The tree owns what it needs.
pub(crate) fn parse(text: &str, mode: &Mode) -> Low<Unit> {
    if text.len() > LONGEST {
        return refuse(0..0, format!("a template longer than {} MiB is unsupported", LONGEST >> 20));
    }
    let tag = match mode {
        Mode::Expression => text.len(),
        Mode::Inline => longest_tag(text, &Style::default()),
        Mode::File(style) => longest_tag(text, style),
    };
    if tag > LONGEST_TAG {
        return refuse(0..0, format!("an expression longer than {} KiB is unsupported", LONGEST_TAG >> 10));
    }
    let stack = (1 << 20) + tag * STACK_PER_BYTE;
    stacker::maybe_grow(stack, stack + (64 << 10), || parse_here(text, mode))
}

fn longest_tag(text: &str, style: &Style) -> usize {
    let mut longest = 0;
    for [open, close] in [&style.variable, &style.block] {
        let mut rest = text;
        while let Some(start) = rest.find(open.as_str()).filter(|_| !open.is_empty()) {
            rest = &rest[start + open.len()..];
            let end = rest.find(close.as_str()).unwrap_or(rest.len());
            longest = longest.max(end);
            rest = &rest[end..];
        }
    }
    longest
}

fn parse_here(text: &str, mode: &Mode) -> Low<Unit> {
    let fault = |error: minijinja::Error| syntax_fault(text, &error);
    let kept = if *mode == Mode::Expression { Cow::Borrowed(text) } else { keep_raw_newlines(text) };
    let text = &*kept;
    let mut lower = Lower { text, raw: false, depth: 0 };
    let body = match mode {
        Mode::Expression => Body::Expression(lower.expr(&parse_expr(text).map_err(fault)?)?),
        Mode::Inline => {
            let syntax = config(&Style::default()).map_err(fault)?;
            lower.raw = true;
            Body::Template(lower.template(&parse_template(text, "", syntax).map_err(fault)?)?)
        }
        Mode::File(style) => {
            let syntax = config(style).map_err(fault)?;
            Body::Template(lower.template(&parse_template(text, "", syntax).map_err(fault)?)?)
        }
    };
    Ok(Unit { body })
}

/// Jinja keeps the newline after `{% raw %}` where the parser takes it away: `{% raw+%}`, as long, keeps it there too.
fn keep_raw_newlines(text: &str) -> Cow<'_, str> {
    let mut kept = Cow::Borrowed(text);
    let mut from = 0;
    while let Some(at) = text[from..].find("{%").map(|at| from + at) {
        from = at + 2;
        let inner = text[from..].trim_start_matches(['-', '+']).trim_start();
        let Some(rest) = inner.strip_prefix("raw") else { continue };
        let tail = rest.trim_start_matches([' ', '\t']);
        if tail.starts_with("%}") && tail.len() < rest.len() {
            let blank = text.len() - tail.len() - 1;
            kept.to_mut().replace_range(blank..=blank, "+");
        }
        from = text[from..].find("endraw").map_or(text.len(), |end| from + end);
    }
    kept
}

fn config(style: &Style) -> Result<SyntaxConfig, minijinja::Error> {
    let [block, variable, comment] =
        [&style.block, &style.variable, &style.comment].map(|[a, b]| (a.clone(), b.clone()));
    SyntaxConfig::builder()
        .trim_blocks(style.trim_blocks)
        .lstrip_blocks(style.lstrip_blocks)
        .keep_trailing_newline(style.keep_trailing_newline)
        .block_delimiters(block.0, block.1)
        .variable_delimiters(variable.0, variable.1)
        .comment_delimiters(comment.0, comment.1)
        .build()
}

fn syntax_fault(text: &str, error: &minijinja::Error) -> SyntaxFault {
    let detail = error.detail().unwrap_or("the text cannot be read as a template").to_string();
    let at = error.range().unwrap_or(0..text.len());
    let message = format!("syntax error in the template: {detail}");
    SyntaxFault { message, help: syntax_help(text, &detail), at }
}

fn syntax_help(text: &str, detail: &str) -> Option<String> {
    let help = if detail.starts_with("unknown statement") {
        "statements are for, if, set, with, macro, call, filter, block, include, import, from, extends and raw"
    } else if detail.contains("end of string") {
        "a quote is not closed"
    } else if detail.contains("end of input") && text.contains("{%") {
        "a block is not closed: each `for`, `if`, `macro` needs its `endfor`, `endif`, `endmacro`"
    } else if detail.contains("end of variable block") {
        "write `}}` after the expression, and an operator between two values"
    } else {
        return None;
    };
    Some(help.into())
}

struct Lower<'t> {
    text: &'t str,
    /// Whether backslashes in `{{ }}` are plain characters.
    raw: bool,
    depth: usize,
}

fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..(span.end_offset as usize).max(span.start_offset as usize)
}

impl Lower<'_> {
    fn template(&mut self, root: &ast::Stmt) -> Low<Vec<Stmt>> {
        match root {
            ast::Stmt::Template(template) => self.stmts(&template.children),
            other => Ok(vec![self.stmt(other)?]),
        }
    }

    fn stmts(&mut self, list: &[ast::Stmt]) -> Low<Vec<Stmt>> {
        list.iter().map(|one| self.stmt(one)).collect()
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Low<Stmt> {
        if let ast::Stmt::EmitExpr(print) = stmt {
            return Ok(Stmt::Print(self.expr(&print.expr)?));
        }
        // Only `{{ }}` keeps its backslashes; `{% %}` never did.
        let raw = std::mem::replace(&mut self.raw, false);
        let lowered = self.block(stmt, raw);
        self.raw = raw;
        lowered
    }

    fn body(&mut self, list: &[ast::Stmt], raw: bool) -> Low<Vec<Stmt>> {
        let before = std::mem::replace(&mut self.raw, raw);
        let body = self.stmts(list);
        self.raw = before;
        body
    }

    fn block(&mut self, stmt: &ast::Stmt, raw: bool) -> Low<Stmt> {
        Ok(match stmt {
            ast::Stmt::EmitRaw(text) => Stmt::Raw(Arc::from(text.raw)),
            ast::Stmt::Template(one) => Stmt::With(Vec::new(), self.body(&one.children, raw)?),
            ast::Stmt::EmitExpr(print) => Stmt::Print(self.expr(&print.expr)?),
            ast::Stmt::IfCond(one) => {
                Stmt::If(self.expr(&one.expr)?, self.body(&one.true_body, raw)?, self.body(&one.false_body, raw)?)
            }
            ast::Stmt::ForLoop(one) => self.for_loop(one, raw)?,
            ast::Stmt::WithBlock(one) => {
                let sets = one.assignments.iter().map(|(target, expr)| Ok((self.target(target)?, self.expr(expr)?)));
                Stmt::With(sets.collect::<Low<_>>()?, self.body(&one.body, raw)?)
            }
            ast::Stmt::Set(one) => Stmt::Set(self.target(&one.target)?, self.expr(&one.expr)?),
            ast::Stmt::SetBlock(one) => {
                let filter = one.filter.as_ref().map(|chain| self.expr(chain)).transpose()?;
                Stmt::SetBlock(self.target(&one.target)?, filter, self.body(&one.body, raw)?)
            }
            ast::Stmt::AutoEscape(one) => Stmt::With(Vec::new(), self.body(&one.body, raw)?),
            ast::Stmt::FilterBlock(one) => Stmt::FilterBlock(self.expr(&one.filter)?, self.body(&one.body, raw)?),
            ast::Stmt::Macro(one) => Stmt::Macro(Arc::new(self.macro_decl(one, raw)?)),
            ast::Stmt::CallBlock(one) => {
                let call = self.call(&one.call)?;
                let call = Expr { at: range(one.call.span()), kind: call };
                Stmt::CallBlock(call, Arc::new(self.macro_decl(&one.macro_decl, raw)?))
            }
            ast::Stmt::Continue(_) => Stmt::Continue,
            ast::Stmt::Break(_) => Stmt::Break,
            ast::Stmt::Do(one) => Stmt::Do(Expr { at: range(one.call.span()), kind: self.call(&one.call)? }),
            ast::Stmt::Block(one) => {
                Stmt::Block(Arc::new(Block { name: Arc::from(one.name), body: self.body(&one.body, raw)? }))
            }
            ast::Stmt::Extends(one) => Stmt::Extends(self.expr(&one.name)?),
            ast::Stmt::Include(one) => {
                Stmt::Include(self.expr(&one.name)?, if one.ignore_missing { Missing::Ignore } else { Missing::Fault })
            }
            ast::Stmt::Import(one) => Stmt::Import(self.expr(&one.expr)?, self.name(&one.name)?),
            ast::Stmt::FromImport(one) => {
                let names = one.names.iter().map(|(name, alias)| {
                    let name = self.name(name)?;
                    Ok((name.clone(), alias.as_ref().map_or(Ok(name), |alias| self.name(alias))?))
                });
                let names = names.collect::<Low<_>>()?;
                Stmt::FromImport(self.expr(&one.expr)?, names)
            }
        })
    }

    fn for_loop(&mut self, one: &ast::ForLoop, raw: bool) -> Low<Stmt> {
        Ok(Stmt::For(Arc::new(For {
            target: self.target(&one.target)?,
            iter: self.expr(&one.iter)?,
            filter: one.filter_expr.as_ref().map(|expr| self.expr(expr)).transpose()?,
            recursive: one.recursive,
            body: self.body(&one.body, raw)?,
            otherwise: self.body(&one.else_body, raw)?,
        })))
    }

    fn macro_decl(&mut self, one: &ast::Macro, raw: bool) -> Low<Macro> {
        let plain = one.args.len() - one.defaults.len().min(one.args.len());
        let mut params = Vec::new();
        for (at, arg) in one.args.iter().enumerate() {
            let default = at.checked_sub(plain).and_then(|at| one.defaults.get(at));
            params.push((self.name(arg)?, default.map(|expr| self.expr(expr)).transpose()?));
        }
        Ok(Macro { name: Arc::from(one.name), params, body: self.body(&one.body, raw)? })
    }

    fn name(&mut self, expr: &ast::Expr) -> Low<Arc<str>> {
        match expr {
            ast::Expr::Var(var) => Ok(Arc::from(var.id)),
            other => refuse(range(other.span()), format!("expected a name, found a {}", other.description())),
        }
    }

    fn target(&mut self, expr: &ast::Expr) -> Low<Target> {
        match expr {
            ast::Expr::Var(var) => Ok(Target::Name(Arc::from(var.id))),
            ast::Expr::GetAttr(attr) => Ok(Target::Attr(self.name(&attr.expr)?, Arc::from(attr.name))),
            ast::Expr::List(list) => {
                list.items.iter().map(|one| self.target(one)).collect::<Low<_>>().map(Target::Many)
            }
            ast::Expr::Tuple(list) => {
                list.items.iter().map(|one| self.target(one)).collect::<Low<_>>().map(Target::Many)
            }
            other => refuse(range(other.span()), "a value can only be set to a name"),
        }
    }

    fn boxed(&mut self, expr: &ast::Expr) -> Low<Box<Expr>> {
        self.expr(expr).map(Box::new)
    }

    fn exprs(&mut self, list: &[ast::Expr]) -> Low<Vec<Expr>> {
        list.iter().map(|one| self.expr(one)).collect()
    }

    fn expr(&mut self, expr: &ast::Expr) -> Low<Expr> {
        let at = range(expr.span());
        self.depth += 1;
        if self.depth > DEEPEST {
            return refuse(at, format!("an expression nested deeper than {DEEPEST} levels is unsupported"));
        }
        let kind = self.kind(expr)?;
        self.depth -= 1;
        let start = self.start(&kind).unwrap_or(at.start);
        Ok(Expr { at: start..at.end.max(start), kind })
    }

    /// Where an expression really begins: the parser counts some from the token before, or from the last dot.
    fn start(&self, kind: &ExprKind) -> Option<usize> {
        match kind {
            ExprKind::Attr(first, _)
            | ExprKind::Item(first, _)
            | ExprKind::Slice(first, _)
            | ExprKind::Call(first, _) => Some(first.at.start),
            ExprKind::And(first, _) | ExprKind::Or(first, _) | ExprKind::Binary(_, first, _) => Some(first.at.start),
            ExprKind::Compare(first, _) => Some(first.at.start),
            ExprKind::If(_, first, _) => Some(first.at.start),
            ExprKind::Not(inner) if !self.text[..inner.at.start].trim_end().ends_with("not") => Some(inner.at.start),
            _ => None,
        }
    }

    fn kind(&mut self, expr: &ast::Expr) -> Low<ExprKind> {
        Ok(match expr {
            ast::Expr::Var(var) => ExprKind::Name(Arc::from(var.id)),
            ast::Expr::Const(one) => self.constant(&one.value, range(one.span()))?,
            ast::Expr::Slice(one) => {
                let mut part = |expr: &Option<ast::Expr>| expr.as_ref().map(|expr| self.boxed(expr)).transpose();
                let parts = [part(&one.start)?, part(&one.stop)?, part(&one.step)?];
                ExprKind::Slice(self.boxed(&one.expr)?, parts)
            }
            ast::Expr::UnaryOp(one) => match one.op {
                ast::UnaryOpKind::Not => ExprKind::Not(self.boxed(&one.expr)?),
                ast::UnaryOpKind::Neg => ExprKind::Neg(self.boxed(&one.expr)?),
            },
            ast::Expr::BinOp(one) => self.binary(one)?,
            ast::Expr::Compare(one) => {
                let first = self.boxed(&one.expr)?;
                let rest = one.ops.iter().map(|op| Ok((compare(&op.op), self.expr(&op.expr)?)));
                ExprKind::Compare(first, rest.collect::<Low<_>>()?)
            }
            ast::Expr::IfExpr(one) => {
                let otherwise = one.false_expr.as_ref().map(|expr| self.boxed(expr)).transpose()?;
                ExprKind::If(self.boxed(&one.test_expr)?, self.boxed(&one.true_expr)?, otherwise)
            }
            ast::Expr::Filter(one) => {
                let input = one.expr.as_ref().map(|expr| self.boxed(expr)).transpose()?;
                ExprKind::Filter(input, Arc::from(one.name), filters::filter(one.name), self.args(&one.args)?)
            }
            ast::Expr::Test(one) => ExprKind::Test(
                self.boxed(&one.expr)?,
                Arc::from(one.name),
                filters::test(one.name),
                self.args(&one.args)?,
            ),
            ast::Expr::GetAttr(one) => ExprKind::Attr(self.boxed(&one.expr)?, Arc::from(one.name)),
            ast::Expr::GetItem(one) => ExprKind::Item(self.boxed(&one.expr)?, self.boxed(&one.subscript_expr)?),
            ast::Expr::Call(one) => self.call(one)?,
            ast::Expr::List(one) => ExprKind::List(self.exprs(&one.items)?),
            ast::Expr::Tuple(one) => ExprKind::Tuple(self.exprs(&one.items)?),
            ast::Expr::Map(one) => {
                let pairs = one.keys.iter().zip(&one.values);
                ExprKind::Map(pairs.map(|(key, value)| Ok((self.expr(key)?, self.expr(value)?))).collect::<Low<_>>()?)
            }
        })
    }

    fn call(&mut self, one: &ast::Call) -> Low<ExprKind> {
        Ok(ExprKind::Call(self.boxed(&one.expr)?, self.args(&one.args)?))
    }

    fn args(&mut self, list: &[ast::CallArg]) -> Low<Vec<Arg>> {
        let lowered = list.iter().map(|arg| {
            Ok(match arg {
                ast::CallArg::Pos(expr) => Arg::Plain(self.expr(expr)?),
                ast::CallArg::Kwarg(name, expr) => Arg::Named(Arc::from(*name), self.expr(expr)?),
                ast::CallArg::PosSplat(expr) => Arg::Star(self.expr(expr)?),
                ast::CallArg::KwargSplat(expr) => Arg::StarStar(self.expr(expr)?),
            })
        });
        lowered.collect()
    }

    fn binary(&mut self, one: &ast::BinOp) -> Low<ExprKind> {
        let left = self.boxed(&one.left)?;
        let right = self.boxed(&one.right)?;
        let compared = match one.op {
            ast::BinOpKind::ScAnd => return Ok(ExprKind::And(left, right)),
            ast::BinOpKind::ScOr => return Ok(ExprKind::Or(left, right)),
            ast::BinOpKind::Add => return Ok(ExprKind::Binary(Binary::Add, left, right)),
            ast::BinOpKind::Sub => return Ok(ExprKind::Binary(Binary::Sub, left, right)),
            ast::BinOpKind::Mul => return Ok(ExprKind::Binary(Binary::Mul, left, right)),
            ast::BinOpKind::Div => return Ok(ExprKind::Binary(Binary::Div, left, right)),
            ast::BinOpKind::FloorDiv => return Ok(ExprKind::Binary(Binary::FloorDiv, left, right)),
            ast::BinOpKind::Rem => return Ok(ExprKind::Binary(Binary::Rem, left, right)),
            ast::BinOpKind::Pow => return Ok(ExprKind::Binary(Binary::Pow, left, right)),
            ast::BinOpKind::Concat => return Ok(ExprKind::Binary(Binary::Concat, left, right)),
            ast::BinOpKind::Eq => Compare::Eq,
            ast::BinOpKind::Ne => Compare::Ne,
            ast::BinOpKind::Lt => Compare::Lt,
            ast::BinOpKind::Lte => Compare::Le,
            ast::BinOpKind::Gt => Compare::Gt,
            ast::BinOpKind::Gte => Compare::Ge,
            ast::BinOpKind::In => Compare::In,
        };
        Ok(ExprKind::Compare(left, vec![(compared, *right)]))
    }

    fn constant(&mut self, value: &Value, at: Range<usize>) -> Low<ExprKind> {
        Ok(match value.kind() {
            ValueKind::Bool => ExprKind::Bool(value.is_true()),
            ValueKind::Number if value.is_integer() => match i128::try_from(value.clone()) {
                Ok(int) => ExprKind::Int(int),
                Err(_) => return refuse(at, "a number of more than 127 bits is unsupported"),
            },
            ValueKind::Number => ExprKind::Float(f64::try_from(value.clone()).unwrap_or(f64::NAN)),
            ValueKind::String => {
                let parsed = value.as_str().unwrap_or_default();
                let quoted = self.text.get(at).filter(|_| self.raw).and_then(unescaped);
                ExprKind::Str(Arc::from(quoted.as_deref().unwrap_or(parsed)))
            }
            _ => ExprKind::None,
        })
    }
}

/// The text between quotes as it stands; several literals in a row are one.
fn unescaped(literals: &str) -> Option<String> {
    let mut whole = String::new();
    let mut rest = literals.trim();
    while let Some(quote) = rest.chars().next().filter(|one| ['"', '\''].contains(one)) {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|&(_, one)| {
            let ends = one == quote && !escaped;
            escaped = one == '\\' && !escaped;
            ends
        })?;
        whole.push_str(&rest[1..end.0]);
        rest = rest[end.0 + 1..].trim_start();
    }
    rest.is_empty().then_some(whole)
}

fn compare(op: &ast::CompareOpKind) -> Compare {
    match op {
        ast::CompareOpKind::Eq => Compare::Eq,
        ast::CompareOpKind::Ne => Compare::Ne,
        ast::CompareOpKind::Lt => Compare::Lt,
        ast::CompareOpKind::Lte => Compare::Le,
        ast::CompareOpKind::Gt => Compare::Gt,
        ast::CompareOpKind::Gte => Compare::Ge,
        ast::CompareOpKind::In => Compare::In,
        ast::CompareOpKind::NotIn => Compare::NotIn,
    }
}
