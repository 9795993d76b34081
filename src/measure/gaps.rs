//! Gaps between the samples that say something (design 1.4): an outage that begins after one was sent and ends before the next goes unseen. As long
//! as samples leave when they are due, a gap is the interval. Where the prober stood still, where samples were lost or failed on our side, it is wider,
//! also where every sample was sent in the end and was good.

use crate::base::{At, Span};
use crate::event::Quiet;
use crate::fold::packed::unpack;
use crate::fold::series::Point;
use crate::fold::steady::State;
use crate::fold::thin::late_above;
use crate::plan::ProbePlan;

/// A gap that is wider than the interval by more than samples are late on a busy machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// When the last good sample before it was sent.
    pub from: At,
    /// When the first good sample after it had its answer.
    pub to: At,
    /// From sending to sending: an outage as long would have been seen.
    pub wide: Span,
}

/// The gaps of one probe, in order: from its observations in order of sending, and from its runs of good samples.
pub(super) fn gaps(plan: &ProbePlan, points: &[Point], quiet: &[&Quiet]) -> Vec<Gap> {
    let late = late_above(plan.rate.interval()) + plan.together.unwrap_or(Span::ZERO);
    let allowed = plan.rate.interval() + late;
    let mut found: Vec<Gap> = quiet.iter().filter_map(|run| within(run, plan.rate.interval(), late)).collect();
    let mut before: Option<&Point> = None;
    for point in points.iter().filter(|p| p.state != State::Unknown) {
        // What stands for several says itself how late they were.
        if let Some(last) = before.filter(|last| last.stands_for == 1 && last.state == State::Ok && point.state == State::Ok) {
            let wide = point.sent.since(last.sent);
            if wide > allowed {
                found.push(Gap { from: last.sent, to: point.done, wide });
            }
        }
        before = Some(point);
    }
    found.sort_by_key(|gap| gap.from);
    found
}

/// What samples of a run were late by, as one gap at its beginning: as long as all of its gaps together can have been. A gap whose first sample was late
/// by l holds samples late by l − d, l − 2d …: one of them by no more than `late` + d, and as many by more than `late` as there are intervals in the rest.
fn within(run: &Quiet, interval: Span, late: Span) -> Option<Gap> {
    let (mut most, mut all) = (Span::ZERO, Span::ZERO);
    for waited in [&run.lag, &run.wait].map(unpack) {
        let (longest, d) = (Span(waited.max()), interval.0.max(1));
        if longest > late {
            most = most + longest;
            let over = waited.count_between(late.0.saturating_add(1), u64::MAX);
            let ends = waited.count_between(late.0.saturating_add(1), late.0.saturating_add(d)).max(1);
            all = all + interval.times(over) + (late + interval).times(ends);
        }
    }
    let to = run.last.done.min(run.first.sent + all.max(most + interval));
    (most > Span::ZERO).then_some(Gap { from: run.first.sent, to, wide: most + interval })
}

/// The widest of them that reaches into a time.
pub(super) fn widest(gaps: &[Gap], from: At, to: At) -> Option<Span> {
    gaps.iter().filter(|gap| gap.to > from && gap.from < to).map(|gap| gap.wide).max()
}

#[cfg(test)]
mod tests {
    use super::super::facts::Judged;
    use super::super::sample_journal::*;
    use super::*;
    use crate::event::Sample;
    use crate::fold::packed::{histogram, pack, record};
    use crate::plan::AvailabilityPlan;

    /// The prober stands still from 9.9 to 10.15 s and sends what was due at once; the service is down from 9.96 to 10.14 s and up again for all of them.
    fn stood_still() -> Vec<Sample> {
        let lag = |n: u64| match n {
            198..=202 => (10_153 - (3 + n * 50)) * 1_000_000,
            _ => 0,
        };
        Sim { lag, ..Sim::ms(&[(9_960, 10_140)], 40_000) }.samples()
    }

