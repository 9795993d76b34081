//! What is said: one message for each thing that happens, as a sentence and as data. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::At;
use crate::event::{Entry, Event, Role};
use crate::plan::{NoticeOf, Plan};

/// The format of a message.
pub const SCHEMA: &str = "firedrill.notice/1";

/// What a receiver gets, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What happened.
    #[serde(rename = "event")]
    pub of: NoticeOf,
    /// The same for the same thing, whoever tells it and however often.
    pub id: String,
    /// A sentence for people; chat systems show this.
    pub text: String,
    /// The run.
    pub run: String,
    /// Where it is, on its host.
    pub run_dir: String,
    /// What is drilled.
    pub title: String,
    /// The fault, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The line that undoes it by hand, where firedrill could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// The exit code, when the drill has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// When, in milliseconds since 1970 by the wall clock of the run; nothing before that was read.
    #[serde(skip)]
    pub at_ms: Option<i64>,
}

/// What was armed, as far as messages speak of it.
#[derive(Debug, Clone)]
struct Item {
    role: Role,
    by_hand: String,
    summary: String,
    /// Somebody was told that it is stuck.
    stuck: bool,
}

/// Turns entries into messages; remembers what later ones refer to.
#[derive(Debug, Clone)]
pub struct Teller {
    run: String,
    run_dir: String,
    title: String,
    environment: String,
    items: BTreeMap<String, Item>,
    aborted: bool,
    /// Wall time when the run's clock read zero, in nanoseconds since 1970.
    zero_ns: Option<i128>,
    /// The time of the last entry.
    at: At,
}

impl Teller {
    /// For a run of this plan.
    pub fn of(plan: &Plan, run: &str, run_dir: &str) -> Teller {
        let environment = serde_json::to_value(plan.environment).ok().and_then(|word| word.as_str().map(str::to_owned));
        Teller {
            run: run.to_owned(),
            run_dir: run_dir.to_owned(),
            title: plan.title.clone(),
            environment: environment.unwrap_or_default(),
            items: BTreeMap::new(),
            aborted: false,
            zero_ns: None,
            at: At(0),
        }
    }

    fn message(&self, of: NoticeOf, fault: Option<&str>, text: String) -> Message {
        let id = [Some(self.run.as_str()), Some(of.word()), fault].into_iter().flatten().collect::<Vec<_>>().join("/");
        Message {
            schema: SCHEMA,
            of,
            id,
            text,
            run: self.run.clone(),
            run_dir: self.run_dir.clone(),
            title: self.title.clone(),
            fault: fault.map(str::to_owned),
            by_hand: None,
            exit_code: None,
            at_ms: self.zero_ns.and_then(|zero| i64::try_from((zero + i128::from(self.at.0)) / 1_000_000).ok()),
        }
    }

    /// What there is to say of an entry.
    pub fn entry(&mut self, entry: &Entry) -> Option<Message> {
        let head = format!("Firedrill, {}: {}", self.environment, self.title);
        self.at = entry.at;
        if let Event::Anchor(anchor) = &entry.event {
            let wall: Option<jiff::Timestamp> = anchor.wall.parse().ok();
            self.zero_ns = wall.map(|wall| wall.as_nanosecond() - i128::from(entry.at.0)).or(self.zero_ns);
        }
        match &entry.event {
            Event::RunStarted { .. } => Some(self.message(NoticeOf::Started, None, format!("{head}: the drill has started."))),
            Event::Armed { id, role, undo, summary, .. } => {
                let item = Item { role: *role, by_hand: undo.by_hand.clone(), summary: summary.clone(), stuck: false };
                self.items.insert(id.clone(), item);
                None
            }
            Event::Injected { id } => {
                let done = self.fault(id)?.summary.clone();
                Some(self.message(NoticeOf::Injected, Some(id), format!("{head}: {id} was injected: {done}.")))
            }
            Event::Recovered { id, .. } => {
                Some(self.message(NoticeOf::Recovered, Some(id), format!("{head}: the system has recovered from {id}.")))
            }
            Event::Undone { id, .. } => {
                self.fault(id)?;
                Some(self.message(NoticeOf::Undone, Some(id), format!("{head}: {id} is undone, and somebody looked.")))
            }
            Event::AbortRequested { by, reason } => self.abort(format!("{head}: the drill was aborted by {by}: {reason}.")),
            Event::GuardBreached { id, why } => self.abort(format!("{head}: the guard {id} ends the drill: {why}.")),
            Event::TakenOver { by, why, .. } => self.abort(format!("{head}: {why}; its {by} undoes what it owes.")),
            Event::UndoFailed { id, error, last: true, .. } => {
                let item = self.items.get_mut(id)?;
                if std::mem::replace(&mut item.stuck, true) {
                    return None;
                }
                let by_hand = item.by_hand.clone();
                let text = format!("{head}: UNDO FAILED, {id} may still be there: {error}. By hand: {by_hand}");
                Some(Message { by_hand: Some(by_hand), ..self.message(NoticeOf::Stuck, Some(id), text) })
            }
            _ => None,
        }
    }

