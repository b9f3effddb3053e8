//! Putting a whole directory of the controller where a task wants it.
//!
//! Its paths are known only once it was read, so they are asked about by one script instead of one look each.

use crate::change::Apply;
use crate::change::Change;
use crate::change::Content;
use crate::change::Put;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::fuse;
use crate::change::look::PathKind;
use crate::change::look::PathState;
use crate::change::sh;
use crate::modules::attributes::Above;
use crate::modules::attributes::Via;
use crate::modules::attributes::Wanted;
use crate::modules::attributes::basename;
use crate::modules::attributes::below;
use crate::modules::place::Place;
use crate::modules::place::Wish;
use crate::modules::place::digest;
use crate::modules::types::Dest;
use crate::modules::types::Mode;
use crate::modules::types::Source;

/// What is in a directory: paths below it; directories have no source.
type Tree = [(String, Option<Source>)];

/// Most paths asked about at once: they are one argument list.
const MOST: usize = 2000;

/// The directory on the host that stands for `src`: with `/` at its end only what is in it is meant.
pub fn root(dest: &Dest, src: &str) -> String {
    if src.ends_with('/') { dest.path.to_string() } else { below(&dest.path, basename(src)) }
}

fn paths<'a>(root: &'a str, tree: &'a Tree) -> impl Iterator<Item = String> + 'a {
    std::iter::once(root.to_string()).chain(tree.iter().map(move |(name, _)| below(root, name)))
}

/// A script that prints the state of each path, in the order of the tree.
pub fn question(root: &str, tree: &Tree) -> String {
    if tree.len() > MOST {
        return ":".into();
    }
    let paths: Vec<String> = paths(root, tree).collect();
    format!("_tb_paths {}", sh::words(paths.iter().map(String::as_str)))
}

fn answers(tree: &Tree, printed: &str) -> Result<Vec<PathState>, Refusal> {
    if tree.len() > MOST {
        return Err(
            Refusal::new(format!("a directory of more than {MOST} files is unsupported")).help("copy an archive")
        );
    }
    let lines: Vec<&str> = printed.split_terminator('\n').collect();
    let texts = fuse::split_paths(&lines, tree.len() + 1).map_err(Refusal::new)?;
    texts.iter().map(|text| PathState::parse(text).map_err(Refusal::new)).collect()
}

/// The steps that make the directory on the host hold what that of the controller holds. What else is in it stays.
pub fn change(wish: &Wish<'_>, tree: &Tree, printed: &str, now: &Place, preserve: bool) -> Result<Change, Refusal> {
    let states = answers(tree, printed)?;
    let root = root(wish.dest, wish.src.unwrap_or_default());
    let mut change = Change::none();
    if now.dest_missing() {
        wish.above.create_directory(&mut change, &wish.dest.path, now.above())?;
    }
    let sources = std::iter::once(&None).chain(tree.iter().map(|(_, source)| source));
    for ((path, source), state) in paths(&root, tree).zip(sources).zip(&states) {
        match source {
            None => directory(&mut change, wish, &path, state)?,
            Some(source) => {
                let preserved = Mode::Bits(source.mode);
                let mode = if preserve { Some(&preserved) } else { wish.wanted.mode };
                file(&mut change, wish, &Wanted { mode, ..wish.wanted }, &path, source, state)?;
            }
        }
    }
    Ok(change)
}

fn directory(change: &mut Change, wish: &Wish<'_>, path: &str, state: &PathState) -> Result<(), Refusal> {
    match state.kind {
        PathKind::Absent if path == &*wish.dest.path => {}
        PathKind::Absent => wish.above.create_directory(change, path, &Above::there())?,
        // Directories that are there keep their mode, as in Ansible. A link stands for the directory it points to.
        PathKind::Directory | PathKind::Link => {}
        _ => return Err(Refusal::new(format!("{path} is in the way: it is no directory"))),
    }
    Ok(())
}

fn file(
    change: &mut Change,
    wish: &Wish<'_>,
    wanted: &Wanted<'_>,
    path: &str,
    source: &Source,
    state: &PathState,
) -> Result<(), Refusal> {
    let content: Content = source.content();
    match state.kind {
        PathKind::Directory | PathKind::Other => {
            return Err(Refusal::new(format!("{path} is in the way: it is no file")));
        }
        PathKind::File | PathKind::Link if !wish.force => return Ok(()),
        PathKind::File if state.sha256 == digest(&content) => {
            wanted.fix(change, path, state, Via::Whole);
            return Ok(());
        }
        PathKind::Link => {
            let text = format!("rm -f -- {}", sh::quote(path));
            change.step("remove the link in its place", Resource::path(path), Apply::run(text), Undo::Restore);
        }
        PathKind::File | PathKind::Absent => {}
    }
    let file = state.kind == PathKind::File;
    let put = Put {
        path: path.to_string(),
        content,
        mode: wanted.mode.map(|mode| mode.bits(if file { state.mode } else { 0o644 }, false)),
        owner: wanted.owner.map(str::to_string),
        group: wanted.group.map(str::to_string),
        validate: wish.validate.map(str::to_string),
        backup: wish.backup && file,
    };
    let what = format!("{} {path}", if file { "content of" } else { "create" });
    change.step(what, Resource::path(path), Apply::Put(put), Undo::Restore);
    Ok(())
}
