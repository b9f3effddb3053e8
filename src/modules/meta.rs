//! `meta`: tells the run itself to do something. The engine acts on it; here it is only read.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::change::Change;
use crate::change::Probe;
use crate::change::Refusal;
use crate::modules::Module;
use crate::modules::Nature;
use crate::modules::Reach;
use crate::modules::debug::Nothing;

/// What the run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub enum Order {
    /// Runs the handlers notified so far.
    #[serde(rename = "flush_handlers")]
    FlushHandlers,
    /// Does nothing.
    #[serde(rename = "noop")]
    Noop,
    /// Ends the play for all hosts, without failure.
    #[serde(rename = "end_play")]
    EndPlay,
    /// The same, as there is one batch.
    #[serde(rename = "end_batch")]
    EndBatch,
    /// Ends the play for this host, without failure.
    #[serde(rename = "end_host")]
    EndHost,
    /// Ends the role for this host, without failure.
    #[serde(rename = "end_role")]
    EndRole,
    /// Lets hosts that failed take part in the plays behind this one.
    #[serde(rename = "clear_host_errors")]
    ClearHostErrors,
    /// Logs out and in again.
    #[serde(rename = "reset_connection")]
    ResetConnection,
}

const ORDERS: &[(&str, Order)] = &[
    ("flush_handlers", Order::FlushHandlers),
    ("noop", Order::Noop),
    ("end_play", Order::EndPlay),
    ("end_batch", Order::EndBatch),
    ("end_host", Order::EndHost),
    ("end_role", Order::EndRole),
    ("clear_host_errors", Order::ClearHostErrors),
    ("reset_connection", Order::ResetConnection),
];

const UNSUPPORTED: &[&str] = &["clear_facts", "refresh_inventory"];

impl TryFrom<String> for Order {
    type Error = String;

    fn try_from(word: String) -> Result<Order, String> {
        let known = || ORDERS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        match ORDERS.iter().find(|(name, _)| *name == word) {
            Some((_, order)) => Ok(*order),
            None if UNSUPPORTED.contains(&word.as_str()) => Err(format!("`meta: {word}` is unsupported; write one of: {}", known())),
            None => Err(format!("`{word}` is no `meta` order; write one of: {}", known())),
        }
    }
}

/// Tells the run itself to do something.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// What to do.
    pub free_form: Order,
}

impl Module for Meta {
    const NAME: &'static str = "meta";
    const SUMMARY: &'static str = "Tells the run itself to do something.";
    const EXAMPLE: &'static str = "meta: flush_handlers\n";
    const NATURE: Nature = Nature::Here;
    const REACH: Reach = Reach::Own;
    const FREE: Option<&'static str> = Some("free_form");

    type Identity = Nothing;
    type State = Nothing;

    fn probe(_: &Nothing) -> Probe {
        Probe::none()
    }

    fn change(&self, _: &Nothing) -> Result<Change, Refusal> {
        Ok(Change::none())
    }
}
