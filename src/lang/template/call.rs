//! Calls: functions, macros, methods, filters and tests, and how their arguments are taken.
//!
//! Knows nothing of what the filters do.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::lang::filters;
use crate::lang::filters::Filter;
use crate::lang::filters::Function;
use crate::lang::filters::Input;
use crate::lang::filters::Test;
use crate::lang::template::eval::marker;
use crate::lang::template::eval::need;
use crate::lang::template::methods;
use crate::lang::template::python::Number;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::Env;
use crate::lang::template::syntax::*;
use crate::lang::template::val::*;

/// Something that can be called.
pub(crate) enum Callable {
    Function(&'static Function),
    /// A macro with the environment it was defined in.
    Macro(Arc<Macro>, Env),
    /// `super` and `self.name`: a block by name and how many overrides to skip.
    Block(Arc<str>, usize),
}

impl Callable {
    pub(crate) fn attr(&self, name: &str) -> Option<Val> {
        match self {
            Callable::Macro(one, _) if name == "name" => Some(Val::Str(one.name.clone())),
            _ => None,
        }
    }
}

/// The arguments of a call, taken one by one in the order of the parameters.
pub(crate) struct Args {
    /// What is called, for messages.
    pub(crate) what: Arc<str>,
    plain: VecDeque<Val>,
    named: Vec<(Arc<str>, Val)>,
}

impl Args {
    pub(crate) fn new(what: &str, plain: Vec<Val>, named: Vec<(Arc<str>, Val)>) -> Args {
        Args { what: Arc::from(what), plain: plain.into(), named }
    }

    /// The next argument, or the one given by name.
    pub(crate) fn take(&mut self, name: &str) -> Option<Val> {
        self.plain.pop_front().or_else(|| self.take_named(name))
    }

    pub(crate) fn take_named(&mut self, name: &str) -> Option<Val> {
        let at = self.named.iter().position(|(one, _)| &**one == name)?;
        Some(self.named.remove(at).1)
    }

    pub(crate) fn need(&mut self, name: &str) -> Res {
        match self.take(name) {
            Some(value) => Ok(value),
            None => fail(format!("`{}` needs the argument `{name}`", self.what)),
        }
    }

    /// As text, whatever it is.
    pub(crate) fn text(&mut self, name: &str) -> Res<Arc<str>> {
        Ok(self.need(name)?.to_shared_text())
    }

    /// As text, if given and not none.
    pub(crate) fn text_if(&mut self, name: &str) -> Option<Arc<str>> {
        self.take(name).filter(|value| !matches!(value, Val::None)).map(|value| value.to_shared_text())
    }

    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.take(name).map_or(default, |value| value.truthy())
    }

    pub(crate) fn int(&mut self, name: &str) -> Res<i128> {
        let value = self.need(name)?;
        self.as_int(name, &value)
    }

    pub(crate) fn int_or(&mut self, name: &str, default: i128) -> Res<i128> {
        match self.take(name) {
            None | Some(Val::None) => Ok(default),
            Some(value) => self.as_int(name, &value),
        }
    }

    fn as_int(&self, name: &str, value: &Val) -> Res<i128> {
        match value.number() {
            Some(Number::Int(value)) => Ok(value),
            _ => fail(format!("`{}` needs an integer as `{name}`, not {}", self.what, value.a_type())),
        }
    }

    /// A list, tuple or mapping's keys.
    pub(crate) fn list(&mut self, cx: &mut Cx, name: &str) -> Res<Vec<Val>> {
        let value = self.need(name)?;
        match value {
            Val::List(_) | Val::Tuple(_) | Val::Lazy(_) | Val::Map(_) | Val::Undefined(_) | Val::Unknown(_) => {
                cx.items(&value)
            }
            other => fail(format!("`{}` needs a list as `{name}`, not {}", self.what, other.a_type())),
        }
    }

    /// What is left of the arguments without name.
    pub(crate) fn rest(&mut self) -> Vec<Val> {
        self.plain.drain(..).collect()
    }

