//! The real binary: exit codes, which stream says what, and the forms of `inventory`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by stopping")]

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpListener;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use tbctl::event::Event;
use tbctl::event::What;

const INVENTORY: &str = "\
testbed: demo
all:
  vars: {ansible_connection: local}
  children:
    web:
      vars: {release: 2}
      hosts: {web1: {region: a, ansible_password: 'geheim 123'}, web2: {}}
    db: {hosts: {db1: {}}}
";

/// A directory with files, and the binary run in it with nothing of the user's around.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        for (name, text) in files.iter().chain(&[("hosts.yml", INVENTORY)]) {
            let path = desk.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        desk
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tbctl"));
        command.args(shlex::split(words).unwrap()).current_dir(self.0.path()).stdin(Stdio::null());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.0.path());
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What is expected of one call: the exit code, and a part of stdout and of stderr; an empty part means nothing at all.
#[track_caller]
fn check(desk: &Desk, words: &str, code: i32, stdout: &str, stderr: &str) {
    let output = desk.run(words);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{words}\n{out}{err}");
    for (found, expected) in [(&out, stdout), (&err, stderr)] {
        match expected {
            "" => assert_eq!(found, "", "{words}"),
            expected => assert!(found.contains(expected), "{words}: no `{expected}` in\n{found}"),
        }
    }
    for line in out.lines().chain(err.lines()) {
        assert!(line.chars().count() <= 80 || line.starts_with('{'), "{words}: too wide: {line}");
        assert!(!line.contains('\x1b'), "{words}: an escape sequence: {line}");
    }
}

/// The faults of a call: each with its place.
fn faults(desk: &Desk, words: &str) -> Vec<String> {
    let output = desk.run(words);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{words}\n{said}");
    let lines: Vec<&str> = said.lines().collect();
    let places = lines.iter().enumerate().filter(|(_, line)| line.starts_with("error: "));
    let one = |(at, line): (usize, &&str)| {
        let place = lines[at + 1..].iter().find_map(|line| line.trim_start().strip_prefix("--> "));
        format!("{} {}", place.unwrap(), &line["error: ".len()..])
    };
    places.map(one).collect()
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let play = "\
- hosts: wbe
  tasks:
    - copy: {content: '{{ nope }}', dest: /x, ownr: root}
- hosts: all
  vars: {port: 1}
  taks: []
  tasks:
    - name: one
      commnd: ls
      register: seen
    - copy: {content: '{{ seen.stdout }}', dest: /x}
    - copy: {src: gone, dest: /y}
      notify: nobody
    - file: {path: /x, state: dir, mod: 1}
      whn: true
    - lineinfile: {path: /x, line: '{{ port'}
    - debug: {msg: '{{ prt }}'}
    - name: b1
      command: ls
      needs: b2
    - name: b2
      command: ls
  handlers:
    - name: restart
      service: {nam: x}
";
    let role = "- hosts: all\n  roles: [gone]\n  tasks:\n    - command: {cmd: '{{ of_the_role }}', chdr: /}\n      notify: of the role\n";
    let odd = "all:\n  hosts: {a: {ansible_port: abc}, b: }\n  children: {web: {hosts: {a: }}}\n";
    let broken = "all:\n  hosts: {a: {x: 1, b: }\n";
    let desk = Desk::new(&[("play.yml", play), ("role.yml", role), ("odd.yml", odd), ("broken.yml", broken)]);
    let of_play = [
        "3:47 unknown argument `ownr`",
        "6:3 unknown keyword `taks` on a play",
        "9:7 `commnd` is neither a kind of task nor a keyword",
        "12:19 the file `gone` does not exist",
        "13:15 no handler is called `nobody`",
        "14:31 `dir` is not a value this takes",
        "14:36 unknown argument `mod`",
        "15:7 unknown keyword `whn` on a task",
        "16:40 syntax error in the template: unexpected end of input, expected end of variable block",
        "17:24 'prt' is undefined",
        "20:14 these tasks wait for each other: b1 → b2",
        "25:17 unknown argument `nam`",
    ];
    let of_play: Vec<String> = of_play.iter().map(|line| format!("play.yml:{line}")).collect();
    for command in ["check", "plan", "apply", "graph"] {
        let found = faults(&desk, &format!("{command} odd.yml play.yml"));
        let (ports, mut rest): (Vec<String>, Vec<String>) = found.into_iter().partition(|line| line.starts_with("odd"));
        assert_eq!(ports, ["odd.yml:2:29 a port is a number from 1 to 65535, found `abc`"]);
        assert_eq!(rest.remove(0), "play.yml:1:10 no host or group matches `wbe`");
        assert_eq!(rest, of_play, "{command}");
    }
    // Without the inventory nothing can be said of hosts and of what is undefined, but all the rest.
    let mut few = vec!["broken.yml:2:10 the bracket `{` is never closed".to_string()];
    few.extend(of_play.into_iter().filter(|line| !line.contains("undefined")));
    assert_eq!(faults(&desk, "check broken.yml play.yml"), few);
    // What a role would have brought is not known: it may be all that seems to be missing.
    let gone = "role.yml:2:11 the role `gone` does not exist".to_string();
    assert_eq!(faults(&desk, "check odd.yml role.yml")[..2], [gone, "role.yml:4:43 unknown argument `chdr`".into()]);
}

