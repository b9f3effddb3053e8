//! Filters over lists: order, sets, choice and combination.
//!
//! Sets keep the order of their first list, where Ansible's order is that of a hash.

use indexmap::IndexSet;

use crate::diag::Diagnostic;
use crate::lang::filters::Filter;
use crate::lang::filters::core::dotted;
use crate::lang::template::call::Args;
use crate::lang::template::python;
use crate::lang::template::python::Number;
use crate::lang::template::python::equal;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::*;

pub(super) const FILTERS: &[Filter] = &[
    Filter::shallow("list", list),
    Filter::shallow("first", first),
    Filter::shallow("last", last),
    Filter::shallow("reverse", reverse),
    Filter::deep("min", min),
    Filter::deep("max", max),
    Filter::deep("sum", sum),
    Filter::deep("sort", sort),
    Filter::deep("unique", unique),
    Filter::deep("union", union),
    Filter::deep("intersect", intersect),
    Filter::deep("difference", difference),
    Filter::deep("symmetric_difference", symmetric_difference),
    Filter::deep("flatten", flatten),
    Filter::shallow("zip", zip),
    Filter::shallow("zip_longest", zip_longest),
    Filter::shallow("product", product),
    Filter::shallow("permutations", permutations),
    Filter::shallow("combinations", combinations),
    Filter::shallow("batch", batch),
    Filter::shallow("slice", slice),
];

fn list(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    Ok(Val::list(cx.items(&value)?))
}

fn absent(message: &str) -> Val {
    Val::Undefined(std::rc::Rc::new(Absent::new(Diagnostic::error(message))))
}

fn first(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    Ok(cx.items(&value)?.into_iter().next().unwrap_or_else(|| absent("there is no first item: the list is empty")))
}

fn last(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    Ok(cx.items(&value)?.pop().unwrap_or_else(|| absent("there is no last item: the list is empty")))
}

fn reverse(cx: &mut Cx, mut args: Args) -> Res {
    let value = args.need("value")?;
    args.done()?;
    if let Val::Str(text) = &value {
        return Ok(Val::str(text.chars().rev().collect::<String>()));
    }
    let mut items = cx.items(&value)?;
    items.reverse();
    Ok(Val::list(items))
}

/// A value as it is sorted: by an attribute if asked, text without case unless asked.
fn sort_key(cx: &mut Cx, item: &Val, attribute: Option<&Val>, case_sensitive: bool) -> Res {
    let value = match attribute {
        Some(path @ Val::Str(names)) if names.contains(',') => {
            let _ = path;
            let mut parts = Vec::new();
            for name in names.split(',') {
                let part = dotted(cx, item, &Val::str(name.trim()))?;
                parts.push(folded(cx.deep(&part)?, case_sensitive));
            }
            return Ok(Val::list(parts));
        }
        Some(path) => dotted(cx, item, path)?,
        None => item.clone(),
    };
    let value = cx.deep(&value)?;
    Ok(folded(value, case_sensitive))
}

pub(super) fn folded(value: Val, case_sensitive: bool) -> Val {
    match &value {
        Val::Str(text) if !case_sensitive => Val::str(text.to_lowercase()),
        _ => value,
    }
}

fn keyed(cx: &mut Cx, items: Vec<Val>, attribute: Option<&Val>, case_sensitive: bool) -> Res<Vec<(Val, Val)>> {
    items.into_iter().map(|item| Ok((sort_key(cx, &item, attribute, case_sensitive)?, item))).collect()
}

fn extreme(cx: &mut Cx, mut args: Args, sign: std::cmp::Ordering) -> Res {
    let items = args.list(cx, "value")?;
    let case_sensitive = args.flag("case_sensitive", false);
    let attribute = args.take("attribute").filter(|one| !matches!(one, Val::None));
    args.done()?;
    let mut best: Option<(Val, Val)> = None;
    for (key, item) in keyed(cx, items, attribute.as_ref(), case_sensitive)? {
        let better = match &best {
            Some((other, _)) => python::order(&key, other)? == sign,
            None => true,
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| absent("there is nothing to choose from: the list is empty"), |(_, item)| item))
}

