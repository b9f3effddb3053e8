//! `tbctl unlock`: removes the lock of a run that is not coming back.

use crate::change::Look;
use crate::cli::args::Connection;
use crate::cli::console::Console;
use crate::cli::console::Done;
use crate::cli::console::WRONG;
use crate::cli::crowd::Crowd;
use crate::cli::crowd::Whom;
use crate::cli::run;
use crate::engine::survey;
use crate::remote;
use crate::ui::live::Pause;
use crate::ui::look::count;

/// Remove the locks of a run that is not coming back
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    whom: Whom,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    connection: Connection,
}

const EXAMPLES: &str = "\
Examples:
  tbctl unlock hosts.yml               Shows who holds them, and asks
  tbctl unlock hosts.yml -l web3 --yes

A lock whose owner is dead needs no unlocking: the next run takes it over at
once when the owner's connection is gone, else after about a minute.";

const QUESTION: &str = "{ IFS= read -r _tb_y && printf '%s\\n' \"$_tb_y\"; } 2>/dev/null <\"$_tb_j/lock\"";

pub(super) fn run(console: &Console, pause: &Pause, args: &Args) -> Done {
    let Crowd { testbed, workers, ask } = Crowd::gather(console, pause, &args.whom, &args.connection)?;
    run::wait(async {
        let survey = survey::survey(workers, Look::Script { text: QUESTION.into() }).await;
        let mut held = 0;
        for host in &survey.hosts {
            let mut owners: Vec<&str> = host.said.iter().map(|(_, said)| said.trim()).collect();
            owners.retain(|owner| !owner.is_empty());
            owners.dedup();
            for owner in owners {
                held += 1;
                console.note(&format!("{}: locked by {}", host.name, remote::owner(owner)));
            }
            if let Some(why) = &host.lost {
                console.note(&format!("{}: not reached: {why}", host.name));
            }
        }
        let lost = if survey.hosts.iter().any(|host| host.lost.is_some()) { 4 } else { 0 };
        if held == 0 {
            console.note(&format!("testbed `{testbed}`: nothing is locked"));
            survey.leave().await;
            return Ok(lost);
        }
        let question = format!("remove {} of testbed `{testbed}`?", count(held, "lock"));
        let agreed = args.yes || tokio::task::spawn_blocking(move || ask.confirm(&question)).await.unwrap_or(false);
        if !agreed {
            console.note("nothing was done; `--yes` does it without asking");
            survey.leave().await;
            return Ok(WRONG);
        }
        survey.unlock().await;
        console.note(&format!("{} removed", count(held, "lock")));
        Ok(lost)
    })?
}