#[test]
fn what_is_written_wrong_ends_with_1() {
    let desk = Desk::new(&[
        ("broken.yml", "- hosts: [all\n"),
        ("unknown.yml", "- hosts: all\n  taks: []\n"),
        ("kind.yml", "- hosts: all\n  tasks:\n    - comand: ls\n"),
        ("argument.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: {cmd: ls, crates: x}\n"),
        ("known.yml", "- hosts: all\n  tasks:\n    - copy: {content: x, dest: /x, checksum: y}\n"),
        ("good.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: hello}\n"),
        (
            "far.yml",
            "all:\n  vars:\n    links:\n    - {between: [a, bb], rtt: 9ms}\n  hosts: {x: {region: a}, y: {region: b}}\n",
        ),
        ("late.yml", "all:\n  vars: {links: [{between: [lab, lab], rtt: 9m}]}\n  hosts: {x: }\n"),
        ("ssh.yml", "all:\n  hosts: {a: {ansible_ssh_common_args: '-o ProxyCommand=x'}}\n"),
    ]);
    for (words, said) in [
        ("check hosts.yml gone.yml", "the file `gone.yml` does not exist"),
        ("check hosts.yml goof.yml", "did you mean `good.yml`?"),
        ("plan gone.yml good.yml", "the inventory `gone.yml` does not exist"),
        ("apply hosts.yml", "no playbook is named"),
        ("inventory", "no inventory is named"),
        ("check hosts.yml broken.yml", "broken.yml:"),
        ("check hosts.yml unknown.yml", "unknown keyword `taks` on a play"),
        ("check hosts.yml kind.yml", "did you mean `command`?"),
        ("check hosts.yml known.yml", "the argument `checksum` of `copy` is unsupported"),
        ("check hosts.yml good.yml -l wbe", "did you mean `web`?"),
        ("apply hosts.yml good.yml -e @gone.yml", "gone.yml"),
        ("check far.yml", "far.yml:4:21"),
        ("plan far.yml good.yml", "no host is in the region `bb`"),
        ("lab up far.yml", "did you mean `b`?"),
        ("lab status late.yml", "`9m` is not a time"),
        ("exec hosts.yml wbe -- true", "did you mean `web`?"),
        ("exec ssh.yml all -- true", "`ProxyCommand` is unsupported"),
        ("apply hosts.yml good.yml --become-method su", "by `su` is unsupported"),
        ("doc comand", "did you mean `command`?"),
        ("inventory hosts.yml --host web9", "did you mean `web1`?"),
        ("graph hosts.yml good.yml --format svg", "invalid value 'svg'"),
        ("apply hosts.yml good.yml --windw 3", "unexpected argument '--windw'"),
        ("apply hosts.yml good.yml --window 0", "invalid value '0'"),
        ("destory hosts.yml", "unrecognized subcommand 'destory'"),
        ("lab exec nothing web1 -- true", "nothing"),
    ] {
        check(&desk, words, 1, "", said);
    }
}

