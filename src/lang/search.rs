//! Where a file named in a task is looked for, as a list of paths to try.
//!
//! Pure: nothing is opened here.

use std::path::Path;
use std::path::PathBuf;

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
