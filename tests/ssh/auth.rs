//! Keys, agents, passwords, and what is said when none of them will do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use russh::keys::Algorithm;
use russh::keys::EcdsaCurve;
use russh::keys::PrivateKey;
use russh::keys::encode_pkcs8_pem_encrypted;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::RsaKeypair;
use tbctl::remote::Target;
use tbctl::remote::Unreached;
use tbctl::remote::Why;
use tbctl::secret::Secret;

use crate::output_of;
use crate::support::Person;
use crate::support::World;
use crate::support::agent;
use crate::support::ed25519;
use crate::support::server::Rules;
use crate::support::server::Server;

/// A home that knows the server and has no key.
fn stranger(server: &Server) -> (World, Target) {
    let world = World::new();
    world.write(".ssh/known_hosts", &server.known_host_line());
    (world, server.target())
}

fn secret(text: &str) -> Option<Secret<String>> {
    Some(Secret::new(text.to_string()))
}

fn check(error: &Unreached, kind: Why, message: &str, help: &str) {
    assert_eq!((error.kind, error.message.as_str()), (kind, message));
    assert_eq!(error.help.as_deref(), Some(help));
}

#[tokio::test]
async fn every_kind_of_key_file() {
    let p256 = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
    for (key, offered) in [
        (ed25519(), "ssh-ed25519"),
        (PrivateKey::random(&mut safe_rng(), p256).unwrap(), "ecdsa-sha2-nistp256"),
        (PrivateKey::from(RsaKeypair::random(&mut safe_rng(), 2048).unwrap()), "rsa-sha2-512"),
    ] {
        let server = Server::start(Rules { keys: vec![key.public_key().clone()], ..Rules::default() }).await;
        let (world, target) = stranger(&server);
        let file = world.key("mine", &key);
        let link = world.connect(&Target { keys: vec![file], ..target }).await.unwrap();
        assert_eq!(output_of(&link, "echo in").await, "in\n");
        assert_eq!(
            server.seen(),
            [format!("offer tester {offered} true"), format!("key tester {offered} true")],
            "one key, and no `none` before it"
        );
    }
}

#[tokio::test]
async fn the_usual_key_files_are_found() {
    let server = Server::start(Rules::default()).await;
    let (world, target) = stranger(&server);
    world.key("id_ecdsa", &ed25519());
    world.key("id_rsa", &server.rules.user_key);
    world.connect(&target).await.unwrap();
    assert_eq!(server.seen().len(), 3, "{:?}", server.seen());
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_only_for_a_key_that_is_accepted() {
    let server = Server::start(Rules::default()).await;
    let (mut world, target) = stranger(&server);
    let locked = |key: &PrivateKey| key.encrypt(&mut safe_rng(), "open sesame").unwrap();
    let keys = vec![world.key("other", &locked(&ed25519())), world.key("mine", &locked(&server.rules.user_key))];
    world.person = Arc::new(Person::who_knows(&["wrong", "open sesame"]));
    let target = Target { keys, ..target };
    let (first, second) = tokio::join!(world.connect(&target), world.connect(&target));
    first.unwrap();
    second.unwrap();
    world.connect(&target).await.unwrap();
    let file = world.path(".ssh/mine").display().to_string();
    let asked = world.person.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        [format!("passphrase for the key {file}: "), format!("that was not it; passphrase for the key {file}: ")]
    );
}

#[tokio::test]
async fn a_key_in_an_older_format_opens_too() {
    let server = Server::start(Rules::default()).await;
    let (mut world, target) = stranger(&server);
    let mut pem = Vec::new();
    encode_pkcs8_pem_encrypted(&server.rules.user_key, b"open sesame", 10, &mut pem).unwrap();
    let file = world.write(".ssh/mine", &String::from_utf8(pem).unwrap());
    world.person = Arc::new(Person::who_knows(&["open sesame"]));
    world.connect(&Target { keys: vec![file], ..target }).await.unwrap();
}

