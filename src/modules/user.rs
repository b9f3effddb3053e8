//! `user`: accounts of the host's own account files.

use std::collections::BTreeSet;

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
use crate::change::sh;
use crate::modules::Fields;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::group::account;
use crate::secret::Secret;

/// Makes, changes and removes an account.
///
/// Undone, an account that was made is removed, and its home with it if that was made too; an old one is as it was.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The account.
    #[serde(alias = "user")]
    pub name: String,
    /// `present` or `absent`.
    #[serde(default)]
    pub state: Wanted,
    /// Its number. Default: the host chooses.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Its primary group, by name or number.
    #[serde(default)]
    pub group: Option<String>,
    /// Its other groups. An empty list: none.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// Adds `groups` to those it is in already.
    #[serde(default)]
    pub append: bool,
    /// The program it logs in to.
    #[serde(default)]
    pub shell: Option<String>,
    /// Its home.
    #[serde(default)]
    pub home: Option<String>,
    /// Makes the home of a new account.
    #[serde(default = "yes", alias = "createhome")]
    pub create_home: bool,
    /// Takes a number from those of the system.
    #[serde(default)]
    pub system: bool,
    /// Its full name.
    #[serde(default)]
    pub comment: Option<String>,
    /// The hash of its password, as `/etc/shadow` holds it; never shown.
    #[serde(default, deserialize_with = "secret")]
    #[schemars(with = "Option<String>")]
    pub password: Option<Secret<String>>,
    /// `always`, or `on_create`: leaves the password of an old account.
    #[serde(default)]
    pub update_password: When,
    /// With `state: absent`, removes the home too. There is no way back then.
    #[serde(default)]
    pub remove: bool,
}

fn yes() -> bool {
    true
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    #[default]
    Present,
    Absent,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    #[default]
    Always,
    OnCreate,
}

#[derive(Debug, Deserialize)]
pub struct Named {
    #[serde(alias = "user")]
    name: String,
    #[serde(default)]
    group: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    passwd: String,
    #[serde(default)]
    shadow: String,
    #[serde(default)]
    member: String,
    #[serde(default)]
    group: String,
}

impl State {
    fn field(&self, at: usize) -> &str {
        self.passwd.split(':').nth(at).unwrap_or_default()
    }

    fn groups(&self) -> BTreeSet<&str> {
        self.member.lines().filter_map(|line| line.rsplit(':').next()).filter(|name| !name.is_empty()).collect()
    }

    /// The password's hash: the second field of the line, or the field alone.
    fn hash(&self) -> &str {
        self.shadow.split(':').nth(1).unwrap_or(&self.shadow)
    }
}

fn join<'a>(groups: impl IntoIterator<Item = &'a str>) -> String {
    groups.into_iter().collect::<Vec<_>>().join(",")
}

impl User {
    fn resource(&self) -> Resource {
        Resource::new(format!("user:{}", self.name), Look::Passwd { name: self.name.clone() })
    }

    /// Ends an undo when somebody removed the account since.
    fn still(&self) -> String {
        format!("grep -q {} /etc/passwd || exit 0\n", sh::quote(&format!("^{}:", self.name)))
    }

    /// Sets the hash; neither it nor the old one is in an argument list.
    fn set_password(&self) -> Option<String> {
        let hash = sh::quote(self.password.as_ref()?.expose());
        Some(format!("printf '%s:%s\\n' {} {hash} | chpasswd -e", sh::quote(&self.name)))
    }

    fn create(&self, change: &mut Change) {
        let mut words: Vec<String> = vec!["useradd".into()];
        let mut put = |flag: &str, value: Option<String>| words.extend(value.map(|value| [flag.to_string(), value]).into_iter().flatten());
        put("-u", self.uid.map(|uid| uid.to_string()));
        put("-g", self.group.clone());
        put("-G", self.groups.as_ref().filter(|groups| !groups.is_empty()).map(|groups| groups.join(",")));
        put("-s", self.shell.clone());
        put("-d", self.home.clone());
        put("-c", self.comment.clone());
        words.push(if self.create_home { "-m" } else { "-M" }.into());
        if self.system {
            words.push("-r".into());
        }
        let name = sh::quote(&self.name);
        // As in Ansible, a group that has the user's name already does not become its own.
        let own = match self.group {
            Some(_) => String::new(),
            None => format!("_tb_n=; ! grep -q {} /etc/group || _tb_n=-N\n", sh::quote(&format!("^{}:", self.name))),
        };
        let flag = if self.group.is_none() { " $_tb_n" } else { "" };
        let home = sh::quote(self.home.as_deref().unwrap_or_default());
        let default = "_tb_h=$(useradd -D | sed -n 's/^HOME=//p')".to_string() + &format!("/{name}");
        let home = if self.home.is_some() { format!("_tb_h={home}") } else { default };
        let mark = if self.create_home { format!("{home}\n[ -e \"$_tb_h\" ] || : >\"${{_tb_k:?}}/home\"\n") } else { String::new() };
        let password = self.set_password().map(|set| format!(" && {set}")).unwrap_or_default();
        let words = sh::words(words.iter().map(String::as_str));
        let script = format!("{own}{mark}{words}{flag} {name}{password}");
        let undo = format!(
            "_tb_x=; [ ! -e \"$_tb_k/home\" ] || _tb_x=-r
grep -q {} /etc/passwd || exit 0
userdel $_tb_x {name} 2>/dev/null || userdel -f $_tb_x {name}",
            sh::quote(&format!("^{}:", self.name)),
        );
        change.step(format!("make the user {}", self.name), self.resource(), Apply::run(script), Undo::By(undo));
    }

