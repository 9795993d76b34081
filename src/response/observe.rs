//! What counts as an observation of what was expected.

use regex::Regex;

use super::Seen;
use crate::base::{At, Id, Interval};
use crate::event::{AckSeen, AlertSeen, Deed, TeamEvent};
use crate::plan::Expected;

/// Something that was observed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Obs {
    pub at: Interval,
    pub source: String,
    pub who: String,
    pub machine: bool,
    pub received: Option<At>,
    pub starts: Option<i64>,
    /// It was told, not looked for: nobody looked before.
    pub pushed: bool,
    pub entries: Vec<u64>,
}

impl Obs {
    /// Whether it was there before then. What our own looks show counts more than what its source says of a clock that is not ours.
    pub fn began_before(&self, at: At) -> bool {
        self.machine && before(self.at, self.starts, self.pushed, at)
    }

    /// The latest that it can have been.
    pub fn hi(&self) -> At {
        self.at.hi.unwrap_or(self.at.lo)
    }
}

/// A pattern of the scenario; one that is none matches nothing. It was checked.
pub(super) fn matches(pattern: Option<&str>, text: &str) -> bool {
    pattern.is_none_or(|pattern| Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)))
}

/// Whether an alert is the one that is meant.
pub(super) fn is_alert(what: &Expected, alert: &AlertSeen) -> bool {
    let Expected::Alert { labels, source } = what else { return false };
    source.as_ref().is_none_or(|source| source.as_str() == alert.source)
        && labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value))
}

/// Whether an alert fired before then, by our own looks or by its source's word.
pub(super) fn began_before(alert: &AlertSeen, at: At) -> bool {
    before(alert.when, alert.starts, alert.pushed, at)
}

/// What was told of its own accord may have been there before it was told: its source's word is all there is.
fn before(when: Interval, starts: Option<i64>, pushed: bool, at: At) -> bool {
    let told = starts.is_some_and(|starts| starts < i64::try_from(at.0).unwrap_or(i64::MAX));
    when.hi.is_some_and(|hi| hi < at) || ((when.lo < at || pushed) && told)
}

/// Whether a page that was taken is what is meant.
fn is_ack(what: &Expected, by: By<'_>, ack: &AckSeen) -> bool {
    let Expected::Ack { matches: pattern } = what else { return false };
    let has = |by: &str| ack.roles.as_ref().is_none_or(|roles| roles.iter().any(|role| role == by));
    matches(pattern.as_deref(), &ack.of) && (by.role.is_none_or(has) || by.gone.is_some_and(|gone| ack.when.lo >= gone))
}

/// Whose doing counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct By<'a> {
    /// Only that role's; nobody's in particular where there is none.
    pub role: Option<&'a str>,
    /// That role is out from then on, and anybody may do it.
    pub gone: Option<At>,
}

impl By<'_> {
    fn counts(&self, role: &str, at: At) -> bool {
        self.role.is_none_or(|by| by == role) || self.gone.is_some_and(|gone| at >= gone)
    }
}

/// What somebody said, if it is what is meant: `by` for people.
fn is_deed(what: &Expected, id: &Id, deed: &Deed) -> bool {
    match (what, deed) {
        (Expected::Ack { matches: pattern }, Deed::Mark { mark, text }) => mark == "ack" && matches(pattern.as_deref(), text),
        (Expected::Mark(wanted), Deed::Mark { mark, .. }) => mark == wanted,
        (Expected::Answer { matches: pattern, .. }, Deed::Answer { of, text }) => {
            of.as_ref().is_none_or(|of| of == id.as_str()) && matches(Some(pattern), text)
        }
        (Expected::Step(wanted), Deed::Step { step, back_out: false }) => step == wanted,
        (Expected::Message(wanted), Deed::Message { to, .. }) => to == wanted,
        (Expected::Command { matches: pattern }, Deed::Command { line }) => matches(pattern.as_deref(), line),
        (Expected::Reply { to, matches: pattern }, Deed::Reply { of, text }) => {
            of.as_deref() == Some(to.as_str()) && matches(pattern.as_deref(), text)
        }
        _ => false,
    }
}

/// Everything that may be what is meant, in the order of time. Of a hand-off only what was accepted.
pub(super) fn observations(seen: &Seen<'_>, id: &Id, what: &Expected, by: By<'_>) -> Vec<Obs> {
    let mut out: Vec<Obs> = Vec::new();
    let mut asked: Option<u64> = None;
    for stamp in &seen.stamps {
        match &stamp.event {
            TeamEvent::Alert(alert) if alert.firing && is_alert(what, alert) => out.push(Obs {
                at: alert.when,
                source: alert.kind.clone(),
                who: alert.source.clone(),
                machine: true,
                received: None,
                starts: alert.starts,
                pushed: alert.pushed,
                entries: vec![stamp.seq],
            }),
            TeamEvent::Acked(ack) if is_ack(what, by, ack) => out.push(Obs {
                at: ack.when,
                source: ack.kind.clone(),
                who: ack.who.clone(),
                machine: true,
                received: None,
                starts: ack.acked,
                pushed: ack.pushed,
                entries: vec![stamp.seq],
            }),
            TeamEvent::Said(said) => {
                let at = said.claimed.unwrap_or(stamp.at);
                let entries = match (what, &said.deed) {
                    (Expected::Handoff { to }, Deed::Handoff { to: offered }) => {
                        if to == offered && by.counts(&said.role, at) {
                            asked.get_or_insert(stamp.seq);
                        }
                        continue;
                    }
                    (Expected::Handoff { to }, Deed::Accept {}) if *to == said.role => match asked.take() {
                        Some(asked) => vec![asked, stamp.seq],
                        None => continue,
                    },
                    (what, deed) if is_deed(what, id, deed) && by.counts(&said.role, at) => vec![stamp.seq],
                    _ => continue,
                };
                out.push(Obs {
                    at: Interval::exact(at),
                    source: said.role.clone(),
                    who: said.by.clone(),
                    machine: false,
                    received: said.claimed.map(|_| stamp.at),
                    starts: None,
                    pushed: false,
                    entries,
                });
            }
            _ => {}
        }
    }
    // Whom the journal heard first comes first among equals.
    out.sort_by_key(Obs::hi);
    out
}

/// When the lead was offered and not taken, where it was.
pub(super) fn offered(seen: &Seen<'_>, to: &str, by: By<'_>) -> Option<At> {
    let mut offered = None;
    for (stamp, said) in seen.said() {
        match &said.deed {
            Deed::Handoff { to: role } if role == to && by.counts(&said.role, said.claimed.unwrap_or(stamp.at)) => {
                offered = offered.or(Some(said.claimed.unwrap_or(stamp.at)))
            }
            Deed::Accept {} if said.role == to => offered = None,
            _ => {}
        }
    }
    offered
}
