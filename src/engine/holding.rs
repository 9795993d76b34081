//! What keeps an item to what it may touch: the claims that other drills of the machine see, and targets that somebody pinned.

use super::act::Act;
use crate::base::Id;
use crate::fault::{Resource, STEP_LIMIT};
use crate::plan::pins::names;

impl Act {
    /// Keeps the other drills of this machine away from what an item is about to touch.
    pub(super) async fn claim(&self, id: &str, wanted: &[Resource]) -> Result<(), String> {
        let Some(claims) = self.claims.clone() else { return Ok(()) };
        let (id, wanted) = (id.to_owned(), wanted.to_vec());
        // The registry's disk may hang, and nobody may hang with it.
        let taking = tokio::task::spawn_blocking(move || claims.take(&id, &wanted).map_err(|error| error.to_string()));
        match tokio::time::timeout(STEP_LIMIT.std(), taking).await {
            Ok(taken) => taken.unwrap_or_else(|error| Err(format!("claim it: {error}"))),
            Err(_) => Err(format!("claim it: the registry of this machine did not answer within {}", STEP_LIMIT.human())),
        }
    }

    /// An item is undone: what it held is anybody's.
    pub(super) fn let_go(&self, id: &str) {
        if let Some(claims) = self.claims.clone() {
            let id = id.to_owned();
            tokio::task::spawn_blocking(move || claims.release(&id));
        }
    }

    /// Why these targets are not those that somebody pinned.
    pub(super) fn unpinned(&self, id: &Id, targets: &[String]) -> Option<String> {
        let fault = self.plan.faults.get(id)?;
        let pinned = self.plan.pins.as_ref()?.targets.get(id).map(Vec::as_slice).unwrap_or_default();
        let (was, is) = (names(fault, pinned), names(fault, targets));
        (was != is).then(|| format!("{id}: its targets are not those that were pinned: {} now, {} then", is.join("; "), was.join("; ")))
    }
}
