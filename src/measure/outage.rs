//! Outages and their edges (design 1.4), by strict bounds: a good sample means *up at some moment* between its sending and its end, a
//! bad one *down at some moment* in between, and nothing else is assumed.
//!
//! ```text
//! onset    in [ s of the last good one before, the earliest end of the bad run ]
//! recovery in [ the latest sending of the bad run, e of the first good one after ]
//! ```
//! A good one that a bad one overtook, or that overtook a bad one, proves nothing about the moment of that: the one before or after it does.
//!
//! No sample exists while the prober stands still, so a stall widens an edge by itself; here it is only marked.
//!
//! Samples are judged in the order of their arrival, which is not always that of their sending: one that was held up on its way, for a few
//! milliseconds in a busy kernel, tells of a later moment than those sent after it. Where two samples were under way together their order is not
//! known, and a turn between them is not proven: what looks like an outage beside an outage is then told as one, whose edge is as wide as the doubt.

use std::collections::BTreeSet;
use std::ops::Range;

use indexmap::IndexMap;

use crate::base::{At, Interval, Span};
use crate::event::Class;
use crate::fold::series::HELD_UP;
use crate::fold::steady::{Point, State, reason};

use super::facts::Outage;
use super::watch::Watch;

/// A run of bad samples.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// What is told of it.
    pub outage: Outage,
    /// When its first bad sample was sent.
    pub first: At,
    /// When the first good sample after it was sent.
    pub next_up: Option<At>,
    /// When the good sample was sent that shows for sure that it was over.
    pub sure_up: Option<At>,
    /// How its samples failed.
    pub classes: BTreeSet<Class>,
}

/// The outages of one probe, in order.
pub(super) fn outages(watch: &Watch<'_>, stalls: &[(At, At)]) -> Vec<Run> {
    let points = watch.series.points();
    let mut found: Vec<Run> = Vec::new();
    let mut earlier = 0..0;
    let mut index = 0;
    while index < points.len() {
        let point = &points[index];
        match point.state {
            State::Ok | State::Unknown => {}
            State::Bad => {
                let end = points[index..].iter().position(|p| p.state == State::Ok).map_or(points.len(), |i| index + i);
                let run = outage(watch, index..end, stalls);
                let doubt = order(watch, &points[earlier.clone()], &points[earlier.end..index], &points[index..end]);
                match (found.pop(), doubt) {
                    (Some(before), Some(doubt)) => found.push(before.one_with(run, doubt)),
                    (before, _) => found.extend(before.into_iter().chain([run])),
                }
                earlier = index..end;
                index = end;
                continue;
            }
        }
        index += 1;
    }
    found
}

/// What is not proven between two bad runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// That it was up before the later run: each good sample between was still under way when the last of that run was sent.
    Up,
    /// That it was down before the good ones: each was sent while the whole earlier run was still under way.
    Down,
}

/// Whether two bad runs, with good samples between them, are two for sure; none where they are.
fn order(watch: &Watch<'_>, earlier: &[Point], between: &[Point], later: &[Point]) -> Option<Doubt> {
    let good = || between.iter().filter(|p| p.state == State::Ok);
    let answered = good().map(|p| p.done).min()?;
    if later.iter().filter(|p| p.state == State::Bad).all(|p| p.sent < answered) {
        return Some(Doubt::Up);
    }
    let (first, asked) = (good().map(|p| p.sent).min()?, good().map(|p| p.sent).max()?);
    // A time-out says how long somebody waited, not when the request arrived. Those of a path that loses one now and then are no long outage.
    let timed_out = |p: &Point| watch.row(p.n).is_none_or(|row| row.class == Class::Timeout);
    let may_be_late = |p: &Point| p.done > asked && (asked.since(first) <= HELD_UP || !timed_out(p));
    let overtaken = earlier.iter().filter(|p| p.state == State::Bad).all(may_be_late);
    (overtaken && !earlier.is_empty()).then_some(Doubt::Down)
}

