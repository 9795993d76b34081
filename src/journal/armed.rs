//! The proof that an undo is durable.

use crate::event::UndoRecord;

/// Proof that the undo of an item stands on the disk. Only the journal makes one, after the fsync returned; injecting without it does not compile.
#[derive(Debug)]
pub struct Armed {
    id: String,
    undo: UndoRecord,
}

impl Armed {
    /// Called by the journal alone, after the fsync.
    pub(super) fn after_fsync(id: String, undo: UndoRecord) -> Armed {
        Armed { id, undo }
    }

    /// The item.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its undo, as it stands on the disk.
    pub fn undo(&self) -> &UndoRecord {
        &self.undo
    }
}
