//! The way to a host: which jump hosts it leads through, dialling again when a server is too busy or a question was
//! answered.
//!
//! Does not know what runs on the connection.

use std::sync::Arc;

use super::auth::log_in;
use super::config::Config;
use super::destination::Destination;
use super::dial::dial;
use super::pipe;
use super::ssh::Connection;
use super::ssh::Halt;
use super::ssh::Stream;
use super::ssh::shake_hands;
use super::target::Ask;
use super::target::JumpSlot;
use super::target::Memory;
use super::target::Settings;
use super::target::lock;
use super::trust::Check;
use super::unreached::Unreached;
use super::unreached::Why;

/// Jump hosts in a row.
const HOPS: usize = 16;

/// How often a connection may be started anew after a question was answered.
const QUESTIONS: usize = 3;

/// Connects to a destination through its jump hosts, each of which is connected to once for all who need it.
pub(super) async fn travel(
    to: Destination,
    config: &Config,
    settings: &Settings,
    ask: &Arc<dyn Ask>,
) -> Result<Connection, Unreached> {
    let mut hops = route(&to, config, settings)?;
    let mut through: Option<Arc<Connection>> = None;
    // Whoever logs in to a jump host in another way has a connection of their own.
    let mut path = format!("{:?}", to.lent);
    while let Some(hop) = hops.pop() {
        path = format!("{path} {}", hop.peer());
        let slot = slot(settings.shared.memory(), &path);
        let open = || async { reach(hop, through.clone(), settings, ask).await.map(Arc::new) };
        let connection = slot.get_or_init(open).await.clone();
        through = Some(connection.map_err(|error| error.on_the_way_to(&to.label))?);
    }
    reach(to, through, settings, ask).await
}

/// The jump hosts of a destination, the nearest to it first.
fn route(to: &Destination, config: &Config, settings: &Settings) -> Result<Vec<Destination>, Unreached> {
    let mut hops: Vec<Destination> = Vec::new();
    let mut seen = vec![to.peer()];
    while let Some(chain) = &hops.last().unwrap_or(to).jump {
        let hop = Destination::of_jump(chain, to.lent.as_ref(), settings, config)?;
        let again = seen.contains(&hop.peer());
        seen.push(hop.peer());
        if again || seen.len() > HOPS {
            let text = format!("the jump hosts of {} lead in a circle: {}", to.label, seen.join(" via "));
            return Err(Unreached::new(Why::Config, text).help("set `ProxyJump none` for the first of them"));
        }
        hops.push(hop);
    }
    Ok(hops)
}

/// The place of a shared connection; a new one if the last attempt failed or the connection has ended since.
fn slot(memory: &Memory, path: &str) -> JumpSlot {
    let mut jumps = lock(&memory.jumps);
    let slot = jumps.entry(path.to_string()).or_default();
    let over = slot.get().is_some_and(|result| result.as_ref().map_or(true, |connection| connection.is_closed()));
    if over {
        *slot = JumpSlot::default();
    }
    slot.clone()
}

/// Connects and logs in. Dials again while the server is too busy, and after a question was answered.
async fn reach(
    to: Destination,
    through: Option<Arc<Connection>>,
    settings: &Settings,
    ask: &Arc<dyn Ask>,
) -> Result<Connection, Unreached> {
    let (mut drops, mut questions) = (0, 0);
    loop {
        let check = Check::new(&to, settings);
        let stream: Box<dyn Stream> = match &through {
            Some(hop) => Box::new(pipe::as_stream(hop.tunnel(&to).await?)),
            None => Box::new(dial(&to).await?),
        };
        match shake_hands(stream, through.clone(), &to, &check.kinds(), check.judge()).await {
            Ok(mut connection) => {
                check.settle().await;
                let story = connection.story.clone();
                log_in(&mut connection.handle, &story, &to, settings, ask).await?;
                return Ok(connection);
            }
            Err(Halt::Dropped(unreached)) => {
                if drops == settings.retries {
                    return Err(unreached);
                }
                // Some chance in it, or all that were turned away together would come back together.
                let pause = settings.backoff.saturating_mul(1 << drops.min(10));
                tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
                drops += 1;
            }
            Err(Halt::Key) if questions < QUESTIONS => {
                questions += 1;
                check.question(ask).await?;
            }
            Err(Halt::Key) => {
                let text = format!("{} shows another key each time it is asked", to.label);
                return Err(Unreached::new(Why::HostKey, text));
            }
            Err(Halt::Failed(unreached)) => return Err(unreached),
        }
    }
}
