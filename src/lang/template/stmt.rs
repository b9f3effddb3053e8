//! Statements: `if`, `for`, `set`, macros, blocks and what is included from other files.
//!
//! Knows nothing of expressions.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::diag::Source as SourceText;
use crate::lang::lookup::Search;
use crate::lang::template::call::Args;
use crate::lang::template::call::Callable;
use crate::lang::template::eval::need;
use crate::lang::template::files;
use crate::lang::template::place::Place;
use crate::lang::template::python::equal;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::Env;
use crate::lang::template::scope::LONGEST;
use crate::lang::template::syntax::*;
use crate::lang::template::val::*;

/// A block and the text it stands in.
type Placed = (Arc<Block>, Rc<Place>);

/// What a template printed so far, each piece with its type.
#[derive(Default)]
pub(crate) struct Out {
    pieces: Vec<Val>,
    bytes: usize,
}

impl Out {
    /// A single piece keeps its type; several are joined as text. Nothing does not count as a piece.
    fn native(mut self) -> Res {
        match self.pieces.len() {
            0 => Ok(Val::None),
            1 => Ok(self.pieces.pop().unwrap_or(Val::None)),
            _ => self.joined().map(Val::str),
        }
    }

    /// All pieces as text: nothing and `omit` print as nothing, tuples as lists.
    fn joined(self) -> Res<String> {
        let mut text = String::with_capacity(self.bytes);
        for piece in self.pieces {
            match need(piece)? {
                Val::Str(piece) => text.push_str(&piece),
                Val::None | Val::Omit => {}
                other => text.push_str(&other.to_text()),
            }
        }
        Ok(text)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn append(&mut self, other: Out) -> Res<()> {
        self.pieces.extend(other.pieces);
        self.bytes += other.bytes;
        self.check()
    }

    fn check(&self) -> Res<()> {
        if self.bytes > LONGEST {
            return fail(format!("the template makes a text longer than {} MiB", LONGEST >> 20));
        }
        Ok(())
    }
}

/// The blocks of a template and those that override them, the outermost first.
#[derive(Default, Clone)]
pub(crate) struct Blocks {
    overrides: HashMap<Arc<str>, Vec<Placed>>,
    /// The block being printed and how many overrides it skipped.
    pub(crate) current: Option<(Arc<str>, usize)>,
}

/// The `loop` of a `for`.
pub(crate) struct LoopState {
    items: Vec<Val>,
    at: Cell<usize>,
    depth: usize,
    changed: RefCell<Option<Val>>,
    recursive: Option<(Arc<For>, Env)>,
}

impl LoopState {
    pub(crate) fn attr(&self, name: &str) -> Option<Val> {
        let (at, count) = (self.at.get(), self.items.len());
        let int = |value: usize| Some(Val::Int(value as i128));
        match name {
            "index" => int(at + 1),
            "index0" => int(at),
            "revindex" => int(count.saturating_sub(at)),
            "revindex0" => int(count.saturating_sub(at + 1)),
            "first" => Some(Val::Bool(at == 0)),
            "last" => Some(Val::Bool(at + 1 == count)),
            "length" => int(count),
            "depth" => int(self.depth + 1),
            "depth0" => int(self.depth),
            "previtem" => self.items.get(at.checked_sub(1)?).cloned(),
            "nextitem" => self.items.get(at + 1).cloned(),
            _ => None,
        }
    }

    /// `loop.cycle('a', 'b')`
    pub(crate) fn cycle(&self, choices: &[Val]) -> Val {
        choices.get(self.at.get() % choices.len().max(1)).cloned().unwrap_or(Val::None)
    }

    /// Whether the value differs from the last call's.
    pub(crate) fn changed(&self, value: Val) -> bool {
        let before = self.changed.replace(Some(value.clone()));
        !before.is_some_and(|before| equal(&before, &value))
    }
}

impl<'t> Cx<'t> {
    /// A whole template; one that extends another prints that one, with its own blocks.
    pub(crate) fn template(&mut self, stmts: &[Stmt]) -> Res<Out> {
        self.learn_blocks(stmts);
        let Some(at) = stmts.iter().position(|stmt| matches!(stmt, Stmt::Extends(_))) else { return self.stmts(stmts) };
        self.stmts(&stmts[..at])?;
        let Some(Stmt::Extends(name)) = stmts.get(at) else { return Ok(Out::default()) };
        // What stands outside of blocks is not printed, but its `set` and `macro` count.
        for stmt in &stmts[at + 1..] {
            if !matches!(stmt, Stmt::Raw(_) | Stmt::Print(_) | Stmt::Block(_)) {
                self.stmts(std::slice::from_ref(stmt))?;
            }
        }
        let source = self.named_file(name, Missing::Fault)?;
        let Some(source) = source else { return Ok(Out::default()) };
        let mut env = self.env.clone();
        let (unit, place) = files::unit(self.templates, &source)?;
        env.place = Rc::new(place);
        self.within(env, |cx| match &unit.body {
            Body::Template(stmts) => cx.template(stmts),
            Body::Expression(_) => Ok(Out::default()),
        })
    }

