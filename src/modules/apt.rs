//! `apt`: packages of Debian and its kin.

use indexmap::IndexMap;
use minijinja::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Ran;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::Look;
use crate::change::look::PackageState;
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::setup::matches;

/// Functions of the scripts below.
const PRELUDE: &str = include_str!("apt/prelude.sh");
/// Purges what a transaction had added and is still there; brings back what it had removed.
const UNDO: &str = include_str!("apt/undo.sh");

/// Installs and removes Debian packages.
///
/// Undone, exactly the packages that came with the task are purged, dependencies included; nothing else is removed. An
/// upgrade has no way back. Package lists are fetched first when the host has none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apt {
    /// Packages, each `name` or `name=version`; `*` in a version stands for any text.
    #[serde(default, alias = "pkg", alias = "package")]
    pub name: Vec<String>,
    /// What is wanted of them: `present`, `absent`, or `latest`, which upgrades.
    #[serde(default)]
    pub state: Wanted,
    /// Fetches the package lists first. With `name` and `state: present`, only when something has to be installed.
    #[serde(default, alias = "update-cache")]
    pub update_cache: Option<bool>,
    /// Seconds for which fetched lists are good enough. Without it `update_cache` fetches each time.
    #[serde(default)]
    pub cache_valid_time: u32,
    /// Whether recommended packages are installed too. Default: as the host's apt is set.
    #[serde(default, alias = "install-recommends")]
    pub install_recommends: Option<bool>,
    /// With `state: absent`, removes configuration files too.
    #[serde(default)]
    pub purge: bool,
    /// Also removes packages that nothing needs any more.
    #[serde(default)]
    pub autoremove: bool,
    /// The release to install from, as `apt-get -t` takes it.
    #[serde(default, alias = "default-release")]
    pub default_release: Option<String>,
    /// Lets `name=version` install an older version than the one that is there.
    #[serde(default, alias = "allow-downgrade")]
    pub allow_downgrade: bool,
    /// Seconds to wait for another package manager to end.
    #[serde(default = "two_minutes")]
    pub lock_timeout: u32,
}

fn two_minutes() -> u32 {
    120
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    #[default]
    #[serde(alias = "installed")]
    Present,
    #[serde(alias = "removed")]
    Absent,
    Latest,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    #[serde(default, alias = "pkg", alias = "package")]
    name: Vec<String>,
    #[serde(default)]
    state: Wanted,
    #[serde(default)]
    cache_valid_time: u32,
    #[serde(default)]
    autoremove: bool,
}

/// Names of questions; longer lists of packages are asked for by one script.
const SLOTS: [&str; 24] = [
    "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15", "p16", "p17",
    "p18", "p19", "p20", "p21", "p22", "p23",
];

/// The answers, by the names of the questions.
type Answers = IndexMap<String, String>;

fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once('=') {
        Some((name, version)) => (name.trim(), Some(version.trim())),
        None => (name.trim(), None),
    }
}

fn names(list: &[String]) -> Vec<&str> {
    list.iter().map(|name| split(name).0).collect()
}

