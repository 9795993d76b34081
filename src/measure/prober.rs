//! When the prober itself was in doubt (design 1.9): a second is tainted by our own failures, by samples that were not sent or are
//! missing, by lateness, by a stall longer than the interval, by a step of the clock or a sleep of the machine, and, for all probes, by a
//! bad sample of a control probe.
//!
//! p99 of lag counts as late above max(5 ms, d/4), a stall above max(d, 10 ms): on a machine with other work to do a thread waits some
//! milliseconds for a processor now and then, and what is shorter than a hundredth of a second cannot move a p99 by more than itself. A tighter
//! bound would taint seconds in which nothing was wrong but that.
//!
//! Two degrees are kept apart. A second is *late* when samples were sent or read late: lateness widens bounds and adds to latencies by
//! itself, so it can cost a pass and never make one. A second is *blind* when samples are missing, failed on our side, or may say more about
//! us than about the target: there the numbers do not know what they do not show. Only blindness starves a prober.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::base::{At, Span};
use crate::event::{Event, Verdict};
use crate::fold::packed::{histogram, record, unpack};
use crate::fold::steady::rank;
use crate::fold::thin::late_above;

use super::facts::ProberFacts;
use super::read::Read;
use super::watch::{Piece, Watch};
use super::words::{count, grouped};

const SECOND: u64 = 1_000_000_000;
/// A stall shorter than this is felt by less than a hundredth of a second's samples.
const FELT: Span = Span::millis(10);

/// What a second's threads may wait for a processor before its times are in doubt: a fifth. Samples sent late show it themselves; answers that
/// were read late show nothing.
const WAITED: Span = Span::millis(200);

/// Tainted seconds, by number.
pub(super) struct Taint {
    /// Per probe, with what all probes share.
    per_probe: IndexMap<String, BTreeSet<u64>>,
    /// The blind ones among them, per probe.
    blind: IndexMap<String, BTreeSet<u64>>,
    /// Why, over all probes.
    reasons: BTreeMap<u64, String>,
}

impl Taint {
    /// Whether a second of a probe is tainted.
    pub fn second(&self, probe: &str, second: u64) -> bool {
        self.per_probe.get(probe).is_some_and(|set| set.contains(&second))
    }

    /// The share of a time in which a probe was in doubt.
    pub fn share(&self, probe: &str, from: At, to: At) -> f64 {
        Taint::share_of(&self.per_probe, probe, from, to)
    }

    /// The share of a time in which a probe was blind.
    pub fn blind_share(&self, probe: &str, from: At, to: At) -> f64 {
        Taint::share_of(&self.blind, probe, from, to)
    }

    fn share_of(sets: &IndexMap<String, BTreeSet<u64>>, probe: &str, from: At, to: At) -> f64 {
        let length = to.since(from).0;
        let Some(set) = sets.get(probe).filter(|_| length > 0) else { return 0.0 };
        let (first, last) = (from.0 / SECOND, to.0.div_ceil(SECOND));
        set.range(first..last).count() as f64 / length.div_ceil(SECOND).max(1) as f64
    }

    /// How many seconds were tainted for any probe.
    pub fn seconds(&self) -> u64 {
        self.reasons.len() as u64
    }

    /// Blind: the numbers do not know what they do not show.
    fn add(&mut self, probe: Option<&str>, second: u64, why: &str) {
        for (_, set) in self.blind.iter_mut().filter(|(id, _)| probe.is_none_or(|p| p == id.as_str())) {
            set.insert(second);
        }
        self.late(probe, second, why);
    }

    /// Late only.
    fn late(&mut self, probe: Option<&str>, second: u64, why: &str) {
        let ids = self.per_probe.iter_mut().filter(|(id, _)| probe.is_none_or(|p| p == id.as_str()));
        for (_, set) in ids {
            set.insert(second);
        }
        let reasons = self.reasons.entry(second).or_default();
        if reasons.is_empty() {
            why.clone_into(reasons);
        } else if !reasons.split("; ").any(|known| known == why) {
            reasons.push_str("; ");
            reasons.push_str(why);
        }
    }
}

