//! The orchestrator: decide (pure), act, drive, guards, finishing a dead run, the watchdog. It must never know HTML, clap or verdicts.

pub mod act;
mod arming;
mod care;
pub mod decide;
pub mod drive;
pub mod finish;
pub mod folds;
mod guard;
mod health;
mod lost;
pub mod minder;
mod supports;
mod undoing;
pub mod watchdog;

pub use health::stamp;
