//! tbctl compiles playbooks in Ansible's language into one graph, drives it over SSH, and gives the hosts back as they were.
//!
//! # The way of the data
//!
//! ```text
//! files → lang::project (text, spans, plays) → graph::build (a node a task and host)            pure
//!                                                   │
//!                           engine::schedule: on(Input) → events, orders                        pure
//!                             ▲                       │          │
//!                 remote::order::Answer               │          └→ event::Event → ui
//!                             │                       ▼
//!                           remote::host: one actor a host, one shell a user, over SSH or here  waits
//! ```
//!
//! Nothing flows back but the outputs of nodes (registers, facts), which enter [`engine::scope`] as values that never change.
//!
//! # Floors
//!
//! A file uses only floors below its own; `tests/tidy.rs` keeps it so.
//!
//! | floor | modules |
//! |---|---|
//! | 6 | `cli` |
//! | 5 | `ui`, `lab`, `bench`, `report` |
//! | 4 | `engine` |
//! | 3 | `graph`, `journal`, `remote` |
//! | 2 | `modules`, `event`, `results` |
//! | 1 | `lang`, `change` |
//! | 0 | `diag`, `secret` |
//!
//! # Invariants
//!
//! - A kind ([`modules::Module`]) is pure: it says what to look at and what to change, and never runs anything. There is no
//!   check mode in it; a plan is the same loop without the last order.
//! - Every [`change::Step`] carries its way back, so diff, apply and destroy are readings of one value.
//! - A step runs only if its task's own probe still prints what was decided upon; see [`engine::walk`].
//! - The host's journal ([`journal`]) is written and synced before a step runs. Old content stays on the host.
//! - What is under `confirm` has changed something only once a new connection has come; until then its host watches over it.
//! - A kept plan ([`engine::saved`]) holds keyed digests, no values; an apply of it ([`engine::promise`]) sends no change that it
//!   does not say.
//! - A failed task is data ([`event::Outcome`]), never an `Err`. Faults of the user's text are [`diag::Diagnostic`]s, many at
//!   once, each with its place.
//! - The lab only makes hosts; the engine does not know that it exists.
//! - A measurement ends in files ([`results`]). [`report`] reads those and nothing else, so it also reads those of others.

pub mod bench;
pub mod change;
pub mod cli;
pub mod diag;
pub mod engine;
pub mod event;
pub mod graph;
pub mod journal;
pub mod lab;
pub mod lang;
pub mod modules;
pub mod remote;
pub mod report;
pub mod results;
pub mod secret;
pub mod ui;
