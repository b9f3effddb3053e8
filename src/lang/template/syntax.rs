//! The syntax tree of templates: owned, with every name resolved to its filter, and with places in bytes of the text.
//!
//! Knows nothing of how trees are made (see `lower`) or run (see `eval`).

use std::ops::Range;
use std::sync::Arc;

use crate::lang::filters::Filter;
use crate::lang::filters::Test;

/// One parsed text.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Expression(Expr),
    Template(Vec<Stmt>),
}

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) at: Range<usize>,
    pub(crate) kind: ExprKind,
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Name(Arc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `a < b <= c`
    Compare(Box<Expr>, Vec<(Compare, Expr)>),
    /// test, then, else
    If(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
    Attr(Box<Expr>, Arc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Vec<Arg>),
    /// The input is absent only in `{% filter %}` and `{% set x | … %}`, where it is the block.
    Filter(Option<Box<Expr>>, Arc<str>, Option<&'static Filter>, Vec<Arg>),
    Test(Box<Expr>, Arc<str>, Option<&'static Test>, Vec<Arg>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
}

impl Binary {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::FloorDiv => "//",
            Binary::Rem => "%",
            Binary::Pow => "**",
            Binary::Concat => "~",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Plain(Expr),
    Named(Arc<str>, Expr),
    Star(Expr),
    StarStar(Expr),
}

impl Arg {
    pub(crate) fn expr(&self) -> &Expr {
        match self {
            Arg::Plain(expr) | Arg::Named(_, expr) | Arg::Star(expr) | Arg::StarStar(expr) => expr,
        }
    }
}

/// Where a value is put by `set`, `for`, `with`.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Name(Arc<str>),
    /// `ns.name`
    Attr(Arc<str>, Arc<str>),
    Many(Vec<Target>),
}

#[derive(Debug)]
pub(crate) enum Stmt {
    Raw(Arc<str>),
    Print(Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    For(Arc<For>),
    Set(Target, Expr),
    /// target, filter chain, body
    SetBlock(Target, Option<Expr>, Vec<Stmt>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
    FilterBlock(Expr, Vec<Stmt>),
    Macro(Arc<Macro>),
    /// The called expression and the block it may call as `caller`.
    CallBlock(Expr, Arc<Macro>),
    Do(Expr),
    Break,
    Continue,
    Block(Arc<Block>),
    Extends(Expr),
    Include(Expr, Missing),
    Import(Expr, Arc<str>),
    FromImport(Expr, Vec<(Arc<str>, Arc<str>)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Fault,
    Ignore,
}

#[derive(Debug)]
pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) iter: Expr,
    pub(crate) filter: Option<Expr>,
    pub(crate) recursive: bool,
    pub(crate) body: Vec<Stmt>,
    pub(crate) otherwise: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) name: Arc<str>,
    /// With their defaults.
    pub(crate) params: Vec<(Arc<str>, Option<Expr>)>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) name: Arc<str>,
    pub(crate) body: Vec<Stmt>,
}
