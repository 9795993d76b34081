//! Which samples of a fast probe stand in the journal one by one, and which only as their distribution.
//!
//! At most [`EACH`] a second are all kept. Of a faster probe, those near an edge are: an edge is a sample that is not good, or anything that
//! happened to the drill. The rest are good, and become [`Quiet`] runs of ten seconds and, in a long drill, up to a minute. Which it is can be said only once no edge can come
//! near any more; until then samples are held back.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::edges::Near;
use super::packed::{coarse, histogram, pack, record};
use crate::base::{At, Span};
use crate::event::{Leg, Quiet, Sample, Verdict};

/// A probe that asks no more often than this, in times a second, has every sample kept.
pub const EACH: f64 = 200.0;
/// How far around an edge each sample is kept.
const AROUND: Span = Span::secs(30);
/// Most samples that are kept before, and after, an edge.
const MOST: u64 = 60_000;
/// Disturbances of the target that are kept with all that surrounds them. A target that never comes to rest must not fill the disk.
const DISTURBANCES: u64 = 20;
/// How far around one when these are used up, and around events that no phase begins or ends with.
const BARELY: Span = Span::millis(500);
/// Longest run: a hundred-and-twentieth of the time since the start, but at least and at most so long. What is drawn of a drill needs no finer ones,
/// and a day of them would fill a disk.
const LONGEST: (Span, Span) = (Span::secs(10), Span::secs(60));
const SECOND: u64 = 1_000_000_000;
/// Most names of who answered within a run.
const NAMES: usize = 64;

/// From which lag on a second's p99 counts as late (design 1.9, with the floor that `measure` explains).
pub fn late_above(interval: Span) -> Span {
    Span::millis(5).max(Span(interval.0 / 4))
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// Samples one by one, by number.
    Each(Vec<Sample>),
    /// A run of good ones.
    Run(Box<Quiet>),
}

/// The decision for one probe. Pure: whoever calls it writes what it says.
#[derive(Debug)]
pub struct Thinner {
    interval: Span,
    /// How long one sample may be on its way.
    timeout: Span,
    around: Span,
    /// Held back, by number.
    held: BTreeMap<u64, Sample>,
    /// Everything planned before this is kept one by one.
    each_until: At,
    /// How many more samples may be kept for the sake of disturbances.
    allowance: u64,
    newest: At,
    /// Whole seconds, all punctual.
    run: Option<Run>,
    /// The second that follows them.
    second: Option<Run>,
}

/// Samples told one by one and next to each other, as one: an outage would otherwise take a line of the journal for each.
fn joined(kept: Vec<Kept>) -> Vec<Kept> {
    let mut out: Vec<Kept> = Vec::with_capacity(kept.len());
    for one in kept {
        match (out.last_mut(), one) {
            (Some(Kept::Each(before)), Kept::Each(rows)) => before.extend(rows),
            (_, one) => out.push(one),
        }
    }
    out
}

/// A run that is still growing.
#[derive(Debug)]
struct Run {
    first: Sample,
    last: Sample,
    by: Vec<(String, u64)>,
    response: Histogram<u64>,
    service: Histogram<u64>,
    lag: Histogram<u64>,
    wait: Histogram<u64>,
    /// Of each leg that some sample has gone, in order.
    legs: Vec<(Leg, Histogram<u64>)>,
}

impl Thinner {
    /// For a probe of this interval and time-out; none where each of its samples is kept anyway.
    pub fn new(interval: Span, timeout: Span) -> Option<Thinner> {
        let fast = (interval.0 as f64) < SECOND as f64 / EACH * 0.999;
        let around = AROUND.min(interval.times(MOST));
        fast.then(|| Thinner {
            interval,
            timeout,
            around,
            held: BTreeMap::new(),
            // The start of a run is an edge as well.
            each_until: At(0),
            allowance: DISTURBANCES * 2 * (around.0 / interval.0.max(1)),
            newest: At(0),
            run: None,
            second: None,
        })
    }

    /// Takes finished samples in.
    pub fn push(&mut self, rows: Vec<Sample>) -> Vec<Kept> {
        let mut out = Vec::new();
        for row in rows {
            self.newest = self.newest.max(row.planned);
            let (planned, done, bad) = (row.planned, row.done, row.verdict != Verdict::Ok);
            self.held.insert(row.n, row);
            if bad {
                self.disturbed(planned, done, &mut out);
            }
        }
        self.settle(self.newest.minus(self.around + self.timeout), &mut out);
        self.release(&mut out);
        joined(out)
    }

