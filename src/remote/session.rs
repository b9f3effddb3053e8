//! A shell that stays: scripts go in, framed answers come out.
//!
//! One `sh` for each user of a host, fed through its standard input. What a script prints is told apart by marks, lines
//! that carry a number nobody can guess. Does not know what the scripts are for, nor how one becomes another user.

use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio::time::timeout_at;

use super::pipe::Exit;
use super::pipe::Pipe;

/// How much of what a shell says on its standard error is kept for messages.
const COMPLAINTS: usize = 4 << 10;

/// How long the end of a shell's standard error and its exit status may lag behind the end of its output.
const AFTERMATH: Duration = Duration::from_secs(2);

/// How long a shell may take to do its last errand.
const FAREWELL: Duration = Duration::from_secs(5);

/// A line that parts frames: what follows the mark's number.
#[derive(Debug)]
pub(super) struct Mark {
    /// What was printed between the last mark and this one.
    pub(super) before: Vec<u8>,
    pub(super) head: String,
}

impl Mark {
    /// The words of the mark: a letter first.
    pub(super) fn words(&self) -> Vec<&str> {
        self.head.split(' ').collect()
    }
}

/// Why no mark came.
#[derive(Debug)]
pub(super) enum Broken {
    /// The shell ended: its status, if it had one, and what it said last.
    Ended {
        status: Option<i32>,
        said: String,
    },
    Late,
}

enum Heard {
    Out(Vec<u8>),
    Err(Vec<u8>),
    End,
}

pub(super) struct Shell {
    input: mpsc::Sender<Vec<u8>>,
    heard: mpsc::Receiver<Heard>,
    exit: Option<Exit>,
    readers: [AbortHandle; 2],
    buffer: Vec<u8>,
    complaints: Vec<u8>,
    pub(super) ended: bool,
    /// `@@tb` and 16 digits.
    pub(super) mark: String,
    /// The functions were sent already.
    pub(super) begun: bool,
    /// Those for steps as well.
    pub(super) steps: bool,
    /// It was told to do something that nobody waited for.
    pub(super) dirty: bool,
    /// Handlers that an earlier run owes, as the host said at first.
    pub(super) owed: Vec<String>,
    /// The shell's process on the host, once it said so.
    pub(super) pid: Option<u32>,
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.readers.iter().for_each(AbortHandle::abort);
    }
}

/// 16 digits that cannot be guessed.
pub(super) fn nonce() -> String {
    format!("{:016x}", rand::random::<u64>())
}

impl Shell {
    pub(super) fn over(pipe: Pipe) -> Shell {
        let Pipe { mut input, output, errors, exit } = pipe;
        let (send, mut unsent) = mpsc::channel::<Vec<u8>>(4);
        tokio::spawn(async move {
            while let Some(bytes) = unsent.recv().await {
                // A shell that does not read any more has ended, which is noticed where its output is read.
                if input.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            let _ = input.shutdown().await;
        });
        let (tell, heard) = mpsc::channel(16);
        let readers = [
            tokio::spawn(listen(output, tell.clone(), Heard::Out, true)).abort_handle(),
            tokio::spawn(listen(errors, tell, Heard::Err, false)).abort_handle(),
        ];
        Shell {
            input: send,
            heard,
            exit: Some(exit),
            readers,
            buffer: Vec::new(),
            complaints: Vec::new(),
            ended: false,
            mark: format!("@@tb{}", nonce()),
            begun: false,
            steps: false,
            dirty: false,
            owed: Vec::new(),
            pid: None,
        }
    }

    /// Sends text without waiting for anything.
    pub(super) async fn send(&self, text: impl Into<Vec<u8>>) {
        // Fails only after the shell ended, which is noticed where its output is read.
        let _ = self.input.send(text.into()).await;
    }

    /// The end of the input: nothing can be sent any more.
    pub(super) fn finish(&mut self) {
        self.input = mpsc::channel(1).0;
    }

    /// Lets the shell do what it was told, and end.
    pub(super) async fn leave(mut self) {
        self.finish();
        let deadline = Instant::now() + FAREWELL;
        while !matches!(self.hear(Some(deadline)).await, Ok(Heard::End) | Err(_)) {}
    }

    /// Waits for the next mark.
    pub(super) async fn mark(&mut self, deadline: Option<Instant>) -> Result<Mark, Broken> {
        let pattern = format!("\n{} ", self.mark).into_bytes();
        let mut from = 0;
        loop {
            if let Some(mark) = cut(&mut self.buffer, &pattern, from) {
                return Ok(mark);
            }
            from = self.buffer.len().saturating_sub(pattern.len() + 200);
            match self.hear(deadline).await? {
                Heard::Out(bytes) => self.buffer.extend_from_slice(&bytes),
                Heard::Err(bytes) => self.complain(&bytes),
                Heard::End => return Err(self.end().await),
            }
        }
    }

    /// Waits until one of the texts was printed on standard error, or the mark on standard output. Says which text.
    pub(super) async fn prompt(
        &mut self,
        texts: &[&str],
        ready: &str,
        deadline: Instant,
    ) -> Result<Option<usize>, Broken> {
        loop {
            let complaints = String::from_utf8_lossy(&self.complaints);
            if let Some(at) = texts.iter().position(|text| complaints.contains(text)) {
                self.complaints.clear();
                return Ok(Some(at));
            }
            if let Some(at) = find(&self.buffer, ready.as_bytes(), 0) {
                self.buffer.drain(..at + ready.len());
                return Ok(None);
            }
            match self.hear(Some(deadline)).await? {
                Heard::Out(bytes) => self.buffer.extend_from_slice(&bytes),
                Heard::Err(bytes) => self.complain(&bytes),
                Heard::End => return Err(self.end().await),
            }
        }
    }

    async fn hear(&mut self, deadline: Option<Instant>) -> Result<Heard, Broken> {
        if self.ended {
            return Ok(Heard::End);
        }
        let next = self.heard.recv();
        let heard = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.map_err(|_| Broken::Late)?,
            None => next.await,
        };
        Ok(heard.unwrap_or(Heard::End))
    }