fn min(cx: &mut Cx, args: Args) -> Res {
    extreme(cx, args, std::cmp::Ordering::Less)
}

fn max(cx: &mut Cx, args: Args) -> Res {
    extreme(cx, args, std::cmp::Ordering::Greater)
}

fn sum(cx: &mut Cx, mut args: Args) -> Res {
    let items = args.list(cx, "value")?;
    let attribute = args.take("attribute").filter(|one| !matches!(one, Val::None));
    let mut total = args.take("start").unwrap_or(Val::Int(0));
    args.done()?;
    for item in items {
        let item = match &attribute {
            Some(path) => crate::lang::template::eval::need(dotted(cx, &item, path)?)?,
            None => item,
        };
        // `sum(start=[])` joins lists.
        total = crate::lang::template::ops::binary(cx, crate::lang::template::syntax::Binary::Add, &total, &item)?;
    }
    Ok(total)
}

fn sort(cx: &mut Cx, mut args: Args) -> Res {
    let items = args.list(cx, "value")?;
    let reverse = args.flag("reverse", false);
    let case_sensitive = args.flag("case_sensitive", false);
    let attribute = args.take("attribute").filter(|one| !matches!(one, Val::None));
    args.done()?;
    let keyed = keyed(cx, items, attribute.as_ref(), case_sensitive)?;
    Ok(Val::list(ordered(cx, keyed, reverse)?))
}

fn ordered(cx: &mut Cx, keyed: Vec<(Val, Val)>, reverse: bool) -> Res<Vec<Val>> {
    cx.burn(keyed.len() * 4)?;
    let mut keyed = keyed;
    // Reversed twice, so that equal items keep their order.
    if reverse {
        keyed.reverse();
    }
    let mut sorted: Vec<Val> = python::sort(keyed)?.into_iter().map(|(_, item)| item).collect();
    if reverse {
        sorted.reverse();
    }
    Ok(sorted)
}

/// `list.sort()`: with case.
pub(crate) fn sorted(cx: &mut Cx, list: &Val, reverse: bool) -> Res<Vec<Val>> {
    let items = cx.items(list)?;
    let keyed = keyed(cx, items, None, true)?;
    ordered(cx, keyed, reverse)
}

/// A set of values that may be unhashable.
#[derive(Default)]
struct Seen {
    keys: IndexSet<Key>,
    others: Vec<Val>,
}

impl Seen {
    fn of(cx: &mut Cx, items: &[Val]) -> Res<Seen> {
        let mut seen = Seen::default();
        for item in items {
            seen.add(cx, item)?;
        }
        Ok(seen)
    }

    fn has(&self, cx: &mut Cx, item: &Val) -> Res<bool> {
        match Key::from(item) {
            Ok(key) if self.keys.contains(&key) => Ok(true),
            // 1, 1.0 and true are the same value, but not the same key.
            _ if matches!(item, Val::Str(_)) => Ok(false),
            _ => {
                cx.burn(self.others.len())?;
                Ok(self.others.iter().any(|other| equal(other, item)))
            }
        }
    }

    /// Whether it was new.
    fn add(&mut self, cx: &mut Cx, item: &Val) -> Res<bool> {
        if self.has(cx, item)? {
            return Ok(false);
        }
        match item {
            Val::Str(text) => _ = self.keys.insert(Key::Str(text.clone())),
            other => self.others.push(other.clone()),
        }
        Ok(true)
    }
}

