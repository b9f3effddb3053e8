//! The key of the host: known, unknown, changed.

use std::sync::Arc;

use russh::keys::Algorithm;
use russh::keys::EcdsaCurve;
use russh::keys::HashAlg;
use russh::keys::PrivateKey;
use russh::keys::key::safe_rng;
use tbctl::remote::Target;
use tbctl::remote::Unknown;
use tbctl::remote::Why;

use crate::support::Person;
use crate::support::World;
use crate::support::ed25519;
use crate::support::server::Rules;
use crate::support::server::Server;

/// A home with a key that the server accepts, and these known hosts.
async fn home(known_hosts: impl Fn(&Server) -> String) -> (Server, World, Target) {
    let server = Server::start(Rules::default()).await;
    let (world, target) = World::at_home_with(&server);
    world.write(".ssh/known_hosts", &known_hosts(&server));
    (server, world, target)
}

fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

fn line(name: &str, key: &PrivateKey) -> String {
    format!("{name} {}\n", key.public_key().to_openssh().unwrap().trim())
}

#[tokio::test]
async fn a_key_is_known_in_many_ways() {
    let ways: [fn(&Server) -> String; 4] = [
        Server::known_host_line,
        |server| line("127.0.0.1", &server.rules.host_keys[0]),
        |server| line("[127.0.0.*]:*,!other", &server.rules.host_keys[0]),
        |server| format!("# first\n{}{}", line("[127.0.0.1]:1", &ed25519()), server.known_host_line()),
    ];
    for way in ways {
        let (_server, world, target) = home(way).await;
        let before = world.read(".ssh/known_hosts");
        world.connect(&target).await.unwrap();
        assert_eq!(world.read(".ssh/known_hosts"), before);
    }
}

#[tokio::test]
async fn an_alias_names_the_key() {
    let (_server, world, target) = home(|server| line("alias", &server.rules.host_keys[0])).await;
    world.write(".ssh/config", "HostKeyAlias alias\n");
    world.connect(&target).await.unwrap();
}

