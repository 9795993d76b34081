//! The orchestrator: decide (pure), act, drive, undo, watchdog. It must never know HTML, clap or verdicts.

pub mod decide;
