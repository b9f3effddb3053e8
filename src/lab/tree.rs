//! The tree below all hosts: a minimal Debian without Python, built once for each recipe and kept in the user's cache.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use sha2::Digest as _;
use sha2::Sha256;

use crate::lab::Spec;
use crate::lab::apt;
use crate::lab::program;
use crate::lab::program::command;
use crate::lab::program::remove_tree;
use crate::lab::program::run;
use crate::lab::state::Lock;

/// What a host has beside the least Debian. No Python, and nothing a playbook is likely to install.
const PACKAGES: [&str; 12] = [
    "usr-is-merged", // else usrmerge, and with it all of Perl
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "iproute2",
    "iptables",
    "iputils-ping",
    "procps",
    "sudo",
    "kmod",
    "ca-certificates",
];

/// Merged directories before anything is unpacked; see [`PACKAGES`].
const MERGED: &str = "/usr/share/mmdebstrap/hooks/merged-usr";

/// Turns a tree into one for lab hosts. Also run over foreign trees, by `host.sh`.
pub(super) const DRESS: &str = include_str!("dress.sh");

/// What a tree is made of; the same recipe is the same tree.
struct Recipe {
    release: String,
    sources: String,
    settings: String,
    certificates: Vec<PathBuf>,
    packages: Vec<String>,
}

/// The tree for a lab: the one that is given, the cached one, or one that is built now.
pub(super) fn lower(spec: &Spec, progress: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    if let Some(given) = &spec.rootfs {
        return check_given(given);
    }
    let recipe = Recipe::new(spec)?;
    let hash = recipe.hash()?;
    let cache = cache_dir();
    let tree = cache.join(&hash);
    if tree.is_dir() {
        return Ok(tree);
    }
    program::require(&["mmdebstrap"])?;
    let lock = Lock::take(&cache.join(format!("{hash}.lock")), &mut || {
        progress("waiting for somebody else who is building the tree");
    })?;
    if !tree.is_dir() {
        progress(&format!("building the Debian {} tree for all hosts, once", recipe.release));
        build(&recipe, &tree, &lock, progress).with_context(|| format!("cannot build the tree {}", tree.display()))?;
    }
    lock.remove();
    Ok(tree)
}

fn check_given(given: &Path) -> Result<PathBuf> {
    let tree = given.canonicalize().with_context(|| format!("cannot use the tree {}", given.display()))?;
    // Links in the tree are absolute in the tree's own sense, so their targets are not followed from here.
    let has = |paths: &[&str]| paths.iter().any(|path| fs::symlink_metadata(tree.join(path)).is_ok());
    if !has(&["sbin/init", "usr/sbin/init"]) || !has(&["lib/systemd/systemd", "usr/lib/systemd/systemd"]) {
        bail!(
            "the tree {} has no systemd: give one that boots (with systemd-sysv and openssh-server)",
            given.display()
        );
    }
    if !has(&["usr/sbin/sshd", "usr/bin/sshd"]) {
        bail!("the tree {} has no OpenSSH server: install openssh-server in it", given.display());
    }
    Ok(tree)
}

fn cache_dir() -> PathBuf {
    let dir = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = dir("XDG_CACHE_HOME").or_else(|| dir("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(|| PathBuf::from("/var/cache")).join("tbctl/lab")
}

impl Recipe {
    fn new(spec: &Spec) -> Result<Recipe> {
        let release = apt::release();
        let sources = apt::sources(&release)?;
        let mut packages: Vec<String> = PACKAGES.iter().map(|package| (*package).to_owned()).collect();
        for package in &spec.packages {
            if !package.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:=~".contains(c)) {
                bail!("`{package}` is not the name of a Debian package");
            }
            packages.push(package.clone());
        }
        Ok(Recipe { release, sources, settings: apt::settings(), certificates: apt::certificates(), packages })
    }

    fn hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let packages = self.packages.join(",");
        for part in [
            &self.release,
            &self.sources,
            &self.settings,
            &packages,
            DRESS,
            &self.finish(Path::new("")),
            std::env::consts::ARCH,
        ] {
            hash.update(part);
            hash.update([0]);
        }
        for path in &self.certificates {
            hash.update(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// What is done in the tree ($1) when all packages are there; `work` has the files it needs.
    fn finish(&self, work: &Path) -> String {
        format!(
            "#!/bin/sh\nset -eu\nwork='{}'\n\
             sh \"$work/dress.sh\" \"$1\"\n\
             cp \"$work/settings\" \"$1/etc/apt/apt.conf.d/90tbctl-lab\"\n\
             if [ -d \"$work/certificates\" ]; then\n\
             cp \"$work/certificates\"/* \"$1/usr/local/share/ca-certificates/\"\n\
             chroot \"$1\" update-ca-certificates\n\
             fi\n",
            work.display()
        )
    }
}

/// Builds beside the place and renames: a tree that is there is whole.
fn build(recipe: &Recipe, tree: &Path, lock: &Lock, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let work = tree.with_extension("part");
    if work.to_string_lossy().contains('\'') {
        bail!("the cache directory has a quote in its name: set XDG_CACHE_HOME to another one");
    }
    remove_tree(&work)?;
    fs::create_dir_all(&work)?;
    fs::write(work.join("sources.list"), &recipe.sources)?;
    fs::write(work.join("settings"), &recipe.settings)?;
    fs::write(work.join("dress.sh"), DRESS)?;
    let finish = work.join("finish.sh");
    fs::write(&finish, recipe.finish(&work))?;
    fs::set_permissions(&finish, fs::Permissions::from_mode(0o755))?;
    for path in &recipe.certificates {
        fs::create_dir_all(work.join("certificates"))?;
        fs::copy(path, work.join("certificates").join(path.file_name().unwrap_or_default()))?;
    }
    let made = work.join("tree");
    bootstrap(recipe, &work, lock, progress)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o755))?;
    run("sync", &["-f", &made.to_string_lossy()])?;
    fs::rename(&made, tree)?;
    remove_tree(&work)
}

fn bootstrap(recipe: &Recipe, work: &Path, lock: &Lock, progress: &mut dyn FnMut(&str)) -> Result<()> {
    // In mounts of its own, so that nothing stays mounted in the tree, whatever happens.
    let mut command = command("unshare");
    command.args(["--mount", "--propagation", "slave", "mmdebstrap", "--mode=root", "--variant=minbase"]);
    if Path::new(MERGED).is_dir() {
        command.arg(format!("--hook-dir={MERGED}"));
    }
    command.arg(format!("--include={}", recipe.packages.join(",")));
    for line in recipe.settings.lines() {
        command.arg(format!("--aptopt={line}"));
    }
    command.arg("--customize-hook=rm -f \"$1/etc/apt/apt.conf.d/99mmdebstrap\"");
    command.arg(format!("--customize-hook={}", work.join("finish.sh").display()));
    command.arg(&recipe.release).arg(work.join("tree")).arg(work.join("sources.list"));
    // If this process is killed, nobody else begins before that one has ended.
    command.stdin(lock.share()?);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run mmdebstrap")?;
    let mut last: Vec<String> = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim().to_owned();
            if let Some(step) = line.strip_prefix("I: ") {
                progress(step);
            }
            last.push(line);
            last.drain(..last.len().saturating_sub(15));
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("mmdebstrap failed ({status}); it said last:\n{}", last.join("\n"));
    }
    Ok(())
}
