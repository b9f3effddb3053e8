//! A TCP connection to a name and port, and what its failures mean.
//!
//! Knows nothing of SSH.

use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::Family;
use super::destination::Destination;
use super::unreached::Unreached;
use super::unreached::Why;

/// Reads that are acknowledged at once: more than a login takes.
const PROMPT: u32 = 40;

/// Connects to the first address that answers. The limit holds for the look-up and for each address.
pub(super) async fn dial(to: &Destination) -> Result<Socket, Unreached> {
    let addresses = addresses(to).await?;
    let mut last = None;
    for address in addresses {
        match timeout(to.limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small scripts and small answers go back and forth; none of them should wait for company.
                stream.set_nodelay(true).map_err(|error| fault(to, address, &error))?;
                return Ok(Socket { stream, prompt: PROMPT });
            }
            Ok(Err(error)) => last = Some(fault(to, address, &error)),
            Err(_) => last = Some(silent(to, to.limit)),
        }
    }
    Err(last.unwrap_or_else(|| no_address(to, "no address of the wanted family")))
}

async fn addresses(to: &Destination) -> Result<Vec<SocketAddr>, Unreached> {
    let found = match timeout(to.limit, tokio::net::lookup_host((to.host.as_str(), to.port))).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(no_address(to, &plain(&error))),
        Err(_) => return Err(no_address(to, "the name service did not answer")),
    };
    let wanted = |address: &SocketAddr| match to.family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    };
    Ok(found.filter(wanted).collect())
}

/// A TCP connection that acknowledges at once what it reads while it is young. sshd turns Nagle's algorithm off only
/// when the first command starts: until then two small packets in a row wait for the acknowledgement of the first,
/// which the kernel holds back for 40 ms. That would be the longest step of a login.
pub(super) struct Socket {
    stream: TcpStream,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux is told when to answer at once"))]
    prompt: u32,
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        #[cfg(target_os = "linux")]
        if self.prompt > 0 && result.is_ready() {
            self.prompt -= 1;
            // The kernel forgets this wish as soon as it likes, so it is repeated. Without it all is slower, not wrong.
            let _ = self.stream.set_quickack(true);
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn no_address(to: &Destination, why: &str) -> Unreached {
    Unreached::new(Why::Name, format!("{} has no address: {why}", to.label))
        .help("check the name, or set `ansible_host` to its address")
}

fn silent(to: &Destination, limit: Duration) -> Unreached {
    let limit = humantime::format_duration(limit);
    Unreached::new(Why::Timeout, format!("{} did not answer on port {} within {limit}", to.label, to.port))
        .help("check that it is up and that no firewall drops the connection")
}

fn fault(to: &Destination, address: SocketAddr, error: &io::Error) -> Unreached {
    let at = |what: &str| format!("{} {what} ({address})", to.label);
    match error.kind() {
        ErrorKind::ConnectionRefused => Unreached::new(Why::Refused, at("refused the connection"))
            .help("check that sshd runs there and that `ansible_port` is right"),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            Unreached::new(Why::NoRoute, at("cannot be reached: no route")).help("check its address and your network")
        }
        ErrorKind::TimedOut => silent(to, to.limit),
        _ => Unreached::new(Why::Refused, at(&format!("cannot be reached: {}", plain(error)))),
    }
}

/// The error without Rust's own words about it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.split(" (os error").next().unwrap_or(text).to_lowercase()
}