    fn learn_blocks(&mut self, stmts: &[Stmt]) {
        let mut found = Vec::new();
        find_blocks(stmts, &mut found);
        if !found.is_empty() {
            let blocks = Rc::make_mut(&mut self.env.blocks);
            for block in found {
                blocks.overrides.entry(block.name.clone()).or_default().push((block, self.env.place.clone()));
            }
        }
    }

    /// Prints the block of a name, after skipping some overrides.
    pub(crate) fn block(&mut self, name: &Arc<str>, level: usize) -> Res<Out> {
        let found = self.env.blocks.overrides.get(name).and_then(|list| list.get(level)).cloned();
        let Some((block, place)) = found else { return fail(format!("there is no block `{name}` to print")) };
        let mut env = self.env.clone();
        env.place = place;
        Rc::make_mut(&mut env.blocks).current = Some((name.clone(), level));
        self.within(env, |cx| cx.framed(|cx| cx.stmts(&block.body)))
    }

    pub(crate) fn stmts(&mut self, list: &[Stmt]) -> Res<Out> {
        let mut out = Out::default();
        for stmt in list {
            match stmt {
                Stmt::Raw(text) => {
                    out.bytes += text.len();
                    out.pieces.push(Val::Str(text.clone()));
                    self.burn_text(text.len())?;
                }
                Stmt::Print(expr) => {
                    let value = self.eval(expr)?;
                    let piece = Self::piece(value);
                    out.bytes += if let Val::Str(text) = &piece { text.len() } else { 16 };
                    out.pieces.push(piece);
                }
                Stmt::If(test, then, otherwise) => {
                    let value = self.eval(test)?;
                    let branch = if self.truth(&value)? { then } else { otherwise };
                    let inner = self.deeper(|cx| cx.stmts(branch))?;
                    out.append(inner)?;
                }
                Stmt::For(one) => {
                    let value = self.eval(&one.iter)?;
                    let inner = self.for_loop(one, &value, 0).map_err(|stop| self.placed(stop, &one.iter.at))?;
                    out.append(inner)?;
                }
                other => {
                    let inner = self.deeper(|cx| cx.other(other))?;
                    out.append(inner)?;
                }
            }
            out.check()?;
        }
        Ok(out)
    }

    /// A printed value. Markers wait: alone, the piece may still become a missing variable.
    fn piece(value: Val) -> Val {
        match value {
            // As it is now: it may be changed later.
            Val::List(list) => Val::list(list.0.borrow().clone()),
            Val::Map(map) => Val::map(map.0.borrow().iter().map(|(key, value)| (key.clone(), value.clone()))),
            other => other,
        }
    }

    fn other(&mut self, stmt: &Stmt) -> Res<Out> {
        match stmt {
            Stmt::Set(target, expr) => {
                let value = self.eval(expr)?;
                self.assign(target, value)?;
            }
            Stmt::SetBlock(target, filter, body) => {
                let mut value = self.framed(|cx| cx.captured(body))?;
                if let Some(filter) = filter {
                    self.block_input = Some(value);
                    value = self.eval(filter)?;
                }
                self.assign(target, value)?;
            }
            Stmt::With(sets, body) => {
                return self.framed(|cx| {
                    for (target, expr) in sets {
                        let value = cx.eval(expr)?;
                        cx.assign(target, value)?;
                    }
                    cx.stmts(body)
                });
            }
            Stmt::FilterBlock(filter, body) => {
                let value = self.framed(|cx| cx.captured(body))?;
                self.block_input = Some(value);
                let value = self.eval(filter)?;
                return Ok(Out { pieces: vec![value], bytes: 16 });
            }
            Stmt::Macro(one) => {
                let value = self.closure(one);
                self.set(&one.name, value);
            }
            Stmt::CallBlock(call, one) => return self.call_block(call, one),
            Stmt::Do(expr) => _ = self.eval(expr)?,
            Stmt::Break => return Err(Stop::Break),
            Stmt::Continue => return Err(Stop::Continue),
            Stmt::Block(block) => return self.block(&block.name, 0),
            Stmt::Extends(_) => return fail("`extends` must stand at the top of the template, not in a block"),
            Stmt::Include(name, missing) => return self.include(name, *missing),
            Stmt::Import(name, target) => {
                let module = self.import(name)?;
                self.set(target, Val::Namespace(module));
            }
            Stmt::FromImport(name, names) => self.import_names(name, names)?,
            Stmt::Raw(_) | Stmt::Print(_) | Stmt::If(..) | Stmt::For(_) => {}
        }
        Ok(Out::default())
    }