/// What tainted which second.
pub(super) fn taint(read: &Read<'_>) -> Taint {
    let per_probe: IndexMap<String, BTreeSet<u64>> = read.plan.probes.keys().map(|id| (id.to_string(), BTreeSet::new())).collect();
    let mut taint = Taint { blind: per_probe.clone(), per_probe, reasons: BTreeMap::new() };
    // The last two looks at the clocks: what the later one shows happened at any moment since the earlier.
    let mut looks = (At(0), At(0));
    for entry in read.entries {
        let since = looks.0.0 / SECOND..=entry.at.0 / SECOND;
        match &entry.event {
            Event::Anchor(_) => looks = (looks.1, entry.at),
            Event::ClockStep { by_ns } => {
                let by = Span(by_ns.unsigned_abs()).human();
                since.for_each(|second| taint.late(None, second, &format!("wall time jumped by {by}")));
            }
            Event::Contended(told) if told.waited >= WAITED => {
                let why = format!("the prober waited {} for a processor", told.waited.human());
                // Both ends lie somewhere within their second; the wait lies before the second of the end.
                for second in told.from.0 / SECOND..told.to.0.div_ceil(SECOND) {
                    taint.late(None, second, &why);
                }
            }
            Event::Suspended { slept } => {
                since.for_each(|second| taint.add(None, second, &format!("the machine slept for {}", slept.human())))
            }
            _ => {}
        }
    }
    for (from, to) in &read.stalls {
        let long = to.since(*from);
        for (id, watch) in read.probes.iter().filter(|(_, w)| long > w.interval.max(FELT) && w.ends().is_some()) {
            // A sample that was under way is tainted as well, even where it was sent on time.
            let reach = from.minus(watch.plan.timeout);
            let first = watch.planned(reach, *from).iter().find(|row| row.done > *from).map_or(*from, |row| row.planned.min(*from));
            for second in first.0 / SECOND..=to.0 / SECOND {
                taint.late(Some(id), second, &format!("the prober stood still for {}", long.human()));
            }
        }
    }
    for (from, to) in read.stalls.iter().filter(|(from, to)| to.since(*from) > FELT) {
        // An answer that came meanwhile was read late, however seldom its probe asks.
        let why = format!("an answer was under way while the prober stood still for {}", to.since(*from).human());
        for (id, watch) in read.probes.iter().filter(|(_, watch)| to.since(*from) <= watch.interval) {
            let rows = watch.planned(from.minus(watch.plan.timeout), *to);
            for row in rows.iter().filter(|row| row.sent < *to && row.done > *from) {
                taint.late(Some(id), row.planned.0 / SECOND, &why);
            }
        }
    }
    for (id, watch) in &read.probes {
        samples(&mut taint, id, watch);
    }
    taint
}

fn samples(taint: &mut Taint, id: &str, watch: &Watch<'_>) {
    // What leaves together is late by as much on purpose.
    let late = late_above(watch.interval) + watch.plan.together.unwrap_or(Span::ZERO);
    let mut lags: Vec<Span> = Vec::new();
    for run in &watch.quiet {
        let p99 = Span(unpack(&run.lag).value_at_quantile(0.99));
        for second in (run.first.planned.0 / SECOND..=run.last.planned.0 / SECOND).filter(|_| p99 > late) {
            taint.late(Some(id), second, &format!("{id}: sent {} late", p99.human()));
        }
    }
    missing(taint, id, watch);
    for (index, row) in watch.rows.iter().enumerate() {
        let second = row.planned.0 / SECOND;
        match row.verdict {
            Verdict::Local => taint.add(Some(id), second, &format!("{id}: a sample failed on our side")),
            Verdict::Capped => taint.add(Some(id), second, &format!("{id}: too many samples in flight")),
            Verdict::Bad if watch.plan.control => taint.add(None, second, &format!("control probe {id} failed")),
            Verdict::Bad | Verdict::Ok => {}
        }
        lags.push(row.lag());
        if watch.rows.get(index + 1).is_none_or(|next| next.planned.0 / SECOND != second) {
            lags.sort_unstable();
            let p99 = lags[rank(0.99, lags.len()) - 1];
            if p99 > late {
                taint.late(Some(id), second, &format!("{id}: sent {} late", p99.human()));
            }
            lags.clear();
        }
    }
}