    /// Something happened to the drill.
    pub fn edge(&mut self, at: At, near: Near) -> Vec<Kept> {
        let around = match near {
            Near::Wide => self.around,
            Near::Barely => BARELY.min(self.around),
        };
        let mut out = Vec::new();
        self.keep(at.minus(around), at + around, &mut out);
        out
    }

    /// Nothing more comes.
    pub fn end(&mut self) -> Vec<Kept> {
        self.edge(self.newest, Near::Barely)
    }

    fn disturbed(&mut self, planned: At, done: At, out: &mut Vec<Kept>) {
        let around = if self.allowance > 0 { self.around } else { BARELY.min(self.around) };
        let (from, to) = (planned.minus(around), done + around);
        let more = to.since(from.max(self.each_until));
        self.allowance = self.allowance.saturating_sub(more.0 / self.interval.0.max(1));
        self.keep(from, to, out);
    }

    /// Keeps each sample planned in a time.
    fn keep(&mut self, from: At, to: At, out: &mut Vec<Kept>) {
        self.settle(from, out);
        self.each_until = self.each_until.max(to);
        self.release(out);
    }

    /// Tells, one by one, what is held and planned in the time that is kept.
    fn release(&mut self, out: &mut Vec<Kept>) {
        let each_until = self.each_until;
        let mut rows: Vec<Sample> = Vec::new();
        // Those before are settled: what is left begins with what is to be kept.
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.get().planned < each_until) {
            rows.push(entry.remove());
        }
        if !rows.is_empty() {
            self.close(out);
            out.push(Kept::Each(rows));
        }
    }

    /// Decides on what was planned before: good ones become runs, where they do not stand in a time that is kept.
    fn settle(&mut self, before: At, out: &mut Vec<Kept>) {
        let mut each: Vec<Sample> = Vec::new();
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.get().planned < before) {
            let row = entry.remove();
            if row.verdict != Verdict::Ok || row.planned < self.each_until {
                self.close(out);
                each.push(row);
                continue;
            }
            if !each.is_empty() {
                out.push(Kept::Each(std::mem::take(&mut each)));
            }
            self.grow(row, out);
        }
        if !each.is_empty() {
            out.push(Kept::Each(each));
        }
    }

    fn grow(&mut self, row: Sample, out: &mut Vec<Kept>) {
        match &mut self.second {
            Some(second) if second.takes(&row) => return second.add(row),
            Some(second) if second.last.n + 1 == row.n => self.turn(out),
            _ => self.close(out),
        }
        self.second = Some(Run::of(row));
    }

    /// A second is over: a punctual one joins those before it. A late one stands for itself, so that it is the only one that is tainted.
    fn turn(&mut self, out: &mut Vec<Kept>) {
        let Some(second) = self.second.take() else { return };
        let late = Span(second.lag.value_at_quantile(0.99)) > late_above(self.interval);
        match &mut self.run {
            Some(run) if !late && run.joins(&second) => run.join(second),
            _ => {
                out.extend(self.run.take().map(Run::packed));
                if late {
                    out.push(second.packed());
                } else {
                    self.run = Some(second);
                }
            }
        }
    }

    fn close(&mut self, out: &mut Vec<Kept>) {
        self.turn(out);
        out.extend(self.run.take().map(Run::packed));
    }
}

impl Run {
    fn of(row: Sample) -> Run {
        let mut run = Run {
            first: row.clone(),
            last: row.clone(),
            by: Vec::new(),
            response: histogram(),
            service: histogram(),
            lag: coarse(),
            wait: coarse(),
            legs: Vec::new(),
        };
        run.add(row);
        run
    }

    /// Whether a sample is the next one of this second.
    fn takes(&self, row: &Sample) -> bool {
        let known = |by: &str| self.by.len() < NAMES || self.by.iter().any(|(who, _)| who == by);
        row.n == self.last.n + 1 && row.planned.0 / SECOND == self.last.planned.0 / SECOND && row.by.as_deref().is_none_or(known)
    }

    /// Whether a second may join this run.
    fn joins(&self, second: &Run) -> bool {
        second.first.n == self.last.n + 1
            && second.last.planned.since(self.first.planned) <= Span(self.first.planned.0 / 120).clamp(LONGEST.0, LONGEST.1)
            && self.by.len() + second.by.len() <= NAMES
    }

