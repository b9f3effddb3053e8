//! An SSH server inside the test process, and what a test needs around it: a home directory, keys, a person to ask.
//!
//! Used by several tests, each of which needs a part of it.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set the scene has failed")]

pub mod agent;
pub mod server;

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::keys::PrivateKey;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use tbctl::remote::Ask;
use tbctl::remote::Link;
use tbctl::remote::Settings;
use tbctl::remote::Target;
use tbctl::remote::Unreached;
use tbctl::remote::connect;
use tbctl::secret::Secret;
use tempfile::TempDir;

use self::server::Server;

pub fn ed25519() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
}

/// A person who answers questions from a list and remembers what was asked.
#[derive(Default)]
pub struct Person {
    pub secrets: Mutex<VecDeque<String>>,
    pub agrees: bool,
    pub asked: Mutex<Vec<String>>,
}

impl Person {
    pub fn who_knows(secrets: &[&str]) -> Person {
        Person { secrets: Mutex::new(secrets.iter().map(ToString::to_string).collect()), ..Person::default() }
    }

    pub fn who_says(agrees: bool) -> Person {
        Person { agrees, ..Person::default() }
    }
}

impl Ask for Person {
    fn secret(&self, prompt: &str) -> Option<Secret<String>> {
        self.asked.lock().unwrap().push(prompt.to_string());
        self.secrets.lock().unwrap().pop_front().map(Secret::new)
    }

    fn confirm(&self, question: &str) -> bool {
        self.asked.lock().unwrap().push(question.to_string());
        self.agrees
    }
}

/// The controller's side of a test.
pub struct World {
    pub home: TempDir,
    pub settings: Settings,
    pub person: Arc<Person>,
}

impl World {
    /// A home without anything in it.
    pub fn new() -> World {
        let home = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(home.path().to_path_buf(), "tester");
        settings.system_config = None;
        settings.backoff = Duration::from_millis(1);
        World { home, settings, person: Arc::new(Person::default()) }
    }

    /// A home that knows the server and has a key that it accepts.
    pub fn at_home_with(server: &Server) -> (World, Target) {
        let world = World::new();
        world.write(".ssh/known_hosts", &server.known_host_line());
        let key = world.key("id_ed25519", &server.rules.user_key);
        (world, Target { keys: vec![key], ..server.target() })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes a private key into `.ssh`.
    pub fn key(&self, name: &str, key: &PrivateKey) -> PathBuf {
        self.write(&format!(".ssh/{name}"), &key.to_openssh(LineEnding::LF).unwrap())
    }

    pub async fn connect(&self, target: &Target) -> Result<Link, Unreached> {
        let ask: Arc<dyn Ask> = self.person.clone();
        connect(target, &self.settings, &ask).await
    }

    /// How an attempt that must fail failed, as one text with the home directory written as `~`.
    pub async fn fault(&self, target: &Target) -> Unreached {
        let mut unreached = match self.connect(target).await {
            Ok(_) => panic!("connected to {target:?}"),
            Err(unreached) => unreached,
        };
        unreached.message = self.shown(&unreached.message);
        unreached.help = unreached.help.map(|help| self.shown(&help));
        unreached
    }

    fn shown(&self, text: &str) -> String {
        let home: &Path = self.home.path();
        text.replace(&home.display().to_string(), "~")
    }
}