impl Run {
    /// One outage instead of two that are not proven to be two. Its sure part is what is sure of the larger one.
    fn one_with(self, later: Run, doubt: Doubt) -> Run {
        let (a, b) = (self.outage, later.outage);
        let (onset, recovery, first) = match doubt {
            Doubt::Up => (a.onset, Interval { lo: a.recovery.lo, hi: b.recovery.hi }, self.first),
            Doubt::Down => (Interval { lo: a.onset.lo, hi: b.onset.hi }, b.recovery, later.first),
        };
        let outage = Outage {
            onset,
            recovery,
            point: later.next_up.map(|up| up.since(first)),
            lo: onset.hi.map_or(Span::ZERO, |hi| recovery.lo.since(hi)),
            hi: recovery.hi.map(|hi| hi.since(onset.lo)),
            censored: b.censored,
            samples: a.samples + b.samples,
            reason: if a.samples < b.samples { b.reason } else { a.reason },
            widened: a.widened || b.widened,
            arrival: None,
        };
        let classes = self.classes.into_iter().chain(later.classes).collect();
        Run { outage, first, next_up: later.next_up, sure_up: later.sure_up, classes }
    }
}

fn outage(watch: &Watch<'_>, at: Range<usize>, stalls: &[(At, At)]) -> Run {
    let series = &watch.series;
    let (run, after) = (&series.points()[at.clone()], series.points().get(at.end));
    let bad = || run.iter().filter(|p| p.state == State::Bad);
    let first = run[0].sent;
    let told = |most: fn(At, At) -> At| bad().map(|p| p.told).reduce(most).unwrap_or(first);
    let earliest = bad().map(|p| begins(watch, p)).min().unwrap_or(first);
    let before = series.up_before(at.start, earliest).map(|p| p.sent);
    let onset = Interval::new(before.unwrap_or_default(), bad().map(|p| p.done).min().unwrap_or(first));
    let sure = series.up_after(at.end, told(At::max)).or(after);
    let recovery = Interval { lo: bad().map(|p| p.sent).max().unwrap_or(first), hi: sure.map(|p| p.done) };
    // Unknown samples inside the run change nothing; those beyond its last bad one, and those before its first, widen an edge.
    let silent = |from: At, to: At| {
        let points = watch.series.points();
        let start = points.partition_point(|p| p.sent < from);
        points[start..].iter().take_while(|p| p.sent <= to).any(|p| p.state == State::Unknown)
    };
    let recovery_end = recovery.hi.unwrap_or(At(u64::MAX));
    let stalled = |from: At, to: At| {
        let next = stalls.partition_point(|(_, end)| *end < from);
        stalls.get(next).is_some_and(|(start, _)| *start <= to)
    };
    let widened = silent(onset.lo, first)
        || silent(recovery.lo, after.map_or(recovery.lo, |p| p.sent))
        || stalled(onset.lo, first)
        || (recovery.hi.is_some() && stalled(recovery.lo, recovery_end));
    let outage = Outage {
        onset,
        recovery,
        point: after.map(|b| b.sent.since(first)),
        lo: onset.hi.map_or(Span::ZERO, |hi| recovery.lo.since(hi)),
        hi: recovery.hi.map(|hi| hi.since(onset.lo)),
        censored: after.is_none(),
        samples: bad().count() as u64,
        reason: commonest(watch, run),
        widened,
        arrival: None,
    };
    let classes = bad().map(|p| watch.row(p.n).map_or(Class::Error, |row| row.class)).collect();
    Run { outage, first, next_up: after.map(|p| p.sent), sure_up: sure.map(|p| p.sent), classes }
}

/// The earliest moment that a bad one may tell of, for all that is known: a time-out may have arrived at once, an answer is ordered by its end.
fn begins(watch: &Watch<'_>, point: &Point) -> At {
    if watch.row(point.n).is_none_or(|row| row.class == Class::Timeout) { point.sent } else { point.told }
}

/// The commonest reason of a bad run; of two equally common the earlier.
fn commonest(watch: &Watch<'_>, run: &[Point]) -> String {
    let mut counts: IndexMap<(Class, Option<&str>), u64> = IndexMap::new();
    for row in run.iter().filter(|p| p.state == State::Bad).filter_map(|p| watch.row(p.n)) {
        *counts.entry((row.class, row.note.as_deref())).or_default() += 1;
    }
    let best = counts.iter().rev().max_by_key(|(_, n)| **n).map(|(key, _)| *key);
    best.map_or_else(String::new, |(class, note)| reason(class, note))
}

/// Times that do not overlap, in order.
pub(super) type Times = Vec<(At, At)>;

