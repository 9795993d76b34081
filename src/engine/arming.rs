//! The part of the loop that makes an undo durable, or refuses to.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::act::Msg;
use super::drive::Engine;
use super::minder::{Minder, Unarmed};
use crate::base::At;
use crate::event::{Event, Role};
use crate::fault::Resource;
use crate::journal::Armed;
use crate::plan::pins::names;
use crate::state::ItemPhase;

impl Engine {
    pub(super) fn arm(&mut self, at: At, event: Event, claims: Vec<Resource>, reply: oneshot::Sender<Result<Arc<Armed>, String>>) {
        if matches!(self.minder, Minder::Starting(_)) && self.state.abort.is_none() {
            self.unarmed.push(Unarmed { at, event, claims, reply });
            return;
        }
        if let Some(reason) = self.may_not_arm(&event, &claims) {
            let _ = reply.send(Err(reason));
            return;
        }
        let Event::Armed { id, role, .. } = &event else { return };
        let (id, role) = (id.clone(), *role);
        self.claims.insert(id.clone(), claims);
        let (entry, ack) = self.journal.append_durable(at, event);
        if let Err(illegal) = self.state.apply(&entry) {
            tracing::warn!("{illegal}");
        }
        // Nobody may be looking on.
        let _ = self.watch.send(entry);
        let tell = (role == Role::Support && id.starts_with("system/")).then(|| self.tell.clone());
        self.work.spawn(async move {
            let answer = ack.durable().await.map(Arc::new).map_err(|error| error.to_string());
            if let (Some(tell), Ok(armed)) = (tell, &answer) {
                let _ = tell.send(Msg::Keep(Arc::clone(armed)));
            }
            let _ = reply.send(answer);
        });
    }

    fn may_not_arm(&self, event: &Event, claims: &[Resource]) -> Option<String> {
        let Event::Armed { id, targets, role, .. } = event else { return Some("arm something that is no item".into()) };
        if self.state.abort.is_some() || self.state.poisoned {
            return Some("arm it: the drill is ending".into());
        }
        if let Some(item) = self.state.items.get(id).filter(|item| item.phase.owes()) {
            return Some(format!("arm it: it is {} already", item.phase.word()));
        }
        for (other, item) in self.state.owed().filter(|(_, item)| item.role == *role) {
            let held = self.claims.get(other).map(Vec::as_slice).unwrap_or_default();
            if let Some(common) = held.iter().find(|held| claims.iter().any(|claim| claim.overlaps(held))) {
                return Some(format!("arm it: {other} ({}) still holds {common:?}", item.phase.word()));
            }
        }
        let fault = self.plan.faults.get(id.as_str()).filter(|fault| fault.spec.get("target").is_none())?;
        let seen = self.state.previews.get(id)?;
        let changed = names(fault, seen) != names(fault, targets);
        changed.then(|| format!("arm it: its targets have changed from {} to {}", seen.join("; "), targets.join("; ")))
    }

    /// A task ended without a word about its item: what it did is unknown, and it counts as tried, or it would be tried for ever.
    pub(super) fn broke(&mut self, id: String, why: String) {
        let item = self.state.items.get(&id).map(|item| (item.phase, item.failed_undos + 1));
        match item {
            Some((ItemPhase::Armed | ItemPhase::Injecting, _)) => self.record(Event::InjectFailed { id, error: why.clone() }),
            Some((ItemPhase::Undoing, attempt)) => {
                self.record(Event::UndoFailed { id, attempt, error: why.clone(), last: attempt >= self.attempts });
            }
            _ => {}
        }
        self.take(Msg::Refuse(why));
    }
}