#[test]
fn what_would_lock_tbctl_out_is_refused_before_the_run() {
    let task = |text: &str| format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - {text}\n");
    let drop = "iptables: {chain: INPUT, protocol: tcp, destination_port: 22, jump: DROP}";
    let files = [
        ("drop.yml", task(drop)),
        ("confirmed.yml", task(&format!("{drop}\n      confirm: 60s"))),
        ("stop.yml", task("systemd: {name: ssh, state: stopped}")),
        ("never.yml", task("command: reboot\n      confirm: 60s")),
        ("off.yml", task("command: reboot\n      confirm: 0")),
        ("soon.yml", task("command: reboot\n      confirm: soon")),
        ("ssh.yml", "all: {hosts: {me: {}}}\n".to_string()),
        ("near.yml", "all: {hosts: {me: {ansible_connection: local}}}\n".to_string()),
        ("far.yml", "all: {hosts: {me: {ansible_port: 2222}}}\n".to_string()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let desk = Desk::new(&files);
    let cut = "error: this would cut tbctl's own way to the host: SSH on port 22\n --> drop.yml:4:7";
    check(&desk, "check ssh.yml drop.yml", 1, "", cut);
    check(&desk, "plan ssh.yml drop.yml", 1, "", cut);
    check(&desk, "check ssh.yml drop.yml", 1, "", "write `confirm: 60s`");
    check(&desk, "check ssh.yml confirmed.yml", 0, "right", "");
    check(&desk, "check ssh.yml stop.yml", 1, "", "it stops the SSH server");
    check(&desk, "check near.yml drop.yml", 0, "right", "");
    check(&desk, "check far.yml drop.yml", 0, "right", "");
    check(&desk, "check ssh.yml never.yml", 1, "", "`command` has no way back");
    check(&desk, "check ssh.yml off.yml", 0, "right", "");
    check(&desk, "check ssh.yml soon.yml", 1, "", "expected a time");
}

#[test]
fn passwords_are_not_in_messages() {
    let desk = Desk::new(&[
        ("bad.yml", "all:\n  hosts: {a: {ansible_password: geheim-123}, b: [geheim-123]}\n"),
        (
            "play.yml",
            "- hosts: web1\n  gather_facts: false\n  tasks: [{debug: {msg: 'it is {{ ansible_password }}'}}]\n",
        ),
    ]);
    let output = desk.run("check bad.yml");
    assert!(!text(&output.stderr).contains("geheim"), "{}", text(&output.stderr));
    check(&desk, "apply hosts.yml play.yml", 0, "it is <secret>", "");
}

#[test]
fn runs_end_with_their_code() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let dead = format!("dead: {{hosts: {{gone: {{ansible_host: 127.0.0.1, ansible_port: {port}}}}}}}\n");
    let desk = Desk::new(&[
        ("dead.yml", &dead),
        (
            "hello.yml",
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: 'hello {{ inventory_hostname }}'}\n",
        ),
        (
            "fails.yml",
            "- hosts: web\n  gather_facts: false\n  tasks:\n    - name: give up\n      fail: {msg: no more}\n",
        ),
        ("asks.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - file: {path: /etc/hosts}\n"),
    ]);
    check(&desk, "apply hosts.yml hello.yml", 0, "hello web1", "");
    check(&desk, "apply -i hosts.yml hello.yml -l db1 -y", 0, "db1  ok=1 changed=0 unreachable=0 failed=0", "");
    check(&desk, "apply hosts.yml hello.yml -f 20", 0, "hello web1", "`--forks` means nothing here");
    check(&desk, "apply hosts.yml fails.yml", 2, "why    no more", "");
    check(&desk, "plan dead.yml asks.yml", 4, "not reached: gone", "");
    check(&desk, "plan dead.yml asks.yml -o p", 4, "not reached: gone", "the plan is not kept: it is not whole");
    assert!(!desk.0.path().join("p").exists());
    check(&desk, "apply dead.yml asks.yml", 4, "gone  ok=0 changed=0 unreachable=1", "");
    check(&desk, "exec dead.yml all -- true", 4, "", "refused the connection");
    check(&desk, "exec hosts.yml web -- echo 'a  b'", 0, "web1 rc=0\n  a  b\n", "");
    check(&desk, "exec hosts.yml web1 -- 'echo out; echo err >&2; exit 3'", 2, "web1 rc=3\n  out\n", "web1: err");
}

