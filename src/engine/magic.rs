//! Names that stand for the run itself, and those that have a value when nobody gave them one.

use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexSet;
use minijinja::Value;

use crate::engine::scope::HostVars;
use crate::engine::scope::Scope;
use crate::engine::store::NODE;
use crate::graph::Work;
use crate::lang::fixed::whole;
use crate::lang::inherit::Inherited;
use crate::lang::lookup::Found;
use crate::lang::lookup::Lookup;
use crate::lang::lookup::Pending;
use crate::lang::node::Node;
use crate::lang::playbook::Play;

/// How many hosts Ansible would work on at once. Here it is all of them; templates divide by it.
const FORKS: u32 = 5;

/// Names that look like facts and are none, so that no host is asked for them.
pub(super) const NO_FACTS: [&str; 8] = [
    "ansible_failed_result",
    "ansible_failed_task",
    "ansible_forks",
    "ansible_limit",
    "ansible_loop",
    "ansible_loop_var",
    "ansible_managed",
    "ansible_role_name",
];

/// `ansible_delegated_vars`: what is known of the host a task is delegated to.
#[derive(Debug)]
struct Delegated(Scope, String);

impl Lookup for Delegated {
    fn get(&self, name: &str) -> Found {
        if name == self.1 { HostVars(self.0.clone()).get(name) } else { Found::Missing }
    }

    fn names(&self) -> Vec<String> {
        vec![self.1.clone()]
    }
}

/// The names of a play's roles: of those that are named in `roles:`, or of those that came as a dependency.
fn role_names(play: &Play, dependent: bool) -> Vec<&str> {
    let roles = play.roles.iter().filter(|used| used.role.parents.is_empty() != dependent);
    let names: IndexSet<&str> = roles.map(|used| used.role.name.as_str()).collect();
    names.into_iter().collect()
}

impl Scope {
    /// Names that stand for the run itself; nothing overrides them.
    pub(super) fn magic(&self, name: &str) -> Option<Found> {
        let play = self.store.graph.plays.get(self.play)?;
        let inventory = &self.store.project.inventory;
        let list = |items: Vec<&str>| items.into_iter().map(Value::from).collect::<Value>();
        let names = |hosts: &[String]| list(hosts.iter().map(String::as_str).collect());
        let path = |path: &Path| Value::from(whole(path).display().to_string());
        let value = match name {
            "inventory_hostname" => Value::from(self.name()),
            "inventory_hostname_short" if self.name().parse::<IpAddr>().is_ok() => Value::from(self.name()),
            "inventory_hostname_short" => Value::from(self.name().split('.').next().unwrap_or_default()),
            "group_names" => list(inventory.group_names(self.name())),
            "groups" => {
                Value::from_pairs(inventory.groups.keys().map(|group| (group.clone(), list(inventory.hosts_of(group)))))
            }
            "hostvars" => return Some(Found::Scope(Arc::new(HostVars(self.clone())))),
            "vars" => return Some(Found::Scope(Arc::new(self.clone()))),
            "ansible_play_hosts_all" => names(&play.all_hosts),
            "ansible_play_hosts" | "play_hosts" => return Some(self.present(&play.all_hosts)),
            "ansible_play_batch" => return Some(self.present(&play.hosts)),
            "ansible_play_name" => {
                let pattern = || play.pattern.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(",");
                Value::from(play.name.as_ref().and_then(Node::scalar).unwrap_or_else(pattern))
            }
            "playbook_dir" => path(&play.directory),
            "inventory_dir" => {
                let own = inventory.file_of(self.name()).and_then(Path::parent);
                path(own.or(inventory.directories.first().map(PathBuf::as_path))?)
            }
            "role_name" | "ansible_role_name" => Value::from(self.role()?.name.as_str()),
            "role_path" => path(&self.role()?.path),
            "ansible_check_mode" => Value::from(self.store.plan),
            "ansible_diff_mode" => Value::from(self.store.diff),
            "ansible_version" => Value::from_pairs([("full", Value::from("2.19.0")), ("major", Value::from(2))]),
            "ansible_verbosity" => Value::from(self.store.verbosity),
            "ansible_run_tags" => match self.store.graph.choice.tags.is_empty() {
                true => list(vec!["all"]),
                false => names(&self.store.graph.choice.tags),
            },
            "ansible_skip_tags" => names(&self.store.graph.choice.skip_tags),
            "ansible_limit" => Value::from(self.store.project.limit.as_deref()?),
            "ansible_inventory_sources" => inventory.sources.iter().map(|source| path(source)).collect(),
            "inventory_file" => path(inventory.file_of(self.name())?),
            "ansible_play_role_names" | "role_names" => list(role_names(play, false)),
            "ansible_dependent_role_names" => list(role_names(play, true)),
            "ansible_role_names" => {
                let (own, brought) = (role_names(play, false), role_names(play, true));
                list(own.iter().chain(brought.iter().filter(|name| !own.contains(name))).copied().collect())
            }
            "testbed" => Value::from(inventory.testbed.as_str()),
            _ => return None,
        };
        Some(Found::Value(value))
    }

