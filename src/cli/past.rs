//! A run that was recorded, by the name that somebody gives it.

use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::out::Voice;
use super::store;
use crate::event::Entry;
use crate::plan::Plan;

/// A run as it lies on the disk.
pub struct Past {
    /// Its directory.
    pub dir: PathBuf,
    /// What was to happen.
    pub plan: Plan,
    /// What happened.
    pub entries: Vec<Entry>,
}

/// Finds and reads it.
///
/// # Errors
/// The exit code, after it was said what is wrong.
pub fn read(runs: &Path, name: &str, voice: Voice) -> Result<Past, Exit> {
    let dir = store::find(runs, name).map_err(|why| {
        voice.error(&why, Some("`firedrill runs` lists them"));
        Exit::Usage
    })?;
    let (plan, entries) = store::read(&dir).map_err(|error| {
        voice.error(&format!("failed to {error}"), Some("`firedrill undo` undoes what the run owes, also when its journal is damaged"));
        Exit::CouldNotStart
    })?;
    Ok(Past { dir, plan, entries })
}
