//! A host to test with: a directory, a program path that can be changed, and an actor that works on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tbctl::change::Apply;
use tbctl::change::Content;
use tbctl::change::Look;
use tbctl::change::Put;
use tbctl::change::Ran;
use tbctl::change::Resource;
use tbctl::change::Script;
use tbctl::change::Step;
use tbctl::change::Undo;
use tbctl::remote::Via;
use tbctl::remote::host::Handle;
use tbctl::remote::host::Limits;
use tbctl::remote::host::Worker;
use tbctl::remote::host::spawn_within;
use tbctl::remote::order::Answer;
use tbctl::remote::order::As;
use tbctl::remote::order::Manner;
use tbctl::remote::order::Order;
use tbctl::remote::order::Owner;
use tbctl::remote::order::Part;
use tbctl::remote::order::Stream;
use tbctl::secret::Secret;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::World;
use crate::support::server::Rules;
use crate::support::server::Server;
use crate::support::server::Shuts;

/// The shells every script has to run in.
pub const SHELLS: [&str; 3] = ["dash", "bash", "busybox"];

/// Tools of busybox that a test replaces, or that have no likeness to the real ones.
const OWN: [&str; 5] = ["sh", "sudo", "setpriv", "dpkg", "dpkg-query"];

static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Rig {
    pub dir: TempDir,
    pub server: Server,
    pub jump: Server,
    pub world: World,
    pub handle: Handle,
    pub answers: mpsc::UnboundedReceiver<(usize, Answer)>,
    pub testbed: String,
}

/// How a rig is reached.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub enum By {
    #[default]
    Ssh,
    /// Through a server of its own.
    Jump,
    /// It is this machine.
    Local,
}

/// How a rig differs from the usual one.
#[derive(Default)]
pub struct Needs {
    pub shell: Option<&'static str>,
    pub password: Option<&'static str>,
    pub limits: Option<Limits>,
    /// How new connections are refused while the file `shut` is there.
    pub shuts: Option<Shuts>,
    /// The way to it.
    pub by: By,
    /// Nothing is found but the tools of the shell, and of these not `setsid`.
    pub bare: bool,
    /// Programs, by name and text.
    pub programs: Vec<(&'static str, String)>,
}

impl Rig {
    pub async fn new() -> Rig {
        Rig::with(Needs::default()).await
    }

    pub async fn with(needs: Needs) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        match needs.shell {
            None => {}
            Some("busybox") => {
                // Its tools as well, which know less than the usual ones.
                let list = Command::new("busybox").arg("--list").output().unwrap().stdout;
                for tool in String::from_utf8(list).unwrap().lines().filter(|tool| !OWN.contains(tool)) {
                    if needs.bare && tool == "setsid" {
                        continue;
                    }
                    std::os::unix::fs::symlink("/usr/bin/busybox", bin.join(tool)).unwrap();
                }
                program(&bin, "sh", "#!/bin/dash\nexec /usr/bin/busybox sh \"$@\"\n");
            }
            Some(shell) => program(&bin, "sh", &format!("#!/bin/dash\nexec {shell} \"$@\"\n")),
        }
        for (name, text) in &needs.programs {
            program(&bin, name, text);
        }
        let path = match needs.bare {
            true => bin.display().to_string(),
            false => format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        };
        fs::create_dir(dir.path().join("root")).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        let environment = vec![("PATH".into(), path), ("HOME".into(), home.display().to_string())];
        let shut = Some(dir.path().join("root/shut"));
        let shuts = needs.shuts.unwrap_or(Shuts::Door);
        let server = Server::start(Rules { environment, shut, shuts, ..Rules::default() }).await;
        let testbed = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (user_key, keys) = (server.rules.user_key.clone(), server.rules.keys.clone());
        let jump = Server::start(Rules { user_key, keys, ..Rules::default() }).await;
        let limits = needs.limits.unwrap_or_default();
        let way = (needs.by, &jump);
        let (world, handle, answers) = operator(&server, way, &testbed, "run-1", needs.password, limits);
        Rig { dir, server, jump, world, handle, answers, testbed }
    }

    /// Another operator, who knows nothing of what was done before.
    pub fn again(&mut self) {
        self.other("run-1");
    }

    /// The same with a run of its own; gives the handle of the one before, who is still there.
    pub fn other(&mut self, run: &str) -> Handle {
        let way = (By::Ssh, &self.jump);
        let (world, handle, answers) = operator(&self.server, way, &self.testbed, run, None, Limits::default());
        self.world = world;
        self.answers = answers;
        std::mem::replace(&mut self.handle, handle)
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join("root").join(name).display().to_string()
    }

    /// Everything up to the last answer to an order.
    pub async fn order(&mut self, order: Order) -> Vec<Answer> {
        self.handle.send(order);
        self.rest().await
    }

    pub async fn rest(&mut self) -> Vec<Answer> {
        let mut all = Vec::new();
        loop {
            let answer = self.next().await;
            let last =
                matches!(answer, Answer::Probed(_) | Answer::Applied { .. } | Answer::Finished | Answer::Lost { .. });
            all.push(answer);
            if last {
                return all;
            }
        }
    }

    pub async fn next(&mut self) -> Answer {
        tokio::time::timeout(Duration::from_secs(60), self.answers.recv()).await.unwrap().unwrap().1
    }