    /// The drill has ended and was judged; `how` is a sentence about it.
    pub fn finished(&self, how: &str, exit_code: u8) -> Message {
        let text = format!("Firedrill, {}: {}: the drill is over. {how}", self.environment, self.title);
        Message { exit_code: Some(exit_code), ..self.message(NoticeOf::Finished, None, text) }
    }

    fn fault(&self, id: &str) -> Option<&Item> {
        self.items.get(id).filter(|item| item.role == Role::Fault)
    }

    /// One reason to end is enough: others follow from it.
    fn abort(&mut self, text: String) -> Option<Message> {
        let first = !std::mem::replace(&mut self.aborted, true);
        first.then(|| self.message(NoticeOf::Aborted, None, text))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::{Interval, digest_of};
    use crate::event::UndoRecord;

    fn teller() -> Teller {
        Teller {
            run: "R".into(),
            run_dir: "/runs/R".into(),
            title: "A node is lost".into(),
            environment: "staging".into(),
            items: BTreeMap::new(),
            aborted: false,
            zero_ns: None,
            at: At(0),
        }
    }

    /// A message that says this.
    pub fn sample(text: &str) -> Message {
        teller().message(NoticeOf::Started, None, text.to_owned())
    }

    fn told(teller: &mut Teller, event: Event) -> Option<Message> {
        teller.entry(&Entry { seq: 0, at: At(0), event })
    }

    fn armed(id: &str, role: Role) -> Event {
        let undo =
            Box::new(UndoRecord { kind: "k".into(), detail: serde_json::Value::Null, by_hand: "kill -CONT 7".into(), declared: None });
        Event::Armed { id: id.into(), role, undo, targets: vec![], summary: "SIGSTOP to db, pid 7".into() }
    }

    #[test]
    fn a_drill_is_told_from_start_to_end() {
        let mut teller = teller();
        let start = Event::RunStarted { schema: 1, firedrill: "0".into(), run: "R".into(), plan_digest: digest_of(b""), pid: 1 };
        assert_eq!(told(&mut teller, start).unwrap().text, "Firedrill, staging: A node is lost: the drill has started.");
        assert_eq!(told(&mut teller, armed("hold", Role::Fault)), None);
        let injected = told(&mut teller, Event::Injected { id: "hold".into() }).unwrap();
        assert_eq!((injected.id.as_str(), injected.fault.as_deref()), ("R/injected/hold", Some("hold")));
        assert!(injected.text.ends_with("hold was injected: SIGSTOP to db, pid 7."));
        let when = Interval { lo: At(1), hi: Some(At(2)) };
        assert_eq!(told(&mut teller, Event::Undone { id: "hold".into(), when, seen: String::new() }).unwrap().of, NoticeOf::Undone);
        let over = teller.finished("System passed.", 0);
        assert_eq!((over.exit_code, over.id.as_str()), (Some(0), "R/finished"));
        assert!(over.text.ends_with("the drill is over. System passed."));
    }

    #[test]
    fn what_the_drill_brings_along_is_nobodys_news_unless_it_is_stuck() {
        let mut teller = teller();
        told(&mut teller, armed("system/db", Role::Support));
        assert_eq!(told(&mut teller, Event::Injected { id: "system/db".into() }), None);
        let failed = |last| Event::UndoFailed { id: "system/db".into(), attempt: 5, error: "it lives".into(), last };
        assert_eq!(told(&mut teller, failed(false)), None);
        let stuck = told(&mut teller, failed(true)).unwrap();
        assert_eq!(stuck.by_hand.as_deref(), Some("kill -CONT 7"));
        assert!(stuck.text.contains("UNDO FAILED") && stuck.text.ends_with("By hand: kill -CONT 7"));
        assert_eq!(told(&mut teller, failed(true)), None, "once is enough");
    }

    #[test]
    fn a_drill_is_aborted_once() {
        let mut teller = teller();
        let breach = told(&mut teller, Event::GuardBreached { id: "g".into(), why: "503".into() }).unwrap();
        assert_eq!(breach.of, NoticeOf::Aborted);
        assert_eq!(told(&mut teller, Event::AbortRequested { by: "guard".into(), reason: "503".into() }), None);
    }
}