/// Prints which of the names that no package has are provided by an installed one.
fn provided(names: &[&str]) -> String {
    format!(
        "for _tb_n in {}; do
	for _tb_f in /var/lib/dpkg/info/$_tb_n.list /var/lib/dpkg/info/$_tb_n:*.list; do [ ! -e \"$_tb_f\" ] || continue 2; done
	dpkg-query -W -f='${{db:Status-Abbrev}} ${{Provides}},\\n' | grep '^.i' | grep -qF -e \" $_tb_n,\" -e \" $_tb_n (\" || continue
	apt-cache policy \"$_tb_n\" | grep -q 'Candidate: [^(]' || printf '%s\\n' \"$_tb_n\"
done",
        sh::words(names.iter().copied())
    )
}

/// What is printed of `names`: those which are installed, and whether anything was done at all, since what came along with
/// them is not looked at.
fn installed(names: &[&str]) -> Look {
    let text = format!(
        "dpkg-query -W -f='${{Package}} ${{db:Status-Abbrev}}\\n' {} | while read -r _tb_n _tb_s; do
	case $_tb_s in ?i*) printf '%s\\n' \"$_tb_n\" ;; esac
done
[ ! -e \"$_tb_k/first\" ] || echo touched",
        sh::words(names.iter().copied())
    );
    Look::Script { text }
}

impl Apt {
    fn updates(&self) -> bool {
        self.update_cache.unwrap_or(self.cache_valid_time > 0)
    }

    fn version(&self, now: &Answers, name: &str) -> Result<Option<String>, Refusal> {
        let lines = now.iter().filter(|(question, _)| question.starts_with('p') && *question != "provided" && *question != "policy");
        let mut lines = lines.flat_map(|(_, text)| text.lines());
        let line = lines.find(|line| line.split(' ').next() == Some(name)).unwrap_or_default();
        Ok(PackageState::parse(line).map_err(Refusal::new)?.version)
    }

    /// Packages to install that are not there, and packages to bring to another version.
    fn missing(&self, now: &Answers) -> Result<(Vec<&str>, Vec<&str>), Refusal> {
        let (mut new, mut other) = (Vec::new(), Vec::new());
        let text = |question: &str| now.get(question).map_or("", String::as_str);
        for full in &self.name {
            let (name, wanted) = split(full);
            let provided = wanted.is_none() && text("provided").lines().any(|line| line == name);
            match (self.version(now, name)?, wanted) {
                (None, _) if provided => {}
                (None, _) => new.push(full.as_str()),
                (Some(version), Some(wanted)) if !matches(wanted, &version) => other.push(full.as_str()),
                (Some(version), None) if self.state == Wanted::Latest => match candidate(text("policy"), name) {
                    Some(candidate) if candidate == version && !self.blind(now) => {}
                    None if !self.blind(now) => {}
                    _ => other.push(full.as_str()),
                },
                _ => {}
            }
        }
        Ok((new, other))
    }

    /// Newer versions may show up only once the lists are fetched.
    fn blind(&self, now: &Answers) -> bool {
        self.state == Wanted::Latest && self.updates() && !now.get("lists").is_some_and(|text| text.contains("fresh"))
    }

    fn head(&self) -> String {
        format!("_tb_t={}\n{PRELUDE}", self.lock_timeout)
    }

    /// Fetches lists when there are none, or when the task says so.
    fn fetch(&self) -> String {
        let wanted = match (self.updates(), self.cache_valid_time) {
            (false, _) => "! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1".to_string(),
            (true, 0) => "true".to_string(),
            // Young lists are good enough, but not a young directory without any.
            (true, seconds) => format!(
                "! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || [ -z \"$(find /var/lib/apt/lists -maxdepth 0 -mmin -{})\" ]",
                seconds.div_ceil(60)
            ),
        };
        format!("if {wanted}; then _tb_update || exit; fi\n")
    }

    fn install(&self, packages: &[&str]) -> String {
        let mut words = Vec::new();
        match self.install_recommends {
            Some(true) => words.push("--install-recommends"),
            Some(false) => words.push("--no-install-recommends"),
            None => {}
        }
        if let Some(release) = &self.default_release {
            words.extend(["-t", release]);
        }
        if self.allow_downgrade {
            words.push("--allow-downgrades");
        }
        if self.autoremove {
            words.push("--auto-remove");
        }
        words.push("install");
        words.extend(packages);
        sh::words(words)
    }

    fn remove(&self, now: &Answers, change: &mut Change) -> Result<(), Refusal> {
        let mut there = Vec::new();
        for name in names(&self.name) {
            if self.version(now, name)?.is_some() {
                there.push(name);
            }
        }
        if there.is_empty() {
            return Ok(());
        }
        there.sort_unstable();
        let (verb, undo) = match self.purge {
            true => ("purge", Undo::Never("purged configuration files do not come back".into())),
            false => ("remove", Undo::By(format!("{}{UNDO}", self.head()))),
        };
        let mut words = if self.autoremove { vec!["--auto-remove"] } else { Vec::new() };
        words.push(verb);
        words.extend(&there);
        let script = format!("{}_tb_transaction {}", self.head(), sh::words(words));
        let resource = Resource::new(format!("packages:{}", there.join(",")), installed(&there));
        change.step(format!("{verb} {}", there.join(", ")), resource, Apply::run(script), undo);
        Ok(())
    }

    fn unneeded(&self, now: &Answers, change: &mut Change) {
        let lines = now.get("unneeded").map(String::as_str).unwrap_or_default().lines();
        let unneeded: Vec<&str> = lines.collect();
        if !unneeded.is_empty() {
            let verb = if self.purge { "--purge autoremove" } else { "autoremove" };
            let script = format!("{}_tb_transaction {verb}", self.head());
            let resource = Resource::new(format!("packages:{}", unneeded.join(",")), installed(&unneeded));
            let undo = Undo::By(format!("{}{UNDO}", self.head()));
            change.step(format!("remove {}, which nothing needs", unneeded.join(", ")), resource, Apply::run(script), undo);
        }
    }

    fn add(&self, now: &Answers, change: &mut Change) -> Result<(), Refusal> {
        let (mut new, other) = self.missing(now)?;
        new.sort_unstable();
        if !new.is_empty() {
            let script = format!("{}{}_tb_transaction {}", self.head(), self.fetch(), self.install(&new));
            let mut plain: Vec<&str> = new.iter().map(|name| split(name).0).collect();
            plain.sort_unstable();
            let resource = Resource::new(format!("packages:{}", plain.join(",")), installed(&plain));
            let undo = Undo::By(format!("{}{UNDO}", self.head()));
            change.step(format!("install {}", new.join(", ")), resource, Apply::run(script), undo);
        }
        if !other.is_empty() {
            let fetch = if new.is_empty() { self.fetch() } else { String::new() };
            let script = format!("{}{fetch}_tb_apt {}", self.head(), self.install(&other));
            let never = Undo::Never(format!("another version of {}; the old one may be gone", other.join(", ")));
            change.act(format!("bring {} to another version", other.join(", ")), Apply::run(script), never);
        }
        Ok(())
    }
}

/// The version apt would install, from `apt-cache policy`.
fn candidate<'a>(policy: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = policy.lines().skip_while(|line| line.strip_suffix(':') != Some(name)).skip(1);
    let line = lines.next()?.trim().strip_prefix("Candidate: ")?;
    (line != "(none)").then_some(line)
}

