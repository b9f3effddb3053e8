//! `iptables`: one rule, or the policy of a chain.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Apply;
use crate::change::Change;
use crate::change::Probe;
use crate::change::Refusal;
use crate::change::Resource;
use crate::change::Undo;
use crate::change::look::Look;
use crate::change::sh;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;

/// A rule of the packet filter, or the policy of a chain, in the running kernel.
///
/// `!` in front of an address, interface or port turns it round. Undone, the rule goes; a rule that was removed comes back
/// at the place where it was.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Iptables {
    /// The chain: `INPUT`, `FORWARD`, `POSTROUTING` …
    pub chain: String,
    /// `filter`, `nat`, `mangle`, `raw` or `security`.
    #[serde(default)]
    pub table: Table,
    /// `present` or `absent`.
    #[serde(default)]
    pub state: Wanted,
    /// Where a new rule goes: `append` or `insert`.
    #[serde(default)]
    pub action: Action,
    /// The number a rule is inserted at; 1 is the first.
    #[serde(default)]
    pub rule_num: Option<u32>,
    /// `ipv4` or `ipv6`.
    #[serde(default)]
    pub ip_version: Version,
    /// Instead of a rule: what the chain does with packets that no rule takes (`ACCEPT`, `DROP` …).
    #[serde(default)]
    pub policy: Option<Policy>,
    /// `tcp`, `udp`, `icmp`, a number …
    #[serde(default)]
    pub protocol: Option<String>,
    /// Address, network or name that packets come from.
    #[serde(default)]
    pub source: Option<String>,
    /// Address, network or name that packets go to.
    #[serde(default)]
    pub destination: Option<String>,
    /// Interface packets come in by.
    #[serde(default)]
    pub in_interface: Option<String>,
    /// Interface packets go out by.
    #[serde(default)]
    pub out_interface: Option<String>,
    /// Whether the rule is for fragments: `-f`, written as `fragment: yes`.
    #[serde(default)]
    pub fragment: bool,
    /// Port, or `first:last`, packets come from. Needs `protocol`.
    #[serde(default)]
    pub source_port: Option<String>,
    /// Port, or `first:last`, packets go to. Needs `protocol`.
    #[serde(default)]
    pub destination_port: Option<String>,
    /// Several ports packets go to (`multiport`).
    #[serde(default)]
    pub destination_ports: Vec<String>,
    /// Further matches by name, as `-m` takes them.
    #[serde(default, rename = "match")]
    pub matches: Vec<String>,
    /// States of connections: `NEW`, `ESTABLISHED`, `RELATED` …
    #[serde(default)]
    pub ctstate: Vec<String>,
    /// `first-last` addresses packets come from.
    #[serde(default)]
    pub src_range: Option<String>,
    /// `first-last` addresses packets go to.
    #[serde(default)]
    pub dst_range: Option<String>,
    /// Packets a time: `10/second`.
    #[serde(default)]
    pub limit: Option<String>,
    /// Packets before `limit` holds.
    #[serde(default)]
    pub limit_burst: Option<String>,
    /// User, by name or number, whose packets are meant (`OUTPUT` only).
    #[serde(default)]
    pub uid_owner: Option<String>,
    /// Group, by name or number, whose packets are meant (`OUTPUT` only).
    #[serde(default)]
    pub gid_owner: Option<String>,
    /// `match`: packets that open a connection; `negate`: the others; `ignore`: both.
    #[serde(default)]
    pub syn: Syn,
    /// Type of ICMP packets: `echo-request` …
    #[serde(default)]
    pub icmp_type: Option<String>,
    /// Mark that packets bear: `0x1` or `0x1/0xff`.
    #[serde(default)]
    pub mark: Option<String>,
    /// Text kept with the rule.
    #[serde(default)]
    pub comment: Option<String>,
    /// What happens to the packet: `ACCEPT`, `DROP`, `MASQUERADE`, a chain …
    #[serde(default)]
    pub jump: Option<String>,
    /// Chain to go on in.
    #[serde(default)]
    pub goto: Option<String>,
    /// For `jump: SNAT`.
    #[serde(default)]
    pub to_source: Option<String>,
    /// For `jump: DNAT`.
    #[serde(default)]
    pub to_destination: Option<String>,
    /// For `jump: REDIRECT` and `MASQUERADE`.
    #[serde(default)]
    pub to_ports: Option<String>,
    /// For `jump: REJECT`.
    #[serde(default)]
    pub reject_with: Option<String>,
    /// For `jump: MARK`.
    #[serde(default)]
    pub set_mark: Option<String>,
    /// For `jump: LOG`: text in front of each line.
    #[serde(default)]
    pub log_prefix: Option<String>,
    /// For `jump: LOG`.
    #[serde(default)]
    pub log_level: Option<String>,
    /// Seconds to wait for another program that changes rules.
    #[serde(default = "five")]
    pub wait: u32,
}