    fn modify(&self, now: &State, change: &mut Change) {
        let name = sh::quote(&self.name);
        let gid = match &self.group {
            Some(group) if group.bytes().all(|b| b.is_ascii_digit()) => Some(group.clone()),
            // Empty when the group is not there: usermod says so.
            Some(_) => Some(now.group.split(':').nth(2).unwrap_or_default().to_string()),
            None => None,
        };
        let (mut forth, mut what) = (Vec::new(), Vec::new());
        for (flag, label, wanted, value, seen) in [
            ("-u", "number", self.uid.map(|uid| uid.to_string()), self.uid.map(|uid| uid.to_string()), now.field(2)),
            ("-g", "group", gid, self.group.clone(), now.field(3)),
            ("-c", "comment", self.comment.clone(), self.comment.clone(), now.field(4)),
            ("-d", "home", self.home.clone(), self.home.clone(), now.field(5)),
            ("-s", "shell", self.shell.clone(), self.shell.clone(), now.field(6)),
        ] {
            let Some((wanted, value)) = wanted.zip(value) else { continue };
            if wanted != seen {
                what.push(format!("{label}: {seen} -> {value}"));
                forth.extend([flag.to_string(), value]);
            }
        }
        if !forth.is_empty() {
            let script = format!("usermod {} {name}", sh::words(forth.iter().map(String::as_str)));
            // All of the account: another task may change what this one leaves alone.
            let back = [("-u", 2), ("-g", 3), ("-c", 4), ("-d", 5), ("-s", 6)].map(|(flag, at)| [flag, now.field(at)]);
            let undo = format!("{}usermod {} {name}", self.still(), sh::words(back.concat()));
            change.step(format!("user {}: {}", self.name, what.join(", ")), self.resource(), Apply::run(script), Undo::By(undo));
        }
        self.join_groups(now, change);
        let set = self.set_password().filter(|_| self.update_password == When::Always);
        if let Some(set) = set.filter(|_| self.password.as_ref().is_some_and(|hash| hash.expose() != now.hash())) {
            let line = sh::quote(&format!("^{}:", self.name));
            let keep = format!("[ -s \"${{_tb_k:?}}/shadow\" ] || (umask 077 && grep {line} /etc/shadow >\"$_tb_k/shadow\") || exit\n");
            let undo = "[ -s \"$_tb_k/shadow\" ] || exit 0
IFS=: read -r _tb_n _tb_x _tb_l <\"$_tb_k/shadow\"
printf '%s:%s\\n' \"$_tb_n\" \"$_tb_x\" | chpasswd -e";
            let resource = Resource::new(format!("password:{}", self.name), Look::Shadow { name: self.name.clone() });
            change.step(format!("set the password of {}", self.name), resource, Apply::run(keep + &set), Undo::By(undo.into()));
        }
    }

    fn join_groups(&self, now: &State, change: &mut Change) {
        let Some(groups) = &self.groups else { return };
        let seen = now.groups();
        let mut wanted: BTreeSet<&str> = groups.iter().map(String::as_str).collect();
        if self.append {
            wanted.extend(&seen);
        }
        // The primary group may be written among the others; it lists nobody.
        let primary = self.group.as_deref().unwrap_or_default();
        wanted.retain(|name| *name != primary || seen.contains(name));
        if wanted == seen {
            return;
        }
        let name = sh::quote(&self.name);
        let set = |groups: &BTreeSet<&str>| format!("usermod -G {} {name}", sh::quote(&join(groups.iter().copied())));
        let what = format!("groups of {}: {} -> {}", self.name, join(seen.iter().copied()), join(wanted.iter().copied()));
        let resource = Resource::new(format!("groups:{}", self.name), Look::Member { name: self.name.clone() });
        change.step(what, resource, Apply::run(set(&wanted)), Undo::By(self.still() + &set(&seen)));
    }