#[tokio::test]
async fn key_files_that_are_of_no_use_are_named() {
    let server = Server::start(Rules::default()).await;
    let (world, target) = stranger(&server);
    let open = world.key("open", &server.rules.user_key);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let locked = world.key("locked", &server.rules.user_key.encrypt(&mut safe_rng(), "x").unwrap());
    let keys = vec![world.path("missing"), open, locked, world.write("text", "no key"), world.key("other", &ed25519())];
    let error = world.fault(&Target { keys, ..target }).await;
    let port = server.address.port();
    check(
        &error,
        Why::Auth,
        "`web` (127.0.0.1) refused to log in `tester`, tried: ~/missing (no such file), ~/.ssh/open (others may read \
         it; run `chmod 600 ~/.ssh/open`), ~/.ssh/locked (needs a passphrase, and nobody could be asked), ~/text (not \
         a key we can read: Could not read key), ~/.ssh/other; it accepts publickey",
        &format!(
            "add your key with `ssh-copy-id -p {port} tester@127.0.0.1`, or set `ansible_user` and \
             `ansible_ssh_private_key_file`"
        ),
    );
    assert!(!error.retryable);
}

#[tokio::test]
async fn an_agent_signs() {
    let server = Server::start(Rules::default()).await;
    let mut mine = server.rules.user_key.clone();
    mine.set_comment("mine");
    let mut other = ed25519();
    other.set_comment("other");
    for (config, expected) in [
        ("", Ok(())),
        ("IdentityAgent ~/agent", Ok(())),
        ("IdentityAgent none", Err("and there was no key to try")),
        ("IdentitiesOnly yes", Err("and there was no key to try")),
        ("IdentitiesOnly yes\nIdentityFile ~/.ssh/mine.pub", Ok(())),
        ("IdentitiesOnly yes\nIdentityFile ~/.ssh/mine", Ok(())),
        ("IdentitiesOnly yes\nIdentityFile ~/.ssh/other.pub", Err("tried: the agent's key `other`")),
    ] {
        let (mut world, target) = stranger(&server);
        let socket = world.path("agent");
        agent::serve(&socket, vec![other.clone(), mine.clone()]);
        world.settings.agent = if config.contains("~/agent") { None } else { Some(socket) };
        world.write(".ssh/config", config);
        world.write(".ssh/mine.pub", &mine.public_key().to_openssh().unwrap());
        world.write(".ssh/other.pub", &other.public_key().to_openssh().unwrap());
        match expected {
            Ok(()) => drop(world.connect(&target).await.unwrap()),
            Err(tried) => {
                let error = world.fault(&target).await;
                assert!(error.message.contains(tried), "{config}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_locked_key_that_the_agent_has_needs_no_passphrase() {
    let server = Server::start(Rules::default()).await;
    let (mut world, target) = stranger(&server);
    let file = world.key("mine", &server.rules.user_key.encrypt(&mut safe_rng(), "x").unwrap());
    world.settings.agent = Some(world.path("agent"));
    agent::serve(&world.path("agent"), vec![ed25519(), server.rules.user_key.clone()]);
    world.connect(&Target { keys: vec![file], ..target }).await.unwrap();
    assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_said() {
    let server = Server::start(Rules::default()).await;
    let (mut world, target) = stranger(&server);
    world.settings.agent = Some(world.path("nowhere"));
    let error = world.fault(&target).await;
    assert!(error.message.contains("tried: no agent at ~/nowhere: No such file"), "{error}");
}

#[tokio::test]
async fn a_password_is_used_before_keys_that_nobody_named() {
    let server = Server::start(Rules { password: Some("hunter22"), ..Rules::default() }).await;
    let (world, target) = stranger(&server);
    world.key("id_ed25519", &ed25519());
    world.connect(&Target { password: secret("hunter22"), ..target }).await.unwrap();
    assert_eq!(server.seen(), ["password tester true"]);
}

#[tokio::test]
async fn a_password_is_asked_for_once_for_all_hosts() {
    let server = Server::start(Rules { password: Some("hunter22"), ..Rules::default() }).await;
    let (mut world, target) = stranger(&server);
    world.settings.ask_password = true;
    world.person = Arc::new(Person::who_knows(&["hunter22"]));
    let (first, second) = tokio::join!(world.connect(&target), world.connect(&target));
    first.unwrap();
    second.unwrap();
    assert_eq!(*world.person.asked.lock().unwrap(), ["SSH password: "]);
}

#[tokio::test]
async fn a_wrong_password_is_said_without_saying_it() {
    let server = Server::start(Rules { password: Some("hunter22"), keys: Vec::new(), ..Rules::default() }).await;
    let (world, target) = stranger(&server);
    let port = server.address.port();
    let error = world.fault(&Target { password: secret("hunter23"), ..target.clone() }).await;
    check(
        &error,
        Why::Auth,
        "`web` (127.0.0.1) refused to log in `tester`, tried: the password; it accepts password",
        &format!(
            "check the password and `ansible_user`, or add your key with `ssh-copy-id -p {port} tester@127.0.0.1`"
        ),
    );
    let error = world.fault(&target).await;
    check(
        &error,
        Why::Auth,
        "`web` (127.0.0.1) refused to log in `tester`, and there was no key to try; it accepts password",
        &format!(
            "give the password with `-k`, add your key with `ssh-copy-id -p {port} tester@127.0.0.1`, or set \
             `ansible_user`"
        ),
    );
}

#[tokio::test]
async fn questions_are_answered() {
    let questions = vec![("Password: ", false, "hunter22"), ("Code: ", true, "123456")];
    let server = Server::start(Rules { questions, keys: Vec::new(), ..Rules::default() }).await;
    let (mut world, target) = stranger(&server);
    world.person = Arc::new(Person::who_knows(&["123456"]));
    let target = Target { password: secret("hunter22"), ..target };
    world.connect(&target).await.unwrap();
    let asked = world.person.asked.lock().unwrap().clone();
    assert_eq!(asked, [format!("tester@127.0.0.1:{}: Code: ", server.address.port())]);
    let error = world.fault(&target).await;
    assert!(error.message.contains("tried: the password, by keyboard-interactive;"), "{error}");
}

#[tokio::test]
async fn a_key_and_a_password() {
    let server = Server::start(Rules { password: Some("hunter22"), both: true, ..Rules::default() }).await;
    let (world, target) = World::at_home_with(&server);
    world.connect(&Target { password: secret("hunter22"), ..target.clone() }).await.unwrap();
    let error = world.fault(&target).await;
    assert!(error.message.ends_with("tried: ~/.ssh/id_ed25519; it accepts password"), "{error}");
}

#[tokio::test]
async fn too_many_keys_are_said() {
    let server = Server::start(Rules { max_auth_attempts: 2, ..Rules::default() }).await;
    let (world, target) = stranger(&server);
    let keys = (0..5).map(|index| world.key(&format!("key{index}"), &ed25519())).collect();
    let error = world.fault(&Target { keys, ..target }).await;
    assert_eq!(error.kind, Why::Auth, "{error}");
    assert!(error.message.contains("hung up on the login of `tester`"), "{error}");
    assert!(error.message.ends_with("tried: ~/.ssh/key0, ~/.ssh/key1, ~/.ssh/key2"), "{error}");
    assert!(error.help.unwrap().contains("IdentitiesOnly yes"));
}

#[tokio::test]
async fn a_server_without_any_way_in() {
    let server = Server::start(Rules { keys: Vec::new(), ..Rules::default() }).await;
    let (world, target) = World::at_home_with(&server);
    let error = world.fault(&target).await;
    assert_eq!(error.kind, Why::Auth, "{error}");
    assert_eq!(error.message, "`web` (127.0.0.1) refused to log in `tester`, tried: ~/.ssh/id_ed25519");
}

#[tokio::test]
async fn a_key_with_the_line_ends_of_another_system_is_read() {
    let server = Server::start(Rules::default()).await;
    let (world, target) = stranger(&server);
    let text = server.rules.user_key.to_openssh(LineEnding::CRLF).unwrap();
    let file = world.write(".ssh/mine", &text);
    world.connect(&Target { keys: vec![file], ..target }).await.unwrap();
}
