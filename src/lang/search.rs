//! Where a file named in a task is looked for, as a list of paths to try.
//!
//! Pure: nothing is opened here.

use std::path::Path;
use std::path::PathBuf;

use crate::lang::files::tidy;

/// The surroundings of a task, nearest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// The directory of the file the task is written in.
    pub here: PathBuf,
    /// The role's directory and those of the roles that brought it, nearest first.
    pub roles: Vec<PathBuf>,
    /// The directory of the playbook.
    pub playbook: PathBuf,
}

impl Search {
    /// Paths to try for `name`, in order; `kind` is the directory of its sort: `files`, `templates`, `tasks`, `vars`.
    /// The first two may also stand beside a directory `playbooks`.
    pub fn candidates(&self, kind: &str, name: &str) -> Vec<PathBuf> {
        let name = Path::new(name);
        if name.is_absolute() {
            return vec![name.to_path_buf()];
        }
        let mut bases: Vec<&PathBuf> = self.roles.iter().collect();
        bases.push(&self.here);
        bases.push(&self.playbook);
        let mut paths: Vec<PathBuf> = Vec::new();
        for base in bases {
            for path in [base.join(kind).join(name), base.join(name)] {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        // The layout `playbooks/` beside `templates/` and `files/`.
        if matches!(kind, "templates" | "files") && self.playbook.ends_with("playbooks") {
            paths.push(tidy(&self.playbook.join("..").join(kind).join(name)));
        }
        paths
    }

    /// Paths to try for a file of tasks that another file of tasks names: beside it, in the role, beside the playbook.
    pub fn task_files(&self, name: &str) -> Vec<PathBuf> {
        let name = Path::new(name);
        let mut paths = vec![self.here.join(name)];
        if let Some(role) = self.roles.first() {
            paths.extend([role.join("tasks").join(name), role.join(name)]);
        }
        paths.push(self.playbook.join(name));
        let mut unique: Vec<PathBuf> = Vec::new();
        for path in paths {
            if !unique.contains(&path) {
                unique.push(path);
            }
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_first() {
        let search =
            Search { here: "roles/r/tasks".into(), roles: vec!["roles/r".into()], playbook: "playbooks".into() };
        let names = |kind: &str| -> Vec<String> {
            search.candidates(kind, "x").iter().map(|path| path.display().to_string()).collect()
        };
        let all = [
            "roles/r/templates/x",
            "roles/r/x",
            "roles/r/tasks/templates/x",
            "roles/r/tasks/x",
            "playbooks/templates/x",
            "playbooks/x",
            "templates/x",
        ];
        assert_eq!(names("templates"), all);
        assert_eq!(names("vars").last().unwrap(), "playbooks/x");
        assert_eq!(search.candidates("files", "/x"), [PathBuf::from("/x")]);
    }
}