    fn delete(&self, now: &State, change: &mut Change) {
        let name = sh::quote(&self.name);
        let what = format!("remove the user {}", self.name);
        if self.remove {
            let never = Undo::Never(format!("the home of {} goes too", self.name));
            change.step(what, self.resource(), Apply::run(format!("userdel -r {name}")), never);
            return;
        }
        let line = sh::quote(&format!("^{}:", self.name));
        let script = format!("(umask 077 && grep {line} /etc/shadow >\"${{_tb_k:?}}/shadow\")\nuserdel {name}");
        let words = ["useradd", "-M", "-u", now.field(2), "-g", now.field(3), "-c", now.field(4), "-d", now.field(5), "-s", now.field(6)];
        let groups = join(now.groups());
        let more = if groups.is_empty() { String::new() } else { format!(" -G {}", sh::quote(&groups)) };
        let undo = format!(
            "! grep -q {line} /etc/passwd || exit 0
cut -d: -f3 /etc/group | grep -qx {gid} || groupadd -g {gid} {name} || exit
{words}{more} {name} || exit
IFS=: read -r _tb_n _tb_x _tb_l <\"$_tb_k/shadow\" && printf '%s:%s\\n' \"$_tb_n\" \"$_tb_x\" | chpasswd -e",
            gid = sh::quote(now.field(3)),
            words = sh::words(words),
        );
        change.step(what, self.resource(), Apply::run(script), Undo::By(undo));
    }
}

impl Module for User {
    const NAME: &'static str = "user";
    const SUMMARY: &'static str = "Makes, changes and removes an account.";
    const EXAMPLE: &'static str = "user:\n  name: tester\n  shell: /bin/bash\n  groups: [adm]\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["authorization", "expires", "force", "generate_ssh_key", "hidden", "local", "login_class", "move_home", "non_unique", "password_expire_account_disable", "password_expire_max", "password_expire_min", "password_expire_warn", "password_lock", "profile", "role", "seuser", "skeleton", "ssh_key_bits", "ssh_key_comment", "ssh_key_file", "ssh_key_passphrase", "ssh_key_type", "uid_max", "uid_min", "umask"];

    type Identity = Named;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        account(&self.name)?;
        let mut groups = self.groups.iter().flatten().chain(&self.group);
        groups.try_for_each(|group| account(group))?;
        let texts = [&self.shell, &self.home, &self.comment];
        if texts.into_iter().flatten().any(|text| text.contains([':', '\n'])) {
            return Err(Refusal::new("a field of an account cannot hold `:` or a line end"));
        }
        let hash = self.password.as_ref().map(|hash| hash.expose().as_str());
        if hash.is_some_and(|hash| hash.contains([':', '\n']) || !hash.starts_with(['$', '*', '!', '_'])) {
            let refusal = Refusal::new("`password` takes a hash, not the password itself");
            return Err(refusal.help("make one with the filter password_hash, or `openssl passwd -6`"));
        }
        Ok(())
    }

    fn probe(named: &Named) -> Probe {
        let name = || named.name.clone();
        let probe = Probe::none().ask("passwd", Look::Passwd { name: name() }).ask("shadow", Look::Shadow { name: name() });
        let probe = probe.ask("member", Look::Member { name: name() });
        match &named.group {
            Some(group) => probe.ask("group", Look::Group { name: group.clone() }),
            None => probe,
        }
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        match (self.state, now.passwd.is_empty()) {
            (Wanted::Present, true) => self.create(&mut change),
            (Wanted::Present, false) => self.modify(now, &mut change),
            (Wanted::Absent, false) => self.delete(now, &mut change),
            (Wanted::Absent, true) => {}
        }
        Ok(change)
    }

    fn result(&self, now: &State, _: &[Ran]) -> Fields {
        let mut fields = Fields::new();
        fields.insert("name".into(), Value::from(self.name.as_str()));
        fields.insert("state".into(), Value::from(if self.state == Wanted::Present { "present" } else { "absent" }));
        let or = |own: &Option<String>, at: usize| own.clone().unwrap_or_else(|| now.field(at).to_string());
        if let Some(uid) = self.uid.or_else(|| now.field(2).parse().ok()) {
            fields.insert("uid".into(), Value::from(uid));
        }
        let home = match or(&self.home, 5) {
            home if home.is_empty() => format!("/home/{}", self.name),
            home => home,
        };
        for (name, value) in [("home", home), ("shell", or(&self.shell, 6)), ("comment", or(&self.comment, 4))] {
            fields.insert(name.into(), Value::from(value));
        }
        fields
    }
}
