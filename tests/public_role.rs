//! A public role's shape: an old inventory, keys made on the hosts, downloads and long shell tasks. It is applied, is then
//! right, and is taken back.
//!
//! Needs root and Linux; `TBCTL_NO_LAB=1` leaves this test out on purpose.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lab;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest;

use lab::Lab;
use lab::assert_same;

const HOSTS: [&str; 4] = ["node-1", "node-2", "node-3", "node-4"];

/// The machine in the network of the hosts.
const MACHINE: &str = "198.18.71.1";

#[test]
fn an_old_playbook_is_applied_and_taken_back() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_role");
    let Some(lab) = Lab::of(fixture.join("tpublic.ini")) else { return };
    let server = serve(fixture.join("downloads"));
    let vars = lab.file("vars.json", &vars(&fixture.join("downloads"), server));
    let vars = format!("@{vars}");
    let site = fixture.join("site.yml").to_str().unwrap().to_string();
    let apply = ["apply", "--json", "-e", &vars, lab.inv(), &site];
    let trees: Vec<_> = HOSTS.iter().map(|host| lab.tree(host)).collect();
    let lives: Vec<_> = HOSTS.iter().map(|host| lab.live(host)).collect();

    let events = lab.ok(&apply);
    let first = lab::counts(&events);
    assert!(HOSTS.iter().all(|host| first[*host].failed == 0 && first[*host].changed >= 5), "{first:?}");
    let said = results(&events, "what rke says");
    assert!(said.contains("Finished building Kubernetes cluster successfully"), "{said}");
    assert!(said.contains("Setup tunnel for host [10.0.1.4]"), "{said}");
    for host in HOSTS {
        let peers = lab.on(host, "wg show wg0 peers");
        assert_eq!(peers.lines().filter(|line| line.len() == 44 && line.ends_with('=')).count(), 3, "{host}: {peers}");
        for other in 1..=4 {
            lab.on(host, &format!("ping -c 1 -W 5 10.0.1.{other}"));
        }
        assert!(lab.on(host, "iptables -S INPUT").contains("-i eth0 -p udp -m udp --dport 51820 -j ACCEPT"), "{host}");
    }

    let second = lab::counts(&lab.ok(&apply));
    assert!(HOSTS.iter().all(|host| second[*host].changed == 0 && second[*host].failed == 0), "{second:?}");

    lab.ok(&["destroy", "--yes", lab.inv()]);
    for ((host, tree), live) in HOSTS.iter().zip(&trees).zip(&lives) {
        assert_same(tree, &lab.tree(host), host);
        assert_eq!(*live, lab.live(host), "{host}");
    }
}

/// What the task's results hold, as JSON text.
fn results(events: &str, task: &str) -> String {
    let events = events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let ended = events.filter(|event| event["event"] == "node_ended" && event["place"]["task"] == task);
    ended.map(|event| event["ended"]["result"].to_string()).collect()
}

/// Where the downloads are, and their digests.
fn vars(downloads: &Path, server: SocketAddr) -> String {
    let names = [("rke", "rke_linux-amd64"), ("kubectl", "kubectl")];
    let sum = |name: &str| {
        let digest = sha2::Sha256::digest(std::fs::read(downloads.join(name)).unwrap());
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let sums: BTreeMap<&str, String> = names.iter().map(|(short, name)| (*short, sum(name))).collect();
    serde_json::json!({"files": format!("http://{server}"), "sums": sums}).to_string()
}

/// Gives the files of a directory to whoever asks by HTTP, until the test ends.
fn serve(directory: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind((MACHINE, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            // The whole question is read, or closing would reset the answer.
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let name = request.split([' ', '/']).nth(2).unwrap_or_default();
            let answer = match std::fs::read(directory.join(name)) {
                Ok(content) => {
                    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
                    [head.into_bytes(), content].concat()
                }
                Err(_) => b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            };
            // A client that went away has only itself to tell.
            let _ = stream.write_all(&answer);
        }
    });
    address
}