    pub async fn apply(&mut self, parts: Vec<Part>) -> Vec<Answer> {
        self.order(Order::Apply(Stream { parts, ..Stream::default() })).await
    }

    /// One step, without an entry.
    pub async fn run(&mut self, step: Step) -> Vec<Answer> {
        self.apply(vec![part(1, vec![step])]).await
    }

    pub async fn ask(&mut self, questions: Vec<(As, Look)>) -> Vec<Result<String, String>> {
        match self.order(Order::Probe(questions)).await.pop() {
            Some(Answer::Probed(answers)) => answers,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for dir in ["/tmp", "/var/tmp"] {
            let name = format!("tbctl-{}.", self.testbed);
            let runs = fs::read_dir(dir).unwrap().flatten();
            for run in runs.filter(|entry| entry.file_name().to_string_lossy().starts_with(&name)) {
                if let Ok(awake) = fs::read_to_string(run.path().join("awake")) {
                    let pid = awake.split(' ').next().unwrap();
                    let _ = Command::new("kill").args(["-9", pid]).stderr(Stdio::null()).status();
                }
                // A shell may still write its last line there.
                while fs::exists(run.path()).unwrap() {
                    let _ = fs::remove_dir_all(run.path());
                }
            }
        }
        let _ = fs::remove_dir_all(Path::new("/var/lib/tbctl").join(&self.testbed));
        let _ = fs::remove_dir("/var/lib/tbctl");
    }
}

fn operator(
    server: &Server,
    (by, jump): (By, &Server),
    testbed: &str,
    run: &str,
    password: Option<&str>,
    limits: Limits,
) -> (World, Handle, mpsc::UnboundedReceiver<(usize, Answer)>) {
    let (world, mut target) = World::at_home_with(server);
    match by {
        By::Ssh => {}
        By::Jump => {
            world.write(".ssh/known_hosts", &(server.known_host_line() + &jump.known_host_line()));
            target.jump = Some(format!("tester@127.0.0.1:{}", jump.address.port()));
        }
        By::Local => target.via = Via::Local,
    }
    let (tell, answers) = mpsc::unbounded_channel();
    let worker = Worker {
        name: "web".into(),
        target,
        settings: world.settings.clone(),
        ask: Arc::clone(&world.person) as _,
        manner: Manner {
            testbed: testbed.to_string(),
            run: run.into(),
            owner: Owner { name: "tester@desk".into(), since: 1_700_000_000 },
            journals: true,
            become_password: password.map(|text| Secret::new(text.to_string())),
        },
    };
    let handle = spawn_within(limits, 0, worker, tell);
    (world, handle, answers)
}

fn program(bin: &Path, name: &str, text: &str) {
    let path = bin.join(name);
    // A link leads to the real program, which must stay as it is.
    let _ = fs::remove_file(&path);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A command of the user's.
pub fn user(text: &str) -> Step {
    let script = Script { text: text.into(), user: true, ..Script::default() };
    Step { what: "run".into(), resource: None, apply: Apply::Run(script), undo: Undo::Nothing, diff: None }
}

/// A file to be written.
pub fn write(path: &str, text: &str) -> Put {
    Put {
        path: path.into(),
        content: Content::Text(text.into()),
        mode: None,
        owner: None,
        group: None,
        validate: None,
        backup: false,
    }
}

pub fn put(put: Put) -> Step {
    let resource = Resource::path(&put.path);
    Step { what: "write".into(), resource: Some(resource), apply: Apply::Put(put), undo: Undo::Restore, diff: None }
}

pub fn part(id: u64, steps: Vec<Step>) -> Part {
    Part { id, steps, ..Part::default() }
}

/// What the stream's parts came to, in short: `2 did`, `3 failed rc 1: why`.
pub fn short(answers: &[Answer]) -> Vec<String> {
    let rc = |ran: &[Ran]| ran.iter().map(|ran| format!(" {}", ran.rc)).collect::<String>();
    let line = |answer: &Answer| match answer {
        Answer::Did { part, ran } => Some(format!("{part} did{}", rc(ran))),
        Answer::Failed { part, ran, why } => Some(match why {
            Some(why) => format!("{part} failed{}: {why}", rc(ran)),
            None => format!("{part} failed{}", rc(ran)),
        }),
        Answer::Stale { part } => Some(format!("{part} stale")),
        Answer::Lost { part, .. } => Some(format!("lost {part:?}")),
        Answer::Undone { seq, how } => Some(format!("{seq} {how:?}")),
        _ => None,
    };
    answers.iter().filter_map(line).collect()
}

/// The only step's outcome.
pub fn ran(answers: &[Answer]) -> &Ran {
    let find = |answer: &'_ Answer| match answer {
        Answer::Did { ran, .. } | Answer::Failed { ran, .. } => !ran.is_empty(),
        _ => false,
    };
    match answers.iter().find(|answer| find(answer)) {
        Some(Answer::Did { ran, .. } | Answer::Failed { ran, .. }) => &ran[0],
        _ => panic!("nothing ran: {answers:?}"),
    }
}

/// Shell text that prints how many processes have a command line that begins so.
pub fn running(command: &str) -> String {
    let each = "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$p; echo; done 2>/dev/null";
    format!("{each} | grep -c '^{command}'")
}
