//! Reads the project's files: the one place of the language that touches the disk.
//!
//! Remembers what it read, so that a file has one text throughout a run. Knows nothing of what the texts mean.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use sha2::Digest as _;

use crate::diag::Diagnostic;
use crate::diag::Diagnostics;
use crate::diag::Lacking;
use crate::diag::Source;
use crate::diag::Span;
use crate::diag::nearest;
use crate::lang::node::Node;
use crate::lang::task::Vars;
use crate::lang::word;
use crate::lang::yaml;

/// The largest text file that is read, in bytes.
pub const MAX_TEXT: u64 = 64 << 20;

/// The disk as the project sees it, with everything read so far.
#[derive(Debug, Default)]
pub struct Files {
    texts: Mutex<BTreeMap<PathBuf, Arc<Source>>>,
    /// Digests of files that others read, which are no text or too large to be kept.
    others: Mutex<BTreeMap<PathBuf, String>>,
}

impl Files {
    pub fn new() -> Files {
        Files::default()
    }

    /// The text of a file. The fault has no place: whoever asked knows where the name was written.
    pub fn read(&self, path: &Path) -> Result<Arc<Source>, Diagnostic> {
        let path = tidy(path);
        if let Some(known) = self.texts.lock().unwrap_or_else(PoisonError::into_inner).get(&path) {
            return Ok(known.clone());
        }
        let bytes = bytes(&path).map_err(|error| unreadable(&path, &error))?;
        let name = shown(&path);
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let end = valid.len();
            let message = format!("`{name}` is not UTF-8 text");
            Diagnostic::error(message).at(&Span::new(&Source::new(name.clone(), valid), end, end)).lacks(Lacking::Text)
        })?;
        let source = Source::new(name, text);
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).insert(path, source.clone());
        Ok(source)
    }

    /// Has a file read anew when it is asked for again.
    pub fn forget(&self, path: &Path) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).remove(&tidy(path));
    }

    /// The variables of a file.
    pub fn vars(&self, path: &Path, asked: Option<&Span>, faults: &mut Diagnostics) -> Vars {
        let root = self.yaml(path, asked, faults);
        root.map(|root| word::vars(&root, faults)).unwrap_or_default()
    }

    /// The YAML document of a file; `None` if it is empty or faulty.
    pub fn yaml(&self, path: &Path, asked: Option<&Span>, faults: &mut Diagnostics) -> Option<Node> {
        let source = match self.read(path) {
            Ok(source) => source,
            Err(fault) => {
                faults.push(match asked {
                    Some(span) => fault.at(span),
                    None => fault,
                });
                return None;
            }
        };
        yaml::document(&source, faults)
    }

    /// Somebody else read a file, and this was its SHA-256 in hex.
    pub fn note(&self, path: &Path, sha256: &str) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.insert(tidy(path), sha256.to_string());
    }

    /// Everything read so far, with its SHA-256 in hex; paths as they were named.
    pub fn digests(&self) -> BTreeMap<PathBuf, String> {
        let mut all = self.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(texts.iter().map(|(path, source)| (path.clone(), sha256(source.text.as_bytes()))));
        all
    }

    /// All sources read so far, by path.
    pub fn sources(&self) -> Vec<Arc<Source>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// In hex.
pub fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    // Bounded also for pipes and devices, which have no length.
    let mut bytes = Vec::new();
    file.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_TEXT {
        true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        false => Ok(bytes),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let name = shown(path);
    let why = match error.kind() {
        io::ErrorKind::NotFound => return missing("file", &name, &[path.to_path_buf()]),
        io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        io::ErrorKind::IsADirectory => "it is a directory".to_string(),
        io::ErrorKind::FileTooLarge => format!("it is larger than {} MiB", MAX_TEXT >> 20),
        _ => error.to_string(),
    };
    Diagnostic::error(format!("cannot read `{name}`: {why}")).lacks(Lacking::Text)
}

