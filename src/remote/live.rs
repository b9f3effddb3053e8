//! What a step that takes its time prints, line by line, while it runs.
//!
//! Read from its spool by a shell of its own, since the stream's is busy. All of the output comes once more at the end of
//! the step: nothing depends on these lines.

use std::sync::Arc;
use std::time::Duration;

use super::host::Worker;
use super::link::Link;
use super::order::Answer;
use super::order::As;
use super::session::Shell;
use super::sudo::open;

/// Steps that end sooner are not watched.
const PATIENCE: Duration = Duration::from_secs(1);

const PAUSE: Duration = Duration::from_millis(500);

/// Bytes that are shown at a time.
const GLANCE: usize = 64 << 10;

/// What is watched.
pub(super) struct Watch {
    pub(super) link: Arc<Link>,
    pub(super) worker: Arc<Worker>,
    pub(super) user: As,
    /// The run directory's name, and the step's number in the stream.
    pub(super) run: String,
    pub(super) number: usize,
    pub(super) part: u64,
}

/// Tells every line until it is aborted.
pub(super) async fn watch(watch: Watch, say: impl Fn(Answer)) {
    tokio::time::sleep(PATIENCE).await;
    let password = watch.worker.manner.become_password.as_ref();
    let Ok((mut shell, _)) = open(&watch.link, &watch.worker.name, &watch.user, password).await else { return };
    let mut spools = [('o', 0, Vec::new()), ('e', 0, Vec::new())];
    loop {
        for (kind, offset, rest) in &mut spools {
            let file = format!("{}/{}.{kind}", watch.run, watch.number);
            let Some(new) = glance(&mut shell, &file, *offset).await else { return };
            *offset += new.len();
            rest.extend_from_slice(&new);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                say(Answer::Said { part: watch.part, line });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a spool file has from an offset on; no process if it is empty.
async fn glance(shell: &mut Shell, file: &str, offset: usize) -> Option<Vec<u8>> {
    let mark = shell.mark.clone();
    let text = format!(
        "{{\nprintf '\\n%s G\\n' {mark}\nfor d in /tmp /var/tmp; do [ ! -s $d/{file} ] || tail -c +{} $d/{file} | head -c {GLANCE}; \
         done 2>/dev/null\nprintf '\\n%s .\\n' {mark}\n}}\n",
        offset + 1
    );
    shell.send(text).await;
    shell.mark(None).await.ok()?;
    Some(shell.mark(None).await.ok()?.before)
}
