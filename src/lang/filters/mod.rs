//! Filters, tests and functions under Ansible's names, one file per family, and the tables that find them.
//!
//! Knows nothing of syntax: each gets its arguments as values and gives a value.

mod address;
pub(crate) mod choice;
pub(crate) mod core;
pub(crate) mod data;
pub(crate) mod dicts;
pub(crate) mod encode;
pub(crate) mod functions;
pub(crate) mod lists;
pub(crate) mod lookups;
pub(crate) mod math;
pub(crate) mod net;
pub(crate) mod paths;
pub(crate) mod regexes;
pub(crate) mod tests;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod yaml_out;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use crate::diag::Diagnostic;
use crate::lang::template::call::Args;
use crate::lang::template::scope::Cx;
use crate::lang::template::val::Res;

/// What a filter wants of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// Everything in them made; a missing or unknown argument is the result.
    Deep,
    /// As they are; a missing or unknown argument is the result.
    Shallow,
    /// As they are, missing and unknown ones too.
    Raw,
}

/// One entry of a table.
pub(crate) struct Entry<T> {
    pub(crate) name: &'static str,
    pub(crate) input: Input,
    pub(crate) run: fn(&mut Cx, Args) -> Res<T>,
}

pub(crate) type Filter = Entry<crate::lang::template::val::Val>;
pub(crate) type Function = Entry<crate::lang::template::val::Val>;
pub(crate) type Test = Entry<bool>;

impl<T> Entry<T> {
    pub(crate) const fn deep(name: &'static str, run: fn(&mut Cx, Args) -> Res<T>) -> Entry<T> {
        Entry { name, input: Input::Deep, run }
    }

    pub(crate) const fn shallow(name: &'static str, run: fn(&mut Cx, Args) -> Res<T>) -> Entry<T> {
        Entry { name, input: Input::Shallow, run }
    }

    pub(crate) const fn raw(name: &'static str, run: fn(&mut Cx, Args) -> Res<T>) -> Entry<T> {
        Entry { name, input: Input::Raw, run }
    }
}

impl<T> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Collections whose names may be written before a filter's.
const COLLECTIONS: [&str; 8] = [
    "ansible.builtin.",
    "ansible.legacy.",
    "ansible.utils.",
    "ansible.netcommon.",
    "ansible.posix.",
    "community.general.",
    "community.crypto.",
    "kubernetes.core.",
];

/// The name without its collection.
pub(crate) fn short(name: &str) -> &str {
    COLLECTIONS.iter().find_map(|collection| name.strip_prefix(collection)).unwrap_or(name)
}

type Table<T> = LazyLock<HashMap<&'static str, &'static Entry<T>>>;

fn table<T>(families: &[&'static [Entry<T>]]) -> HashMap<&'static str, &'static Entry<T>> {
    families.iter().flat_map(|family| family.iter()).map(|entry| (entry.name, entry)).collect()
}

static FILTERS: Table<crate::lang::template::val::Val> = LazyLock::new(|| {
    table(&[
        choice::FILTERS,
        core::FILTERS,
        data::FILTERS,
        dicts::FILTERS,
        encode::FILTERS,
        lists::FILTERS,
        math::FILTERS,
        net::FILTERS,
        paths::FILTERS,
        regexes::FILTERS,
        text::FILTERS,
        time::FILTERS,
    ])
});
static TESTS: Table<bool> = LazyLock::new(|| table(&[tests::TESTS, net::TESTS, regexes::TESTS]));
static FUNCTIONS: Table<crate::lang::template::val::Val> = LazyLock::new(|| table(&[functions::FUNCTIONS]));

pub(crate) fn filter(name: &str) -> Option<&'static Filter> {
    FILTERS.get(short(name)).copied()
}

pub(crate) fn test(name: &str) -> Option<&'static Test> {
    TESTS.get(short(name)).copied()
}

pub(crate) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name).copied()
}