    fn include(&mut self, name: &Expr, missing: Missing) -> Res<Out> {
        if let Some(source) = self.named_file(name, missing)? {
            let mut env = self.env.clone();
            let (unit, place) = files::unit(self.templates, &source)?;
            env.place = Rc::new(place);
            env.blocks = Rc::default();
            env.frames.push(Rc::default());
            return self.within(env, |cx| match &unit.body {
                Body::Template(stmts) => cx.template(stmts),
                Body::Expression(_) => Ok(Out::default()),
            });
        }
        Ok(Out::default())
    }

    fn import_names(&mut self, name: &Expr, names: &[(Arc<str>, Arc<str>)]) -> Res<()> {
        let module = self.import(name)?;
        for (name_in, name_here) in names {
            let found = module.0.borrow().get(&Key::Str(name_in.clone())).cloned();
            let fault = || Diagnostic::error(format!("the imported template does not define `{name_in}`"));
            let value = found
                .unwrap_or_else(|| Val::Undefined(Rc::new(Absent::new(fault().at(&self.env.place.span(&name.at))))));
            self.set(name_here, value);
        }
        Ok(())
    }

    /// A body as a value, everything in it made.
    fn captured(&mut self, body: &[Stmt]) -> Res {
        let out = self.stmts(body)?;
        self.native(out)
    }

    /// A single piece keeps its type; several are joined as text.
    pub(crate) fn native(&mut self, mut out: Out) -> Res {
        out.pieces.retain(|piece| !matches!(piece, Val::None));
        self.settled(out)?.native()
    }

    /// Everything as text.
    pub(crate) fn joined(&mut self, mut out: Out) -> Res<String> {
        out.pieces.push(Val::str(""));
        self.settled(out)?.joined()
    }

    /// Makes what the pieces need to be printed: text of lists and mappings.
    fn settled(&mut self, mut out: Out) -> Res<Out> {
        if out.pieces.len() > 1 {
            for piece in &mut out.pieces {
                *piece = match &*piece {
                    Val::Str(_) | Val::None | Val::Omit => continue,
                    Val::Undefined(absent) if absent.blank => Val::None,
                    Val::Undefined(_) | Val::Unknown(_) => need(piece.clone())?,
                    other => {
                        let other = listed(&self.deep(other)?);
                        Val::Str(self.text(&other)?)
                    }
                };
            }
        }
        Ok(out)
    }

    fn assign(&mut self, target: &Target, value: Val) -> Res<()> {
        match target {
            Target::Name(name) => self.set(name, value),
            Target::Attr(name, attr) => match self.name(name, &(0..0))? {
                Val::Namespace(map) => {
                    map.0.borrow_mut().insert(Key::Str(attr.clone()), value);
                }
                _ => return fail(format!("`{name}.{attr}` can only be set when `{name}` is a `namespace()`")),
            },
            Target::Many(targets) => {
                let items = self.items(&value)?;
                if items.len() != targets.len() {
                    let [wanted, got] = [targets.len(), items.len()];
                    return fail(format!("{wanted} names are set, but the value has {got} parts"));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item)?;
                }
            }
        }
        Ok(())
    }

    fn for_loop(&mut self, one: &Arc<For>, value: &Val, depth: usize) -> Res<Out> {
        let mut items = self.items(value)?;
        let env = one.recursive.then(|| (one.clone(), self.env.clone()));
        self.framed(|cx| {
            if let Some(filter) = &one.filter {
                let mut kept = Vec::new();
                for item in items {
                    cx.assign(&one.target, item.clone())?;
                    let value = cx.eval(filter)?;
                    if cx.truth(&value)? {
                        kept.push(item);
                    }
                }
                items = kept;
            }
            if items.is_empty() {
                return cx.deeper(|cx| cx.stmts(&one.otherwise));
            }
            let count = items.len();
            let state =
                Rc::new(LoopState { items, at: Cell::new(0), depth, changed: RefCell::default(), recursive: env });
            let mut out = Out::default();
            for at in 0..count {
                cx.burn(1)?;
                state.at.set(at);
                cx.env.frames.pop();
                cx.env.frames.push(Rc::default());
                cx.set(&Arc::from("loop"), Val::Loop(state.clone()));
                if let Some(item) = state.items.get(at) {
                    cx.assign(&one.target, item.clone())?;
                }
                match cx.deeper(|cx| cx.stmts(&one.body)) {
                    Ok(inner) => out.append(inner)?,
                    Err(Stop::Break) => break,
                    Err(Stop::Continue) => {}
                    Err(stop) => return Err(stop),
                }
            }
            Ok(out)
        })
    }

