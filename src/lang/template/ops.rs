//! Arithmetic, concatenation, subscripts and slices: as in Python.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::lang::filters::time;
use crate::lang::template::eval::need;
use crate::lang::template::format;
use crate::lang::template::python::Number;
use crate::lang::template::scope::Cx;
use crate::lang::template::scope::entry;
use crate::lang::template::syntax::Binary;
use crate::lang::template::syntax::Expr;
use crate::lang::template::val::*;

pub(crate) fn negate(value: &Val) -> Res {
    match value.number() {
        Some(Number::Int(value)) => value.checked_neg().map_or_else(too_large, |value| Ok(Val::Int(value))),
        Some(Number::Float(value)) => Ok(Val::Float(-value)),
        None => fail(format!("{} cannot be negated", value.a_type())),
    }
}

fn too_large() -> Res {
    fail("a number of more than 127 bits is unsupported")
}

fn no_operator(op: Binary, left: &Val, right: &Val) -> Res {
    let fault = Diagnostic::error(format!("`{}` cannot join {} and {}", op.sign(), left.a_type(), right.a_type()));
    let text = |value: &Val| matches!(value, Val::Str(_));
    Err(match op {
        Binary::Add if text(left) || text(right) => fault.help("`~` joins anything as text; `| int` makes a number"),
        _ if text(left) || text(right) => fault.help("`| int` or `| float` makes a number of text"),
        _ => fault,
    }
    .into())
}

pub(crate) fn binary(cx: &mut Cx, op: Binary, left: &Val, right: &Val) -> Res {
    match (op, left, right) {
        (Binary::Concat, _, _) => {
            let (left, right) = (cx.text(left)?, cx.text(right)?);
            cx.burn_text(left.len() + right.len())?;
            return Ok(Val::str(format!("{left}{right}")));
        }
        (Binary::Add, Val::Str(left), Val::Str(right)) => {
            cx.burn_text(left.len() + right.len())?;
            return Ok(Val::str(format!("{left}{right}")));
        }
        (Binary::Add, Val::List(left), Val::List(right)) => {
            let joined: Vec<Val> = left.0.borrow().iter().chain(right.0.borrow().iter()).cloned().collect();
            cx.burn(joined.len())?;
            return Ok(Val::list(joined));
        }
        (Binary::Add, Val::Tuple(left), Val::Tuple(right)) => {
            cx.burn(left.len() + right.len())?;
            return Ok(Val::tuple(left.iter().chain(right.iter()).cloned().collect()));
        }
        (Binary::Rem, Val::Str(pattern), _) => return format::percent(cx, pattern, right).map(Val::str),
        (Binary::Mul, _, Val::Str(_) | Val::List(_)) => return repeat(cx, right, left),
        (Binary::Mul, Val::Str(_) | Val::List(_), _) => return repeat(cx, left, right),
        (Binary::Add | Binary::Sub, Val::Moment(_) | Val::Duration(_), Val::Moment(_) | Val::Duration(_)) => {
            return time::arithmetic(op == Binary::Add, left, right);
        }
        _ => {}
    }
    match (left.number(), right.number()) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => integers(op, a, b),
        (Some(a), Some(b)) => floats(op, a.float(), b.float()).map(Val::Float),
        _ => no_operator(op, left, right),
    }
}

