//! Measurements on real hosts: a scenario of the thesis from apply to destroy, and what may come between.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves these tests out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use lab::Lab;
use lab::assert_same;
use serde_json::Value;
use tbctl::results::sample;
use tbctl::results::sample::Sample;

fn root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The runs of a testbed, oldest first: the record and the samples.
fn runs(lab: &Lab, testbed: &str) -> Vec<(Value, Vec<Sample>)> {
    let Ok(entries) = std::fs::read_dir(lab.results().join(testbed)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let one = |path: &PathBuf| {
        let record = serde_json::from_slice(&std::fs::read(path.join("environment.json")).unwrap()).unwrap();
        let read = sample::read("samples.csv", &std::fs::read(path.join("samples.csv")).unwrap());
        assert_eq!(read.fault, None);
        (record, read.rows)
    };
    paths.iter().map(one).collect()
}

#[test]
fn a_scenario_is_measured_once_and_goes_without_a_trace() {
    let inventory = std::fs::read_to_string(root("inventories/thesis/scenario-2.yaml")).unwrap();
    let Some(lab) = Lab::up("tbench", &inventory.replace("testbed: scenario-2", "testbed: TESTBED")) else { return };
    lab.file("group_vars/all.yaml", &std::fs::read_to_string(root("inventories/thesis/group_vars/all.yaml")).unwrap());
    let hosts = ["node-1", "node-2", "node-3", "node-4", "client"];
    let trees: Vec<_> = hosts.iter().map(|host| lab.tree(host)).collect();
    let lives: Vec<_> = hosts.iter().map(|host| lab.live(host)).collect();
    let playbook = root("playbooks/thesis.yaml");
    let few = ["-e", "benchmark_requests=60 benchmark_warm_up=5"];

    let first = lab.apply_with(&playbook, &few);
    assert!(hosts.iter().all(|host| first[*host].changed > 0 && first[*host].failed == 0), "{first:?}");
    let found = runs(&lab, "tbench");
    let [(record, samples)] = found.as_slice() else { panic!("{} runs", found.len()) };
    assert_eq!((&record["state"], &record["scenario"]), (&Value::from("complete"), &Value::from("2")));
    assert_eq!(record["path"]["valid"], true, "{}", record["path"]);
    assert_eq!(record["settings"]["warm_up"], 6, "the warm-up and the first knock");
    assert_eq!(record["rtt"]["before"].as_array().unwrap().len(), 4 * 3 + 4, "{}", record["rtt"]);
    assert_eq!(record["rtt"]["after"].as_array().unwrap().len(), 4 * 3 + 4);
    assert!(record["mtu"].as_array().unwrap().iter().any(|one| one["interface"] == "wg0"), "{}", record["mtu"]);
    assert_eq!(samples.len(), 60);
    assert!(samples.iter().all(|one| !one.failed() && one.total_ms > 0.0 && one.connect_ms > 0.0), "{samples:?}");
    let of = |name: &str| samples.iter().filter(|one| one.responder == name).count();
    assert_eq!([of("node-2"), of("node-3"), of("node-4")], [20, 20, 20], "they take turns");
    let starts: Vec<f64> = samples.iter().map(|one| one.start_ms).collect();
    assert!(starts[0] == 0.0 && starts.is_sorted(), "{starts:?}");
    let tasks = std::fs::read(lab.results().join("tbench").join(record["run"].as_str().unwrap()).join("results.json"));
    let tasks: Value = serde_json::from_slice(&tasks.unwrap()).unwrap();
    assert_eq!(tasks["results"][0]["task"]["client"]["vm"]["availability_zone"], "karlskrona");

    let second = lab.apply_with(&playbook, &few);
    assert!(hosts.iter().all(|host| second[*host].changed == 0), "{second:?}");
    assert!(hosts.iter().all(|host| second[*host].trips <= 5), "{second:?}");
    assert_eq!(runs(&lab, "tbench").len(), 1);

    let third = lab.apply_with(&playbook, &[&few[..], &["--rerun"]].concat());
    assert!(hosts.iter().all(|host| third[*host].changed == u64::from(*host == "client")), "{third:?}");
    assert_eq!(runs(&lab, "tbench").len(), 2);

    lab.ok(&["destroy", "--yes", lab.inv()]);
    for ((host, tree), live) in hosts.iter().zip(&trees).zip(&lives) {
        assert_same(tree, &lab.tree(host), host);
        assert_eq!(*live, lab.live(host), "{host}");
    }
}

#[test]
fn without_a_client_nothing_is_measured() {
    let home = tempfile::tempdir().unwrap();
    let inventory = std::fs::read_to_string(root("inventories/thesis/scenario-1.yaml")).unwrap();
    let (nodes, _) = inventory.split_once("    clients:").unwrap();
    let path = home.path().join("hosts.yaml");
    std::fs::write(&path, format!("{nodes}    clients:\n      hosts: {{}}\n    wireguard:\n      hosts: {{}}\n"))
        .unwrap();
    std::fs::create_dir(home.path().join("group_vars")).unwrap();
    std::fs::copy(root("inventories/thesis/group_vars/all.yaml"), home.path().join("group_vars/all.yaml")).unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_tbctl"))
        .args(["check", path.to_str().unwrap(), &root("playbooks/thesis.yaml")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("one host in the group `clients`"), "{text}");
}

/// A web server of this process, which does as it is told.
struct Web {
    listener: Option<TcpListener>,
    port: u16,
    /// A message each time it answers.
    answered: mpsc::Receiver<()>,
    answer: Arc<Mutex<Answer>>,
    sender: mpsc::Sender<()>,
}

#[derive(Clone, Copy)]
enum Answer {
    /// After this time.
    Right(Duration),
    Status(u16),
    /// So many answers, then nobody is there any more.
    Until(usize),
}

impl Web {
    fn new() -> Web {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, answered) = mpsc::channel();
        let answer = Arc::new(Mutex::new(Answer::Right(Duration::ZERO)));
        let mut web = Web { listener: Some(listener), port, answered, answer, sender };
        web.start();
        web
    }

    fn start(&mut self) {
        let port = self.port;
        let listener = self.listener.take().unwrap_or_else(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
        let (answer, sender) = (self.answer.clone(), self.sender.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let status = match &mut *answer.lock().unwrap() {
                    Answer::Until(0) => return,
                    Answer::Until(left) => {
                        *left -= 1;
                        200
                    }
                    Answer::Status(status) => *status,
                    Answer::Right(delay) => {
                        // What the benchmark measures; nothing waits for it.
                        std::thread::sleep(*delay);
                        200
                    }
                };
                let text = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: 2\r\nX-Responder: web\r\nConnection: close\r\n\r\nok"
                );
                let _ = stream.write_all(text.as_bytes());
                let _ = sender.send(());
            }
        });
    }

    fn does(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Waits until it has answered so often, counted from the last time.
    fn wait(&self, answers: usize) {
        (0..answers).for_each(|_| self.answered.recv_timeout(Duration::from_secs(60)).unwrap());
    }

    /// How often it has answered since the last time.
    fn count(&self) -> usize {
        self.answered.try_iter().count()
    }
}