/// Numbers that nobody has.
fn missing(taint: &mut Taint, id: &str, watch: &Watch<'_>) {
    let mut before: Option<(u64, At)> = None;
    for piece in watch.pieces() {
        let (first, last) = match piece {
            Piece::Each(row) => ((row.n, row.planned), (row.n, row.planned)),
            Piece::Run(run) => ((run.first.n, run.first.planned), (run.last.n, run.last.planned)),
        };
        if let Some((_, planned)) = before.filter(|(n, _)| n.saturating_add(1) < first.0) {
            let end = (first.1.0 / SECOND).min(planned.0 / SECOND + 3600);
            for second in planned.0 / SECOND..=end {
                taint.add(Some(id), second, &format!("{id}: samples are missing"));
            }
        }
        before = Some(last);
    }
}

/// Prober health over the run.
pub(super) fn health(read: &Read<'_>, taint: &Taint) -> ProberFacts {
    let lag_p99 = lag_p99(read);
    let contended = || read.entries.iter().filter_map(|e| if let Event::Contended(told) = &e.event { Some(told) } else { None });
    let of = |wanted: fn(&Event) -> bool| read.entries.iter().filter(|e| wanted(&e.event)).count() as u64;
    ProberFacts {
        lag_p99,
        stalls: read.stalls.len() as u64,
        longest_stall: read.stalls.iter().map(|(from, to)| to.since(*from)).max().unwrap_or_default(),
        waits: contended().count() as u64,
        longest_wait: contended().map(|told| told.waited).max().unwrap_or_default(),
        pressed: contended().filter_map(|told| told.pressed).max(),
        clock_steps: of(|e| matches!(e, Event::ClockStep { .. })),
        suspends: of(|e| matches!(e, Event::Suspended { .. })),
        tainted: taint.reasons.iter().map(|(second, why)| (At(second * SECOND), why.clone())).collect(),
    }
}

fn lag_p99(read: &Read<'_>) -> Option<Span> {
    let mut lags: Vec<Span> = read.probes.values().flat_map(|w| w.rows.iter().map(|row| row.lag())).collect();
    if read.probes.values().all(|watch| watch.quiet.is_empty()) {
        let at = rank(0.99, lags.len()).checked_sub(1)?;
        return Some(*lags.select_nth_unstable(at).1);
    }
    let mut all = histogram();
    lags.iter().for_each(|lag| record(&mut all, *lag));
    for run in read.probes.values().flat_map(|watch| &watch.quiet) {
        // One that grows takes whatever another holds.
        let _ = all.add(unpack(&run.lag));
    }
    Some(Span(all.value_at_quantile(0.99)))
}

/// A prober that stood still for so long at once was frozen: what it then reads of the target is its own absence.
const FROZEN: Span = Span::millis(300);