/// When a probe was down for sure, and when it may have been: also where no sample says that it was up.
pub(super) fn down(watch: &Watch<'_>, outages: &[Run]) -> (Times, Times) {
    let sure = outages.iter().map(|r| &r.outage).filter_map(|o| o.onset.hi.map(|hi| (hi, o.recovery.lo))).filter(|(a, b)| a < b).collect();
    let mut may: Times = Vec::new();
    let series = &watch.series;
    // Where it begins, and the first and the latest moment that it tells of.
    let mut silent: Option<(usize, At, At)> = None;
    let from = |begin: usize, told: At| series.up_before(begin, told).map_or(At(0), |p| p.sent);
    for (index, point) in series.points().iter().enumerate() {
        match (point.state, &mut silent) {
            (State::Ok, now) => {
                if let Some((begin, first, last)) = now.take() {
                    may.push((from(begin, first), series.up_after(index, last).map_or(At(u64::MAX), |p| p.done)));
                }
            }
            (State::Bad | State::Unknown, None) => silent = Some((index, begins(watch, point), point.told)),
            (State::Bad, Some((_, first, last))) => (*first, *last) = ((*first).min(begins(watch, point)), (*last).max(point.told)),
            (State::Unknown, Some(_)) => {}
        }
    }
    if let Some((begin, first, _)) = silent {
        may.push((from(begin, first), At(u64::MAX)));
    }
    // Nothing is known of the time before the first of them.
    may.push((At(0), series.points().first().map_or(At(u64::MAX), |first| first.done)));
    may.extend(watch.gaps.iter().map(|gap| (gap.from, gap.to)));
    (union(sure), union(may))
}