    fn join(&mut self, second: Run) {
        for (into, from) in [
            (&mut self.response, &second.response),
            (&mut self.service, &second.service),
            (&mut self.lag, &second.lag),
            (&mut self.wait, &second.wait),
        ] {
            // One that grows takes whatever another of its kind holds.
            let _ = into.add(from);
        }
        for (leg, from) in &second.legs {
            let _ = self.leg(*leg).add(from);
        }
        for (who, count) in second.by {
            self.answered(&who, count);
        }
        self.last = second.last;
    }

    fn leg(&mut self, leg: Leg) -> &mut Histogram<u64> {
        let at = match self.legs.binary_search_by_key(&leg, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                self.legs.insert(at, (leg, histogram()));
                at
            }
        };
        &mut self.legs[at].1
    }

    fn answered(&mut self, who: &str, count: u64) {
        match self.by.iter_mut().find(|(known, _)| *known == who) {
            Some((_, all)) => *all += count,
            None => self.by.push((who.to_owned(), count)),
        }
    }

    fn add(&mut self, row: Sample) {
        record(&mut self.response, row.response());
        record(&mut self.service, row.service());
        record(&mut self.lag, row.lag());
        record(&mut self.wait, row.sent.since(row.woken));
        for (leg, took) in row.legs.iter() {
            record(self.leg(leg), took);
        }
        if let Some(by) = row.by.as_deref() {
            self.answered(by, 1);
        }
        self.last = row;
    }

    fn packed(self) -> Kept {
        let run = Quiet {
            count: self.last.n - self.first.n + 1,
            first: self.first,
            last: self.last,
            by: self.by,
            response: pack(&self.response),
            service: pack(&self.service),
            lag: pack(&self.lag),
            wait: pack(&self.wait),
            legs: self.legs.iter().map(|(leg, took)| (*leg, pack(took))).collect(),
        };
        Kept::Run(Box::new(run))
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::unpack;
    use super::*;
    use crate::event::Class;
    use proptest::prelude::*;

    const D: Span = Span::millis(2);

    fn sample(n: u64) -> Sample {
        let planned = At(0) + D.times(n);
        let at = |us: u64| planned + Span(us * 1_000);
        Sample {
            n,
            planned,
            woken: at(50),
            sent: at(60),
            done: at(900 + n % 7),
            verdict: Verdict::Ok,
            class: Class::Ok,
            by: Some("a".into()),
            note: None,
            legs: Default::default(),
        }
    }

    fn thinner() -> Thinner {
        Thinner::new(D, Span::secs(1)).unwrap()
    }

    /// Every number that is told, each time it is.
    fn numbers(kept: &[Kept]) -> Vec<u64> {
        let mut all = Vec::new();
        for one in kept {
            match one {
                Kept::Each(rows) => all.extend(rows.iter().map(|row| row.n)),
                Kept::Run(run) => {
                    assert_eq!(run.count, run.last.n - run.first.n + 1);
                    for packed in [&run.response, &run.service, &run.lag, &run.wait] {
                        assert_eq!(unpack(packed).len(), run.count);
                    }
                    all.extend(run.first.n..=run.last.n);
                }
            }
        }
        all
    }

    fn each(kept: &[Kept]) -> Vec<u64> {
        numbers(&kept.iter().filter(|one| matches!(one, Kept::Each(_))).cloned().collect::<Vec<_>>())
    }

    #[test]
    fn slow_probes_keep_everything() {
        assert!(Thinner::new(Span::millis(5), Span::secs(1)).is_none());
        assert!(Thinner::new(Span::millis(4), Span::secs(1)).is_some());
    }

    #[test]
    fn what_is_far_from_any_edge_becomes_runs_of_ten_seconds() {
        let mut thin = thinner();
        let mut kept = Vec::new();
        for n in 0..60_000 {
            kept.extend(thin.push(vec![sample(n)]));
        }
        kept.extend(thin.end());
        assert_eq!(numbers(&kept), (0..60_000).collect::<Vec<_>>());
        let runs: Vec<&Quiet> = kept.iter().filter_map(|one| if let Kept::Run(run) = one { Some(&**run) } else { None }).collect();
        assert_eq!(runs.len(), 12, "two minutes less the moment before the end");
        assert!(runs[..11].iter().all(|run| run.count == 5_000 && run.by == [("a".to_owned(), 5_000)]));
        assert_eq!(each(&kept).first(), Some(&59_749));
    }

    #[test]
    fn runs_grow_with_the_drill_up_to_a_minute() {
        let length = |begun: u64| {
            let mut thin = thinner();
            let mut kept = Vec::new();
            for n in begun..begun + 100_000 {
                kept.extend(thin.push(vec![sample(n)]));
            }
            kept.extend(thin.end());
            let runs =
                kept.iter().filter_map(|one| if let Kept::Run(run) = one { Some(run.last.planned.since(run.first.planned)) } else { None });
            runs.max().unwrap()
        };
        let (hour, near) = (1_800_000, |span: Span, secs: u64| Span::secs(secs).0.abs_diff(span.0) <= Span::secs(1).0);
        assert!(near(length(0), 10) && near(length(hour), 30) && near(length(9 * hour), 60));
    }

    #[test]
    fn around_an_edge_each_is_kept() {
        let mut thin = thinner();
        let mut kept = Vec::new();
        for n in 0..300_000 {
            let mut row = sample(n);
            if n == 100_000 {
                (row.verdict, row.class) = (Verdict::Bad, Class::Reset);
            }
            let now = row.done;
            kept.extend(thin.push(vec![row]));
            if n == 200_000 {
                kept.extend(thin.edge(now, Near::Wide));
            }
        }
        kept.extend(thin.end());
        assert_eq!(numbers(&kept), (0..300_000).collect::<Vec<_>>());
        let near = each(&kept);
        assert_eq!((near[0], near.iter().filter(|n| **n < 150_000).max()), (85_000, Some(&115_000)));
        let second: Vec<u64> = near.into_iter().filter(|n| (150_000..250_000).contains(n)).collect();
        assert_eq!((second.first(), second.last(), second.len()), (Some(&185_001), Some(&215_000), 30_000));
    }

    #[test]
    fn a_late_second_stands_for_itself() {
        let mut thin = thinner();
        let mut kept = Vec::new();
        for n in 0..60_000 {
            let mut row = sample(n);
            if (5_100..5_120).contains(&n) {
                let late = Span::millis(8);
                (row.woken, row.sent, row.done) = (row.woken + late, row.sent + late, row.done + late);
            }
            kept.extend(thin.push(vec![row]));
        }
        let seconds: Vec<(u64, u64)> =
            kept.iter().filter_map(|one| if let Kept::Run(run) = one { Some((run.first.n, run.count)) } else { None }).collect();
        assert_eq!(seconds[..3], [(0, 5_000), (5_000, 500), (5_500, 5_000)]);
    }

    #[test]
    fn a_target_that_never_comes_to_rest_does_not_fill_the_disk() {
        let mut thin = thinner();
        let mut kept = Vec::new();
        // One in a minute fails, for four hours.
        for n in 0..(4 * 3600 * 500) {
            let mut row = sample(n);
            if n % 30_000 == 7 {
                (row.verdict, row.class) = (Verdict::Bad, Class::Reset);
            }
            kept.extend(thin.push(vec![row]));
        }
        let singly = each(&kept).len() as u64;
        assert!(singly < (DISTURBANCES + 1) * 30_100 + 220 * 1_000, "{singly}");
    }

    proptest! {
        /// Whatever comes in whatever order: each number is told once, what is not good stands singly, and a run has no gap.
        #[test]
        fn nothing_is_lost_or_told_twice(
            bad in prop::collection::btree_set(0u64..40_000, 0..6),
            gone in prop::collection::btree_set(0u64..40_000, 0..6),
            edges in prop::collection::btree_set(0u64..40_000, 0..4),
            swap in 1usize..50,
        ) {
            let mut thin = thinner();
            let mut rows: Vec<Sample> = (0..40_000).filter(|n| !gone.contains(n)).map(sample).collect();
            for row in rows.iter_mut().filter(|row| bad.contains(&row.n)) {
                row.verdict = Verdict::Bad;
            }
            let mut kept = Vec::new();
            for batch in rows.chunks(swap) {
                let batch: Vec<Sample> = batch.iter().rev().cloned().collect();
                let happened = batch.iter().find(|row| edges.contains(&row.n)).map(|row| row.done);
                kept.extend(thin.push(batch));
                if let Some(at) = happened {
                    kept.extend(thin.edge(at, if at.0 % 2 == 0 { Near::Wide } else { Near::Barely }));
                }
            }
            kept.extend(thin.end());
            let mut told = numbers(&kept);
            told.sort_unstable();
            prop_assert_eq!(told, rows.iter().map(|row| row.n).collect::<Vec<_>>());
            let singly = each(&kept);
            prop_assert!(bad.iter().filter(|n| !gone.contains(n)).all(|n| singly.contains(n)));
        }
    }
}
