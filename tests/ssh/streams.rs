//! What goes in, what comes out, how it ends.

use std::time::Duration;

use tbctl::remote::Link;
use tbctl::remote::Target;
use tbctl::remote::Via;
use tbctl::remote::Why;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::output_of;
use crate::support::World;
use crate::support::server::Rules;
use crate::support::server::Server;

const MANY: usize = 10 << 20;

/// The same over SSH and on this machine.
async fn both() -> (Server, World, [Link; 2]) {
    let server = Server::start(Rules::default()).await;
    let (world, target) = World::at_home_with(&server);
    let local = Target { via: Via::Local, ..Target::default() };
    let links = [world.connect(&target).await.unwrap(), world.connect(&local).await.unwrap()];
    (server, world, links)
}

#[tokio::test]
async fn three_streams_and_an_exit() {
    let (server, _world, links) = both().await;
    assert_eq!(links[0].peer(), format!("tester@127.0.0.1:{}", server.address.port()));
    assert_eq!(links[1].peer(), "local");
    for link in links {
        let mut pipe = link.exec("cat; echo fault >&2; exit 7").await.unwrap();
        pipe.input.write_all(b"in").await.unwrap();
        pipe.input.shutdown().await.unwrap();
        let (mut output, mut errors) = (String::new(), String::new());
        pipe.output.read_to_string(&mut output).await.unwrap();
        pipe.errors.read_to_string(&mut errors).await.unwrap();
        assert_eq!((output.as_str(), errors.as_str()), ("in", "fault\n"));
        assert_eq!(pipe.wait().await, Some(7));
        let stats = link.stats();
        assert_eq!(stats.channels, 1);
        assert!(stats.bytes_in >= 8 && stats.bytes_out >= 2, "{stats:?}");
        assert_eq!(link.lost(), None);
        link.close().await;
    }
}

#[tokio::test]
async fn an_end_by_a_signal_has_no_status() {
    let (_server, _world, links) = both().await;
    for link in links {
        assert_eq!(link.exec("kill -9 $$").await.unwrap().wait().await, None);
    }
}

#[tokio::test]
async fn ten_megabytes_each_way_at_once() {
    let (_server, _world, links) = both().await;
    for link in links {
        let mut pipe = link.exec("cat").await.unwrap();
        let mut input = pipe.input;
        let sent: Vec<u8> = (0..MANY).map(|index| (index % 251) as u8).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            input.write_all(&sent).await.unwrap();
            input.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        pipe.output.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        assert!(received == expected, "{} bytes came back", received.len());
        assert_eq!(pipe.exit.wait().await, Some(0));
    }
}

#[tokio::test]
async fn output_that_nobody_reads_does_not_stop_other_commands() {
    let (_server, _world, links) = both().await;
    for link in links {
        let unread = link.exec(&format!("head -c {MANY} /dev/zero; cat")).await.unwrap();
        assert_eq!(output_of(&link, "echo other").await, "other\n");
        assert_eq!(unread.wait().await, Some(0));
    }
}

#[tokio::test]
async fn many_commands_side_by_side() {
    let server = Server::start(Rules { max_sessions: 40, ..Rules::default() }).await;
    let (world, target) = World::at_home_with(&server);
    let link = world.connect(&target).await.unwrap();
    let mut pipes = Vec::new();
    for index in 0..40 {
        pipes.push((index, link.exec(&format!("read line; echo $line {index}")).await.unwrap()));
    }
    for (index, mut pipe) in pipes.into_iter().rev() {
        pipe.input.write_all(b"answer\n").await.unwrap();
        let mut output = String::new();
        pipe.output.read_to_string(&mut output).await.unwrap();
        assert_eq!(output, format!("answer {index}\n"));
    }
    assert_eq!(link.stats().channels, 40);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn one_session_too_many_is_said() {
    let server = Server::start(Rules { max_sessions: 1, ..Rules::default() }).await;
    let (world, target) = World::at_home_with(&server);
    let link = world.connect(&target).await.unwrap();
    let first = link.exec("cat").await.unwrap();
    let error = link.exec("true").await.err().unwrap();
    assert_eq!(error.kind, Why::Start);
    assert_eq!(error.help.as_deref(), Some("raise `MaxSessions` of its sshd"));
    assert_eq!(first.wait().await, Some(0));
}

#[tokio::test]
async fn a_command_that_is_dropped_is_closed() {
    let (_server, world, links) = both().await;
    let mark = world.path("ended");
    for link in links {
        // The end of file on its input is what tells the command that nobody is there any more.
        drop(link.exec(&format!("cat; echo x >> {}", mark.display())).await.unwrap());
        let wait = format!("until [ -s {0} ]; do sleep 0.01; done; rm {0}", mark.display());
        assert_eq!(output_of(&link, &wait).await, "");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_ends_everything() {
    let server = Server::start(Rules::default()).await;
    let (world, target) = World::at_home_with(&server);
    let link = world.connect(&target).await.unwrap();
    let mut pipe = link.exec("echo begun; exec sleep 1000").await.unwrap();
    let mut begun = [0; 6];
    pipe.output.read_exact(&mut begun).await.unwrap();
    server.cut();
    assert_eq!(pipe.output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert_eq!(pipe.exit.wait().await, None);
    let mut filled = Ok(());
    for _ in 0..100 {
        filled = pipe.input.write_all(&[0; 64 << 10]).await;
        if filled.is_err() {
            break;
        }
    }
    assert!(filled.is_err(), "input still goes somewhere");
    let error = link.exec("true").await.err().unwrap();
    assert_eq!((error.kind, error.retryable), (Why::Lost, true));
    assert_eq!(error.message, "the connection to `web` (127.0.0.1) was lost: it hung up");
    assert_eq!(link.lost(), Some(error));
    link.close().await;
}

#[tokio::test]
async fn a_host_that_falls_silent_is_given_up() {
    let server = Server::start(Rules::default()).await;
    let (mut world, target) = World::at_home_with(&server);
    world.settings.keepalive = Duration::from_millis(20);
    let link = world.connect(&target).await.unwrap();
    let mut pipe = link.exec("echo begun; exec sleep 1000").await.unwrap();
    pipe.output.read_exact(&mut [0; 6]).await.unwrap();
    server.freeze();
    assert_eq!(pipe.output.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert_eq!(pipe.exit.wait().await, None);
    let error = link.exec("true").await.err().unwrap();
    assert_eq!(error.message, "the connection to `web` (127.0.0.1) was lost: no sign of life");
    assert_eq!(error.kind, Why::Lost);
}