/// Overlapping times joined.
pub(super) fn union(mut times: Times) -> Times {
    times.sort_unstable();
    let mut out: Times = Vec::with_capacity(times.len());
    for (from, to) in times {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// Where two lists of times overlap.
pub(super) fn intersection(a: &Times, b: &Times) -> Times {
    let (mut i, mut j, mut out) = (0, 0, Times::new());
    while i < a.len() && j < b.len() {
        let (from, to) = (a[i].0.max(b[j].0), a[i].1.min(b[j].1));
        if from < to {
            out.push((from, to));
        }
        if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
    }
    out
}

/// How much of a window they cover.
pub(super) fn within(times: &Times, from: At, to: At) -> Span {
    times.iter().fold(Span::ZERO, |sum, (a, b)| sum + (*b).min(to).since((*a).max(from)))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Facts, Judged};
    use super::super::sample_journal::*;
    use super::*;
    use crate::event::{Event, Sample, Verdict};
    use proptest::prelude::*;

    fn found(rows: &[Sample], stalls: &[(u64, u64)]) -> Vec<Outage> {
        let mut journal = Journal::new().samples("checkout", rows);
        for (from, to) in stalls {
            journal = journal.at(*to, Event::Stall { from: ms(*from), to: ms(*to) });
        }
        journal.facts(&plan()).probes["checkout"].outages.clone()
    }

    #[test]
    fn edges_are_strict() {
        let outages = found(&Sim::ms(&[(10_001, 10_200)], 12_000).samples(), &[]);
        let wanted = Outage {
            onset: Interval::new(ms(9_953), ms(10_013)),
            recovery: Interval::new(ms(10_153), ms(10_213)),
            point: Some(Span::millis(200)),
            lo: Span::millis(140),
            hi: Some(Span::millis(260)),
            censored: false,
            samples: 4,
            reason: "connection refused".into(),
            widened: false,
            arrival: outages[0].arrival,
        };
        assert_eq!(outages, vec![wanted]);
    }

    #[test]
    fn overlapping_samples_tighten_the_onset() {
        // The first one hangs until its time-out, the second is refused at once.
        let mut rows = Sim::ms(&[(10_001, 10_200)], 12_000).samples();
        let first = rows.iter_mut().find(|r| r.verdict == Verdict::Bad).unwrap();
        (first.done, first.class) = (first.sent + Span::millis(800), Class::Timeout);
        assert_eq!(found(&rows, &[])[0].onset, Interval::new(ms(9_953), ms(10_063)));
    }

    /// One sample that was held up on its way, sent when the service was the other way round.
    fn held_up(sim: &Sim, n: usize, delay: u64) -> Vec<Sample> {
        let mut rows = sim.samples();
        let arrives = rows[n].sent + Span::millis(delay);
        let down = sim.down.iter().any(|(from, to)| (*from..*to).contains(&arrives.0));
        rows[n].done = arrives + Span::millis(5);
        (rows[n].verdict, rows[n].class) = if down { (Verdict::Bad, Class::Refused) } else { (Verdict::Ok, Class::Ok) };
        rows
    }

    #[test]
    fn a_sample_that_was_held_up_makes_no_outage_of_its_own() {
        let sim = Sim::ms(&[(10_001, 12_000)], 15_000);
        // Sent 297 ms before it is up again, and arrived 53 ms after.
        let [outage] = &found(&held_up(&sim, 234, 350), &[])[..] else { panic!("one outage") };
        assert_eq!(outage.recovery, Interval::new(ms(11_653), ms(12_013)), "the truth is 12,000");
        assert_eq!((outage.onset, outage.lo), (Interval::new(ms(9_953), ms(10_013)), Span::millis(1_640)));
        // Sent 98 ms before it goes down, and arrived after.
        let [outage] = &found(&held_up(&sim, 198, 150), &[])[..] else { panic!("one outage") };
        assert_eq!(outage.onset, Interval::new(ms(9_853), ms(10_013)), "the truth is 10,001");
        assert_eq!(outage.recovery, Interval::new(ms(11_953), ms(12_013)));
        // Down twice for sure: the good one had been answered before the next was sent.
        assert_eq!(found(&held_up(&sim, 234, 0), &[]).len(), 1);
        let mut rows = sim.samples();
        (rows[234].verdict, rows[234].class) = (Verdict::Ok, Class::Ok);
        assert_eq!(found(&rows, &[]).len(), 2);
    }

    #[test]
    fn requests_that_are_lost_now_and_then_are_no_long_outage() {
        let mut rows = Sim::ms(&[], 20_000).samples();
        for row in rows.iter_mut().skip(100).step_by(12).take(10) {
            (row.verdict, row.class, row.done) = (Verdict::Bad, Class::Timeout, row.sent + Span::millis(800));
        }
        assert_eq!(found(&rows, &[]).len(), 10);
    }

    #[test]
    fn our_own_failures_widen_an_edge_and_are_no_outage() {
        let clean = Sim::ms(&[(10_001, 10_200)], 12_000).samples();
        for (n, verdict) in [(199, Verdict::Local), (204, Verdict::Capped)] {
            let mut rows = clean.clone();
            rows[n].verdict = verdict;
            let outage = &found(&rows, &[])[0];
            assert!(outage.widened && outage.hi.unwrap() == Span::millis(310), "{n}: {outage:?}");
        }
        let mut rows = Sim::ms(&[], 12_000).samples();
        rows[100].verdict = Verdict::Local;
        assert_eq!(found(&rows, &[]), vec![]);
        let missing: Vec<Sample> = clean.iter().filter(|r| r.n != 199).cloned().collect();
        assert!(found(&missing, &[])[0].widened);
    }

    #[test]
    fn a_stall_at_an_edge_widens_it_and_a_time_out_in_it_says_nothing() {
        let mut rows = Sim::ms(&[(10_001, 10_200)], 12_000).samples();
        rows.retain(|r| !(ms(9_700)..ms(10_000)).contains(&r.sent));
        let outage = &found(&rows, &[(9_690, 10_000)])[0];
        assert!(outage.widened && outage.onset.lo == ms(9_653), "{outage:?}");
        let mut rows = Sim::ms(&[], 12_000).samples();
        (rows[200].verdict, rows[200].class, rows[200].done) = (Verdict::Bad, Class::Timeout, ms(10_803));
        assert_eq!(found(&rows, &[]).len(), 1);
        assert_eq!(found(&rows, &[(10_500, 10_802)]).len(), 0);
        assert_eq!(found(&rows, &[(10_100, 10_700)]).len(), 1, "the prober was back in time to see an answer");
    }

    #[test]
    fn the_commonest_reason_is_told() {
        let mut rows = Sim::ms(&[(10_001, 10_300)], 12_000).samples();
        for row in rows.iter_mut().filter(|r| r.verdict == Verdict::Bad).skip(2) {
            (row.class, row.note) = (Class::Status, Some("status 503".into()));
        }
        assert_eq!(found(&rows, &[])[0].reason, "status 503");
    }

    #[test]
    fn an_outage_shorter_than_the_interval_may_go_unseen() {
        let sim = Sim::ms(&[(10_010, 10_050)], 12_000);
        assert_eq!(found(&sim.samples(), &[]), vec![]);
        let facts = Journal::new().samples("checkout", &sim.samples()).facts(&plan());
        assert_eq!(facts.probes["checkout"].min_detectable, Span::millis(50));
    }

    #[test]
    fn sets_of_times() {
        let a = union(vec![(At(5), At(9)), (At(1), At(3)), (At(2), At(4))]);
        assert_eq!(a, vec![(At(1), At(4)), (At(5), At(9))]);
        assert_eq!(intersection(&a, &vec![(At(3), At(6))]), vec![(At(3), At(4)), (At(5), At(6))]);
        assert_eq!(within(&a, At(2), At(7)), Span(4));
    }

    fn jitter(n: u64) -> u64 {
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
    }

    prop_compose! {
        /// One or two outages, any interval, time-out, way to fail, jitter and lateness.
        fn sims()(
            first in 6_000u64..9_000, down in 1u64..4_000, gap in 0u64..5_000, second in 0u64..1_500,
            interval in 5u64..300, timeout in 50u64..1_200, hang in any::<bool>(), phase in 0u64..300, slow in any::<bool>(),
            held in any::<bool>(),
        ) -> Sim {
            let (up, again) = (first + down, first + down + gap);
            let mut list = vec![(first, up)];
            if gap > 0 && second > 0 {
                list.push((again, again + second));
            }
            Sim {
                how: if hang { How::Hang } else { How::Refuse },
                interval: interval * 1_000_000,
                timeout: timeout * 1_000_000,
                phase: phase * 1_000_000,
                took: match (slow, held) {
                    (false, false) => |n| 200_000 + jitter(n) / 20,
                    (true, false) => |n| 1_000_000 + jitter(n) * 2,
                    // One of eight is held up for as long as several intervals, and overtaken.
                    (_, true) => |n| 200_000 + jitter(n) / 20 + if n.is_multiple_of(8) { jitter(n) * 4 } else { 0 },
                },
                lag: |n| jitter(n + 77) / 30,
                ..Sim::ms(&list, 24_000)
            }
        }
    }

    fn planned(sim: &Sim) -> crate::plan::Plan {
        let mut plan = plan();
        plan.probes[0] = probe_plan("http", sim.interval as f64 / 1e6, Span(sim.timeout));
        plan.steady.probes[0].p99 = None;
        plan
    }

    /// The drill around it: called a moment before the first outage.
    fn drilled(sim: &Sim, rows: &[Sample], plan: &crate::plan::Plan) -> Facts {
        let command = sim.down[0].0 / 1_000_000 - 2;
        let journal = Journal::new().samples("checkout", rows).fault("lose-primary", command, (command + 1, command + 2));
        journal.undo("lose-primary", 22_000).finish(25_000).facts(plan)
    }

    fn rank(verdict: Judged) -> u8 {
        u8::from(verdict == Judged::Passed)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_500))]

        /// Whatever is measured, the truth lies within its bounds: each true edge that was seen, and the time down in all.
        #[test]
        fn strict_bounds_contain_the_truth(sim in sims()) {
            let rows = sim.samples();
            let plan = planned(&sim);
            let entries = Journal::new().samples("checkout", &rows).entries();
            let read = super::super::read::Read::new(&plan, &entries);
            let runs = super::outages(&read.probes["checkout"], &[]);
            let outages: Vec<&Outage> = runs.iter().map(|run| &run.outage).collect();
            let hit = |from: u64, to: u64| rows.iter().any(|r| r.verdict == Verdict::Bad && (from..to).contains(&(r.sent.0 + (sim.took)(r.n) / 2)));
            let seen: Vec<&(u64, u64)> = sim.down.iter().filter(|(from, to)| hit(*from, *to)).collect();
            if seen.is_empty() {
                prop_assert!(outages.is_empty());
                return Ok(());
            }
            let (first, last) = (seen[0], seen[seen.len() - 1]);
            let (head, tail) = (&outages[0], &outages[outages.len() - 1]);
            prop_assert!(head.onset.lo.0 <= first.0 && first.0 <= head.onset.hi.unwrap().0, "{first:?} {head:?}");
            prop_assert!(tail.recovery.lo.0 <= last.1 && last.1 <= tail.recovery.hi.unwrap().0, "{last:?} {tail:?}");
            for outage in &outages {
                let (onset, recovery) = (outage.onset, outage.recovery);
                prop_assert!(sim.down.iter().any(|(from, _)| onset.lo.0 <= *from && *from <= onset.hi.unwrap().0), "nothing began: {outage:?}");
                prop_assert!(sim.down.iter().any(|(_, to)| recovery.lo.0 <= *to && *to <= recovery.hi.unwrap().0), "nothing ended: {outage:?}");
            }
            let down: u64 = seen.iter().map(|(from, to)| to - from).sum();
            let most: u64 = outages.iter().map(|o| o.hi.unwrap().0).sum();
            prop_assert!(down <= most, "{down} {most}");
            // Up moments between two seen outages may have gone unseen: then what is asserted spans both.
            if seen.len() == 1 {
                let least: u64 = outages.iter().map(|o| o.lo.0).sum();
                prop_assert!(least <= down, "{least} {down}");
            }
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        /// And so does the recovery time, where the outage is the only one.
        #[test]
        fn recovery_time_contains_the_truth(sim in sims()) {
            let sim = Sim { down: sim.down[..1].to_vec(), ..sim };
            let rows = sim.samples();
            prop_assume!(rows.iter().any(|r| r.verdict == Verdict::Bad));
            let facts = drilled(&sim, &rows, &planned(&sim));
            let measured = facts.episodes["lose-primary"].times["recovery_time"];
            let effect = (sim.down[0].0 / 1_000_000 * 1_000_000) - 500_000;
            let truth = sim.down[0].1 - effect;
            prop_assert!(measured.lo.0 <= truth && measured.hi.is_none_or(|hi| truth <= hi.0), "{truth} {measured:?}");
        }

        /// An instrument that loses samples never turns anything into a pass.
        #[test]
        fn losing_samples_never_improves_a_verdict(
            sim in sims(), objective in 1u64..4_000, lost in prop::collection::vec((0u64..4_500, 1u64..3_000, 0u8..3), 1..5),
        ) {
            let mut plan = planned(&sim);
            plan.claims[0].rto = Some(crate::plan::RtoPlan { max: Span::millis(objective), from: crate::plan::RtoFrom::Effect });
            plan.claims[0].availability = Some(crate::plan::AvailabilityPlan {
                min: crate::base::Percent::of_fraction(1.0 - objective as f64 / 12_000.0).unwrap(),
                over: Span::secs(12),
                budget: None,
            });
            let rows = sim.samples();
            let mut fewer = rows.clone();
            // Around the outage, where it matters; in milliseconds.
            let begin = sim.down[0].0 - 500_000_000;
            for (start, length, how) in &lost {
                let from = (begin + start * 1_000_000) / sim.interval;
                let gone = from..=(from + length * 1_000_000 / sim.interval);
                match how {
                    0 => fewer.retain(|r| !gone.contains(&r.n)),
                    how => for row in fewer.iter_mut().filter(|r| gone.contains(&r.n)) {
                        let (verdict, class) = if *how == 1 { (Verdict::Local, Class::Local) } else { (Verdict::Capped, Class::Capped) };
                        (row.verdict, row.class) = (verdict, class);
                    }
                }
            }
            let (a, b) = (drilled(&sim, &rows, &plan), drilled(&sim, &fewer, &plan));
            let (a, b) = (&a.claims["back-soon"], &b.claims["back-soon"]);
            let rto = |c: &super::super::facts::ClaimFacts| c.rto.as_ref().unwrap().part.clone();
            let up = |c: &super::super::facts::ClaimFacts| c.availability.as_ref().unwrap().part.clone();
            prop_assert!(rank(rto(b).verdict) <= rank(rto(a).verdict), "{:?} {:?}", rto(a), rto(b));
            prop_assert!(rank(up(b).verdict) <= rank(up(a).verdict), "{:?} {:?}", up(a), up(b));
        }

        /// response = lag + wait + service, for every sample.
        #[test]
        fn latencies_add_up(sim in sims()) {
            for row in sim.samples() {
                prop_assert_eq!(row.response(), row.lag() + row.sent.since(row.woken) + row.service());
            }
        }
    }
}
