//! A phase second by second: how its response times lie against those before the fault, and for how long the service was up and yet not as it should
//! be (design 1.3, 1.7).

use crate::base::{At, Span};
use crate::event::Verdict;
use crate::fold::packed::unpack;
use crate::fold::steady::{Bounds, rank};
use crate::plan::SteadyBounds;

use super::facts::{PhaseFacts, Shifts};
use super::latency::{Phase, response_of};
use super::prober::Taint;
use super::read::bounds_of;
use super::shift::shift;
use super::watch::Watch;

const SECOND: u64 = 1_000_000_000;
const BEFORE: &str = "before";

/// What is known of one second, or of a run of seconds that is only known as a whole.
struct Known {
    p50: Span,
    p99: Span,
    /// Some were good, and together they did not keep to the steady state.
    degraded: bool,
    lasted: Span,
}

/// A probe, with its name, what it must keep to, and its seconds before the first fault.
pub(super) struct Subject<'a> {
    id: &'a str,
    watch: &'a Watch<'a>,
    bounds: Bounds,
    before: Vec<Known>,
}

impl<'a> Subject<'a> {
    pub fn new(id: &'a str, watch: &'a Watch<'a>, steady: Option<&SteadyBounds>, taint: &Taint, phases: &[Phase]) -> Subject<'a> {
        let mut subject = Subject { id, watch, bounds: bounds_of(steady), before: Vec::new() };
        if let Some(before) = phases.iter().find(|phase| phase.name == BEFORE) {
            subject.before = seconds(&subject, taint, before);
        }
        subject
    }
}

/// What the seconds of a phase say: its shifts against the time before, where that is another time, and how long it was degraded, where a steady state says
/// what that is.
pub(super) fn describe(facts: &mut PhaseFacts, subject: &Subject<'_>, taint: &Taint, phase: &Phase) {
    let now = seconds(subject, taint, phase);
    if subject.bounds != Bounds::default() {
        let degraded = now.iter().filter(|s| s.degraded).fold(Span::ZERO, |sum, s| sum + s.lasted);
        facts.degraded = Some(degraded.min(facts.length));
    }
    if phase.name == BEFORE {
        return;
    }
    let of = |what: fn(&Known) -> Span| {
        let values = |of: &[Known]| of.iter().map(what).collect::<Vec<_>>();
        shift(&values(&subject.before), &values(&now))
    };
    facts.shifts = Some(Shifts { p50: of(|s| s.p50), p99: of(|s| s.p99) });
}

/// The seconds of a phase in which the prober was not in doubt and the service said something. A run of good samples has one distribution for all of its
/// seconds: it is one value, since ten times the same would look like evidence.
fn seconds(subject: &Subject<'_>, taint: &Taint, phase: &Phase) -> Vec<Known> {
    let (watch, bounds) = (subject.watch, &subject.bounds);
    let mut out = Vec::new();
    for &(from, to) in phase.times.iter().filter(|(from, to)| from < to) {
        let mut rest = watch.planned(from, to);
        while let Some(first) = rest.first() {
            let second = first.planned.0 / SECOND;
            let (here, more) = rest.split_at(rest.partition_point(|row| row.planned.0 / SECOND <= second));
            rest = more;
            if taint.second(subject.id, second) {
                continue;
            }
            let good = here.iter().filter(|row| row.verdict == Verdict::Ok).count();
            let mut took: Vec<Span> =
                here.iter().filter(|row| matches!(row.verdict, Verdict::Ok | Verdict::Bad)).map(|row| response_of(row, watch)).collect();
            took.sort_unstable();
            let at = |q: f64| rank(q, took.len()).checked_sub(1).and_then(|i| took.get(i).copied());
            let (Some(p50), Some(p99)) = (at(0.5), at(0.99)) else { continue };
            let slow = bounds.quantiles.iter().any(|(q, most)| at(*q).is_some_and(|took| took > *most));
            let failing = bounds.success_min.is_some_and(|min| (good as f64) < min * took.len() as f64);
            let (start, end) = (At(second * SECOND).max(from), At((second + 1) * SECOND).min(to));
            out.push(Known { p50, p99, degraded: good > 0 && (slow || failing), lasted: end.since(start) });
        }
        for run in watch.quiet(from, to) {
            let whole = run.first.planned.0 / SECOND..=run.last.planned.0 / SECOND;
            let response = unpack(&run.response);
            if response.is_empty() || whole.into_iter().any(|second| taint.second(subject.id, second)) {
                continue;
            }
            let at = |q: f64| Span(response.value_at_quantile(q).min(response.max()));
            let slow = bounds.quantiles.iter().any(|(q, most)| at(*q) > *most);
            let lasted = run.last.planned.since(run.first.planned) + watch.interval;
            out.push(Known { p50: at(0.5), p99: at(0.99), degraded: slow, lasted });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Facts, Shifted};
    use super::super::sample_journal::*;
    use super::*;
    use crate::event::{Class, Sample};

    fn judged(rows: &[Sample]) -> Facts {
        let journal = Journal::new().samples("checkout", rows).fault("lose-primary", 10_000, (10_001, 10_002));
        journal.undo("lose-primary", 20_000).finish(40_000).facts(&plan())
    }

    /// 6 ms each, but 30 ms while the fault is in play; after it 6 ms again.
    fn slower() -> Vec<Sample> {
        Sim { took: |n| if (200..400).contains(&n) { 30_000_000 } else { 6_000_000 + n % 7 * 10_000 }, ..Sim::ms(&[], 40_000) }.samples()
    }

    #[test]
    fn what_became_slower_is_told_and_what_came_back_is_the_same() {
        let facts = judged(&slower());
        let phases = &facts.probes["checkout"].phases;
        assert_eq!(phases["before"].shifts, None);
        let during = phases["lose-primary.during"].shifts.unwrap();
        assert_eq!((during.p50.verdict, during.p99.verdict), (Shifted::Higher, Shifted::Higher));
        let by = during.p50.by_ns.unwrap();
        assert!((23_900_000..24_100_000).contains(&by), "{by}");
        assert_eq!(phases["lose-primary.after"].shifts.unwrap().p99.verdict, Shifted::Same);
        assert_eq!(phases["lose-primary.inject"].shifts.unwrap().p99.verdict, Shifted::NoData);
    }

    #[test]
    fn it_is_degraded_while_good_answers_do_not_keep_the_steady_state() {
        let mut plan = plan();
        plan.steady.probes[0].p99 = Some(crate::plan::MaxSpan { max: Span::millis(20) });
        let of = |rows: &[Sample]| {
            let journal = Journal::new().samples("checkout", rows).fault("lose-primary", 10_000, (10_001, 10_002));
            let facts = journal.undo("lose-primary", 20_000).finish(40_000).facts(&plan);
            let phases = &facts.probes["checkout"].phases;
            (phases["before"].degraded, phases["lose-primary.during"].degraded, phases["lose-primary.after"].degraded)
        };
        let (before, during, after) = of(&slower());
        assert_eq!((before, after), (Some(Span::ZERO), Some(Span::ZERO)));
        assert!(during.unwrap() > Span::millis(9_900), "{during:?}");
        // Down is not degraded.
        let down = of(&Sim::ms(&[(10_002, 20_000)], 40_000).samples());
        assert_eq!(down, (Some(Span::ZERO), Some(Span::ZERO), Some(Span::ZERO)));
        // A few failures among good ones are.
        let mut rows = Sim::ms(&[], 40_000).samples();
        rows[305].verdict = Verdict::Bad;
        rows[305].class = Class::Status;
        assert_eq!(of(&rows).1, Some(Span::secs(1)));
    }

    #[test]
    fn a_second_in_doubt_says_nothing() {
        let mut rows = slower();
        rows.iter_mut().filter(|row| (200..400).contains(&row.n) && row.n % 20 == 5).for_each(|row| row.verdict = Verdict::Local);
        let during = judged(&rows).probes["checkout"].phases["lose-primary.during"].shifts.unwrap();
        assert_eq!((during.p50.verdict, during.p50.by_ns), (Shifted::NoData, None));
    }
}
