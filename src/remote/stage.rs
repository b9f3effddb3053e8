//! Content that goes ahead of its stream, on a channel of its own, into the stream's run directory.
//!
//! Does not know where the content ends up.

use std::sync::Arc;

use sha2::Digest;
use sha2::Sha256;
use tokio::io::AsyncReadExt;

use crate::change::Content;

use super::host::Host;
use super::link::Link;
use super::order::As;
use super::order::Stream;
use super::session::Broken;
use super::session::Shell;
use super::stream;
use super::stream::Names;
use super::sudo::Fault;
use super::sudo::explain;
use super::sudo::open;
use super::unreached::Unreached;

/// Bytes sent at a time.
const CHUNK: usize = 64 << 10;

impl Host {
    /// Copies everything that does not fit into a script. The inner error is the number of the step whose content could
    /// not be copied, and why.
    pub(super) async fn stage(
        &mut self,
        link: &Arc<Link>,
        user: &As,
        stream: &Stream,
        names: &mut Names,
    ) -> Result<Result<(), (usize, String)>, Unreached> {
        for (number, content) in stream::ahead(stream) {
            names.staged = true;
            match self.stage_one(link, user, number, content, names).await {
                Ok(()) => {}
                Err(Fault::User(why)) => return Ok(Err((number, why))),
                Err(Fault::Link(why)) => return Err(why),
            }
        }
        Ok(Ok(()))
    }

    async fn stage_one(
        &mut self,
        link: &Arc<Link>,
        user: &As,
        number: usize,
        content: &Content,
        names: &Names,
    ) -> Result<(), Fault> {
        let password = self.worker.manner.become_password.as_ref();
        let (mut shell, trips) = open(link, &self.worker.name, user, password).await?;
        let name = &self.worker.name.clone();
        let text = self.stepping(&mut shell);
        shell.send(format!("{text}_tb_stage tbctl-{} {number}\n", names.run)).await;
        self.count(trips + 2);
        let broken = |broken: Broken| explain(link, name, user, broken);
        let mark = shell.mark(None).await.map_err(broken)?;
        if mark.head != "G" {
            return Err(Fault::User("cannot make a directory below /var/tmp or /tmp".into()));
        }
        let expected = pour(&mut shell, content).await.map_err(Fault::User)?;
        let mark = shell.mark(None).await.map_err(broken)?;
        let printed = String::from_utf8_lossy(&mark.before).into_owned();
        match (mark.head.as_str(), printed.trim_start_matches('\\').split(' ').next()) {
            ("K 0", Some(digest)) if digest.trim() == expected => Ok(()),
            ("K 0", _) => Err(Fault::User("the content did not arrive as it was sent".into())),
            _ => Err(Fault::User("the content cannot be copied to /var/tmp or /tmp: is the disk full?".into())),
        }
    }
}

/// Sends the content and the end of the input; says its digest.
async fn pour(shell: &mut Shell, content: &Content) -> Result<String, String> {
    let expected = match content {
        Content::Text(text) => {
            for chunk in text.as_bytes().chunks(CHUNK) {
                shell.send(chunk).await;
            }
            hex(&Sha256::digest(text.as_bytes()))
        }
        Content::File { path, sha256 } => {
            let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
            let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
            let mut digest = Sha256::new();
            let mut buffer = vec![0; CHUNK];
            loop {
                let count = file.read(&mut buffer).await.map_err(unreadable)?;
                if count == 0 {
                    break;
                }
                digest.update(&buffer[..count]);
                shell.send(&buffer[..count]).await;
            }
            let found = hex(&digest.finalize());
            if found != *sha256 {
                return Err(format!("{} was changed while tbctl was running; run it again", path.display()));
            }
            found
        }
    };
    shell.finish();
    Ok(expected)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
