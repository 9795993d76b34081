//! One undo attempt: look, act, look until somebody agrees. The only caller of `undo`.

use super::act::{Act, VERIFY_EVERY, VERIFY_WITHIN, within};
use super::ledgers;
use crate::base::{At, Interval};
use crate::event::{CutShort, DeclaredUndo, Event, UndoRecord};
use crate::fault::{self, STEP_LIMIT};
use crate::plan::Condition;
use crate::probe;
use crate::sys::{clock, exec};

impl Act {
    /// One undo attempt: looks first, acts, looks until it agrees.
    pub async fn undo(&self, id: &str, record: &UndoRecord, attempt: u32, why: String) {
        self.happened(Event::Undoing { id: id.into(), attempt, why });
        let mut lo = self.now();
        let outcome = match self.is_undone(record).await {
            Ok(Some(seen)) => Ok((Interval::new(lo, self.now()), seen)),
            Ok(None) | Err(_) => match self.undo_once(record).await {
                Ok(()) if by_exit_alone(record) => Ok((Interval::new(lo, self.now()), "its undo command ended with exit 0".to_owned())),
                Ok(()) => self.see_undone(record, &mut lo).await,
                Err(error) => Err(error),
            },
        };
        let id = id.to_owned();
        match outcome {
            Ok((when, seen)) => {
                if let Some(why) = self.cut_short(record).await {
                    self.happened(Event::CutShort(CutShort { id: id.clone(), why }));
                }
                self.let_go(&id);
                self.happened(Event::Undone { id, when, seen });
            }
            Err(error) => match record.declared.as_ref().and_then(|declared| declared.left_to.clone()) {
                Some(who) => self.happened(Event::LeftTo { id, who: format!("{who} ({error})") }),
                None => self.happened(Event::UndoFailed { id, attempt, error, last: attempt >= self.attempts }),
            },
        }
    }

    async fn undo_once(&self, record: &UndoRecord) -> Result<(), String> {
        match &record.declared {
            Some(DeclaredUndo { run: Some(argv), cwd, .. }) => {
                let cwd = cwd.as_ref().map_or_else(|| self.cx.base_dir.to_path_buf(), Into::into);
                let command = exec::Exec { argv: argv.clone(), cwd: Some(cwd), limit: STEP_LIMIT, ..exec::Exec::default() };
                let output = exec::run(command, &self.cx).await.map_err(|error| format!("failed to {error}"))?;
                if output.ok() { Ok(()) } else { Err(format!("{} ended with {}", argv.join(" "), output.summary())) }
            }
            Some(DeclaredUndo { left_to: Some(_), .. }) => Ok(()),
            _ => {
                let fault = ledgers::by_kind(&record.kind).ok_or_else(|| fault::why_unknown(&record.kind))?;
                within(STEP_LIMIT, fault.undo(&record.detail, &self.cx)).await.map_err(|error| format!("failed to {error}"))
            }
        }
    }

    /// Whether somebody looked and agreed that it is undone; what was seen.
    async fn is_undone(&self, record: &UndoRecord) -> Result<Option<String>, String> {
        if let Some(condition) = done_when(record)? {
            let looked = probe::look(&condition, None, &self.cx).await;
            return Ok((looked.holds == probe::Holds::Yes).then(|| format!("`done_when` holds: {}", looked.seen)));
        }
        let fault = ledgers::by_kind(&record.kind).ok_or_else(|| fault::why_unknown(&record.kind))?;
        let verified = within(STEP_LIMIT, fault.verify(&record.detail, &self.cx)).await.map_err(|error| format!("failed to {error}"))?;
        if !verified {
            return Ok(None);
        }
        let ended = within(STEP_LIMIT, fault.ended(&record.detail, &self.cx)).await;
        Ok(Some(ended.ok().flatten().map_or_else(|| "verified".to_owned(), |how| format!("verified: {how}"))))
    }

    /// Why the fault was over before it was undone, where its kind can tell.
    async fn cut_short(&self, record: &UndoRecord) -> Option<String> {
        within(STEP_LIMIT, ledgers::by_kind(&record.kind)?.cut_short(&record.detail, &self.cx)).await.ok().flatten()
    }

    async fn see_undone(&self, record: &UndoRecord, lo: &mut At) -> Result<(Interval, String), String> {
        let condition = done_when(record)?;
        let (every, limit) = condition.as_ref().map_or((VERIFY_EVERY, VERIFY_WITHIN), |c| (c.every, c.within));
        let end = self.now() + limit;
        loop {
            let began = self.now();
            let last = match self.is_undone(record).await {
                Ok(Some(seen)) => return Ok((Interval::new(*lo, self.now()), seen)),
                Ok(None) => "it still bites".to_owned(),
                Err(error) => error,
            };
            *lo = began;
            if self.now() >= end {
                return Err(format!("not seen to be undone within {}: {last}", limit.human()));
            }
            clock::sleep(every).await;
        }
    }
}

/// A declared command is the only witness where the kind cannot be read back and the scenario names no condition.
fn by_exit_alone(record: &UndoRecord) -> bool {
    let declared = record.declared.as_ref().is_some_and(|declared| declared.run.is_some() && declared.done_when.is_none());
    declared && ledgers::by_kind(&record.kind).is_some_and(|kind| !kind.reads_back())
}

fn done_when(record: &UndoRecord) -> Result<Option<Condition>, String> {
    let value = record.declared.as_ref().and_then(|declared| declared.done_when.as_ref());
    value.map(|value| serde_json::from_value(value.clone()).map_err(|error| format!("`done_when` is unreadable: {error}"))).transpose()
}
