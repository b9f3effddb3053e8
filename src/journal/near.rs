//! Which entries of a journal see what another one changes: the lines of a file that is written as a whole, a unit whose file
//! goes, what is below a directory. Their states must not look changed by somebody else.

use std::collections::HashMap;

/// What a resource's name says it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// A whole path.
    File,
    /// Lines of a file.
    Part,
    /// Mode and owner.
    Attributes,
    /// Modes and owners of everything below.
    Tree,
    Unit,
}

fn sort(id: &str) -> Option<(Sort, &str)> {
    let (kind, rest) = id.split_once(':')?;
    Some(match kind {
        "file" => (Sort::File, rest),
        "line" => (Sort::Part, rest.rsplit_once(':')?.0),
        "block" => (Sort::Part, rest.split_once(':')?.0),
        "attributes" => (Sort::Attributes, rest),
        "tree" => (Sort::Tree, rest),
        "unit" => (Sort::Unit, rest),
        _ => return None,
    })
}

fn is_below(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || tree.ends_with('/'))
}

/// Entries by what they are about.
#[derive(Debug, Default)]
pub struct Near {
    of: HashMap<String, Vec<(Sort, u32)>>,
    trees: Vec<(String, u32)>,
}

impl Near {
    /// Of the names of resources and the numbers of their entries.
    pub fn new<'a>(entries: impl Iterator<Item = (&'a str, u32)>) -> Near {
        let mut near = Near::default();
        for (id, seq) in entries {
            let Some((sort, about)) = sort(id) else { continue };
            near.of.entry(about.to_string()).or_default().push((sort, seq));
            if sort == Sort::Tree {
                near.trees.push((about.to_string(), seq));
            }
        }
        near
    }

    /// The entries that see what is done to this resource, in order; not its own.
    pub fn of(&self, id: &str) -> Vec<u32> {
        let Some((sort, about)) = sort(id) else { return Vec::new() };
        let same = |wanted: &[Sort], name: &str| -> Vec<u32> {
            let all = self.of.get(name).into_iter().flatten();
            all.filter(|(sort, _)| wanted.contains(sort)).map(|(_, seq)| *seq).collect()
        };
        let trees = || self.trees.iter().filter(|(tree, _)| is_below(about, tree)).map(|(_, seq)| *seq);
        let mut found = match sort {
            Sort::File => {
                let unit = about.rsplit('/').next().unwrap_or_default();
                let mut found = same(&[Sort::Part, Sort::Attributes], about);
                found.extend(same(&[Sort::Unit], unit));
                found.extend(trees());
                found
            }
            Sort::Part => same(&[Sort::File], about),
            Sort::Attributes => same(&[Sort::File], about).into_iter().chain(trees()).collect(),
            Sort::Tree => {
                let inside = self.of.iter().filter(|(path, _)| is_below(path, about)).flat_map(|(_, all)| all);
                let seen = [Sort::File, Sort::Attributes, Sort::Tree];
                let inside = inside.filter(|(sort, _)| seen.contains(sort)).map(|(_, seq)| *seq).chain(trees());
                // Two entries of one tree are one.
                let own: Vec<u32> = same(&[Sort::Tree], about);
                inside.filter(|seq| !own.contains(seq)).collect()
            }
            Sort::Unit => Vec::new(),
        };
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_what() {
        let all = [
            ("file:/etc/a", 1),
            ("line:/etc/a:0123", 2),
            ("block:/etc/a:# {mark}: x", 3),
            ("attributes:/etc/a", 4),
            ("tree:/etc", 5),
            ("unit:a.service", 6),
            ("file:/lib/a.service", 7),
            ("file:/etcetera", 8),
            ("user:a", 9),
            ("tree:/etc/in", 10),
        ];
        let near = Near::new(all.into_iter());
        for (id, seen) in [
            ("file:/etc/a", &[2, 3, 4, 5][..]),
            ("line:/etc/a:4567", &[1]),
            ("block:/etc/a:# {mark}: x", &[1]),
            ("attributes:/etc/a", &[1, 5]),
            ("tree:/etc", &[1, 4, 10]),
            ("tree:/etc/in", &[5]),
            ("file:/lib/a.service", &[6]),
            ("unit:a.service", &[]),
            ("user:a", &[]),
        ] {
            assert_eq!(near.of(id), seen, "{id}");
        }
    }
}
