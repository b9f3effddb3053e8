//! Commands on this machine, with the same pipe as over SSH.
//!
//! Knows nothing of users or privileges: a command runs as whoever runs tbctl.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncWrite;
use tokio::process::ChildStdin;
use tokio::process::Command;
use tokio::sync::oneshot;

use super::pipe::Exit;
use super::pipe::Pipe;
use super::unreached::Unreached;
use super::unreached::Why;
use super::wire::Meter;
use super::wire::Metered;

/// Runs a command by `/bin/sh -c`, in a process group of its own: an interrupt at the terminal is for tbctl, which ends
/// the run in order.
pub(super) fn exec(command: &str, directory: &Path, meter: &Arc<Meter>) -> Result<Pipe, Unreached> {
    let fault = |what: &str| Unreached::new(Why::Start, format!("cannot run /bin/sh on this machine: {what}"));
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(Path::new(".").join(directory))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| fault(&error.to_string()))?;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(input), Some(output), Some(errors)) = streams else { return Err(fault("it has no streams")) };
    let (tell, status) = oneshot::channel();
    tokio::spawn(async move {
        let status = child.wait().await;
        let _ = tell.send(status.ok().and_then(|status| status.code()));
    });
    Ok(Pipe {
        input: Box::new(Metered::only(Input(Some(input)), meter)),
        output: Box::new(Metered::only(output, meter)),
        errors: Box::new(Metered::only(errors, meter)),
        exit: Exit::new(status),
    })
}

/// The input of a command, which is closed when it is shut down and not only when it is dropped.
struct Input(Option<ChildStdin>);

impl Input {
    fn open(&mut self) -> io::Result<Pin<&mut ChildStdin>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.open()?.poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0 = None;
        Poll::Ready(Ok(()))
    }
}