impl Module for Apt {
    const NAME: &'static str = "apt";
    const SUMMARY: &'static str = "Installs and removes Debian packages.";
    const EXAMPLE: &'static str = "apt:\n  name: [wireguard-tools, jq]\n  state: present\n  install_recommends: no\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["allow_change_held_packages", "allow_unauthenticated", "auto_install_module_deps", "autoclean", "clean", "deb", "dpkg_options", "fail_on_autoremove", "force", "force_apt_get", "only_upgrade", "policy_rc_d", "update_cache_retries", "update_cache_retry_max_delay", "upgrade"];
    const FREE: Option<&'static str> = None;
    const ALIASES: &'static [&'static str] = &["package"];

    type Identity = Named;
    type State = Answers;

    fn check(&self) -> Result<(), Refusal> {
        if self.name.is_empty() && !self.updates() && !self.autoremove {
            return Err(Refusal::new("the task names no package").help("write `name: [package, …]` or `update_cache: yes`"));
        }
        for full in &self.name {
            let (name, version) = split(full);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c);
            if name.len() < 2 || !name.chars().all(plain) || name.starts_with(['-', '+', '.']) || name.ends_with('-') {
                let refusal = Refusal::new(format!("`{name}` is unsupported as the name of a package"));
                return Err(refusal.help("write plain names, without `:architecture`, `/release`, patterns or paths"));
            }
            if version.is_some_and(|version| version.is_empty() || version.contains(char::is_whitespace)) {
                return Err(Refusal::new(format!("`{full}` holds no version")).help("write `name=1.2-3` or just `name`"));
            }
            if version.is_some() && self.state == Wanted::Latest {
                return Err(Refusal::new(format!("`{full}` says a version, `state: latest` another")).help("write one of them"));
            }
        }
        Ok(())
    }

    fn probe(named: &Named) -> Probe {
        let names = names(&named.name);
        let mut probe = Probe::none();
        if names.len() <= SLOTS.len() {
            for (slot, name) in SLOTS.iter().zip(&names) {
                probe = probe.ask(slot, Look::Package { name: (*name).to_string() });
            }
        } else {
            let words = sh::words(names.iter().copied());
            let text = format!("dpkg-query -W -f='${{Package}} ${{db:Status-Abbrev}}${{Version}}\\n' {words}");
            probe = probe.ask("packages", Look::Script { text });
        }
        if !names.is_empty() && named.state != Wanted::Absent {
            probe = probe.ask("provided", Look::Script { text: provided(&names) });
        }
        if named.state == Wanted::Latest {
            let words = sh::words(names.iter().copied());
            let text = format!("apt-cache policy {words} | sed -n '/^[^ ]/p; /^  Candidate:/p'");
            probe = probe.ask("policy", Look::Script { text });
        }
        if names.is_empty() && named.autoremove {
            let text = "apt-get -s autoremove | sed -n 's/^Remv \\([^ :]*\\).*/\\1/p' | sort".to_string();
            probe = probe.ask("unneeded", Look::Script { text });
        }
        let mut text = "command -v apt-get >/dev/null || echo none".to_string();
        if named.cache_valid_time > 0 && (names.is_empty() || named.state == Wanted::Latest) {
            let minutes = named.cache_valid_time.div_ceil(60);
            text += &format!("\n[ -z \"$(find /var/lib/apt/lists -maxdepth 0 -mmin -{minutes})\" ] || echo fresh");
        }
        probe.ask("lists", Look::Script { text })
    }

    fn change(&self, now: &Answers) -> Result<Change, Refusal> {
        let lists = now.get("lists").map(String::as_str).unwrap_or_default();
        if lists.contains("none") {
            let refusal = Refusal::new("this host has no apt-get: package managers other than apt are unsupported");
            return Err(refusal.help("run its package manager by `command`, with an `undo:`"));
        }
        let mut change = Change::none();
        if self.name.is_empty() && self.updates() && !lists.contains("fresh") {
            change.act("fetch the package lists", Apply::run(format!("{}_tb_update", self.head())), Undo::Nothing);
        }
        match self.state {
            Wanted::Absent => self.remove(now, &mut change)?,
            Wanted::Present | Wanted::Latest => self.add(now, &mut change)?,
        }
        if self.name.is_empty() {
            self.unneeded(now, &mut change);
        }
        Ok(change)
    }

    fn result(&self, _: &Answers, ran: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        let (out, err): (String, String) = ran.iter().map(|ran| (ran.stdout.as_str(), ran.stderr.as_str())).unzip();
        fields.insert("cache_updated".into(), Value::from(self.updates() && !ran.is_empty()));
        if !ran.is_empty() {
            fields.insert("stdout_lines".into(), out.lines().map(Value::from).collect());
            fields.insert("stdout".into(), Value::from(out));
            fields.insert("stderr".into(), Value::from(err));
        }
        fields
    }
}
