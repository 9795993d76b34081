//! What a drill does beside faults: restore steps, a look after `system:` processes, what is tested, ledgers.

use std::sync::Arc;

use super::act::{Act, Msg, within};
use crate::base::Id;
use crate::event::Event;
use crate::fault::{self, STEP_LIMIT, Seen};
use crate::journal::Armed;
use crate::probe;
use crate::sys::exec;

impl Act {
    /// Runs a restore step.
    pub async fn restore(&self, id: &Id) {
        let Some(step) = self.plan.restore.get(id) else { return };
        let started = self.now();
        let (result, detail) = self.restore_step(step).await;
        self.happened(Event::Restored { id: id.to_string(), started, result: result.into(), detail });
    }

    async fn restore_step(&self, step: &crate::plan::RestorePlan) -> (&'static str, String) {
        if let Some(condition) = &step.only_if {
            let looked = probe::look(condition, None, &self.cx).await;
            if !(looked.holds == probe::Holds::Yes) {
                return ("skipped", format!("its precondition does not hold: {}", looked.seen));
            }
        }
        let command = exec::Exec { argv: step.run.clone(), limit: step.within, ..exec::Exec::default() };
        match exec::run(command, &self.cx).await {
            Ok(output) if output.ok() => ("done", output.summary()),
            Ok(output) => ("failed", output.summary()),
            Err(error) => ("failed", format!("failed to {error}")),
        }
    }

    /// Looks whether a `system:` process is alive.
    pub async fn look_after(&self, armed: Arc<Armed>) {
        let Some(fault) = fault::by_kind(&armed.undo().kind) else { return };
        let (alive, how) = match within(STEP_LIMIT, fault.observe(&armed.undo().detail, &self.cx)).await {
            Ok(Seen::Biting(how)) => (true, how),
            Ok(Seen::NotBiting(how) | Seen::Failed(how)) => (false, how),
            // What cannot be seen is no news.
            Ok(Seen::CannotTell) | Err(_) => return,
        };
        let _ = self.tell.send(Msg::SupportSeen { id: armed.id().to_owned(), alive, how });
    }

    /// Starts an ended `system:` process again; its undo stands since it was first started.
    pub async fn start_again(&self, armed: Arc<Armed>) {
        let id = armed.id();
        let spec = serde_json::json!({ "id": id.trim_start_matches("system/") });
        let Some(fault) = fault::by_kind(&armed.undo().kind) else { return };
        match within(STEP_LIMIT, fault.inject(&spec, &armed, &self.cx)).await {
            Ok(()) => {
                let record = self.cx.run_dir.join("system").join(format!("{}.json", id.trim_start_matches("system/")));
                let pid = exec::recorded(&record).map_or(0, |process| process.pid);
                self.happened(Event::SystemRestarted { id: id.to_owned(), pid });
            }
            Err(error) => self.happened(Event::Note { text: format!("{id} could not be started again: failed to {error}") }),
        }
    }

    /// Captures what is tested.
    pub async fn subjects(&self, when: &'static str) {
        for (id, subject) in &self.plan.subject {
            let value = probe::read_text(&subject.look, subject.pick.as_deref(), &self.cx).await;
            if let Err(why) = &value {
                self.happened(Event::Note { text: format!("subject {id} could not be seen {when}: {why}") });
            }
            self.happened(Event::Subject { when: when.into(), id: id.to_string(), value: value.ok() });
        }
        if when == "before" {
            self.check_ledgers().await;
        }
    }

    /// A ledger that cannot be read, or that holds keys of this run already, would say nothing afterwards: better to know before anything is broken.
    async fn check_ledgers(&self) {
        let ledgers = || self.plan.probes.iter().filter(|(_, probe)| probe.ledger);
        for (id, probe) in ledgers() {
            if let Err(why) = probe::check_ledger_empty(id.as_str(), probe, &self.cx).await {
                return self.happened(Event::AbortRequested { by: "start".into(), reason: format!("failed to {why}") });
            }
        }
        if ledgers().next().is_some() {
            self.happened(Event::LedgersChecked {});
        }
    }

    /// Reads every ledger back; `written` says how many writes each probe has planned.
    pub async fn read_ledgers(&self, written: Vec<(String, u64)>) {
        for (id, written) in written {
            if let Some(plan) = self.plan.probes.get(id.as_str()) {
                for event in probe::read_ledger(&id, plan, written, &self.cx).await {
                    self.happened(event);
                }
            }
        }
        self.happened(Event::LedgersRead {});
    }
}