#[tokio::test]
async fn a_changed_key_is_refused_whatever_is_said_of_unknown_ones() {
    let old = ed25519();
    for (unknown, agrees) in [(Unknown::Ask, true), (Unknown::Accept, false), (Unknown::Refuse, false)] {
        let (server, mut world, target) = home(|server| line(&server.known_name(), &old)).await;
        world.settings.unknown_host = unknown;
        world.person = Arc::new(Person::who_says(agrees));
        let error = world.fault(&target).await;
        assert_eq!((error.kind, error.retryable), (Why::HostKey, false));
        assert_eq!(
            error.message,
            format!(
                "the ED25519 key of `web` (127.0.0.1) has changed: it was {} (~/.ssh/known_hosts:1), it is {}",
                fingerprint(&old),
                fingerprint(&server.rules.host_keys[0])
            )
        );
        assert_eq!(
            error.help.unwrap(),
            format!(
                "if the host was set up anew, run `ssh-keygen -R '{}' -f ~/.ssh/known_hosts`; if not, someone may be \
                 in between",
                server.known_name()
            )
        );
        assert!(world.person.asked.lock().unwrap().is_empty());
        assert!(server.seen().is_empty(), "no login was tried");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused() {
    let (_server, world, target) =
        home(|server| format!("{}@revoked {}", server.known_host_line(), line("*", &server.rules.host_keys[0]))).await;
    let error = world.fault(&target).await;
    assert!(error.message.contains("is revoked at ~/.ssh/known_hosts:2"), "{error}");
}

#[tokio::test]
async fn an_unknown_key_is_asked_about() {
    let (server, mut world, target) = home(|_| String::new()).await;
    let key = fingerprint(&server.rules.host_keys[0]);
    let unknown = format!("the key of `web` (127.0.0.1) is not known: ED25519 {key}");

    world.person = Arc::new(Person::who_says(false));
    let error = world.fault(&target).await;
    assert_eq!((error.kind, error.message.as_str()), (Why::HostKey, unknown.as_str()));
    assert!(error.help.unwrap().contains(&format!("`ssh -p {} 127.0.0.1`", server.address.port())));
    assert_eq!(world.read(".ssh/known_hosts"), "");

    world.person = Arc::new(Person::who_says(true));
    let (first, second) = tokio::join!(world.connect(&target), world.connect(&target));
    first.unwrap();
    second.unwrap();
    let file = world.path(".ssh/known_hosts").display().to_string();
    let asked = world.person.asked.lock().unwrap().clone();
    assert_eq!(asked, [format!("{unknown}\ngo on and add it to {file}?")]);
    assert_eq!(world.read(".ssh/known_hosts"), server.known_host_line());
}

#[tokio::test]
async fn what_becomes_of_an_unknown_key() {
    for (unknown, config, connects, recorded) in [
        (Unknown::Accept, "", true, true),
        (Unknown::Refuse, "", false, false),
        (Unknown::Ignore, "", true, false),
        (Unknown::Ask, "StrictHostKeyChecking yes", false, false),
        (Unknown::Ask, "StrictHostKeyChecking accept-new", true, true),
        (Unknown::Ask, "StrictHostKeyChecking no", true, false),
        (Unknown::Refuse, "StrictHostKeyChecking no", false, false),
    ] {
        let (server, mut world, target) = home(|_| String::new()).await;
        world.write(".ssh/config", config);
        world.settings.unknown_host = unknown;
        assert_eq!(world.connect(&target).await.is_ok(), connects, "{unknown:?} {config}");
        let expected = if recorded { server.known_host_line() } else { String::new() };
        assert_eq!(world.read(".ssh/known_hosts"), expected, "{unknown:?} {config}");
        assert!(world.person.asked.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_hashed_name_is_written_and_found() {
    let (_server, mut world, target) = home(|_| String::new()).await;
    world.write(".ssh/config", "HashKnownHosts yes\nStrictHostKeyChecking accept-new\n");
    world.connect(&target).await.unwrap();
    let text = world.read(".ssh/known_hosts");
    assert!(text.starts_with("|1|") && !text.contains("127.0.0.1"), "{text}");
    world.settings.unknown_host = Unknown::Refuse;
    world.settings.shared = Default::default();
    world.connect(&target).await.unwrap();
}

#[tokio::test]
async fn the_server_is_asked_for_the_kind_of_key_that_is_known() {
    let p256 = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
    let ecdsa = PrivateKey::random(&mut safe_rng(), p256).unwrap();
    let server = Server::start(Rules { host_keys: vec![ed25519(), ecdsa.clone()], ..Rules::default() }).await;
    let (world, target) = World::at_home_with(&server);
    world.write(".ssh/known_hosts", &line(&server.known_name(), &ecdsa));
    world.connect(&target).await.unwrap();
}

#[tokio::test]
async fn a_key_of_another_kind_is_not_taken_for_a_new_host() {
    let p256 = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
    let ecdsa = PrivateKey::random(&mut safe_rng(), p256).unwrap();
    let (_server, mut world, target) = home(|server| line(&server.known_name(), &ecdsa)).await;
    world.settings.unknown_host = Unknown::Accept;
    let error = world.fault(&target).await;
    assert!(error.message.ends_with("only a key of another kind is (ECDSA at ~/.ssh/known_hosts:1)"), "{error}");
}

#[tokio::test]
async fn an_authority_is_unsupported() {
    let (_server, mut world, target) = home(|_| format!("@cert-authority {}", line("*", &ed25519()))).await;
    world.settings.unknown_host = Unknown::Accept;
    let error = world.fault(&target).await;
    assert!(error.message.ends_with("`@cert-authority` at ~/.ssh/known_hosts:1 is unsupported"), "{error}");
}

#[tokio::test]
async fn a_file_of_the_target_is_the_only_one() {
    let (server, mut world, target) = home(Server::known_host_line).await;
    world.settings.unknown_host = Unknown::Accept;
    let target = Target { known_hosts: Some(world.path("testbed/known_hosts")), ..target };
    world.connect(&target).await.unwrap();
    assert_eq!(world.read("testbed/known_hosts"), server.known_host_line());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_costs_only_a_warning() {
    let (_server, mut world, target) = home(|_| String::new()).await;
    world.write("file", "");
    world.person = Arc::new(Person::who_says(true));
    let target = Target { known_hosts: Some(world.path("file/known_hosts")), ..target };
    world.connect(&target).await.unwrap();
    world.connect(&target).await.unwrap();
    assert_eq!(world.person.asked.lock().unwrap().len(), 1);
}