/// A host that measures, this machine's web server, and a playbook for them.
fn client(name: &str) -> Option<(Lab, Web, String)> {
    let lab = Lab::up(name, "testbed: TESTBED\nall: {hosts: {c: {region: karlskrona}}}\n")?;
    let web = Web::new();
    let gateway = lab.on("c", "ip route | sed -n 's/^default via \\([0-9.]*\\) .*/\\1/p'");
    let url = format!("http://{}:{}/", gateway.trim(), web.port);
    lab.on(
        "c",
        "apt-get update -q >/dev/null 2>&1 && apt-get install -qy --no-install-recommends curl >/dev/null 2>&1",
    );
    Some((lab, web, url))
}

fn play(lab: &Lab, url: &str, more: &str) -> String {
    let task = format!("http_benchmark: {{name: web, url: \"{url}\", warm_up: 0, timeout: 2, give_up: 5, {more}}}");
    lab.file("play.yaml", &format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n"))
}

#[track_caller]
fn fails(lab: &Lab, playbook: &str, sentence: &str) {
    let out = lab.run(&["apply", lab.inv(), playbook]);
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.status.code() == Some(2) && text.contains(sentence), "{}: {text}", out.status);
}

#[test]
fn targets_that_do_not_answer_as_they_should() {
    let Some((lab, mut web, url)) = client("tbenchbad") else { return };
    let before = lab.tree("c");
    let nobody = play(&lab, &url.replace(&web.port.to_string(), "9"), "requests: 50");
    fails(&lab, &nobody, "does not answer: Failed to connect");
    let playbook = play(&lab, &url, "requests: 50");
    web.does(Answer::Status(404));
    fails(&lab, &playbook, "answers with status 404, not 200");
    assert!(runs(&lab, "tbenchbad").is_empty(), "nothing was measured");

    // The responder dies: what was measured stays, and the next measurement is a new one.
    web.does(Answer::Until(31));
    fails(&lab, &playbook, "of 50 requests the last 5 all failed: Failed to connect");
    let found = runs(&lab, "tbenchbad");
    let [(record, samples)] = found.as_slice() else { panic!("{} runs", found.len()) };
    assert!(record["state"]["partial"].as_str().unwrap().contains("the last 5 all failed"), "{record}");
    assert_eq!(samples.iter().filter(|one| !one.failed()).count(), 30, "one knocked");
    assert!(samples.len() > 34 && samples[31].status == 0 && !samples[31].error.is_empty(), "{samples:?}");
    web.does(Answer::Right(Duration::ZERO));
    web.start();
    lab.ok(&["apply", lab.inv(), &playbook]);
    let found = runs(&lab, "tbenchbad");
    assert_eq!((found.len(), &found[1].0["state"], found[1].1.len()), (2, &Value::from("complete"), 50));
    lab.ok(&["apply", lab.inv(), &playbook]);
    assert_eq!(runs(&lab, "tbenchbad").len(), 2);

    let open =
        play(&lab, &url, "requests: 20, loop: open, rate: 200, connection: keepalive, responder_header: X-Responder");
    lab.ok(&["apply", lab.inv(), &open]);
    // Runs of one second are in no order.
    let mut all = runs(&lab, "tbenchbad").into_iter();
    let (record, samples) = all.find(|(record, _)| !record["settings"]["loop"]["open"].is_null()).unwrap();
    assert_eq!(record["settings"]["loop"]["open"]["rate_per_second"], 200.0);
    let due: Vec<f64> = samples.iter().map(|one| one.intended_ms).collect();
    assert_eq!(due, (0..20).map(|at| f64::from(at) * 5.0).collect::<Vec<_>>());
    assert!(samples.iter().all(|one| one.start_ms >= one.intended_ms && one.responder == "web"), "{samples:?}");

    lab.ok(&["destroy", "--yes", lab.inv()]);
    assert_same(&before, &lab.tree("c"), "c");
}

