//! Functions: what templates call by name.

use std::rc::Rc;
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::lang::filters::Function;
use crate::lang::filters::dicts;
use crate::lang::filters::lookups;
use crate::lang::filters::time;
use crate::lang::template::call::Args;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::deep("range", range),
    Function::shallow("dict", dict),
    Function::raw("namespace", namespace),
    Function::deep("now", now),
    Function::deep("undef", undef),
    Function::shallow("lookup", lookup),
    Function::shallow("query", query),
    Function::shallow("q", query),
];

/// As many numbers `range` may give, as in Jinja's sandbox.
const LONGEST: usize = 100_000;

fn range(cx: &mut Cx, mut args: Args) -> Res {
    let first = args.int("stop")?;
    let second = args.take("stop");
    let step = args.int_or("step", 1)?;
    let (start, stop) = match second {
        None => (0, first),
        Some(stop) => (first, Args::new("range", vec![stop], Vec::new()).int("stop")?),
    };
    args.done()?;
    let count = match step {
        0 => return fail("the step of `range` cannot be zero"),
        step if step > 0 => (stop.saturating_sub(start)).saturating_add(step - 1).div_euclid(step),
        step => (start.saturating_sub(stop)).saturating_add(-step - 1).div_euclid(-step),
    };
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if count > LONGEST {
        return fail(format!("`range` gives at most {LONGEST} numbers"));
    }
    cx.burn(count)?;
    Ok(Val::list((0..count as i128).map(|at| Val::Int(start + at * step)).collect()))
}

fn dict(cx: &mut Cx, mut args: Args) -> Res {
    let mut entries = match args.take("value") {
        Some(value) => dicts::pairs(cx, &value)?,
        None => Vec::new(),
    };
    entries.extend(args.rest_named().into_iter().map(|(name, value)| (Key::Str(name), value)));
    args.done()?;
    Ok(Val::map(entries))
}

fn namespace(cx: &mut Cx, args: Args) -> Res {
    match dict(cx, args)? {
        Val::Map(map) => Ok(Val::Namespace(map)),
        other => Ok(other),
    }
}

fn now(cx: &mut Cx, mut args: Args) -> Res {
    args.take("utc");
    let format = args.text_if("fmt");
    args.done()?;
    let moment = time::now(cx)?;
    match format {
        Some(format) => moment.strftime(&format).map(Val::str),
        None => Ok(Val::Moment(moment)),
    }
}

fn undef(_: &mut Cx, mut args: Args) -> Res {
    let hint = args.text_if("hint").unwrap_or_else(|| Arc::from("a value must be given here: it is `undef()`"));
    args.done()?;
    Ok(Val::Undefined(Rc::new(Absent::new(Diagnostic::error(hint.to_string())))))
}

fn query(cx: &mut Cx, mut args: Args) -> Res {
    let name = args.text("name")?;
    args.take_named("wantlist");
    lookups::run(cx, &name, args).map(|found| match found {
        Some(found) => Val::list(found),
        None => Val::list(Vec::new()),
    })
}

/// One result as itself, several texts joined by commas.
fn lookup(cx: &mut Cx, mut args: Args) -> Res {
    let name = args.text("name")?;
    let as_list = args.take_named("wantlist").is_some_and(|flag| flag.truthy());
    let Some(found) = lookups::run(cx, &name, args)? else { return Ok(Val::None) };
    if as_list || found.is_empty() {
        return Ok(Val::list(found));
    }
    if let [one] = &found[..] {
        return Ok(one.clone());
    }
    let texts: Vec<&str> =
        found.iter().filter_map(|one| if let Val::Str(text) = one { Some(&**text) } else { None }).collect();
    if texts.len() == found.len() { Ok(Val::str(texts.join(","))) } else { Ok(Val::list(found)) }
}
