//! The way to a host: `~/.ssh/config` and jump hosts.

use tbctl::remote::Target;
use tbctl::remote::Why;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::output_of;
use crate::support::World;
use crate::support::server::Rules;
use crate::support::server::Server;

/// Three servers, `outer`, `inner` and `last`, that a home knows by its configuration.
async fn three(config: &str) -> ([Server; 3], World) {
    let servers = [
        Server::start(Rules::default()).await,
        Server::start(Rules::default()).await,
        Server::start(Rules::default()).await,
    ];
    let world = World::new();
    let mut text = String::new();
    for (name, server) in ["outer", "inner", "last"].iter().zip(&servers) {
        world.key(name, &server.rules.user_key);
        let port = server.address.port();
        text += &format!("Host {name}\nHostName 127.0.0.1\nPort {port}\nUser {name}\nIdentityFile ~/.ssh/%n\n");
    }
    let known: Vec<String> = servers.iter().map(Server::known_host_line).collect();
    world.write(".ssh/known_hosts", &known.concat());
    world.write(".ssh/config", &format!("{config}\n{text}"));
    (servers, world)
}

fn target(name: &str, jump: Option<&str>) -> Target {
    Target { name: name.to_string(), jump: jump.map(str::to_string), ..Target::default() }
}

#[tokio::test]
async fn hops_are_written_in_several_ways() {
    let nested = "Host last\nProxyJump inner\nHost inner\nProxyJump outer";
    for (config, jump, forwards) in [
        ("", None, [0, 0]),
        ("", Some("outer"), [1, 0]),
        ("", Some("outer,inner"), [1, 1]),
        ("Host last\nProxyJump outer,inner", None, [1, 1]),
        (nested, None, [1, 1]),
        (nested, Some("outer"), [1, 0]),
        (nested, Some("none"), [0, 0]),
        ("Host *\nProxyJump outer", None, [1, 0]),
        ("ProxyCommand none\nProxyJump outer", None, [0, 0]),
        ("Host outer\nProxyCommand none", Some("outer"), [1, 0]),
    ] {
        let (servers, world) = three(config).await;
        let link = world.connect(&target("last", jump)).await.unwrap();
        assert_eq!(output_of(&link, "echo there").await, "there\n", "{config} {jump:?}");
        assert_eq!(link.peer(), format!("last@127.0.0.1:{}", servers[2].address.port()));
        let forwarded = |server: &Server| server.seen().iter().filter(|what| *what == "forward 127.0.0.1").count();
        assert_eq!([forwarded(&servers[0]), forwarded(&servers[1])], forwards, "{config} {jump:?}");
        link.close().await;
    }
}

#[tokio::test]
async fn many_hosts_share_one_connection_to_a_jump_host() {
    let (servers, world) = three("").await;
    let (through, last) = (target("last", Some("outer")), target("inner", Some("outer")));
    let (one, two, three) = tokio::join!(world.connect(&through), world.connect(&through), world.connect(&last));
    for link in [one.unwrap(), two.unwrap(), three.unwrap()] {
        assert_eq!(output_of(&link, "echo there").await, "there\n");
    }
    assert_eq!(servers[0].connections(), 1);
    servers[0].cut();
    // The connection that broke is not used again; how soon its end is noticed is not for us to say.
    let again = loop {
        match world.connect(&through).await {
            Ok(link) => break link,
            Err(error) => assert!(error.retryable, "{error}"),
        }
    };
    assert_eq!(output_of(&again, "echo there").await, "there\n");
    assert_eq!(servers[0].connections(), 2);
}

#[tokio::test]
async fn much_data_both_ways_through_two_hops() {
    let (_servers, world) = three("").await;
    let link = world.connect(&target("last", Some("outer,inner"))).await.unwrap();
    let mut pipe = link.exec("cat").await.unwrap();
    let sent = vec![7; 10 << 20];
    let sending = tokio::spawn(async move {
        pipe.input.write_all(&sent).await.unwrap();
        pipe.input.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    pipe.output.read_to_end(&mut received).await.unwrap();
    sending.await.unwrap();
    assert_eq!(received.len(), 10 << 20);
}

#[tokio::test]
async fn a_jump_host_of_the_inventory_takes_the_key_of_the_host() {
    let gate = Server::start(Rules::default()).await;
    let keys = vec![gate.rules.user_key.public_key().clone()];
    let host = Server::start(Rules { keys, ..Rules::default() }).await;
    let (world, _) = World::at_home_with(&gate);
    let known = world.write("known", &(gate.known_host_line() + &host.known_host_line()));
    let target = Target {
        keys: vec![world.key("testbed", &gate.rules.user_key)],
        known_hosts: Some(known),
        jump: Some(format!("127.0.0.1:{}", gate.address.port())),
        ..host.target()
    };
    world.connect(&target).await.unwrap();
    assert_eq!(gate.seen().len(), 3, "{:?}", gate.seen());
}

#[tokio::test]
async fn what_is_wrong_on_the_way_is_said() {
    let circle = "Host last\nProxyJump inner\nHost inner\nProxyJump outer\nHost outer\nProxyJump inner";
    for (config, name, jump, kind, expected) in [
        (circle, "last", None, Why::Config, "the jump hosts of `last` (127.0.0.1) lead in a circle"),
        ("ProxyCommand nc %h %p", "last", None, Why::Config, "`ProxyCommand` is unsupported (~/.ssh/config:1)"),
        ("", "last", Some("outer,:"), Why::Config, "`:` is not a jump host"),
        ("Host gone\nHostName 127.0.0.1\nPort 1", "gone", Some("outer"), Why::Refused, "the jump host `outer`"),
        (
            "Host gone\nHostName 127.0.0.1\nPort 1",
            "last",
            Some("gone"),
            Why::Refused,
            "on the way to `last` (127.0.0.1): `gone` (127.0.0.1) refused",
        ),
        ("Host last\nPort x", "last", None, Why::Config, "~/.ssh/config:2: `x` is not a port from 1 to 65535"),
        ("User \"x", "last", None, Why::Config, "~/.ssh/config:1: a quote is not closed"),
    ] {
        let (_servers, world) = three(config).await;
        let error = world.fault(&target(name, jump)).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_jump_host_that_does_not_forward_is_said() {
    let gate = Server::start(Rules { forwards: false, ..Rules::default() }).await;
    let (world, _) = World::at_home_with(&gate);
    let jump = format!("127.0.0.1:{}", gate.address.port());
    let error = world.fault(&target("anywhere", Some(&jump))).await;
    assert_eq!(error.message, "the jump host `127.0.0.1` does not forward connections (administratively prohibited)");
    assert_eq!(error.help.as_deref(), Some("set `AllowTcpForwarding yes` in its sshd_config"));
}

#[tokio::test]
async fn the_password_of_a_host_is_not_for_the_jump_host() {
    let gate = Server::start(Rules { password: Some("secret-1"), keys: Vec::new(), ..Rules::default() }).await;
    let host = Server::start(Rules { password: Some("secret-2"), keys: Vec::new(), ..Rules::default() }).await;
    let mut world = World::new();
    world.write(".ssh/known_hosts", &(gate.known_host_line() + &host.known_host_line()));
    world.settings.ask_password = true;
    world.person = std::sync::Arc::new(crate::support::Person::who_knows(&["secret-2", "secret-1"]));
    let jump = format!("127.0.0.1:{}", gate.address.port());
    world.connect(&Target { jump: Some(jump), ..host.target() }).await.unwrap();
    assert_eq!(gate.seen(), ["password tester true", "forward 127.0.0.1"]);
    assert_eq!(host.seen(), ["password tester true"]);
}