/// «`kind` is not there», with the places searched or a name beside it that looks alike.
pub fn missing(kind: &str, name: &str, tried: &[PathBuf]) -> Diagnostic {
    let fault = Diagnostic::error(format!("the {kind} `{name}` does not exist")).lacks(Lacking::Text);
    for path in tried {
        let (Some(directory), Some(wanted)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            continue;
        };
        // The ending is no likeness: `a.yml` is not near to `b.yml`.
        let (stem, ending) = wanted.rsplit_once('.').unwrap_or((wanted, ""));
        let siblings: Vec<String> = names(directory);
        let stems = siblings.iter().filter_map(|name| match ending {
            "" => Some(name.as_str()),
            _ => name.strip_suffix(ending)?.strip_suffix('.'),
        });
        if let Some(near) = nearest(stem, stems) {
            let dot = if ending.is_empty() { "" } else { "." };
            return fault.help(format!("did you mean `{}`?", shown(&directory.join(format!("{near}{dot}{ending}")))));
        }
    }
    let places: Vec<String> = tried.iter().map(|path| format!("`{}`", shown(path))).collect();
    match places.as_slice() {
        [] => fault,
        [one] if *one == format!("`{name}`") => fault.help("the name is relative to the current directory"),
        [first, second, third, _, ..] => {
            fault.help(format!("looked for {first}, {second}, {third} and {} more", places.len() - 3))
        }
        _ => fault.help(format!("looked for {}", places.join(", "))),
    }
}

/// The first of the paths that is a file.
pub fn first_file(paths: &[PathBuf]) -> Option<PathBuf> {
    paths.iter().find(|path| path.metadata().is_ok_and(|meta| !meta.is_dir())).cloned()
}

/// The names in a directory, sorted; empty if there is no such directory.
pub fn names(directory: &Path) -> Vec<String> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Files under a directory, at any depth, each directory sorted; hidden files and editors' backups are left out.
pub fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk_into(directory, 0, &mut found);
    found
}

fn walk_into(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    // A circle of symbolic links ends here.
    if depth > 16 {
        return;
    }
    for name in names(directory) {
        let path = directory.join(&name);
        match path.metadata() {
            _ if name.starts_with('.') || name.ends_with('~') => {}
            Ok(meta) if meta.is_dir() => walk_into(&path, depth + 1, found),
            Ok(_) => found.push(path),
            Err(_) => {}
        }
    }
}

/// A path without `.` and without `x/..`, as far as the text says.
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            _ => tidy.push(part),
        }
    }
    tidy
}

/// A path as shown to people: relative to the current directory where that is shorter.
pub fn shown(path: &Path) -> String {
    let path = tidy(path);
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(&path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_names_the_places_or_a_near_name() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("main.yml"), "a: 1\n").unwrap();
        let fault = Files::new().read(&directory.path().join("mian.yml")).unwrap_err();
        let near = directory.path().join("main.yml");
        assert_eq!(fault.help, Some(format!("did you mean `{}`?", near.display())));
        let tried = [PathBuf::from("/nowhere/x"), PathBuf::from("/nowhere/y/x")];
        assert_eq!(missing("role", "x", &tried).help.unwrap(), "looked for `/nowhere/x`, `/nowhere/y/x`");
    }

    #[test]
    fn what_is_no_text_is_said_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
        let fault = Files::new().read(&path).unwrap_err();
        assert_eq!(fault.span.unwrap().line_column(), (2, 4));
        assert!(fault.message.ends_with("is not UTF-8 text"), "{}", fault.message);
        fs::File::create(&path).unwrap().set_len(MAX_TEXT + 1).unwrap();
        let fault = Files::new().read(&path).unwrap_err();
        assert!(fault.message.ends_with("it is larger than 64 MiB"), "{}", fault.message);
        let fault = Files::new().read(directory.path()).unwrap_err();
        assert!(fault.message.ends_with("it is a directory"), "{}", fault.message);
    }

    #[test]
    fn paths_are_tidied_as_text() {
        for (path, expected) in [("./a/./b", "a/b"), ("a/../b", "b"), ("../a", "../a"), ("/a/../../b", "/../b")] {
            assert_eq!(tidy(Path::new(path)), Path::new(expected));
        }
    }

    #[test]
    fn a_file_keeps_its_first_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let files = Files::new();
        fs::write(&path, "1").unwrap();
        files.read(&path).unwrap();
        fs::write(&path, "2").unwrap();
        assert_eq!(files.read(&path).unwrap().text, "1");
        files.note(Path::new("./y"), "abc");
        let digests = files.digests();
        let found = (digests.len(), &digests[&path], digests[Path::new("y")].as_str());
        assert_eq!(found, (2, &sha256(b"1"), "abc"));
    }
}
