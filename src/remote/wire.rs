//! The byte stream below SSH, with a meter, an end that can be forced, and a limit on standing still.
//!
//! Knows nothing of SSH but what its first line begins with.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::target::lock;

/// How much of the server's first words is kept, in bytes, to be quoted when they are not SSH.
const HEAD: usize = 200;

/// What passed over a wire, readable while it is in use.
#[derive(Debug, Default)]
pub(super) struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
    head: Mutex<Vec<u8>>,
}

impl Meter {
    /// Bytes received and bytes sent.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }

    /// What the other side said before it said `SSH-`: at most one line, made printable.
    pub(super) fn first_words(&self) -> Greeting {
        let head = lock(&self.head);
        let text = String::from_utf8_lossy(&head);
        if head.is_empty() {
            return Greeting::Nothing;
        }
        if text.lines().any(|line| line.starts_with("SSH-")) {
            return Greeting::Ssh;
        }
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
        Greeting::Other(line.chars().take(80).map(|c| if c.is_control() { '·' } else { c }).collect())
    }

    fn note(&self, bytes: &[u8]) {
        let before = self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if before < HEAD as u64 {
            let mut head = lock(&self.head);
            let room = HEAD.saturating_sub(head.len()).min(bytes.len());
            head.extend_from_slice(&bytes[..room]);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Nothing,
    Ssh,
    Other(String),
}

/// A stream with a [`Meter`]. Reading ends when the sender of `cut` is dropped: the task that owns the stream may wait
/// for the other side at a point where nothing else would end it.
pub(super) struct Metered<S> {
    inner: S,
    meter: Arc<Meter>,
    cut: Cut,
    limit: Option<Duration>,
    /// Runs while a write makes no progress: keepalives are not sent by a task that is stuck in a write.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Metered<S> {
    /// `limit` is how long a write may stand still. The sender keeps the stream open.
    pub(super) fn new(inner: S, meter: Arc<Meter>, limit: Duration) -> (Metered<S>, oneshot::Sender<()>) {
        let (hold, cut) = oneshot::channel();
        (Metered { inner, meter, cut: Cut::On(cut), limit: Some(limit), stuck: None }, hold)
    }

    /// A stream that is only metered.
    pub(super) fn only(inner: S, meter: &Arc<Meter>) -> Metered<S> {
        Metered { inner, meter: meter.clone(), cut: Cut::Never, limit: None, stuck: None }
    }
}

enum Cut {
    Never,
    On(oneshot::Receiver<()>),
    Done,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.cut {
            Cut::Never => {}
            Cut::Done => return Poll::Ready(Ok(())),
            Cut::On(cut) => {
                if Pin::new(cut).poll(cx).is_ready() {
                    self.cut = Cut::Done;
                    return Poll::Ready(Ok(()));
                }
            }
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.meter.note(&buf.filled()[before..]);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, data) {
            Poll::Ready(result) => {
                self.stuck = None;
                if let Ok(count) = result {
                    self.meter.sent.fetch_add(count as u64, Ordering::Relaxed);
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let Some(limit) = self.limit else { return Poll::Pending };
                let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                match stuck.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Never fails: a connection that is gone already is as closed as one can wish, and the error would hide the
    /// reason why it ended.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx).map(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn the_first_words_are_told_apart() {
        for (said, expected) in [
            ("", Greeting::Nothing),
            ("SSH-2.0-x\r\n", Greeting::Ssh),
            ("hello\r\nSSH-2.0-x\r\n", Greeting::Ssh),
            ("HTTP/1.1 400 Bad\r\n\r\n", Greeting::Other("HTTP/1.1 400 Bad".into())),
            ("\r\n\u{1}bell", Greeting::Other("·bell".into())),
        ] {
            let meter = Arc::new(Meter::default());
            let (near, mut far) = tokio::io::duplex(1024);
            let (mut wire, _hold) = Metered::new(near, meter.clone(), Duration::from_secs(9));
            far.write_all(said.as_bytes()).await.unwrap();
            drop(far);
            wire.read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(meter.first_words(), expected);
            assert_eq!(meter.counts(), (said.len() as u64, 0));
        }
    }

    #[tokio::test]
    async fn a_cut_ends_a_read_that_waits() {
        let (near, _far) = tokio::io::duplex(1024);
        let (mut wire, hold) = Metered::new(near, Arc::default(), Duration::from_secs(9));
        let read = tokio::spawn(async move { wire.read_to_end(&mut Vec::new()).await.unwrap() });
        drop(hold);
        assert_eq!(read.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_write_that_stands_still_ends() {
        let (near, _far) = tokio::io::duplex(4);
        let (mut wire, _hold) = Metered::new(near, Arc::default(), Duration::from_millis(1));
        let error = wire.write_all(b"more than four").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
