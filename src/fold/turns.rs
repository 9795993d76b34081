//! Turns of one probe from up to down and back, for the eyes of people while the drill runs. Numbers come from the samples.

use std::collections::BTreeMap;

use crate::base::{At, Interval, Span};
use crate::event::{Class, Sample, Verdict};

/// A turn from up to down or back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Up or down.
    pub up: bool,
    /// When, with bounds.
    pub when: Interval,
    /// In a few words: `connection reset`, `answering again, served by b`.
    pub seen: String,
}

/// The fold: samples in any order in, turns in order of sending out. A sample that is still in flight holds later ones back, so that a
/// request which hangs is never overtaken by a good one sent after it.
#[derive(Debug)]
pub struct Turns {
    timeout: Span,
    next: u64,
    newest: At,
    waiting: BTreeMap<u64, Sample>,
    up: Option<bool>,
    last_ok: Option<At>,
    last_bad: Option<At>,
}

/// How long after its time-out a sample that never came is given up.
const PATIENCE: Span = Span::secs(5);

impl Turns {
    /// A fold for a probe with this time-out.
    pub fn new(timeout: Span) -> Turns {
        Turns { timeout, next: 0, newest: At(0), waiting: BTreeMap::new(), up: None, last_ok: None, last_bad: None }
    }

    /// Takes samples and tells the turns that they complete.
    pub fn push(&mut self, rows: &[Sample]) -> Vec<Turn> {
        let mut turns = Vec::new();
        for row in rows {
            self.newest = self.newest.max(row.done);
            if row.n == self.next && self.waiting.is_empty() {
                self.next += 1;
                turns.extend(self.step(row));
            } else if row.n >= self.next {
                self.waiting.insert(row.n, row.clone());
            }
        }
        while let Some(entry) = self.waiting.first_entry() {
            let lost = self.newest > entry.get().planned + self.timeout + PATIENCE;
            if *entry.key() != self.next && !lost {
                break;
            }
            let sample = entry.remove();
            self.next = sample.n + 1;
            turns.extend(self.step(&sample));
        }
        turns
    }

    fn step(&mut self, sample: &Sample) -> Option<Turn> {
        let up = match sample.verdict {
            Verdict::Ok => true,
            Verdict::Bad => false,
            Verdict::Local | Verdict::Capped => return None,
        };
        let turned = self.up.is_some_and(|was| was != up) || (self.up.is_none() && !up);
        let before = if up { self.last_bad } else { self.last_ok };
        self.up = Some(up);
        if up {
            self.last_ok = self.last_ok.max(Some(sample.sent));
        } else {
            self.last_bad = self.last_bad.max(Some(sample.sent));
        }
        turned.then(|| Turn {
            up,
            when: Interval::new(before.unwrap_or_default(), sample.done),
            seen: match (&sample.by, up) {
                (Some(by), true) => format!("answering again, served by {by}"),
                (None, true) => "answering again".into(),
                (_, false) => reason(sample.class, sample.note.as_deref()),
            },
        })
    }
}

/// Why a sample was bad, in a few words for people.
pub fn reason(class: Class, note: Option<&str>) -> String {
    if let Some(note) = note.filter(|n| !n.is_empty()) {
        return note.to_owned();
    }
    match class {
        Class::Ok => "as expected",
        Class::Refused => "connection refused",
        Class::Reset => "connection reset",
        Class::Timeout => "no answer in time",
        Class::Dns => "name not resolved",
        Class::Tls => "TLS failed",
        Class::Error => "protocol or path error",
        Class::Status => "unexpected status",
        Class::Assertion => "unexpected answer",
        Class::NoData => "no data",
        Class::Local => "failed on our side",
        Class::Cancelled => "cancelled by us",
        Class::Capped => "not sent: too many in flight",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: u64, verdict: Verdict, took: u64) -> Sample {
        let sent = At(n * 100);
        let class = if verdict == Verdict::Ok { Class::Ok } else { Class::Reset };
        let by = (verdict == Verdict::Ok).then(|| if n < 5 { "a".into() } else { "b".into() });
        Sample { n, planned: sent, woken: sent, sent, done: At(sent.0 + took), verdict, class, by, note: None, legs: Default::default() }
    }

    #[test]
    fn turns_come_in_order_of_sending_with_bounds() {
        let mut turns = Turns::new(Span(1000));
        assert_eq!(turns.push(&[sample(0, Verdict::Ok, 5), sample(1, Verdict::Ok, 5)]), vec![]);
        // Number 2 hangs; 4 is good at once and must not be told before it.
        assert_eq!(turns.push(&[sample(4, Verdict::Ok, 5), sample(3, Verdict::Bad, 5)]), vec![]);
        let got = turns.push(&[sample(2, Verdict::Bad, 1000), sample(5, Verdict::Local, 1), sample(6, Verdict::Ok, 5)]);
        assert_eq!(
            got,
            vec![
                Turn { up: false, when: Interval::new(At(100), At(1200)), seen: "connection reset".into() },
                Turn { up: true, when: Interval::new(At(300), At(405)), seen: "answering again, served by a".into() },
            ]
        );
        assert_eq!(turns.push(&[sample(2, Verdict::Bad, 1)]), vec![], "a repeated sample says nothing new");
    }

    #[test]
    fn a_sample_that_never_comes_does_not_block_for_ever() {
        let mut turns = Turns::new(Span::secs(1));
        assert_eq!(turns.push(&[sample(0, Verdict::Ok, 5), sample(2, Verdict::Bad, 5)]), vec![]);
        let mut late = sample(9, Verdict::Bad, 5);
        late.done = At(0) + Span::secs(20);
        assert_eq!(turns.push(&[late]).len(), 1);
    }
}