    /// What is known once the output is over.
    async fn end(&mut self) -> Broken {
        self.ended = true;
        let deadline = Instant::now() + AFTERMATH;
        let status = match self.exit.take() {
            Some(exit) => timeout_at(deadline, exit.wait()).await.ok().flatten(),
            None => None,
        };
        while let Ok(Some(heard)) = timeout_at(deadline, self.heard.recv()).await {
            if let Heard::Err(bytes) = heard {
                self.complain(&bytes);
            }
        }
        Broken::Ended { status, said: String::from_utf8_lossy(&self.complaints).trim().to_string() }
    }

    fn complain(&mut self, bytes: &[u8]) {
        self.complaints.extend_from_slice(bytes);
        let excess = self.complaints.len().saturating_sub(COMPLAINTS);
        self.complaints.drain(..excess);
    }
}

/// Passes on what comes. The end is told by the output alone.
async fn listen(
    mut from: Box<dyn AsyncRead + Send + Unpin>,
    tell: mpsc::Sender<Heard>,
    kind: fn(Vec<u8>) -> Heard,
    ends: bool,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if tell.send(kind(buffer[..count].to_vec())).await.is_err() {
            return;
        }
    }
    if ends {
        // Nobody listens any more: then the end does not matter either.
        let _ = tell.send(Heard::End).await;
    }
}

/// Takes everything up to the end of the first complete mark line.
fn cut(buffer: &mut Vec<u8>, pattern: &[u8], from: usize) -> Option<Mark> {
    let at = find(buffer, pattern, from)?;
    let start = at + pattern.len();
    let end = start + buffer[start..].iter().position(|byte| *byte == b'\n')?;
    let head = String::from_utf8_lossy(&buffer[start..end]).into_owned();
    // The line end stays: the next mark begins with one of its own.
    let before = buffer[..at].to_vec();
    buffer.drain(..=end);
    Some(Mark { before, head })
}

fn find(buffer: &[u8], pattern: &[u8], from: usize) -> Option<usize> {
    let first = *pattern.first()?;
    let mut at = from.min(buffer.len());
    while let Some(next) = buffer[at..].iter().position(|byte| *byte == first) {
        at += next;
        if buffer[at..].starts_with(pattern) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_part_any_bytes() {
        let mut buffer = b"\n@@m A 1\n\n\0x\n@@m\n@@m B\n\n@@m C".to_vec();
        let mut next = || cut(&mut buffer, b"\n@@m ", 0).map(|mark| (mark.before, mark.head));
        assert_eq!(next(), Some((b"".to_vec(), "A 1".into())));
        assert_eq!(next(), Some((b"\n\0x\n@@m".to_vec(), "B".into())));
        assert_eq!(next(), None);
        assert_eq!(buffer, b"\n@@m C");
    }
}
