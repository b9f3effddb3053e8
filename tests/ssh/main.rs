//! Connections over SSH against a server in this process, and on this machine.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod faults;
mod route;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod trust;

use tbctl::remote::Link;
use tokio::io::AsyncReadExt;

/// The output of a command that needs no input.
async fn output_of(link: &Link, command: &str) -> String {
    let mut pipe = link.exec(command).await.unwrap();
    let mut output = String::new();
    pipe.output.read_to_string(&mut output).await.unwrap();
    assert_eq!(pipe.wait().await, Some(0), "{command}");
    output
}
