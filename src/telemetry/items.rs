//! Faults, processes, proxies and ledgers: where each is in its life, what owes an undo, and how often undoing was tried.

use std::collections::BTreeMap;

use super::labels::{Labels, Sort};
use super::names::{FAULT_ACTIVE, FAULT_RECOVERED, ITEM_PHASE, UNDO_ATTEMPTS, UNDO_FAILURES, UNDO_OWED};
use super::write::Page;
use crate::event::Role;
use crate::plan::Plan;
use crate::state::{Item, ItemPhase, RunState};

/// Every phase an item can be in; `planned` before it was armed.
const PHASES: &[&str] = &["planned", "armed", "injecting", "active", "suspect", "undoing", "undo_failed", "undone", "left_to"];

/// Undo attempts, which no state counts over a whole run.
#[derive(Debug, Clone, Default)]
pub(super) struct Items {
    attempts: BTreeMap<String, (u64, u64)>,
}

impl Items {
    /// An attempt begins.
    pub fn undoing(&mut self, id: &str) {
        self.attempts.entry(id.to_owned()).or_default().0 += 1;
    }

    /// An attempt failed.
    pub fn undo_failed(&mut self, id: &str) {
        self.attempts.entry(id.to_owned()).or_default().1 += 1;
    }

    /// Everything there is to tell.
    pub fn tell(&self, page: &mut Page, labels: &Labels, plan: &Plan, state: &RunState) {
        let planned = plan.faults.keys().map(ToString::to_string).filter(|id| !state.items.contains_key(id));
        for id in planned {
            let item = labels.of(Sort::Item, &id);
            self.tell_one(page, &id, (item, "fault"), "planned", false);
            page.flag(FAULT_ACTIVE, &[("fault", item), ("kind", labels.kind(&id))], false);
        }
        for (id, known) in &state.items {
            let item = labels.of(Sort::Item, id);
            let role = match known.role {
                Role::Support => "support",
                Role::Fault => "fault",
            };
            self.tell_one(page, id, (item, role), known.phase.word(), known.phase.owes());
            if known.role == Role::Fault {
                let of = [("fault", item), ("kind", labels.kind(id))];
                page.flag(FAULT_ACTIVE, &of, bites(known));
                if known.effective.is_some() {
                    page.flag(FAULT_RECOVERED, &of, known.recovered_at.is_some());
                }
            }
        }
    }

    fn tell_one(&self, page: &mut Page, id: &str, (item, role): (&str, &str), phase: &str, owes: bool) {
        let of = [("item", item), ("role", role)];
        page.states(ITEM_PHASE, &of, "phase", PHASES, phase);
        page.flag(UNDO_OWED, &of, owes);
        let (attempts, failures) = self.attempts.get(id).copied().unwrap_or_default();
        page.one(UNDO_ATTEMPTS, &of, attempts as f64);
        page.one(UNDO_FAILURES, &of, failures as f64);
    }
}

/// Seen to bite and not seen to be undone. What was never seen is not told as active; it is owed all the same.
fn bites(item: &Item) -> bool {
    item.effective.is_some() && item.phase != ItemPhase::Undone
}
