//! How a probe does just now, for the lower lines: its last seconds as a sparkline, and its state in words. Numbers for the verdict come from
//! the journal; these are for the eye.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{At, Interval, Span};
use crate::event::{Sample, Verdict};
use crate::plan::ProbePlan;

/// Columns of the sparkline at most.
pub(super) const BUCKETS: u64 = 40;
/// Time of one column, unless the probe is slower.
const BUCKET: Span = Span::millis(500);
/// Anything as quick as this is the lowest bar.
const QUICK: Span = Span::millis(1);
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    worst: Option<Span>,
    bad: bool,
}

/// The last seconds of one probe.
#[derive(Debug)]
pub(super) struct Pulse {
    bucket: Span,
    timeout: Span,
    control: bool,
    seen: BTreeMap<u64, Bucket>,
    by: Option<Arc<str>>,
    last: Option<At>,
    down: Option<(Interval, String)>,
}

impl Pulse {
    /// Nothing seen yet.
    pub(super) fn new(probe: &ProbePlan) -> Pulse {
        let bucket = Span(BUCKET.0.max(probe.rate.interval().0));
        Pulse { bucket, timeout: probe.timeout, control: probe.control, seen: BTreeMap::new(), by: None, last: None, down: None }
    }

    /// Takes samples in. What is not the target's doing is left out.
    pub(super) fn push(&mut self, rows: &[Sample]) {
        for row in rows {
            let bucket = self.seen.entry(row.planned.0 / self.bucket.0).or_default();
            match row.verdict {
                Verdict::Ok => {
                    bucket.worst = bucket.worst.max(Some(row.response()));
                    if row.by.is_some() && self.last.is_none_or(|last| row.done >= last) {
                        self.by.clone_from(&row.by);
                    }
                }
                Verdict::Bad => bucket.bad = true,
                Verdict::Local | Verdict::Capped => continue,
            }
            self.last = self.last.max(Some(row.done));
        }
        while self.seen.len() as u64 > BUCKETS * 2 {
            self.seen.pop_first();
        }
    }

    /// It was seen to turn.
    pub(super) fn turn(&mut self, up: bool, when: Interval, seen: &str) {
        self.down = (!up).then(|| (when, seen.to_owned()));
    }

    /// Whether it is down.
    pub(super) fn failing(&self) -> bool {
        self.down.is_some()
    }

    /// The last `columns` buckets up to now: a bar for the worst answer on a log scale up to the time-out, `×` where one was bad.
    pub(super) fn spark(&self, now: At, columns: u64) -> String {
        let newest = now.0 / self.bucket.0;
        (0..columns)
            .map(|back| (newest + 1 + back).checked_sub(columns))
            .map(|index| match index.and_then(|index| self.seen.get(&index)) {
                Some(Bucket { bad: true, .. }) => '×',
                Some(Bucket { worst: Some(worst), .. }) => bar(*worst, self.timeout),
                _ => ' ',
            })
            .collect()
    }

    /// Its state in words.
    pub(super) fn words(&self, now: At) -> String {
        let mut text = match (&self.down, self.last) {
            (Some((when, why)), _) => format!("FAILING for {}: {why}", super::line::span_clock(now.since(when.hi.unwrap_or(when.lo)))),
            (None, None) => "not asked yet".to_owned(),
            (None, Some(last)) if now.since(last) > self.bucket + self.timeout => format!("silent for {}", now.since(last).human()),
            (None, Some(_)) => {
                // The newest bucket is still filling: its worst answer would jump about.
                let whole = self.seen.range(..now.0 / self.bucket.0).next_back().or_else(|| self.seen.last_key_value());
                let worst = whole.and_then(|(_, bucket)| bucket.worst).map(|worst| format!("  {:>7}", worst.human())).unwrap_or_default();
                let by = self.by.as_ref().map(|by| format!("  served by {by}")).unwrap_or_default();
                format!("up{worst}{by}")
            }
        };
        if self.control {
            text.push_str("  (control)");
        }
        text
    }
}

fn bar(worst: Span, timeout: Span) -> char {
    let scale = (timeout.as_secs_f64() / QUICK.as_secs_f64()).max(1.001).ln();
    let height = (worst.as_secs_f64().max(QUICK.as_secs_f64()) / QUICK.as_secs_f64()).ln() / scale;
    BARS[((height * 8.0) as usize).min(7)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rate;
    use crate::event::Class;

    fn probe() -> Pulse {
        let plan = ProbePlan {
            kind: "http".into(),
            spec: serde_json::Value::Null,
            rate: Rate::per_second(20.0).unwrap(),
            timeout: Span::secs(1),
            expect: crate::plan::Expect::new(),
            served_by: None,
            control: false,
            together: None,
            in_flight: 4,
            ledger: false,
            clean_up: false,
        };
        Pulse::new(&plan)
    }

    fn sample(ms: u64, took: u64, verdict: Verdict) -> Sample {
        let at = At(ms * 1_000_000);
        let by = (verdict == Verdict::Ok).then(|| if ms < 2_000 { "a".into() } else { "b".into() });
        Sample {
            n: ms,
            planned: at,
            woken: at,
            sent: at,
            done: at + Span::millis(took),
            verdict,
            class: Class::Ok,
            by,
            note: None,
            legs: Default::default(),
        }
    }

    #[test]
    fn the_sparkline_grows_with_the_worst_answer_and_marks_failures() {
        let mut pulse = probe();
        let rows = [
            sample(100, 1, Verdict::Ok),
            sample(600, 10, Verdict::Ok),
            sample(700, 900, Verdict::Ok),
            sample(1_100, 5, Verdict::Ok),
            sample(1_200, 1, Verdict::Bad),
            sample(2_600, 30, Verdict::Ok),
            sample(2_700, 1, Verdict::Local),
        ];
        pulse.push(&rows);
        assert_eq!(pulse.spark(At(2_900_000_000), 8), "  ▁█×  ▄");
        assert_eq!(pulse.spark(At(2_900_000_000), 2), " ▄");
        assert_eq!(pulse.spark(At(100_000_000_000), 3), "   ");
    }

    #[test]
    fn states_are_said_in_words() {
        let mut pulse = probe();
        let now = At(3_000_000_000);
        assert_eq!(pulse.words(now), "not asked yet");
        pulse.push(&[sample(2_600, 30, Verdict::Ok), sample(2_700, 12, Verdict::Ok)]);
        assert_eq!(pulse.words(now), "up    30 ms  served by b");
        pulse.turn(false, Interval::new(At(0), At(1_000_000_000)), "status 502");
        assert!(pulse.failing());
        assert_eq!(pulse.words(now), "FAILING for 00:02: status 502");
        pulse.turn(true, Interval::exact(now), "");
        assert_eq!(pulse.words(At(9_000_000_000)), "silent for 6.29 s");
    }

    #[test]
    fn memory_is_bounded() {
        let mut pulse = probe();
        for n in 0..10_000 {
            pulse.push(&[sample(n * 500, 1, Verdict::Ok)]);
        }
        assert!(pulse.seen.len() as u64 <= BUCKETS * 2);
    }
}