/// Names of all filters and tests, for tests of tests.
#[cfg(test)]
pub(crate) fn all() -> [Vec<&'static str>; 2] {
    [FILTERS.keys().copied().collect(), TESTS.keys().copied().collect()]
}

/// What exists in Ansible, is not built here, and what to do instead.
const UNSUPPORTED_FILTERS: &[(&str, &str)] = &[
    ("json_query", "use `map`, `selectattr` and `dict2items`"),
    ("password_hash", "put the hash itself into a variable; `openssl passwd -6` makes one"),
    ("vault", "encrypt with `ansible-vault encrypt_string`"),
    ("unvault", "use a `!vault` value"),
    ("realpath", "paths on the controller are not resolved in templates"),
    ("expandvars", "use `lookup('env', …)`"),
    ("fileglob", "use `lookup('fileglob', …)`"),
    ("win_basename", "only Unix hosts are managed"),
    ("win_dirname", "only Unix hosts are managed"),
    ("win_splitdrive", "only Unix hosts are managed"),
    ("xmlattr", "write the attributes out"),
    ("urlize", "write the link out"),
    ("jc", "use `regex_findall`"),
    ("parse_cli", "use `regex_findall`"),
    ("parse_xml", "use `regex_findall`"),
    ("from_xml", "use `regex_findall`"),
    ("from_ini", "use `regex_findall`"),
    ("from_csv", "use `split`"),
    ("random_mac", "write the address into a variable, so that it stays the same"),
    ("to_ini", "use a template file"),
    ("rekey_on_member", "use `items2dict(key_name=…)`"),
    ("index_of", "use `list.index(value)`"),
    ("lists_mergeby", "use `groupby` and `combine`"),
    ("consolidate", "use `combine`"),
    ("keep_keys", "use `dict2items | selectattr | items2dict`"),
    ("remove_keys", "use `dict2items | rejectattr | items2dict`"),
];
const UNSUPPORTED_TESTS: &[(&str, &str)] = &[
    ("mount", "look at the host with a task"),
    ("is_mount", "look at the host with a task"),
    ("same_file", "compare the paths"),
    ("is_same_file", "compare the paths"),
    ("vaulted_file", "look at the file's first line"),
];
const UNSUPPORTED_FUNCTIONS: &[(&str, &str)] =
    &[("cycler", "use `loop.cycle`"), ("joiner", "use `join` or `loop.first`"), ("lipsum", "write the text out")];

fn missing<'n>(
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'n str>,
    unsupported: Option<&'static str>,
) -> Diagnostic {
    match unsupported {
        Some(help) => Diagnostic::error(format!("the {kind} `{name}` is unsupported")).help(help),
        None => Diagnostic::error(format!("unknown {kind} `{name}`")).suggest(short(name), known),
    }
}

fn find(list: &'static [(&str, &'static str)], name: &str) -> Option<&'static str> {
    list.iter().find(|(one, _)| *one == short(name)).map(|(_, help)| *help)
}

pub(crate) fn no_filter(name: &str) -> Diagnostic {
    missing("filter", name, FILTERS.keys().copied(), find(UNSUPPORTED_FILTERS, name))
}

pub(crate) fn no_test(name: &str) -> Diagnostic {
    missing("test", name, TESTS.keys().copied(), find(UNSUPPORTED_TESTS, name))
}

pub(crate) fn unsupported_function(name: &str) -> Option<&'static str> {
    find(UNSUPPORTED_FUNCTIONS, name)
}

/// A function that is called but neither known nor a variable.
pub(crate) fn no_function(name: &str) -> Diagnostic {
    let fault = match unsupported_function(name) {
        Some(_) => return missing("function", name, FUNCTIONS.keys().copied(), unsupported_function(name)),
        None => Diagnostic::error(format!("'{name}' is undefined")),
    };
    if filter(name).is_some() {
        return fault.help(format!("`{name}` is a filter: write `value | {name}`"));
    }
    fault.suggest(name, FUNCTIONS.keys().copied())
}