fn distinct(cx: &mut Cx, items: impl IntoIterator<Item = Val>) -> Res {
    let mut seen = Seen::default();
    let mut kept = Vec::new();
    for item in items {
        if seen.add(cx, &item)? {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

fn unique(cx: &mut Cx, mut args: Args) -> Res {
    let items = args.list(cx, "value")?;
    let case_sensitive = args.flag("case_sensitive", false);
    let attribute = args.take("attribute").filter(|one| !matches!(one, Val::None));
    args.done()?;
    let mut seen = Seen::default();
    let mut kept = Vec::new();
    for item in items {
        let key = sort_key(cx, &item, attribute.as_ref(), case_sensitive)?;
        if seen.add(cx, &key)? {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

fn two(cx: &mut Cx, mut args: Args) -> Res<[Vec<Val>; 2]> {
    let both = [args.list(cx, "a")?, args.list(cx, "b")?];
    args.done()?;
    Ok(both)
}

fn union(cx: &mut Cx, args: Args) -> Res {
    let [a, b] = two(cx, args)?;
    distinct(cx, a.into_iter().chain(b))
}

/// The distinct items of one list that the other has, or has not.
fn sifted(cx: &mut Cx, from: Vec<Val>, by: &[Val], wanted: bool) -> Res<Vec<Val>> {
    let by = Seen::of(cx, by)?;
    let mut kept = Vec::new();
    for item in from {
        if by.has(cx, &item)? == wanted {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn intersect(cx: &mut Cx, args: Args) -> Res {
    let [a, b] = two(cx, args)?;
    let kept = sifted(cx, a, &b, true)?;
    distinct(cx, kept)
}

fn difference(cx: &mut Cx, args: Args) -> Res {
    let [a, b] = two(cx, args)?;
    let kept = sifted(cx, a, &b, false)?;
    distinct(cx, kept)
}

fn symmetric_difference(cx: &mut Cx, args: Args) -> Res {
    let [a, b] = two(cx, args)?;
    let mut kept = sifted(cx, a.clone(), &b, false)?;
    kept.extend(sifted(cx, b, &a, false)?);
    distinct(cx, kept)
}

fn flatten(cx: &mut Cx, mut args: Args) -> Res {
    let items = args.list(cx, "value")?;
    let levels = args.int_or("levels", i128::MAX)?;
    let skip_nulls = args.flag("skip_nulls", true);
    args.done()?;
    let mut flat = Vec::new();
    flatten_into(&mut flat, &items, levels, skip_nulls);
    Ok(Val::list(flat))
}

fn flatten_into(flat: &mut Vec<Val>, items: &[Val], levels: i128, skip_nulls: bool) {
    for item in items {
        match item {
            Val::None if skip_nulls => {}
            Val::Str(text) if skip_nulls && ["None", "null"].contains(&&**text) => {}
            Val::List(list) if levels > 0 => flatten_into(flat, &list.0.borrow(), levels - 1, skip_nulls),
            Val::Tuple(items) if levels > 0 => flatten_into(flat, items, levels - 1, skip_nulls),
            other => flat.push(other.clone()),
        }
    }
}

fn lists(cx: &mut Cx, args: &mut Args) -> Res<Vec<Vec<Val>>> {
    args.rest().iter().map(|list| cx.items(list)).collect()
}

fn zip(cx: &mut Cx, mut args: Args) -> Res {
    let lists = lists(cx, &mut args)?;
    args.done()?;
    let count = lists.iter().map(Vec::len).min().unwrap_or(0);
    Ok(Val::list((0..count).map(|at| Val::tuple(lists.iter().map(|list| list[at].clone()).collect())).collect()))
}

fn zip_longest(cx: &mut Cx, mut args: Args) -> Res {
    let fill = args.take_named("fillvalue").unwrap_or(Val::None);
    let lists = lists(cx, &mut args)?;
    args.done()?;
    let count = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| lists.iter().map(|list| list.get(at).unwrap_or(&fill).clone()).collect();
    Ok(Val::list((0..count).map(|at| Val::tuple(row(at))).collect()))
}

fn product(cx: &mut Cx, mut args: Args) -> Res {
    let repeat = match args.take_named("repeat").map(|one| one.number()) {
        Some(Some(Number::Int(times @ 0..=16))) => times as usize,
        None => 1,
        _ => return fail("`product` needs a `repeat` from 0 to 16"),
    };
    let once = lists(cx, &mut args)?;
    let lists: Vec<&Vec<Val>> = std::iter::repeat_n(&once, repeat).flatten().collect();
    args.done()?;
    let mut rows: Vec<Vec<Val>> = vec![Vec::new()];
    for list in &lists {
        let count = rows.len().saturating_mul(list.len());
        cx.burn(count.saturating_mul(lists.len()))?;
        rows = rows
            .iter()
            .flat_map(|row| list.iter().map(|item| [&row[..], std::slice::from_ref(item)].concat()))
            .collect();
    }
    Ok(Val::list(rows.into_iter().map(Val::tuple).collect()))
}

/// All ways to pick `left` more positions: in any order, or rising only.
fn picks(
    cx: &mut Cx,
    count: usize,
    left: usize,
    rising: bool,
    row: &mut Vec<usize>,
    rows: &mut Vec<Vec<usize>>,
) -> Res<()> {
    if left == 0 {
        cx.burn(row.len() + 1)?;
        rows.push(row.clone());
        return Ok(());
    }
    let start = if rising { row.last().map_or(0, |last| last + 1) } else { 0 };
    for at in start..count {
        cx.burn(1)?;
        if rising || !row.contains(&at) {
            row.push(at);
            cx.deeper(|cx| picks(cx, count, left - 1, rising, row, rows))?;
            row.pop();
        }
    }
    Ok(())
}

fn picked(cx: &mut Cx, mut args: Args, rising: bool) -> Res {
    let items = args.list(cx, "value")?;
    let size = args.int_or("r", items.len() as i128)?;
    args.done()?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= items.len()) else {
        return Ok(Val::list(vec![]));
    };
    let mut rows = Vec::new();
    picks(cx, items.len(), size, rising, &mut Vec::new(), &mut rows)?;
    Ok(Val::list(rows.iter().map(|row| Val::tuple(row.iter().map(|at| items[*at].clone()).collect())).collect()))
}

fn permutations(cx: &mut Cx, args: Args) -> Res {
    picked(cx, args, false)
}

fn combinations(cx: &mut Cx, args: Args) -> Res {
    picked(cx, args, true)
}

fn batch(cx: &mut Cx, mut args: Args) -> Res {
    let items = args.list(cx, "value")?;
    let size = args.int("linecount")?;
    let fill = args.take("fill_with").filter(|one| !matches!(one, Val::None));
    args.done()?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        return fail("`batch` needs a size of at least 1");
    };
    let rows = items.chunks(size).map(|row| {
        let mut row = row.to_vec();
        if let Some(fill) = &fill {
            row.resize(size.min(row.len() + 10_000), fill.clone());
        }
        Val::list(row)
    });
    Ok(Val::list(rows.collect()))
}

fn slice(cx: &mut Cx, mut args: Args) -> Res {
    let items = args.list(cx, "value")?;
    let slices = args.int("slices")?;
    let fill = args.take("fill_with").filter(|one| !matches!(one, Val::None));
    args.done()?;
    let Some(slices) = usize::try_from(slices).ok().filter(|slices| (1..=10_000).contains(slices)) else {
        return fail("`slice` needs 1 to 10000 slices");
    };
    let (each, extra) = (items.len() / slices, items.len() % slices);
    let mut rest = items.into_iter();
    let rows = (0..slices).map(|at| {
        let mut row: Vec<Val> = rest.by_ref().take(each + usize::from(at < extra)).collect();
        if let Some(fill) = &fill
            && at >= extra
        {
            row.push(fill.clone());
        }
        Val::list(row)
    });
    Ok(Val::list(rows.collect()))
}