    /// `loop(children)` in a recursive loop.
    pub(crate) fn call_loop(&mut self, state: &Rc<LoopState>, mut args: Args) -> Res {
        let Some((one, env)) = &state.recursive else {
            return fail("`loop(…)` needs `recursive` at the end of the `for`");
        };
        let value = need(args.need("iterable")?)?;
        args.done()?;
        let depth = state.depth + 1;
        self.within(env.clone(), |cx| {
            let out = cx.for_loop(one, &value, depth)?;
            cx.joined(out).map(Val::str)
        })
    }

    fn closure(&mut self, one: &Arc<Macro>) -> Val {
        self.keep_frames();
        Val::Callable(Rc::new(Callable::Macro(one.clone(), self.env.clone())))
    }

    fn call_block(&mut self, call: &Expr, one: &Arc<Macro>) -> Res<Out> {
        let ExprKind::Call(callee, list) = &call.kind else { return Ok(Out::default()) };
        let target = need(self.eval(callee)?)?;
        let Val::Callable(callable) = &target else { return fail("`call` needs a macro") };
        let Callable::Macro(called, env) = &**callable else { return fail("`call` needs a macro") };
        let caller = self.closure(one);
        let args = self.arguments(&called.name, None, list)?;
        let value = self.call_macro(called, env, args, Some(caller))?;
        Ok(Out { pieces: vec![value], bytes: 16 })
    }

    /// The file an expression names; the first that exists when it is a list.
    fn named_file(&mut self, name: &Expr, missing: Missing) -> Res<Option<Arc<SourceText>>> {
        let value = need(self.eval(name)?)?;
        let names = match &value {
            Val::Str(name) => vec![name.clone()],
            list => {
                let mut names = Vec::new();
                for item in self.items(list)? {
                    names.push(self.text(&item)?);
                }
                names
            }
        };
        for name in &names {
            if let Some(source) = files::find(self, Search::Templates, name)? {
                return Ok(Some(source));
            }
        }
        if missing == Missing::Ignore {
            return Ok(None);
        }
        let fault = Diagnostic::error(format!("the template `{}` was not found", names.join("`, `")));
        Err(fault.at(&self.env.place.span(&name.at)).into())
    }

    /// Runs a file for what it defines.
    fn import(&mut self, name: &Expr) -> Res<Rc<Map>> {
        let Some(source) = self.named_file(name, Missing::Fault)? else { return Ok(Rc::default()) };
        let (unit, place) = files::unit(self.templates, &source)?;
        let scope = self.env.scope.clone();
        let env = Env::new(&scope, place);
        let frame = env.frames[0].clone();
        self.within(env, |cx| match &unit.body {
            Body::Template(stmts) => cx.template(stmts),
            Body::Expression(_) => Ok(Out::default()),
        })?;
        let names = frame.borrow().iter().map(|(name, value)| (Key::Str(name.clone()), value.clone())).collect();
        Ok(Rc::new(Map(RefCell::new(names))))
    }
}

/// Tuples as lists, all the way down: how results are printed and given out.
pub(crate) fn listed(value: &Val) -> Val {
    match value {
        Val::Tuple(items) => Val::list(items.iter().map(listed).collect()),
        Val::List(list) => Val::list(list.0.borrow().iter().map(listed).collect()),
        Val::Map(map) => Val::map(map.0.borrow().iter().map(|(key, value)| (key.clone(), listed(value)))),
        other => other.clone(),
    }
}

fn find_blocks(stmts: &[Stmt], found: &mut Vec<Arc<Block>>) {
    for stmt in stmts {
        match stmt {
            Stmt::Block(block) => {
                found.push(block.clone());
                find_blocks(&block.body, found);
            }
            Stmt::If(_, then, otherwise) => {
                find_blocks(then, found);
                find_blocks(otherwise, found);
            }
            Stmt::For(one) => find_blocks(&one.body, found),
            Stmt::With(_, body) | Stmt::FilterBlock(_, body) | Stmt::SetBlock(_, _, body) => find_blocks(body, found),
            _ => {}
        }
    }
}