fn five() -> u32 {
    5
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    #[default]
    Filter,
    Nat,
    Mangle,
    Raw,
    Security,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    #[default]
    Present,
    Absent,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    Append,
    Insert,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    #[default]
    Ipv4,
    Ipv6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Policy {
    #[serde(rename = "ACCEPT")]
    Accept,
    #[serde(rename = "DROP")]
    Drop,
    #[serde(rename = "QUEUE")]
    Queue,
    #[serde(rename = "RETURN")]
    Return,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Syn {
    #[default]
    Ignore,
    Match,
    Negate,
}

#[derive(Debug, Deserialize)]
pub struct State {
    #[serde(default)]
    rule: String,
}

impl Iptables {
    /// `iptables -w 5 -t filter`
    fn program(&self) -> String {
        let program = match self.ip_version {
            Version::Ipv4 => "iptables",
            Version::Ipv6 => "ip6tables",
        };
        format!("{program} -w {} -t {}", self.wait, self.table())
    }

    fn table(&self) -> &'static str {
        match self.table {
            Table::Filter => "filter",
            Table::Nat => "nat",
            Table::Mangle => "mangle",
            Table::Raw => "raw",
            Table::Security => "security",
        }
    }

    /// The rule's words after the chain.
    fn rule(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut turned = |flag: &str, value: &Option<String>| {
            let Some(value) = value else { return };
            let value = match value.strip_prefix('!') {
                Some(rest) => {
                    words.push("!".to_string());
                    rest.trim()
                }
                None => value,
            };
            words.extend([flag.to_string(), value.to_string()]);
        };
        turned("-p", &self.protocol);
        turned("-s", &self.source);
        turned("-d", &self.destination);
        turned("-i", &self.in_interface);
        turned("-o", &self.out_interface);
        turned("--sport", &self.source_port);
        turned("--dport", &self.destination_port);
        let plain = |words: &mut Vec<String>, flags: &[&str], value: Option<String>| {
            if let Some(value) = value {
                words.extend(flags.iter().map(|flag| (*flag).to_string()));
                words.push(value);
            }
        };
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
        if self.fragment {
            words.push("-f".into());
        }
        match self.syn {
            Syn::Ignore => {}
            Syn::Match => words.push("--syn".into()),
            Syn::Negate => words.extend(["!".into(), "--syn".into()]),
        }
        for name in &self.matches {
            words.extend(["-m".into(), name.clone()]);
        }
        // A match that is named by hand is not loaded twice.
        let load = |words: &mut Vec<String>, name: &str, wanted: bool| {
            if wanted && !self.matches.iter().any(|own| own == name) {
                words.extend(["-m".into(), name.into()]);
            }
        };
        load(&mut words, "multiport", !self.destination_ports.is_empty());
        plain(&mut words, &["--dports"], list(&self.destination_ports));
        load(&mut words, "conntrack", !self.ctstate.is_empty());
        plain(&mut words, &["--ctstate"], list(&self.ctstate));
        load(&mut words, "iprange", self.src_range.is_some() || self.dst_range.is_some());
        plain(&mut words, &["--src-range"], self.src_range.clone());
        plain(&mut words, &["--dst-range"], self.dst_range.clone());
        load(&mut words, "limit", self.limit.is_some() || self.limit_burst.is_some());
        plain(&mut words, &["--limit"], self.limit.clone());
        plain(&mut words, &["--limit-burst"], self.limit_burst.clone());
        load(&mut words, "owner", self.uid_owner.is_some() || self.gid_owner.is_some());
        for (flag, value) in [("--uid-owner", &self.uid_owner), ("--gid-owner", &self.gid_owner)] {
            let turned = value.as_deref().and_then(|value| value.strip_prefix('!'));
            words.extend(turned.map(|_| "!".to_string()));
            plain(&mut words, &[flag], turned.map(|rest| rest.trim().to_string()).or_else(|| value.clone()));
        }
        let icmp = if self.ip_version == Version::Ipv4 { "--icmp-type" } else { "--icmpv6-type" };
        plain(&mut words, &[icmp], self.icmp_type.clone());
        load(&mut words, "mark", self.mark.is_some());
        plain(&mut words, &["--mark"], self.mark.clone());
        load(&mut words, "comment", self.comment.is_some());
        plain(&mut words, &["--comment"], self.comment.clone());
        for (flag, value) in [
            ("-j", &self.jump),
            ("-g", &self.goto),
            ("--to-source", &self.to_source),
            ("--to-destination", &self.to_destination),
            ("--to-ports", &self.to_ports),
            ("--reject-with", &self.reject_with),
            ("--set-mark", &self.set_mark),
            ("--log-prefix", &self.log_prefix),
            ("--log-level", &self.log_level),
        ] {
            plain(&mut words, &[flag], value.clone());
        }
        words
    }

    fn words(&self) -> String {
        let words = self.rule();
        sh::words(std::iter::once(self.chain.as_str()).chain(words.iter().map(String::as_str)))
    }

    /// Prints `yes`, `no`, `none` (there is no iptables) or why it cannot be told.
    fn look(&self) -> Look {
        let program = self.program();
        let name = program.split(' ').next().unwrap_or_default();
        let none = format!("command -v {name} >/dev/null || {{ echo none; exit; }}\n");
        let text = match self.policy {
            Some(_) => {
                let chain = sh::quote(&self.chain);
                format!("{none}{program} -S {chain} 2>&1 | {{ read -r _tb_l; printf '%s\\n' \"$_tb_l\"; }}")
            }
            None => format!(
                "{none}_tb_x=$({program} -C {} 2>&1)
case $? in
0) echo yes ;;
1) echo no ;;
*) printf '%s\\n' \"$_tb_x\" ;;
esac",
                self.words()
            ),
        };
        Look::Script { text }
    }

    fn set_policy(&self, policy: Policy, now: &State) -> Result<Change, Refusal> {
        let mut change = Change::none();
        let old = now.rule.strip_prefix("-P ").and_then(|rest| rest.split(' ').nth(1));
        let Some(old) = old else { return Err(self.unknown(&now.rule)) };
        let new = match policy {
            Policy::Accept => "ACCEPT",
            Policy::Drop => "DROP",
            Policy::Queue => "QUEUE",
            Policy::Return => "RETURN",
        };
        if old != new {
            let id = format!("policy:{:?}:{}:{}", self.ip_version, self.table(), self.chain).to_lowercase();
            let set = |policy: &str| format!("{} -P {} {policy}", self.program(), sh::quote(&self.chain));
            let what = format!("policy of {}: {old} -> {new}", self.chain);
            change.step(what, Resource::new(id, self.look()), Apply::run(set(new)), Undo::By(set(old)));
        }
        Ok(change)
    }

    fn unknown(&self, said: &str) -> Refusal {
        let first = said.lines().next().unwrap_or_default();
        Refusal::new(format!("the rules of chain {} could not be read: {first}", self.chain))
    }

    fn add(&self) -> String {
        let (program, words) = (self.program(), self.rule());
        let words = sh::words(words.iter().map(String::as_str));
        let chain = sh::quote(&self.chain);
        match (self.action, self.rule_num) {
            (Action::Append, _) => format!("{program} -A {chain} {words}"),
            (Action::Insert, at) => format!("{program} -I {chain} {} {words}", at.unwrap_or(1)),
        }
    }

    /// Removes the rule and keeps its place: the first line in which the chain before differs from the chain after.
    fn delete(&self) -> String {
        let (program, chain) = (self.program(), sh::quote(&self.chain));
        format!(
            "{program} -S {chain} | grep '^-A' >\"${{_tb_k:?}}/before\"
{program} -D {} || exit
{}",
            self.words(),
            self.place()
        )
    }

    /// Notes the first line in which the chain before differs from the chain as it is.
    fn place(&self) -> String {
        let (program, chain) = (self.program(), sh::quote(&self.chain));
        format!(
            "{program} -S {chain} | grep '^-A' >\"$_tb_k/after\"
_tb_i=1
while IFS= read -r _tb_l <&3 && IFS= read -r _tb_x <&4 && [ \"$_tb_l\" = \"$_tb_x\" ]; do _tb_i=$((_tb_i + 1)); done 3<\"$_tb_k/before\" 4<\"$_tb_k/after\"
echo $_tb_i >\"$_tb_k/place\""
        )
    }

    fn insert_back(&self) -> String {
        let (program, words) = (self.program(), self.rule());
        let words = sh::words(words.iter().map(String::as_str));
        let chain = sh::quote(&self.chain);
        format!(
            "[ -e \"$_tb_k/before\" ] || exit 0
{program} -C {chain} {words} 2>/dev/null && exit 0
if [ ! -s \"$_tb_k/place\" ]; then
{}
fi
read -r _tb_i <\"$_tb_k/place\"
{program} -I {chain} \"$_tb_i\" {words} 2>/dev/null || {program} -A {chain} {words}",
            self.place()
        )
    }
}

impl Module for Iptables {
    const NAME: &'static str = "iptables";
    const SUMMARY: &'static str = "Adds and removes a rule of the packet filter.";
    const EXAMPLE: &'static str = "iptables:\n  chain: INPUT\n  protocol: udp\n  destination_port: 51820\n  jump: ACCEPT\n  comment: tunnels come in here\n";
    const NATURE: Nature = Nature::State;
    const REACH: Reach = Reach::Own;
    const UNSUPPORTED: &'static [&'static str] = &["chain_management", "flush", "gateway", "match_set", "match_set_flags", "numeric", "set_counters", "set_dscp_mark", "set_dscp_mark_class", "tcp_flags",];

    // The whole rule is its name.
    type Identity = Iptables;
    type State = State;

    fn check(&self) -> Result<(), Refusal> {
        let letters = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if self.chain.is_empty() || self.chain.starts_with('-') || !self.chain.chars().all(letters) {
            return Err(Refusal::new(format!("`{}` is no name of a chain", self.chain)).help("write `chain: INPUT`"));
        }
        let ports = self.source_port.is_some() || self.destination_port.is_some() || !self.destination_ports.is_empty();
        if ports && self.protocol.is_none() {
            return Err(Refusal::new("a port needs a protocol").help("write `protocol: tcp` or `protocol: udp`"));
        }
        let words = self.rule();
        if self.policy.is_some() && !words.is_empty() {
            return Err(Refusal::new("a task sets a policy or a rule, not both").help("write two tasks"));
        }
        if self.policy.is_none() && words.is_empty() {
            return Err(Refusal::new("the rule is empty").help("write at least `jump: ACCEPT`"));
        }
        if self.rule_num.is_some() && self.action == Action::Append {
            return Err(Refusal::new("`rule_num` is where a rule is inserted").help("write `action: insert` beside it"));
        }
        match words.iter().any(|word| word.contains('\n')) {
            true => Err(Refusal::new("a rule is one line")),
            false => Ok(()),
        }
    }

    fn probe(rule: &Iptables) -> Probe {
        Probe::none().ask("rule", rule.look())
    }

    fn change(&self, now: &State) -> Result<Change, Refusal> {
        if now.rule == "none" {
            return Err(Refusal::new("this host has no iptables").help("install the package iptables first"));
        }
        if let Some(policy) = self.policy {
            return self.set_policy(policy, now);
        }
        let mut change = Change::none();
        let there = match now.rule.as_str() {
            "yes" => true,
            "no" => false,
            said => return Err(self.unknown(said)),
        };
        let id = format!("rule:{:?}:{}:{}", self.ip_version, self.table(), self.words());
        let resource = Resource::new(id, self.look());
        let rule = self.words();
        match (self.state, there) {
            (Wanted::Present, false) => {
                let (program, words) = (self.program(), self.words());
                let undo = format!("! {program} -C {words} 2>/dev/null || {program} -D {words}");
                change.step(format!("add the rule {rule}"), resource, Apply::run(self.add()), Undo::By(undo));
            }
            (Wanted::Absent, true) => {
                let undo = Undo::By(self.insert_back());
                change.step(format!("remove the rule {rule}"), resource, Apply::run(self.delete()), undo);
            }
            _ => {}
        }
        Ok(change)
    }
}
