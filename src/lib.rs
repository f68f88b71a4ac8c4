//! lockstep keeps the records that describe one security incident in agreement.
//!
//! The way of the data, one direction, each arrow into inbox, outbox and settle one durable commit:
//!
//! ```text
//! remote change -> watch -> inbox -> decide -> outbox -> deliver -> remote write -> settle -> audit
//! ```
//!
//! Rooms, imports pointing downwards only:
//!
//! * [`model`]: the vocabulary. No I/O, depends on nothing else here.
//! * [`translate`]: native values to ours and back, tables and their laws.
//! * [`reconcile`]: `decide`, the pure three-way merge of a mapping.
//! * [`store`]: what must survive a power cut (sled, and a memory twin).
//! * [`http`]: what connectors call through: client, credentials, budgets, retries.
//! * [`connectors`]: one folder per kind of system behind one trait.
//! * [`engine`]: watch, decide, deliver: the pure step and its async shell.
//! * [`sidecar`]: the mailbox of ticketing software without a connector, and the local API to it.
//! * [`simulate`]: deterministic simulation of the real worker, judged from the simulated systems' own logs.
//! * [`stage`]: emulators and the worker as a process, for the demo and the tests of the binary.
//! * [`server`]: health, metrics, hooks, read-only API, status page.
//! * [`emulator`]: in-process stand-ins of the remote systems with faults and a ledger.
//! * [`config`]: load, validate, secrets.
//! * [`telemetry`]: logs, traces and metrics.
//! * [`cli`]: one file per subcommand.

#[macro_use]
mod planted;

pub mod cli;
pub mod config;
pub mod connectors;
pub mod emulator;
pub mod engine;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod http;
pub mod model;
pub mod reconcile;
pub mod server;
pub mod sidecar;
pub mod simulate;
pub mod stage;
pub mod store;
pub mod telemetry;
pub mod translate;
