//! What people and machines tell of the response to a fault: marks, answers, steps, notes and hand-offs of people, alerts of machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::{At, Interval};

/// Something about the people who respond, or the machines that call them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum TeamEvent {
    /// From here on people are heard.
    Listening {
        /// Where, for people.
        place: String,
    },
    /// Nobody can be heard.
    Deaf {
        /// Why.
        why: String,
    },
    /// A person said something.
    Said(Said),
    /// A source of alerts told of one.
    Alert(AlertSeen),
    /// Somebody took a page, as the machine says that calls them.
    Acked(AckSeen),
    /// A call to a receiver was not taken: forged, repeated, too late, too much, or not what its sender writes. Written down the first few times, then
    /// when their number has doubled.
    Refused {
        /// The receiver, or `marks`.
        source: String,
        /// Where it came from: an address without its port.
        peer: String,
        /// Why, for people.
        why: String,
        /// How many calls to that receiver were refused so far.
        times: u64,
    },
    /// A source of alerts answered, for the first time or again.
    SourceReached {
        /// The source.
        source: String,
        /// When that look began.
        looked: At,
    },
    /// A source of alerts did not answer.
    SourceLost {
        /// The source.
        source: String,
        /// When the last look began that it answered; the first look of all, where it never did.
        since: At,
        /// Why, for people.
        why: String,
    },
    /// Those who respond are not told what will happen.
    Blind {
        /// What stands in the place of the title wherever they look.
        shown_as: String,
        /// Everybody who responds has an account of their own, which is neither that of the drill nor root's.
        apart: bool,
        /// What may tell them more than it should.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        doubts: Vec<String>,
    },
    /// They were told.
    Revealed {
        /// By whom.
        by: String,
    },
    /// A facilitator said something.
    Prompt {
        /// The prompt.
        id: String,
        /// To which role.
        to: String,
        /// What was said.
        say: String,
        /// The role that is out from here on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unavailable: Option<String>,
        /// Who released it; absent: it was due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Help was given to those who are stuck.
    Hint {
        /// The hint.
        id: String,
        /// What was said.
        say: String,
        /// Who released it; absent: it was due.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// The clock of people stands still from here on; the system's do not.
    Paused {
        /// By whom.
        by: String,
    },
    /// It goes on.
    Resumed {
        /// By whom.
        by: String,
    },
    /// Something real has happened: the drill ends for it.
    Real {
        /// Who said so.
        by: String,
        /// What.
        reason: String,
    },
    /// An expectation was met, late or not: what waits for it goes on.
    Met {
        /// The expectation.
        id: String,
        /// When, at the latest.
        at: At,
        /// For people: by whom, and how long after what.
        seen: String,
    },
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// As which role.
    pub role: String,
    /// Whose account it is, as the kernel says.
    pub by: String,
    /// When it was, by their own word; absent: when it was heard, which is when the entry was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<At>,
    /// What.
    pub deed: Deed,
}

/// What somebody says they did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Set a mark; `ack` is the mark of who takes the page.
    Mark {
        /// Its name.
        mark: String,
        /// With these words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Answered a question.
    Answer {
        /// The expectation that asks; absent: whichever it fits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// The answer.
        text: String,
    },
    /// Did a step of a runbook, `RUNBOOK#STEP`, or took it back.
    Step {
        /// Which.
        step: String,
        /// It was taken back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        back_out: bool,
    },
    /// Wrote something down.
    Note {
        /// What.
        text: String,
    },
    /// Told an audience.
    Message {
        /// Whom.
        to: String,
        /// What.
        text: String,
    },
    /// Ran a command.
    Command {
        /// Which.
        line: String,
    },
    /// Asked a role to take the lead.
    Handoff {
        /// Which role.
        to: String,
    },
    /// Took the lead that was offered to their role.
    Accept {},
    /// Replied to a prompt.
    Reply {
        /// Which; absent only before it was heard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// What.
        text: String,
    },
}

/// An alert as a source told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSeen {
    /// The source, by its id.
    pub source: String,
    /// Its kind: `alertmanager`, `prometheus`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What tells it from all others of the source.
    pub key: String,
    /// It fires; else it has ended.
    pub firing: bool,
    /// From the beginning of the last look that did not see it (or still saw it) to the end of the first that did (or did not any more).
    pub when: Interval,
    /// When it began, as the source's own clock says: RFC 3339, a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// The same in nanoseconds on the run's clock, by this machine's wall time; negative before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<i64>,
    /// The source told of it of its own accord: `when` is when that arrived here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pushed: bool,
}

/// Somebody took a page, as the machine says that calls them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckSeen {
    /// The source, by its id.
    pub source: String,
    /// Its kind: `pagerduty`, `webhook`.
    pub kind: String,
    /// Who, as the source calls them.
    pub who: String,
    /// The roles that `team.roles` gives to somebody of that name; absent where no roles are declared, and anybody may have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// What was taken, in the source's words.
    pub of: String,
    /// What tells the page from all others of the source.
    pub key: String,
    /// From the beginning of the last look that did not see it to the end of the first that did; when it arrived here, if it was told.
    pub when: Interval,
    /// When it was by the source's own clock: RFC 3339, a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked_at: Option<String>,
    /// The same in nanoseconds on the run's clock, by this machine's wall time; negative before the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<i64>,
    /// The source told of it of its own accord.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pushed: bool,
}

/// A team event with where it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The entry.
    pub seq: u64,
    /// When it was written.
    pub at: At,
    /// What it says.
    pub event: TeamEvent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Entry, Event};

    #[test]
    fn team_events_survive_json() {
        let deed = Deed::Step { step: "db#promote".into(), back_out: false };
        let said = Said { role: "ops".into(), by: "dan (uid 1000)".into(), claimed: Some(At(5)), deed };
        let entry = Entry { seq: 3, at: At(9), event: Event::Team(TeamEvent::Said(said)) };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            text,
            r#"{"seq":3,"at":9,"event":{"type":"team","what":"said","role":"ops","by":"dan (uid 1000)","claimed":5,"deed":{"step":{"step":"db#promote"}}}}"#
        );
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        let lost = TeamEvent::SourceLost { source: "paging".into(), since: At(1), why: "refused".into() };
        let lost = Entry { seq: 4, at: At(9), event: Event::Team(lost) };
        assert_eq!(serde_json::from_str::<Entry>(&serde_json::to_string(&lost).unwrap()).unwrap(), lost);
    }
}
