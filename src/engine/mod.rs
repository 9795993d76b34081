//! The orchestrator: decide (pure), act, drive, guards, orders from outside, finishing a dead run, the watchdog. It must never know HTML, clap or verdicts.

pub mod act;
pub mod agent;
mod alarms;
mod arming;
mod care;
pub mod control;
pub mod cues;
pub mod decide;
pub mod drive;
pub mod finish;
pub mod folds;
mod guard;
mod health;
mod hearing;
mod holding;
pub mod lead;
mod ledgers;
pub mod look;
mod lost;
pub mod minder;
pub mod moments;
mod orders;
mod pagerduty;
pub mod people;
mod signals;
mod supports;
mod undoing;
pub mod watchdog;

pub use health::stamp;
