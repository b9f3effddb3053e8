//! A running command: what goes in, what comes out, how it ends.
//!
//! Does not know what the bytes mean.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use russh::Channel;
use russh::ChannelMsg;
use russh::ChannelReadHalf;
use russh::ChannelWriteHalf;
use russh::client::Msg;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::ssh::Stream;

/// Output that nobody has read yet, in bytes, for each of the two streams. Beyond it the whole connection waits, other
/// commands included.
const UNREAD: usize = 16 << 20;
/// Input that was not sent yet, in bytes.
const UNSENT: usize = 256 << 10;
/// The payload of one message.
const CHUNK: usize = 32 << 10;

/// The three streams of a command and its end. Take it apart to use them side by side.
///
/// Closing `input` is the end of file of the command. A command whose output and exit have all been dropped is left
/// to itself: its streams are closed, it is not killed.
pub struct Pipe {
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    pub errors: Box<dyn AsyncRead + Send + Unpin>,
    pub exit: Exit,
}

impl Pipe {
    /// Closes the input, throws away what is still to come, and waits for the end; see [`Exit::wait`].
    pub async fn wait(self) -> Option<i32> {
        let Pipe { input, output, errors, exit } = self;
        drop(input);
        drop((output, errors));
        exit.wait().await
    }
}

/// How a command ends.
pub struct Exit {
    status: oneshot::Receiver<Option<i32>>,
    _interest: Option<Interest>,
}

impl Exit {
    pub(super) fn new(status: oneshot::Receiver<Option<i32>>) -> Exit {
        Exit { status, _interest: None }
    }

    /// The exit status; `None` if a signal ended the command or the connection was lost before its end was known. Does
    /// not wait for the end of the output.
    pub async fn wait(self) -> Option<i32> {
        self.status.await.ok().flatten()
    }
}

/// Held by whoever still wants something from a command.
type Interest = mpsc::Sender<()>;

/// The reading end of a stream of a channel.
struct Reading {
    inner: DuplexStream,
    _interest: Interest,
}

impl AsyncRead for Reading {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

/// Makes a pipe of a channel on which a command was started.
pub(super) fn over(channel: Channel<Msg>) -> Pipe {
    let (read, write) = channel.split();
    let (input, unsent) = tokio::io::duplex(UNSENT);
    let (output_in, output) = tokio::io::duplex(UNREAD);
    let (errors_in, errors) = tokio::io::duplex(UNREAD);
    let (interest, mut wanted) = mpsc::channel(1);
    let (tell, status) = oneshot::channel();
    tokio::spawn(async move {
        let incoming = receive(read, output_in, errors_in, tell);
        let outgoing = async {
            send(unsent, &write).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = incoming => return,
            () = outgoing => {}
            _ = wanted.recv() => {}
        }
        // Nobody is interested any more. If the connection is gone, so is the channel.
        let _ = write.close().await;
    });
    Pipe {
        input: Box::new(input),
        output: Box::new(Reading { inner: output, _interest: interest.clone() }),
        errors: Box::new(Reading { inner: errors, _interest: interest.clone() }),
        exit: Exit { status, _interest: Some(interest) },
    }
}

/// Makes one stream of a channel that leads on to another host. What comes in is taken off the connection as it comes:
/// the session on top of this stream does not read while it writes, and would wait for itself otherwise.
pub(super) fn as_stream(channel: Channel<Msg>) -> impl Stream {
    let pipe = over(channel);
    tokio::io::join(pipe.output, pipe.input)
}

/// Sends what is written, until the writer is done with it.
async fn send(mut unsent: DuplexStream, write: &ChannelWriteHalf<Msg>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        match unsent.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if write.data_bytes(buffer[..count].to_vec()).await.is_err() {
                    return;
                }
            }
        }
    }
    // If this cannot be sent there is nobody left who would read it.
    let _ = write.eof().await;
}

/// Takes what comes until the channel is closed. Output that nobody reads is thrown away.
async fn receive(
    mut read: ChannelReadHalf,
    mut output: DuplexStream,
    mut errors: DuplexStream,
    tell: oneshot::Sender<Option<i32>>,
) {
    let mut tell = Some(tell);
    let mut end = |status: Option<i32>| {
        if let Some(tell) = tell.take() {
            let _ = tell.send(status);
        }
    };
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let _ = output.write_all(&data).await;
            }
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                let _ = errors.write_all(&data).await;
            }
            ChannelMsg::ExitStatus { exit_status } => end(i32::try_from(exit_status).ok()),
            ChannelMsg::ExitSignal { .. } => end(None),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
}