#[test]
fn what_was_begun_is_gone_on_with() {
    let Some((lab, web, url)) = client("tbenchon") else { return };
    let playbook = play(&lab, &url, "requests: 400");
    web.does(Answer::Right(Duration::from_millis(5)));

    // tbctl is killed: the host goes on by itself and keeps the lock until it is through; then all of it is fetched.
    let mut killed = lab.command(&["apply", lab.inv(), &playbook]).spawn().unwrap();
    web.wait(100);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let unlocked = (0..300).any(|_| {
        let out = lab.run(&["apply", lab.inv(), &playbook]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success() || text.contains("holds the lock"), "{text}");
        out.status.success()
    });
    assert!(unlocked, "the lock is never given back");
    let found = runs(&lab, "tbenchon");
    let [(record, samples)] = found.as_slice() else { panic!("{} runs", found.len()) };
    assert_eq!((&record["state"], samples.len()), (&Value::from("complete"), 400));
    assert_eq!(web.count(), 301, "no request is made twice; one knocked");

    // Ctrl-C: the samples are kept, and the next apply makes the rest.
    let mut stopped = lab.command(&["apply", "--rerun", lab.inv(), &playbook]).spawn().unwrap();
    web.wait(100);
    let id = nix::unistd::Pid::from_raw(i32::try_from(stopped.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(stopped.wait().unwrap().code(), Some(130));
    let (record, part) = runs(&lab, "tbenchon").pop().unwrap();
    assert!(record["state"]["partial"].as_str().unwrap().contains("interrupted after"), "{record}");
    assert!(part.len() >= 99 && part.len() < 400, "{}", part.len());
    web.count();
    lab.ok(&["apply", lab.inv(), &playbook]);
    let found = runs(&lab, "tbenchon");
    let (record, samples) = &found[1];
    assert_eq!((found.len(), &record["state"], samples.len()), (2, &Value::from("complete"), 400));
    assert!(samples[..part.len()] == part, "what was there stays");
    assert_eq!(web.count(), 400 - part.len() + 1, "just the rest is made");
    assert!(record["notes"].to_string().contains("curl was started 2 times"), "{}", record["notes"]);
    lab.ok(&["apply", lab.inv(), &playbook]);
    assert_eq!((web.count(), runs(&lab, "tbenchon").len()), (0, 2));
}