    pub(crate) fn rest_named(&mut self) -> Vec<(Arc<str>, Val)> {
        std::mem::take(&mut self.named)
    }

    /// Nothing is left over.
    pub(crate) fn done(self) -> Res<()> {
        if let Some((name, _)) = self.named.first() {
            return fail(format!("`{}` has no argument `{name}`", self.what));
        }
        if self.plain.is_empty() { Ok(()) } else { fail(format!("`{}` has too many arguments", self.what)) }
    }

    fn all(&self) -> impl Iterator<Item = &Val> {
        self.plain.iter().chain(self.named.iter().map(|(_, value)| value))
    }

    fn marker(&self) -> Option<Val> {
        self.all().find_map(|value| marker(std::slice::from_ref(value)))
    }

    fn each(self, mut change: impl FnMut(Val) -> Res) -> Res<Args> {
        let plain = self.plain.into_iter().map(&mut change).collect::<Res<_>>()?;
        let named = self.named.into_iter().map(|(name, value)| Ok((name, change(value)?))).collect::<Res<_>>()?;
        Ok(Args { what: self.what, plain, named })
    }
}

impl Cx<'_> {
    pub(crate) fn arguments(&mut self, what: &str, first: Option<Val>, list: &[Arg]) -> Res<Args> {
        let mut plain: Vec<Val> = first.into_iter().collect();
        let mut named = Vec::new();
        for arg in list {
            let value = self.eval(arg.expr())?;
            match arg {
                Arg::Plain(_) => plain.push(value),
                Arg::Named(name, _) => named.push((name.clone(), value)),
                Arg::Star(_) => plain.extend(self.items(&value)?),
                Arg::StarStar(_) => match self.open(&need(value)?)? {
                    Val::Map(map) => {
                        named.extend(map.0.borrow().iter().map(|(key, value)| (Arc::from(key.name()), value.clone())));
                    }
                    other => return fail(format!("`**` needs a mapping, not {}", other.a_type())),
                },
            }
        }
        Ok(Args::new(what, plain, named))
    }

    /// Arguments as the callee wants them, or the marker that stands for its result.
    fn prepared(&mut self, args: Args, input: Input) -> Res<Result<Args, Val>> {
        if input == Input::Raw {
            return Ok(Ok(args));
        }
        if let Some(marker) = args.marker() {
            return Ok(Err(marker));
        }
        let args = if input == Input::Deep { args.each(|value| self.deep(&value))? } else { args };
        Ok(Ok(args))
    }

    pub(crate) fn filter_expr(&mut self, input: Val, name: &str, filter: Option<&'static Filter>, list: &[Arg]) -> Res {
        let Some(filter) = filter else { return Err(filters::no_filter(name).into()) };
        let args = self.arguments(name, Some(input), list)?;
        self.filter(filter, args)
    }

    pub(crate) fn filter(&mut self, filter: &'static Filter, args: Args) -> Res {
        match self.prepared(args, filter.input)? {
            Ok(args) => (filter.run)(self, args),
            Err(marker) => Ok(marker),
        }
    }

    pub(crate) fn test_expr(&mut self, input: Val, name: &str, test: Option<&'static Test>, list: &[Arg]) -> Res {
        let Some(test) = test else { return Err(filters::no_test(name).into()) };
        let args = self.arguments(name, Some(input), list)?;
        self.test(test, args)
    }

    pub(crate) fn test(&mut self, test: &'static Test, args: Args) -> Res {
        match self.prepared(args, test.input)? {
            Ok(args) => (test.run)(self, args).map(Val::Bool),
            Err(marker) => Ok(marker),
        }
    }

    pub(crate) fn call_expr(&mut self, callee: &Expr, list: &[Arg], at: &Range<usize>) -> Res {
        if let ExprKind::Attr(inner, name) = &callee.kind {
            if let ExprKind::Name(one) = &inner.kind
                && &**one == "self"
            {
                return self
                    .call(&Val::Callable(Rc::new(Callable::Block(name.clone(), 0))), Args::new(name, vec![], vec![]));
            }
            let receiver = self.eval(inner)?;
            if marker(std::slice::from_ref(&receiver)).is_some() {
                return Ok(receiver);
            }
            return self.call_method(&receiver, name, list, callee, at);
        }
        let target = match &callee.kind {
            ExprKind::Name(name) if &**name == "super" => match self.env.blocks.current.clone() {
                Some((block, level)) => Val::Callable(Rc::new(Callable::Block(block, level + 1))),
                None => return fail("`super()` is only known inside a block"),
            },
            _ => self.eval(callee)?,
        };
        if let Val::Undefined(absent) = &target {
            return Ok(match (&callee.kind, &absent.near) {
                (ExprKind::Name(name), Some(_)) if filters::unsupported_function(name).is_some() => {
                    return Err(filters::no_function(name).at(&self.env.place.span(&callee.at)).into());
                }
                (ExprKind::Name(name), Some(_)) => {
                    let fault = filters::no_function(name).at(&self.env.place.span(&callee.at));
                    Val::Undefined(Rc::new(Absent::new(fault)))
                }
                _ => target,
            });
        }
        let what = match &callee.kind {
            ExprKind::Name(name) => name.clone(),
            _ => Arc::from("the call"),
        };
        let args = self.arguments(&what, None, list)?;
        self.call(&target, args)
    }

    fn call_method(&mut self, receiver: &Val, name: &Arc<str>, list: &[Arg], callee: &Expr, at: &Range<usize>) -> Res {
        let args = self.arguments(name, None, list)?;
        if methods::known(receiver, name) {
            if let Some(marker) = args.marker().filter(|_| !methods::stores(name)) {
                return Ok(marker);
            }
            return methods::call(self, receiver, name, args);
        }
        match self.attr(receiver, name, &callee.at)? {
            Val::Undefined(_) => {
                let known = methods::names(receiver);
                let message = format!("{} has no method `{name}`", receiver.a_type());
                let fault = Diagnostic::error(message).at(&self.env.place.span(at)).suggest(name, known);
                Ok(Val::Undefined(Rc::new(Absent::new(fault))))
            }
            found => self.call(&found, args),
        }
    }

    pub(crate) fn call(&mut self, target: &Val, args: Args) -> Res {
        self.burn(1)?;
        match target {
            Val::Undefined(_) | Val::Unknown(_) => Ok(target.clone()),
            Val::Callable(callable) => match &**callable {
                Callable::Function(function) => match self.prepared(args, function.input)? {
                    Ok(args) => (function.run)(self, args),
                    Err(marker) => Ok(marker),
                },
                Callable::Macro(one, env) => self.call_macro(one, env, args, None),
                Callable::Block(name, level) => {
                    let out = self.block(name, *level)?;
                    self.native(out)
                }
            },
            Val::Loop(state) => self.call_loop(state, args),
            other => fail(format!("{} cannot be called", other.a_type())),
        }
    }

    /// Runs a macro; `caller` is the block of a `{% call %}`.
    pub(crate) fn call_macro(&mut self, one: &Arc<Macro>, env: &Env, mut args: Args, caller: Option<Val>) -> Res {
        let env = env.clone();
        self.within(env, |cx| {
            cx.framed(|cx| {
                for (name, default) in &one.params {
                    let value = match (args.take(name), default) {
                        (Some(value), _) => value,
                        (None, Some(default)) => cx.eval(default)?,
                        (None, None) => {
                            let fault = Diagnostic::error(format!("the macro `{}` needs `{name}`", one.name));
                            Val::Undefined(Rc::new(Absent::new(fault)))
                        }
                    };
                    cx.set(name, value);
                }
                let varargs = args.rest();
                let kwargs = args.rest_named().into_iter().map(|(name, value)| (Key::Str(name), value));
                cx.set(&Arc::from("varargs"), Val::tuple(varargs));
                cx.set(&Arc::from("kwargs"), Val::map(kwargs));
                if let Some(caller) = caller {
                    cx.set(&Arc::from("caller"), caller);
                }
                let out = cx.stmts(&one.body)?;
                cx.native(out)
            })
        })
    }
}