fn repeat(cx: &mut Cx, what: &Val, times: &Val) -> Res {
    let Some(Number::Int(times)) = times.number() else { return no_operator(Binary::Mul, what, times) };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    match what {
        Val::Str(text) => {
            cx.burn_text(text.len().saturating_mul(times))?;
            Ok(Val::str(text.repeat(times)))
        }
        Val::List(list) => {
            let items = list.0.borrow();
            cx.burn(items.len().saturating_mul(times))?;
            Ok(Val::list(items.iter().cycle().take(items.len() * times).cloned().collect()))
        }
        other => no_operator(Binary::Mul, other, &Val::Int(0)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as Python divides integers")]
fn integers(op: Binary, a: i128, b: i128) -> Res {
    let whole = |value: Option<i128>| value.map_or_else(too_large, |value| Ok(Val::Int(value)));
    match op {
        Binary::Div | Binary::FloorDiv | Binary::Rem if b == 0 => fail("division by zero"),
        Binary::Add => whole(a.checked_add(b)),
        Binary::Sub => whole(a.checked_sub(b)),
        Binary::Mul => whole(a.checked_mul(b)),
        Binary::Div => Ok(Val::Float(a as f64 / b as f64)),
        Binary::FloorDiv => whole(floor_div(a, b)),
        Binary::Rem => {
            whole(floor_div(a, b).and_then(|times| times.checked_mul(b)).and_then(|near| a.checked_sub(near)))
        }
        Binary::Pow => match u32::try_from(b) {
            Ok(b) => whole(a.checked_pow(b)),
            Err(_) if b < 0 => floats(op, a as f64, b as f64).map(Val::Float),
            Err(_) => too_large(),
        },
        Binary::Concat => Ok(Val::None),
    }
}

/// Rounds down, also below zero.
fn floor_div(a: i128, b: i128) -> Option<i128> {
    let cut = a.checked_div(b)?;
    if a % b != 0 && (a < 0) != (b < 0) { cut.checked_sub(1) } else { Some(cut) }
}

fn floats(op: Binary, a: f64, b: f64) -> Res<f64> {
    Ok(match op {
        Binary::Div | Binary::FloorDiv | Binary::Rem if b == 0.0 => return fail("division by zero"),
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::FloorDiv => (a / b).floor(),
        Binary::Rem => a - b * (a / b).floor(),
        Binary::Pow => a.powf(b),
        Binary::Concat => 0.0,
    })
}

impl Cx<'_> {
    /// `value.name`: an entry of a mapping, or one of the few attributes that values have.
    pub(crate) fn attr(&mut self, value: &Val, name: &Arc<str>, at: &Range<usize>) -> Res {
        let found = match value {
            Val::Undefined(_) | Val::Unknown(_) => return Ok(value.clone()),
            Val::Lazy(lazy) => self.part(lazy, &Key::Str(name.clone()))?,
            Val::Map(_) | Val::Namespace(_) => entry(value, &Key::Str(name.clone())),
            Val::Loop(state) => state.attr(name),
            Val::Moment(moment) => moment.attr(name),
            Val::Duration(micros) => time::duration_attr(*micros, name),
            // What `groupby` gives.
            Val::Tuple(items) if items.len() == 2 && &**name == "grouper" => items.first().cloned(),
            Val::Tuple(items) if items.len() == 2 && &**name == "list" => items.get(1).cloned(),
            Val::Callable(callable) => callable.attr(name),
            _ => None,
        };
        Ok(found.unwrap_or_else(|| self.absent(value, name, at)))
    }

    fn absent(&self, value: &Val, name: &str, at: &Range<usize>) -> Val {
        let message = match value {
            Val::Map(_) | Val::Lazy(_) if value.type_name() == "dict" => format!("the mapping has no entry '{name}'"),
            other => format!("{} has no attribute '{name}'", other.a_type()),
        };
        let fault = Diagnostic::error(message).at(&self.env.place.span(at));
        let near = Some((name.to_string(), Near::Keys(value.clone())));
        Val::Undefined(Rc::new(Absent { fault, near, blank: false }))
    }

    /// `value[key]`
    pub(crate) fn item(&mut self, value: &Val, key: &Val, at: &Range<usize>) -> Res {
        if let Val::Undefined(_) | Val::Unknown(_) = value {
            return Ok(value.clone());
        }
        if let Val::Undefined(_) | Val::Unknown(_) = key {
            return Ok(key.clone());
        }
        let found = match (value, key) {
            (Val::Lazy(lazy), _) if !lazy.is_list() => self.part(lazy, &Key::from(key)?)?,
            (Val::Map(_) | Val::Namespace(_), _) => entry(value, &Key::from(key)?),
            (_, Val::Str(name)) => return self.attr(value, name, at),
            (_, Val::Int(_) | Val::Bool(_)) => self.position(value, key)?,
            _ => return fail(format!("{} cannot be read at {}", value.a_type(), key.a_type())),
        };
        Ok(found.unwrap_or_else(|| match key {
            Val::Int(index) => {
                let fault = Diagnostic::error(format!("{} has no element {index}", value.a_type()));
                Val::Undefined(Rc::new(Absent::new(fault.at(&self.env.place.span(at)))))
            }
            other => self.absent(value, &other.to_text(), at),
        }))
    }

    /// The element at a position, from the back when negative.
    fn position(&mut self, value: &Val, key: &Val) -> Res<Option<Val>> {
        let Some(Number::Int(index)) = key.number() else { return Ok(None) };
        let place = |count: usize| {
            let from_front = if index < 0 { index + count as i128 } else { index };
            usize::try_from(from_front).ok().filter(|at| *at < count)
        };
        Ok(match value {
            Val::Lazy(lazy) if lazy.whole.borrow().is_none() => {
                let count = self.keys(lazy)?.len();
                match place(count) {
                    Some(at) => self.part(lazy, &Key::Int(at as i128))?,
                    None => None,
                }
            }
            Val::Str(text) => {
                let at = place(text.chars().count());
                at.and_then(|at| text.chars().nth(at)).map(|one| Val::str(one.to_string()))
            }
            _ => match self.open(value)? {
                Val::List(list) => {
                    let list = list.0.borrow();
                    place(list.len()).and_then(|at| list.get(at).cloned())
                }
                Val::Tuple(items) => place(items.len()).and_then(|at| items.get(at).cloned()),
                _ => None,
            },
        })
    }

    /// `value[start:stop:step]`
    pub(crate) fn slice(&mut self, inner: &Expr, parts: &[Option<Box<Expr>>; 3]) -> Res {
        let value = self.eval(inner)?;
        let mut bounds = [None; 3];
        for (bound, part) in bounds.iter_mut().zip(parts) {
            if let Some(expr) = part {
                *bound = match need(self.eval(expr)?)? {
                    Val::None => None,
                    other => match other.number() {
                        Some(Number::Int(value)) => Some(value),
                        _ => return fail(format!("a slice needs integers, not {}", other.a_type())),
                    },
                };
            }
        }
        match need(value)? {
            Val::Str(text) => {
                let all: Vec<char> = text.chars().collect();
                self.burn(all.len())?;
                Ok(Val::str(sliced(&all, bounds)?.into_iter().collect::<String>()))
            }
            Val::Tuple(items) => Ok(Val::tuple(sliced(&items, bounds)?)),
            other => match self.open(&other)? {
                Val::List(list) => Ok(Val::list(sliced(&list.0.borrow(), bounds)?)),
                other => fail(format!("{} cannot be sliced", other.a_type())),
            },
        }
    }
}

fn sliced<T: Clone>(all: &[T], [start, stop, step]: [Option<i128>; 3]) -> Res<Vec<T>> {
    let step = step.unwrap_or(1);
    let count = all.len() as i128;
    if step == 0 {
        return fail("the step of a slice cannot be zero");
    }
    let (low, high) = if step > 0 { (0, count) } else { (-1, count - 1) };
    let clamp = |bound: Option<i128>, default: i128| match bound {
        None => default,
        Some(at) if at < 0 => at.saturating_add(count).clamp(low, high),
        Some(at) => at.clamp(low, high),
    };
    let (mut at, end) =
        if step > 0 { (clamp(start, low), clamp(stop, high)) } else { (clamp(start, high), clamp(stop, low)) };
    let mut taken = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        taken.extend(usize::try_from(at).ok().and_then(|at| all.get(at)).cloned());
        at = at.saturating_add(step);
    }
    Ok(taken)
}
