//! Servers that are not there, not servers, or not in the mood.

use std::time::Duration;

use tbctl::remote::Target;
use tbctl::remote::Why;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::output_of;
use crate::support::World;
use crate::support::server::Rules;
use crate::support::server::Server;

/// Something that answers every connection with the same words, and then says and does nothing more.
async fn answering(words: &'static str) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                socket.write_all(words.as_bytes()).await.unwrap();
                if words.ends_with('!') {
                    return;
                }
                let _ = socket.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    Target { name: "127.0.0.1".to_string(), port: Some(port), ..Target::default() }
}

#[tokio::test]
async fn what_is_not_an_ssh_server_is_said() {
    for (words, kind, expected) in [
        ("", Why::Timeout, "`127.0.0.1` took the connection, but sent no SSH greeting within 50ms"),
        ("220 mail\r\n", Why::Timeout, "`127.0.0.1` sent no SSH greeting within 50ms; it says `220 mail`"),
        ("SSH-2.0-x\r\n", Why::Timeout, "`127.0.0.1` did not finish the key exchange within 50ms"),
        ("HTTP/1.1 400 no!", Why::NotSsh, "`127.0.0.1` does not speak SSH on port PORT; it says `HTTP/1.1 400 no!`"),
        ("SSH-2.0-x\r\nwhat!", Why::Lost, "the key exchange with `127.0.0.1` failed: "),
        ("Exceeded MaxStartups\r\n!", Why::Refused, "`127.0.0.1` turned the connection away: Exceeded MaxStartups"),
    ] {
        let mut target = answering(words).await;
        target.timeout = Some(Duration::from_millis(50));
        let mut world = World::new();
        world.settings.retries = 1;
        let error = world.fault(&target).await;
        let expected = expected.replace("PORT", &target.port.unwrap().to_string());
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.starts_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let world = World::new();
    let error =
        world.fault(&Target { port: Some(1), ..Target { name: "127.0.0.1".into(), ..Target::default() } }).await;
    assert_eq!((error.kind, error.retryable), (Why::Refused, true));
    assert_eq!(
        error.to_string(),
        "`127.0.0.1` refused the connection (127.0.0.1:1); check that sshd runs there and that `ansible_port` is right"
    );
}

#[tokio::test]
async fn a_name_without_an_address() {
    let world = World::new();
    let error = world.fault(&Target { name: "no such.invalid".into(), ..Target::default() }).await;
    assert_eq!(error.message, "`no such.invalid` is not the name of a host");
    let error = world.fault(&Target { name: "nowhere.invalid".into(), ..Target::default() }).await;
    assert_eq!((error.kind, error.retryable), (Why::Name, false));
    assert!(error.message.starts_with("`nowhere.invalid` has no address: "), "{error}");
    assert_eq!(error.help.as_deref(), Some("check the name, or set `ansible_host` to its address"));
}

#[tokio::test]
async fn a_busy_server_is_dialled_again() {
    let server = Server::start(Rules { turned_away: 3, ..Rules::default() }).await;
    let (world, target) = World::at_home_with(&server);
    let link = world.connect(&target).await.unwrap();
    assert_eq!(output_of(&link, "echo in").await, "in\n");
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn but_not_for_ever() {
    let server = Server::start(Rules { turned_away: 100, ..Rules::default() }).await;
    let (mut world, target) = World::at_home_with(&server);
    world.settings.retries = 2;
    let error = world.fault(&target).await;
    assert_eq!((error.kind, error.retryable), (Why::Refused, true));
    let port = server.address.port();
    assert_eq!(error.message, format!("`web` (127.0.0.1) hung up on port {port} before its greeting"));
    assert!(error.help.unwrap().contains("MaxStartups"));
    assert_eq!(server.connections(), 3);
}