    #[test]
    fn an_outage_inside_a_stall_is_no_availability_and_moves_what_could_be_seen() {
        let mut plan = plan();
        let min = crate::base::Percent::of_fraction(0.999).unwrap();
        plan.claims[0].availability = Some(AvailabilityPlan { min, over: Span::secs(10), budget: None });
        let judged = |rows: &[Sample]| {
            let journal = Journal::new().samples("checkout", rows).fault("lose-primary", 9_900, (9_901, 9_902));
            journal.undo("lose-primary", 25_000).finish(40_000).facts(&plan)
        };
        let quiet = judged(&Sim::ms(&[], 40_000).samples());
        let claim = &quiet.claims["back-soon"];
        assert_eq!(claim.availability.as_ref().unwrap().part.verdict, Judged::Passed);
        assert_eq!(claim.rto.as_ref().unwrap().part.why, "checkout did not fail: no outage of 50 ms or longer was seen");
        let facts = judged(&stood_still());
        assert!(facts.probes["checkout"].outages.is_empty());
        let claim = &facts.claims["back-soon"];
        let up = claim.availability.as_ref().unwrap();
        assert_eq!(up.part.verdict, Judged::Inconclusive, "{}", up.part.why);
        assert!(up.by_time_lo.unwrap() < 0.98 && up.by_time_hi.unwrap() == 1.0);
        assert_eq!(
            (facts.probes["checkout"].min_detectable, facts.episodes["lose-primary"].min_detectable),
            (Span::millis(300), Span::millis(300))
        );
        let rto = claim.rto.as_ref().unwrap();
        assert_eq!(rto.part.why, "checkout did not fail: no outage of 300 ms or longer was seen");
        assert_eq!(rto.measured.unwrap().hi, Some(Span::millis(300)));
        let mut short = plan.clone();
        short.claims[0].rto = Some(crate::plan::RtoPlan { max: Span::millis(250), from: crate::plan::RtoFrom::Effect });
        let journal = Journal::new().samples("checkout", &stood_still()).fault("lose-primary", 9_900, (9_901, 9_902));
        let rto = journal.undo("lose-primary", 25_000).finish(40_000).facts(&short).claims["back-soon"].rto.clone().unwrap();
        assert_eq!(rto.part.verdict, Judged::Inconclusive, "{}", rto.part.why);
        assert!(rto.part.why.contains("quieter host"), "{}", rto.part.why);
    }

    #[test]
    fn a_lost_sample_doubles_the_gap() {
        let mut rows = Sim::ms(&[], 30_000).samples();
        rows.retain(|row| row.n != 300);
        let facts = Journal::new().samples("checkout", &rows).fault("lose-primary", 9_900, (9_901, 9_902)).finish(30_000).facts(&plan());
        assert_eq!(facts.episodes["lose-primary"].min_detectable, Span::millis(100));
    }

    #[test]
    fn late_samples_of_a_run_are_one_gap_of_all_that_they_can_hide() {
        // Every millisecond; one stall of 40 ms, whose samples leave together.
        let rows: Vec<Sample> = Sim { interval: 1_000_000, ..Sim::ms(&[], 2_010) }.samples();
        let mut lag = histogram();
        (0..2_000u64).for_each(|n| record(&mut lag, Span(if n < 40 { (40 - n) * 1_000_000 } else { 100_000 })));
        let mut other = histogram();
        (0..2_000).for_each(|_| record(&mut other, Span::millis(1)));
        let run = |lag| Quiet {
            first: rows[0].clone(),
            last: rows[1_999].clone(),
            count: 2_000,
            by: vec![],
            response: pack(&other),
            service: pack(&other),
            lag: pack(lag),
            wait: pack(&other),
            legs: vec![],
        };
        let plan = probe_plan("http", 1.0, Span::millis(800));
        let points = |run: &Quiet| Point::of_run(run, Span::millis(1));
        let late = run(&lag);
        let [gap] = gaps(&plan, &points(&late), &[&late])[..] else { panic!("one gap") };
        assert!(gap.wide >= Span::millis(41) && gap.wide < Span::millis(42), "{gap:?}");
        let hidden = gap.to.since(gap.from);
        assert!(hidden >= Span::millis(41) && hidden <= Span::millis(50), "{gap:?}");
        let punctual = run(&other);
        assert_eq!(gaps(&plan, &points(&punctual), &[&punctual]), vec![]);
        assert_eq!(widest(&[gap], At(0), ms(10)), Some(gap.wide));
        assert_eq!(widest(&[gap], ms(1_000), ms(2_000)), None);
    }
}
