use std::fs;

use super::*;

fn settings(files: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
    let home = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut settings = Settings::new(home.path().to_path_buf(), "me");
    settings.system_config = Some(home.path().join("etc/ssh_config"));
    (home, settings)
}

fn choose(text: &str, name: &str) -> Chosen {
    let (_home, settings) = settings(&[(".ssh/config", text)]);
    read_all(&settings).unwrap().choose(name).unwrap()
}

/// The values that were chosen, in a form that fits on a line.
fn shown(chosen: &Chosen) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(chosen.host_name.iter().map(|value| format!("host={value}")));
    parts.extend(chosen.user.iter().map(|value| format!("user={value}")));
    parts.extend(chosen.port.iter().map(|value| format!("port={value}")));
    parts.extend(chosen.identity_files.iter().map(|value| format!("key={value}")));
    parts.extend(chosen.proxy.iter().map(|value| format!("{value:?}")));
    parts.join(" ")
}

#[test]
fn which_values_hold() {
    let text = "\
# comment
User first
Host web? !web3
    Port 2201
    User second
Host=web*
    HostName \"%h.example.org\"
    Port = 2202   # later than the one above
    IdentityFile ~/.ssh/a
    IdentityFile ~/.ssh/b
Match originalhost web1,web2 host *.example.org
    ProxyJump gate
Match host db
    ProxyCommand none
    ProxyJump gate
Match !host db
    IdentityFile none
    IdentityFile ~/.ssh/a
Match all
    IdentityFile ~/.ssh/all
";
    for (name, expected) in [
        ("web1", "host=%h.example.org user=first port=2201 key=~/.ssh/a key=~/.ssh/b key=~/.ssh/all Jump(\"gate\")"),
        ("web3", "host=%h.example.org user=first port=2202 key=~/.ssh/a key=~/.ssh/b key=~/.ssh/all"),
        ("db", "user=first key=~/.ssh/all Direct"),
        ("other", "user=first key=~/.ssh/a key=~/.ssh/all"),
    ] {
        assert_eq!(shown(&choose(text, name)), expected, "{name}");
    }
}

#[test]
fn included_files_hold_where_the_line_does() {
    let (_home, settings) = settings(&[
        (".ssh/config", "Host a\nInclude conf.d/*.conf missing\nPort 9\nHost *\nUser last\n"),
        (".ssh/conf.d/2.conf", "Port 2\n"),
        (".ssh/conf.d/1.conf", "User one\nHost b\nPort 1\n"),
        (".ssh/conf.d/.hidden.conf", "Port 3\n"),
        ("etc/ssh_config", "Port 7\nUser system\nInclude more\n"),
        ("etc/more", "HostName included\n"),
    ]);
    let config = read_all(&settings).unwrap();
    assert_eq!(config.faults, []);
    for (name, expected) in [("a", "host=included user=one port=2"), ("b", "host=included user=last port=7")] {
        assert_eq!(shown(&config.choose(name).unwrap()), expected, "{name}");
    }
}

#[test]
fn further_values() {
    let text = "UserKnownHostsFile a \"b c\"\nStrictHostKeyChecking accept-new\nIdentitiesOnly yes\n\
        IdentityAgent none\nConnectTimeout 1m5\nServerAliveInterval 7\nAddressFamily inet6\nHashKnownHosts yes\n\
        HostKeyAlias alias\nServerAliveCountMax 2\nForwardAgent yes\n";
    let chosen = choose(text, "x");
    assert_eq!(chosen.known_hosts, Some(vec!["a".to_string(), "b c".to_string()]));
    assert_eq!(chosen.unknown, Some(Unknown::Accept));
    assert_eq!(chosen.identities_only, Some(true));
    assert_eq!(chosen.agent, Some(AgentChoice::None));
    assert_eq!(chosen.connect_timeout, Some(Duration::from_secs(65)));
    assert_eq!(chosen.alive_interval, Some(Duration::from_secs(7)));
    assert_eq!(chosen.alive_count, Some(2));
    assert_eq!(chosen.family, Some(Family::V6));
    assert_eq!(chosen.hash_known_hosts, Some(true));
    assert_eq!(chosen.host_key_alias.as_deref(), Some("alias"));
}

#[test]
fn what_is_not_obeyed_is_said() {
    for (text, expected) in [
        ("Ciphers aes128-ctr\n", "1: `Ciphers` is unsupported and has no effect here"),
        ("Host x\n  Prot 3\n", "2: unknown keyword `Prot`"),
        ("Match exec \"true\" host x\n", "1: `Match exec` is unsupported: the lines below it have no effect here"),
        ("Match host\n", "1: `Match host` needs patterns"),
        ("Port\n", "1: `Port` needs a value"),
        ("User \"open\n", "1: a quote is not closed"),
        ("Include config\n", "1: too many files include each other"),
    ] {
        let (home, settings) = settings(&[(".ssh/config", text)]);
        let fault = config_faults(&settings).swap_remove(0);
        let file = home.path().join(".ssh/config").display().to_string();
        let said = format!("{}: {}", place(fault.span.as_ref().unwrap()), fault.message);
        assert_eq!(said, format!("{file}:{expected}"));
    }
}

#[test]
fn what_cannot_be_understood_is_an_error_for_the_hosts_it_holds_for() {
    for (line, expected) in [
        ("Port 0", "`0` is not a port from 1 to 65535"),
        ("Port x", "`x` is not a port from 1 to 65535"),
        ("IdentitiesOnly maybe", "`maybe` is neither `yes` nor `no`"),
        ("StrictHostKeyChecking maybe", "`maybe` is none of `yes`, `accept-new`, `ask`, `no`"),
        ("ConnectTimeout soon", "`soon` is not a time; write seconds or a time like `1m30s`"),
        ("AddressFamily ipx", "`ipx` is none of `any`, `inet`, `inet6`"),
    ] {
        let (home, settings) = settings(&[(".ssh/config", &format!("Host a\n{line}\n"))]);
        let config = read_all(&settings).unwrap();
        assert!(config.choose("b").is_ok());
        let error = config.choose("a").unwrap_err();
        assert_eq!(error.kind, Why::Config);
        assert_eq!(error.message, format!("{}/.ssh/config:2: {expected}", home.path().display()));
    }
}

#[test]
fn a_named_file_must_be_there() {
    let (home, mut settings) = settings(&[]);
    assert_eq!(config_faults(&settings), []);
    settings.config_file = Some(home.path().join("nowhere"));
    assert!(config_faults(&settings)[0].message.starts_with("cannot read the SSH configuration"));
}