/// Why the prober was starved, when it was: it was frozen once the first fault was injected, or more than a tenth of a probe's watched
/// seconds, and at least three, were blind.
pub(super) fn starved(read: &Read<'_>, taint: &Taint) -> Option<String> {
    let first = read.first_call()?;
    let frozen = read.stalls.iter().filter(|(_, to)| *to >= first).map(|(from, to)| to.since(*from)).max().filter(|long| *long >= FROZEN);
    if let Some(long) = frozen {
        return Some(format!("the prober was starved: it stood still for {} while the fault was in play", long.human()));
    }
    let mut worst: Option<(u64, u64, &str)> = None;
    for (id, watch) in &read.probes {
        let Some((first, last)) = watch.ends() else { continue };
        let watched = last.since(first).0.div_ceil(SECOND).max(1);
        let blind = taint.blind.get(*id).map_or(0, |set| set.len() as u64);
        if blind >= 3 && blind * 10 > watched && worst.is_none_or(|(most, ..)| blind > most) {
            worst = Some((blind, watched, id));
        }
    }
    worst
        .map(|(blind, watched, id)| format!("the prober was starved: {id} was blind in {} of {}", count(blind, "second"), grouped(watched)))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Facts, Judged};
    use super::super::sample_journal::*;
    use super::*;
    use crate::event::{Class, ClockAnchor, Contended, Sample};

    fn facts(change: impl FnOnce(&mut Vec<Sample>), events: &[(u64, Event)]) -> Facts {
        let mut rows = Sim::ms(&[], 200_000).samples();
        change(&mut rows);
        let mut journal = drill(&Sim::ms(&[], 0), 150_000).samples("checkout", &rows);
        for (at, event) in events {
            journal = journal.at(*at, event.clone());
        }
        journal.facts(&plan())
    }

    fn tainted(facts: &Facts) -> Vec<(u64, &str)> {
        facts.prober.tainted.iter().map(|(at, why)| (at.0 / SECOND, why.as_str())).collect()
    }

    #[test]
    fn each_cause_taints_its_second() {
        let local = facts(|rows| rows[405].verdict = Verdict::Local, &[]);
        assert_eq!(tainted(&local), vec![(20, "checkout: a sample failed on our side")]);
        assert!(local.probes["checkout"].seconds[20].tainted && !local.probes["checkout"].seconds[21].tainted);
        let capped = facts(|rows| rows[405].verdict = Verdict::Capped, &[]);
        assert_eq!(tainted(&capped), vec![(20, "checkout: too many samples in flight")]);
        let missing = facts(|rows| rows.retain(|r| r.n != 405), &[]);
        assert_eq!(tainted(&missing), vec![(20, "checkout: samples are missing")]);
        let late = facts(|rows| rows[405].woken = rows[405].planned + Span::millis(13), &[]);
        assert_eq!(tainted(&late), vec![(20, "checkout: sent 13 ms late")]);
        let grain = facts(|rows| rows.iter_mut().for_each(|r| r.woken = r.planned + Span::millis(2)), &[]);
        assert_eq!((tainted(&grain), grain.prober.lag_p99), (vec![], Some(Span::millis(2))));
        let waited = |ms| {
            let span = Span::millis(ms);
            Event::Contended(Contended { from: self::ms(19_990), to: self::ms(20_995), waited: span, pressed: None })
        };
        let short = facts(|_| {}, &[(20_995, waited(40))]);
        assert_eq!((tainted(&short), short.prober.waits, short.prober.longest_wait), (vec![], 1, Span::millis(40)));
        let why = "the prober waited 300 ms for a processor";
        assert_eq!(tainted(&facts(|_| {}, &[(20_995, waited(300))])), vec![(19, why), (20, why)]);
        let look = |at: u64| {
            let mono_ns = 77_000 + at * 1_000_000;
            (at, Event::Anchor(ClockAnchor { boot_id: "boot".into(), mono_ns, boottime_ns: mono_ns, wall: String::new() }))
        };
        let found = |event| facts(|_| {}, &[look(18_490), look(19_490), look(20_490), (20_500, event)]);
        let step = found(Event::ClockStep { by_ns: -70_000_000 });
        assert_eq!(
            (tainted(&step), step.prober.clock_steps),
            (vec![(19, "wall time jumped by 70 ms"), (20, "wall time jumped by 70 ms")], 1)
        );
        let slept = found(Event::Suspended { slept: Span::secs(3) });
        assert_eq!(
            (tainted(&slept), slept.prober.suspends),
            (vec![(19, "the machine slept for 3 s"), (20, "the machine slept for 3 s")], 1)
        );
    }

    #[test]
    fn a_stall_taints_the_second_of_an_answer_that_was_under_way() {
        // Sent at 20,003 ms, answered 10 ms later, and every 50 ms.
        let of = |from, to| facts(|_| {}, &[(to, Event::Stall { from: ms(from), to: ms(to) })]);
        let why = "an answer was under way while the prober stood still for 20 ms";
        assert_eq!(tainted(&of(20_010, 20_030)), vec![(20, why)]);
        assert_eq!(tainted(&of(20_020, 20_040)), vec![], "between two of them");
        assert_eq!(tainted(&of(20_005, 20_012)), vec![], "too short to be felt");
    }

    #[test]
    fn a_stall_longer_than_the_interval_taints_what_it_touches() {
        let stall = |from, to| (to, Event::Stall { from: ms(from), to: ms(to) });
        let long = facts(|_| {}, &[stall(20_950, 21_020)]);
        assert_eq!(tainted(&long), vec![(20, "the prober stood still for 70 ms"), (21, "the prober stood still for 70 ms")]);
        assert_eq!((long.prober.stalls, long.prober.longest_stall), (1, Span::millis(70)));
        assert_eq!(tainted(&facts(|_| {}, &[stall(20_966, 20_990)])), vec![]);
        // A sample under way when it began was planned in the second before.
        let slow = facts(|rows| rows[418].done = rows[418].sent + Span::millis(300), &[stall(21_010, 21_080)]);
        assert_eq!(tainted(&slow).first().map(|t| t.0), Some(20));
    }

    #[test]
    fn what_fails_while_the_control_probe_fails_is_not_the_targets() {
        // Our own uplink is gone from 22 to 23 s; nothing was ever wrong with the service.
        let gone = Sim::ms(&[(22_000, 23_000)], 40_000);
        let plain = drill(&gone, 25_000).facts(&plan());
        assert_eq!(plain.claims["back-soon"].rto.as_ref().unwrap().part.verdict, Judged::Failed);
        let mut plan = plan();
        plan.probes.insert(id("internet"), crate::plan::ProbePlan { control: true, ..probe_plan("http", 50.0, Span::millis(800)) });
        let facts = drill(&gone, 25_000).samples("internet", &gone.samples()).facts(&plan);
        let rto = facts.claims["back-soon"].rto.as_ref().unwrap();
        assert_eq!(rto.part.verdict, Judged::Inconclusive, "{}", rto.part.why);
        assert!(facts.probes["checkout"].outages.is_empty());
        // What was down before the uplink went stays down.
        let facts = drill(&Sim::ms(&[(10_001, 23_000)], 40_000), 25_000).samples("internet", &gone.samples()).facts(&plan);
        assert_eq!(facts.probes["checkout"].outages.len(), 1);
        assert_eq!(facts.claims["back-soon"].rto.as_ref().unwrap().part.verdict, Judged::Failed);
    }

    #[test]
    fn a_bad_control_probe_taints_all() {
        let mut plan = plan();
        plan.probes.insert(id("internet"), crate::plan::ProbePlan { control: true, ..probe_plan("http", 50.0, Span::millis(800)) });
        let mut control = Sim::ms(&[], 40_000).samples();
        (control[405].verdict, control[405].class) = (Verdict::Bad, Class::Refused);
        let journal = drill(&Sim::ms(&[], 40_000), 25_000).samples("internet", &control);
        let facts = journal.facts(&plan);
        assert_eq!(tainted(&facts), vec![(20, "control probe internet failed")]);
        assert!(facts.probes["checkout"].seconds[20].tainted);
    }

    #[test]
    fn more_than_a_hundredth_of_a_phase_spoils_its_percentiles() {
        let one = facts(|rows| rows[405].verdict = Verdict::Local, &[]);
        assert!(!one.probes["checkout"].phases["lose-primary.during"].tainted);
        let two = facts(|rows| (rows[405].verdict, rows[505].verdict) = (Verdict::Local, Verdict::Local), &[]);
        assert!(two.probes["checkout"].phases["lose-primary.during"].tainted && !two.probes["checkout"].valid);
        assert_eq!((two.validity.valid, two.validity.tainted_seconds), (true, 2));
    }
}