    /// Weaker than everything that is written down.
    pub(super) fn fallback(&self, name: &str) -> Option<Found> {
        // The names of old; what a task sees of its connection.
        if self.inherited().is_some()
            && let Some(new) = name.strip_prefix("ansible_ssh_").filter(|word| ["host", "port", "user"].contains(word))
        {
            return self.find(&format!("ansible_{new}"));
        }
        let value = match name {
            "ansible_managed" => Value::from("Ansible managed"),
            "ansible_forks" => Value::from(FORKS),
            // Only a task sees it; in `hostvars` it is what was written down, as in Ansible.
            "ansible_host" if self.inherited().is_some() => return Some(self.address()),
            "ansible_user" => Value::from(self.login(self.inherited()?)?),
            "ansible_delegated_vars" => return Some(Found::Scope(Arc::new(Delegated(self.clone(), self.delegate()?)))),
            "ansible_connection" if self.inherited().is_some() => {
                let told = self.inherited().and_then(|inherited| inherited.connection.as_ref()?.scalar());
                let implied =
                    if self.store.project.inventory.hosts.contains_key(self.name()) { "ssh" } else { "local" };
                Value::from(told.unwrap_or_else(|| implied.to_string()))
            }
            _ => return None,
        };
        Some(Found::Value(value))
    }

    /// Whom a task is delegated to.
    fn delegate(&self) -> Option<String> {
        let to = self.inherited()?.delegate_to.as_ref()?;
        // Its name cannot depend on what is asked for here.
        let own = [("ansible_host".to_string(), Value::from(self.name()))];
        let known = self.store.templates.render(to, &self.with(own).lookup()).ok()?;
        known.scalar().filter(|name| !name.is_empty())
    }

    /// Where a task connects to, if nothing is written down for its host.
    fn address(&self) -> Found {
        let Some(other) = self.delegate() else { return Found::Value(Value::from(self.name())) };
        match HostVars(self.clone()).get(&other) {
            Found::Scope(vars) => match vars.get("ansible_host") {
                Found::Missing => Found::Value(Value::from(other)),
                known => known,
            },
            _ => Found::Value(Value::from(other)),
        }
    }

    /// As whom a task logs in, if that is not left to SSH.
    fn login(&self, inherited: &Inherited) -> Option<String> {
        let said = inherited.remote_user.as_ref().and_then(Node::scalar);
        said.or_else(|| self.store.project.config.remote_user.clone())
    }

    /// The hosts of the play that have not failed before this place. Whoever has not come as far yet is waited for.
    fn present(&self, hosts: &[String]) -> Found {
        let (store, mut names) = (&self.store, Vec::new());
        for name in hosts {
            let Some(host) = store.graph.host(name) else { continue };
            if store.is_absent(host, self.play, &self.pos) {
                continue;
            }
            let earlier = store.graph.chains[host].iter().take_while(|&&id| store.graph.node(id).pos < self.pos);
            let open = |id: &&u32| !store.has(**id) && !matches!(store.graph.node(**id).work, Work::Facts { .. });
            match earlier.into_iter().filter(|_| host != self.host).find(open) {
                Some(id) => return Found::Unknown(Pending(format!("{NODE}{id}"))),
                None => names.push(Value::from(name.as_str())),
            }
        }
        Found::Value(names.into_iter().collect())
    }
}