#[test]
fn events_are_json_lines() {
    let play = "- hosts: web\n  gather_facts: false\n  tasks:\n    - debug: {msg: hello}\n";
    let desk = Desk::new(&[("play.yml", play)]);
    let output = desk.run("apply hosts.yml play.yml --json");
    let events: Vec<Event> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(matches!(events.first().unwrap().what, What::RunStarted { .. }));
    assert!(matches!(events.last().unwrap().what, What::RunEnded { .. }));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn inventories_in_all_forms() {
    let desk = Desk::new(&[]);
    let mut all = String::new();
    for words in ["", "--graph web --vars", "--list", "--yaml", "--host web1", "--host web2 --yaml"] {
        let output = desk.run(&format!("inventory hosts.yml {words}"));
        assert_eq!(text(&output.stderr), "", "{words}");
        all += &format!("# tbctl inventory hosts.yml {words}\n{}\n", text(&output.stdout));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn help_is_data() {
    // The `links` of other people are theirs.
    let desk = Desk::new(&[("others.yml", "all:\n  vars: {links: [{href: x}]}\n  hosts: {x: }\n")]);
    for words in ["", "plan", "apply", "destroy", "check", "graph", "inventory", "exec", "doc", "lab", "lab up"] {
        check(&desk, &format!("{words} --help"), 0, "Examples:", "");
    }
    check(&desk, "check others.yml", 0, "right: testbed others, 1 host", "");
    check(&desk, "--version", 0, "tbctl ", "");
    check(&desk, "lab status hosts.yml --json", 0, "{\"hosts\":[],\"links\":[]}\n", "");
}

#[test]
fn nobody_reads_any_more() {
    let play = "- hosts: web\n  gather_facts: false\n  tasks:\n    - debug: {msg: hello}\n";
    let desk = Desk::new(&[("play.yml", play)]);
    for words in ["doc", "inventory hosts.yml --list", "check hosts.yml", "--help", "apply hosts.yml play.yml"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            desk.command(words).stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{words}");
    }
}

#[test]
fn interrupted_twice_it_leaves_at_once() {
    // Takes connections and never says a word.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mute = format!("all: {{hosts: {{mute: {{ansible_host: 127.0.0.1, ansible_port: {port}}}}}}}\n");
    let play = "- hosts: all\n  gather_facts: false\n  tasks:\n    - file: {path: /etc/hosts}\n";
    let desk = Desk::new(&[("mute.yml", &mute), ("play.yml", play)]);
    let mut child = desk.command("apply mute.yml play.yml --json -T 600").stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let interrupt = || {
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    };
    let (_held, _) = listener.accept().unwrap();
    interrupt();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("\"interrupted\"")));
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn the_configuration_of_ansible_is_read() {
    let play = "- hosts: web\n  gather_facts: false\n  tasks:\n    - debug: {msg: hello}\n";
    let desk = Desk::new(&[("play.yml", play), ("ansible.cfg", "[defaults]\ninventory = hosts.yml\n")]);
    check(&desk, "check play.yml", 0, "testbed demo, 3 hosts, 1 play", "");
    check(&desk, "inventory", 0, "@web:", "");
    check(&desk, "exec db -- echo hi", 0, "db1 rc=0", "");
}

#[test]
fn what_is_wrong_is_said_before_the_run_with_what_to_write() {
    let desk = Desk::new(&[
        ("vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n30643162\n"),
        ("empty.yml", "---\n"),
        ("none.yml", "[]\n"),
        ("wrong.yml", "- debug: {msg: '{{ nowhere }}'}\n"),
    ]);
    let play = |tasks: &str| format!("- hosts: web\n  gather_facts: false\n  tasks:\n    - {tasks}\n");
    let cases = [
        ("debug: {msg: x}\n      delegate_to: web9", "there is no host `web9` to delegate to"),
        ("include_tasks: '{{ region | default(\"b\") }}.yml'", "the file of tasks `a.yml` does not exist"),
        ("command: \"echo a\\0b\"", "a command cannot hold a NUL byte"),
        ("shell: \"echo a\\0b\"", "a command cannot hold a NUL byte"),
        ("copy: {content: x, dest: \"/tmp/a\\0b\"}", "a path on a host cannot hold a NUL byte"),
        ("wait_for: {port: 99999}", "expected a whole number from 0 to 65535, found `99999`"),
        ("group_by: x.yml", "`group_by` is unsupported"),
        ("block:", "a block is a list of tasks, and this one is empty"),
        ("debug: {msg: \"{{ lookup('url', 'http://x') }}\"}", "use `get_url`"),
    ];
    for (tasks, message) in cases {
        fs::write(desk.0.path().join("site.yml"), play(tasks)).unwrap();
        check(&desk, "check hosts.yml site.yml", 1, "", message);
    }
    for tasks in
        ["include_tasks: wrong.yml\n      when: false", "include_tasks: '{{ nowhere }}.yml'\n      when: false"]
    {
        fs::write(desk.0.path().join("site.yml"), play(tasks)).unwrap();
        check(&desk, "check hosts.yml site.yml", 0, "right", "");
    }
    fs::write(desk.0.path().join("site.yml"), "- hosts: web\n  vars_files: [vault.yml]\n").unwrap();
    check(&desk, "check hosts.yml site.yml", 1, "", "values encrypted with ansible-vault are unsupported");
    check(&desk, "check hosts.yml empty.yml", 1, "", "there is no play in the playbook `empty.yml`");
    check(&desk, "check hosts.yml none.yml", 1, "", "there is no play in the playbook `none.yml`");
    check(&desk, "plan --list-tasks hosts.yml none.yml", 1, "", "`--list-tasks` is unsupported");
    check(&desk, "apply --vault-id=x hosts.yml none.yml", 1, "", "`--vault-id` is unsupported");
    let missing = text(&desk.run("check nowhere.yml site.yml").stderr);
    assert!(missing.contains("`nowhere.yml` does not exist") && !missing.contains("no host or group"), "{missing}");
}

const KEPT: &str = "\
- hosts: web
  gather_facts: false
  tasks:
    - debug: {msg: 'release {{ number }}'}
    - debug: {msg: \"{{ lookup('file', 'note') }}\"}
";

/// A desk with a plan `p` in it, made with a value for `number`.
fn desk_with_plan() -> Desk {
    let desk = Desk::new(&[("play.yml", KEPT), ("note", "one\n")]);
    check(
        &desk,
        "plan hosts.yml play.yml -e number=4711 -o p",
        0,
        "release 4711",
        "the plan is kept in p; `tbctl apply p`",
    );
    desk
}

#[test]
fn a_plan_is_kept_and_applied() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = desk_with_plan();
    let path = desk.0.path().join("p");
    let kept = fs::read_to_string(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!kept.contains("4711") && !kept.contains("geheim"), "{kept}");
    check(&desk, "apply p -e number=4711 -y", 0, "release 4711", "still holds");
    check(&desk, "apply p -e number=4711 --json", 0, "\"mode\":\"apply\"", "still holds");
    // From anywhere: its names mean what they meant.
    let mut elsewhere = desk.command("apply ../p -e number=4711");
    fs::create_dir(desk.0.path().join("sub")).unwrap();
    let output = elsewhere.current_dir(desk.0.path().join("sub")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // Over an older plan, a newer one.
    check(&desk, "plan hosts.yml play.yml -e number=1 -o p", 0, "release 1", "is kept in p");
}

#[test]
fn a_plan_is_refused_with_a_sentence() {
    let desk = desk_with_plan();
    let path = |name: &str| desk.0.path().join(name);
    let kept = fs::read_to_string(path("p")).unwrap();
    fs::write(path("half"), &kept[..kept.len() / 2]).unwrap();
    fs::write(path("newer"), kept.replacen("\"form\": 1", "\"form\": 9", 1)).unwrap();
    fs::write(path("older"), kept.replacen("\"program\": \"", "\"program\": \"0.0.", 1)).unwrap();
    fs::write(path("edited"), kept.replacen("\"limit\": null", "\"limit\": \"web1\"", 1)).unwrap();
    fs::write(path("path"), kept.replacen("\"testbed\": \"demo\"", "\"testbed\": \"../../demo\"", 1)).unwrap();
    fs::write(path("bytes"), [kept.as_bytes(), b"\xff"].concat()).unwrap();
    fs::write(path("other.json"), "{\"is\": \"a plan of others\"}").unwrap();
    fs::write(path("empty"), "").unwrap();
    let given = "-e number=4711";
    for (words, said) in [
        ("apply p", "the plan was made with `-e` for `number`"),
        ("apply p -e number=1", "is not what the plan was made with"),
        ("apply p -e number=4711 -e x=1", "there is an `-e` that the plan was not made with"),
        (&format!("apply p {given} --check"), "`--check` does not go with a plan"),
        (&format!("apply p {given} --prune"), "`--prune` does not go with a plan"),
        (&format!("apply p {given} -l web1"), "`--limit` does not go with a plan"),
        (&format!("apply p {given} -t x"), "`--tags` does not go with a plan"),
        (&format!("apply p {given} -b"), "`--become` does not go with a plan"),
        ("apply hosts.yml p", "`p` is a plan, which names its inventory and playbooks itself"),
        ("apply -i hosts.yml p", "`p` is a plan, which names its inventory and playbooks itself"),
        ("plan p", "`p` is a plan already"),
        ("apply half", "the plan `half` is damaged (line"),
        ("apply newer", "the plan `newer` has form 9"),
        ("apply older", "was made by tbctl 0.0."),
        ("apply edited", "the plan `edited` was changed since it was made: its seal is broken"),
        ("apply path", "the plan `path` is damaged: it names no testbed"),
        ("apply bytes", "the plan `bytes` is damaged: it is not UTF-8 text"),
        ("apply other.json", "no playbook is named"),
        ("apply empty", "no playbook is named"),
        ("plan hosts.yml play.yml -e number=1 -o play.yml", "there is something else"),
        ("plan hosts.yml play.yml -e number=1 -o gone/p", "its directory does not exist"),
        ("plan hosts.yml play.yml -o new", "'number' is undefined"),
    ] {
        check(&desk, words, 1, "", said);
    }
    assert!(!path("new").exists());
    let mut foreign = desk.command(&format!("apply p {given}"));
    let output = foreign.env("HOME", path("nobody")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("its key is not here"), "{}", text(&output.stderr));
}

#[test]
fn what_has_drifted_here_is_named() {
    let desk = desk_with_plan();
    let write = |name: &str, text: &str| fs::write(desk.0.path().join(name), text).unwrap();
    let drifted = "the plan does not hold any more (1 difference); nothing was changed";
    for (name, old, new) in
        [("note", "one\n", "two\n"), ("play.yml", KEPT, "- hosts: [\n"), ("hosts.yml", INVENTORY, "")]
    {
        write(name, new);
        let output = desk.run("apply p -e number=4711");
        let said = text(&output.stderr).replace('\n', " ");
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{said}");
        assert!(
            said.contains(&format!("{name} is another than when the plan was made")) && said.contains(drifted),
            "{said}"
        );
        write(name, old);
    }
    // A name that leads to another file than it did.
    fs::create_dir(desk.0.path().join("files")).unwrap();
    write("files/note", "three\n");
    let said = text(&desk.run("apply p -e number=4711").stderr).replace('\n', " ");
    assert!(said.contains("files/note is read now, and was not when the plan was made"), "{said}");
}
