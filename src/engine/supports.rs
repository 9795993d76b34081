//! The part of the loop that keeps alive: the watchdog's heartbeat, the leases of proxies, `system:` processes that end.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::act::Msg;
use super::drive::Engine;
use crate::base::Span;
use crate::event::{Event, Role};
use crate::fault::{self, Resource};
use crate::plan::Restart;
use crate::state::ItemPhase;

/// How often `system:` processes are looked at.
const LOOK_AFTER: Span = Span::millis(300);

impl Engine {
    /// Tells the watchdog that we live, and until when what is owed should be undone.
    pub(super) fn heartbeat(&mut self) {
        let deadline = self
            .state
            .owed()
            .filter(|(_, item)| item.role == Role::Fault)
            .map(|(id, item)| {
                let plan = self.plan.faults.get(id.as_str());
                let hold = plan.map_or(Span::ZERO, |fault| fault.recovery_within + fault.longest_hold() + Span::secs(30));
                item.command_at.unwrap_or(item.armed_at) + hold
            })
            .min();
        let mono = deadline.map(|at| self.cx.clock.mono_of(at));
        self.minder.beat(mono);
        for id in self.plan.proxies.keys() {
            let (run_dir, id) = (Arc::clone(&self.cx.run_dir), id.to_string());
            if self.state.items.get(&format!("proxy/{id}")).is_some_and(|item| item.phase == ItemPhase::Active) {
                self.work.spawn(async move { fault::proxy::renew(&run_dir, &id).await });
            }
        }
    }

    /// Sees `system:` processes end, and starts them again where their own rule says so and no fault owns them.
    pub(super) fn look_after_supports(&mut self) {
        let now = self.cx.clock.now();
        if now < self.supports_due || self.state.abort.is_some() || self.state.probes_stopped {
            return;
        }
        self.supports_due = now + LOOK_AFTER;
        let active = |id: &String| self.state.items.get(id).is_some_and(|item| item.phase == ItemPhase::Active && item.effective.is_some());
        let due: Vec<String> = self.supports.keys().filter(|id| active(id) && !self.busy.contains(*id)).cloned().collect();
        for id in due {
            let Some(armed) = self.supports.get(&id).map(|support| Arc::clone(&support.armed)) else { continue };
            let act = self.act(CancellationToken::new());
            self.work.spawn(async move { act.look_after(armed).await });
        }
    }

    /// What was seen of a `system:` process.
    pub(super) fn support_seen(&mut self, id: &str, alive: bool, how: String) {
        let Some(support) = self.supports.get_mut(id) else { return };
        let was = std::mem::replace(&mut support.alive, alive);
        let armed = Arc::clone(&support.armed);
        if was && !alive {
            self.record(Event::SystemExited { id: id.to_owned(), how: how.clone() });
        }
        let Some(plan) = id.strip_prefix("system/").and_then(|name| self.plan.system.get(name)) else { return };
        let touched = self.state.items.values().any(|item| item.role == Role::Fault);
        if was && !alive && !touched && plan.how.restart == Restart::Never && self.state.abort.is_none() {
            // What answers now is something else, or nothing: a drill on it would show nothing about this system.
            let reason = format!("{id} ended by itself before any fault was injected: {how}");
            return self.record(Event::AbortRequested { by: "start".into(), reason });
        }
        let owned = plan.how.supervised
            || !self.state.owed().any(|(other, item)| {
                let held = self.claims.get(other).map(Vec::as_slice).unwrap_or_default();
                item.role == Role::Fault && held.contains(&Resource::System(id.trim_start_matches("system/").to_owned()))
            });
        if !alive && owned && plan.how.restart != Restart::Never && self.state.abort.is_none() && self.busy.insert(id.to_owned()) {
            let act = self.act(self.pushing.clone());
            let (key, tell) = (id.to_owned(), self.tell.clone());
            self.work.spawn(async move {
                act.start_again(armed).await;
                let _ = tell.send(Msg::Done(key));
            });
        }
    }
}
