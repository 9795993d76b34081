//! What became of numbered writes (design 1.10). A write whose outcome is unknown is never a loss, and may appear later. A write of which
//! we have no record may have been acknowledged: as long as it is not found, nothing can be said to be complete.

use indexmap::IndexMap;

use crate::base::{At, Span};
use crate::event::{BROKE, Class, Event, Leg, Sample, Verdict};

use super::episode::Recovery;
use super::facts::{LedgerFacts, LossWindow};
use super::read::{Item, Read};
use super::watch::Watch;
use super::words::count;

/// How many intervals before the injector's call, or the effect, the last acknowledgement may lie.
pub(super) const FED: u64 = 4;

/// What is known of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Acknowledged.
    Acked,
    /// Definitely not applied.
    Failed,
    /// Unknown: it may have been applied.
    Unknown,
}

fn fate(row: &Sample) -> Fate {
    match (row.verdict, row.class) {
        (Verdict::Ok, _) => Fate::Acked,
        (Verdict::Capped, _) | (_, Class::Refused | Class::Dns | Class::Capped) => Fate::Failed,
        // TLS may also fail, and the probe itself break, after the write has gone out.
        (_, Class::Tls) if !row.legs.iter().any(|(leg, _)| leg == Leg::Tls) => Fate::Failed,
        (_, Class::Local) if row.note.as_deref() != Some(BROKE) => Fate::Failed,
        // Cancelled before anything was sent.
        (_, Class::Cancelled) if row.sent == row.done => Fate::Failed,
        // Any answer that is not the acknowledgement, and no answer at all: it may have been applied before it went wrong.
        _ => Fate::Unknown,
    }
}

/// A ledger with what claims need beyond the facts.
pub(super) struct Ledger {
    /// The facts.
    pub facts: LedgerFacts,
    /// Per fault: whether writes were acknowledged right up to the injector's call.
    pub fed: IndexMap<String, bool>,
    /// Writes of which there is no record and that were not found.
    pub unaccounted: u64,
}

struct Found {
    ranges: Vec<(u64, u64)>,
}

impl Found {
    fn new(ranges: &[(u64, u64)]) -> Found {
        let mut sorted: Vec<(u64, u64)> = ranges.iter().copied().filter(|(a, b)| a <= b).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in sorted {
            match merged.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Found { ranges: merged }
    }

    fn has(&self, n: u64) -> bool {
        let after = self.ranges.partition_point(|(from, _)| *from <= n);
        after > 0 && self.ranges[after - 1].1 >= n
    }

    /// How many numbers from `from` to `to`, both included, are there.
    fn count(&self, from: u64, to: u64) -> u64 {
        let one = |(a, b): &(u64, u64)| (*b).min(to).saturating_add(1).saturating_sub((*a).max(from));
        self.ranges.iter().map(one).fold(0, u64::saturating_add)
    }
}

/// The facts of one ledger.
pub(super) fn ledger(read: &Read<'_>, id: &str, watch: &Watch<'_>, recoveries: &IndexMap<&str, Recovery>) -> Ledger {
    let reads: Vec<_> = read
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::LedgerRead { ledger, reader, authority, settled, found, duplicated, unexpected, appeared, error } if ledger == id => {
                let counts = (duplicated.len() as u64, *unexpected, Found::new(appeared));
                Some((reader, *authority, *settled, Found::new(found), counts, error.as_deref()))
            }
            _ => None,
        })
        .collect();
    let mut facts = tally(watch);
    let holes = holes(watch);
    let last = watch.ends().map_or(At(0), |(_, last)| last);
    let mut unaccounted = holes.iter().fold(watch.missing(last, At(u64::MAX)), |sum, (a, b)| sum.saturating_add(b - a + 1));
    let authority = reads.iter().rev().find(|r| r.1);
    match authority {
        None => facts.not_read = Some("it was not read back".into()),
        Some((reader, .., Some(error))) => facts.not_read = Some(format!("{reader} could not be read back: {error}")),
        Some((reader, _, false, ..)) => facts.not_read = Some(format!("{reader} had not settled: two successive full reads did not agree")),
        Some((_, _, true, found, (duplicated, unexpected, appeared), None)) => {
            let after = watch.rows.last().map_or(0, |row| row.n + 1);
            let beyond = found.count(after, u64::MAX - 1);
            facts.duplicated = *duplicated;
            facts.unexpected = unexpected.saturating_add(if read.drained { beyond } else { 0 });
            for row in &watch.rows {
                match (fate(row), found.has(row.n)) {
                    (Fate::Acked, false) => facts.lost.push(row.n),
                    (Fate::Failed, true) => facts.resurrected += 1,
                    (Fate::Unknown, true) => facts.recovered += 1,
                    (Fate::Acked, true) if appeared.has(row.n) => facts.stale += 1,
                    (Fate::Acked, true) | (Fate::Failed | Fate::Unknown, false) => {}
                }
            }
            let there = holes.iter().map(|(a, b)| found.count(*a, *b)).fold(0, u64::saturating_add);
            facts.recovered += there;
            unaccounted = unaccounted.saturating_sub(there);
            facts.divergent = divergent(watch, found, reads.iter().filter(|r| !r.1).map(|r| (r.0.as_str(), r.2, &r.3, r.5)));
        }
    }
    let faults: Vec<(&str, &Item<'_>)> = injected(read);
    facts.windows = windows(read, watch, &facts.lost, &judged(read, id, &faults), recoveries);
    let fed = faults.iter().map(|(fault, item)| ((*fault).to_owned(), fed(watch, item))).collect();
    Ledger { facts, fed, unaccounted }
}

fn injected<'r>(read: &'r Read<'_>) -> Vec<(&'r str, &'r Item<'r>)> {
    let mut faults: Vec<_> = read.items.iter().filter(|(_, i)| !i.support && i.command.is_some()).map(|(id, i)| (*id, i)).collect();
    faults.sort_by_key(|(_, i)| i.command);
    faults
}

fn tally(watch: &Watch<'_>) -> LedgerFacts {
    let of = |wanted: Fate| watch.rows.iter().filter(|row| fate(row) == wanted).count() as u64;
    let missing = holes(watch).iter().fold(0u64, |sum, (a, b)| sum.saturating_add(b - a + 1));
    let (acknowledged, failed, unknown) = (of(Fate::Acked), of(Fate::Failed), of(Fate::Unknown).saturating_add(missing));
    LedgerFacts {
        attempted: acknowledged.saturating_add(failed).saturating_add(unknown),
        acknowledged,
        failed,
        unknown,
        lost: Vec::new(),
        duplicated: 0,
        unexpected: 0,
        resurrected: 0,
        recovered: 0,
        stale: 0,
        windows: IndexMap::new(),
        divergent: Vec::new(),
        not_read: None,
    }
}

/// Numbers without a record, as inclusive ranges: they may have been sent.
fn holes(watch: &Watch<'_>) -> Vec<(u64, u64)> {
    let mut next = 0;
    let mut out = Vec::new();
    for row in &watch.rows {
        if row.n > next {
            out.push((next, row.n - 1));
        }
        next = row.n.saturating_add(1);
    }
    out
}

fn divergent<'r>(
    watch: &Watch<'_>,
    authority: &Found,
    others: impl Iterator<Item = (&'r str, bool, &'r Found, Option<&'r str>)>,
) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (reader, settled, found, error) in others {
        let acked = || watch.rows.iter().filter(|row| fate(row) == Fate::Acked);
        let missing = acked().filter(|row| authority.has(row.n) && !found.has(row.n)).count() as u64;
        let more = watch.rows.iter().filter(|row| !authority.has(row.n) && found.has(row.n)).count() as u64;
        let how = match (error, settled, missing, more) {
            (Some(error), ..) => format!("could not be read back: {error}"),
            (None, false, ..) => "had not settled".into(),
            (None, true, 0, 0) => continue,
            (None, true, missing, 0) => format!("lacks {} that the authority has", count(missing, "acknowledged write")),
            (None, true, 0, more) => format!("has {} that the authority lacks", count(more, "write")),
            (None, true, missing, more) => {
                format!("lacks {} that the authority has, and has {more} that it lacks", count(missing, "acknowledged write"))
            }
        };
        out.push((reader.to_owned(), how));
    }
    out
}

/// Lost writes by episode: a write belongs to the fault that it was acknowledged before the recovery from, the earliest such.
/// The episodes among which losses are shared out: those with a claim on this ledger, where there are any. What is lost while an episode lasts of which
/// nothing is claimed must not escape the claim of another.
fn judged<'a, 'r>(read: &Read<'_>, ledger: &str, faults: &[(&'a str, &'a Item<'r>)]) -> Vec<(&'a str, &'a Item<'r>)> {
    let claimed = |fault: &str| {
        let on_this = |claim: &crate::plan::ClaimPlan| claim.rpo.as_ref().is_some_and(|rpo| rpo.ledger.as_str() == ledger);
        read.plan.claims.values().any(|claim| claim.fault.as_str() == fault && on_this(claim))
    };
    let found: Vec<_> = faults.iter().filter(|(fault, _)| claimed(fault)).copied().collect();
    if found.is_empty() { faults.to_vec() } else { found }
}

fn windows(
    read: &Read<'_>,
    watch: &Watch<'_>,
    lost_numbers: &[u64],
    faults: &[(&str, &Item<'_>)],
    recoveries: &IndexMap<&str, Recovery>,
) -> IndexMap<String, LossWindow> {
    let mut acks: Vec<At> = watch.rows.iter().filter(|row| fate(row) == Fate::Acked).map(|row| row.done).collect();
    acks.sort_unstable();
    let mut lost: Vec<At> = lost_numbers.iter().filter_map(|n| watch.row(*n)).map(|row| row.done).collect();
    lost.sort_unstable();
    let mut out = IndexMap::new();
    let mut begin = 0;
    for (index, (fault, item)) in faults.iter().enumerate() {
        let last = index + 1 == faults.len();
        let up = recoveries.get(fault).and_then(|r| r.stable.when.hi);
        let next = faults.get(index + 1).and_then(|(_, i)| i.command);
        let end = if last { None } else { up.into_iter().chain(next).min() };
        let stop = end.map_or(lost.len(), |end| lost.partition_point(|at| *at < end)).max(begin);
        let mine = &lost[begin..stop];
        begin = stop;
        let effect = item.effective.and_then(|w| w.hi).or(item.acknowledged).or(item.command).unwrap_or(read.end);
        let window = match (mine.first(), mine.last()) {
            // Signed on purpose: a split brain loses writes that were acknowledged after the effect.
            (Some(first), Some(last)) => Span(effect.max(*last).signed_since(*first).max(0).unsigned_abs()),
            _ => Span::ZERO,
        };
        let before = acks.partition_point(|at| *at <= effect);
        let silences = silences(watch, &acks[..before], effect);
        out.insert(
            (*fault).to_owned(),
            LossWindow {
                window,
                between_lost: mine.first().zip(mine.last()).map_or(Span::ZERO, |(first, last)| last.since(*first)),
                lost: mine.len() as u64,
                resolution: silences.map(|(gap, blind)| gap.max(blind)),
                blind: silences.map_or(Span::ZERO, |(_, blind)| blind),
                point: point(watch, lost_numbers, effect),
                acknowledged_before: before as u64,
            },
        );
    }
    out
}

/// The last two times around the effect in which nothing was acknowledged: between the last two acknowledgements before it, and from the last one on.
/// While writes were sent and not acknowledged, there was nothing more to lose.
fn silences(watch: &Watch<'_>, before: &[At], effect: At) -> Option<(Span, Span)> {
    let last = *before.last()?;
    let gap = before.len().checked_sub(2).map_or(Span::ZERO, |i| last.since(before[i]));
    let failed = watch.rows.iter().filter(|row| row.verdict == Verdict::Bad && row.sent >= last && row.sent < effect);
    let (mut blind, mut known) = (Span::ZERO, last);
    for row in failed {
        blind = blind.max(row.sent.since(known));
        known = known.max(row.done);
    }
    Some((gap, blind.max(effect.since(known))))
}

/// How far before the effect the newest write lies that was acknowledged and found, as all before it were. None when not even the first was.
fn point(watch: &Watch<'_>, lost: &[u64], effect: At) -> Option<Span> {
    let first_lost = lost.iter().filter_map(|n| watch.row(*n)).map(|row| row.done).min().unwrap_or(At(u64::MAX));
    let kept = watch.rows.iter().filter(|row| fate(row) == Fate::Acked && row.done < first_lost && row.done <= effect);
    kept.map(|row| row.done).max().map(|newest| effect.since(newest))
}

/// Whether writes were acknowledged right up to the injector's call: within [`FED`] intervals before it, or after it.
fn fed(watch: &Watch<'_>, item: &Item<'_>) -> bool {
    let (Some(command), Some(effect)) = (item.command, item.effective.and_then(|w| w.hi)) else { return false };
    let from = command.minus(watch.interval.times(FED));
    watch.rows.iter().any(|row| fate(row) == Fate::Acked && row.done >= from && row.done <= effect)
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Facts, Judged, RpoFacts};
    use super::super::sample_journal::*;
    use super::*;
    use crate::event::Legs;
    use crate::plan::{Plan, RpoPlan};

    fn planned(max: u64) -> Plan {
        let mut plan = plan();
        plan.probes.insert(id("orders"), probe_plan("ledger.http", 100.0, Span::millis(800)));
        plan.claims[0].rpo = Some(RpoPlan { max: Span::millis(max), ledger: id("orders") });
        plan
    }

    /// Writes every 100 ms; refused from 10,001 to 12,000.
    fn writes() -> Vec<Sample> {
        Sim { interval: 100_000_000, ..Sim::ms(&[(10_001, 12_000)], 40_000) }.samples()
    }

    fn answer(reader: &str, authority: bool, found: &[(u64, u64)]) -> Event {
        Event::LedgerRead {
            ledger: "orders".into(),
            reader: reader.into(),
            authority,
            settled: true,
            found: found.to_vec(),
            duplicated: vec![],
            unexpected: 0,
            appeared: vec![],
            error: None,
        }
    }

    fn judged(rows: &[Sample], reads: &[Event], max: u64) -> (Facts, RpoFacts) {
        let mut journal = drill(&Sim::ms(&[(10_001, 12_000)], 40_000), 25_000).samples("orders", rows);
        for read in reads {
            journal = journal.at(40_990, read.clone());
        }
        let facts = journal.facts(&planned(max));
        let rpo = facts.claims["back-soon"].rpo.clone().unwrap();
        (facts, rpo)
    }

    const ALL: [(u64, u64); 2] = [(0, 99), (120, 399)];

    #[test]
    fn nothing_lost_passes_and_names_the_resolution() {
        let (facts, rpo) = judged(&writes(), &[answer("api", true, &ALL)], 0);
        let ledger = &facts.ledgers["orders"];
        assert_eq!((ledger.attempted, ledger.acknowledged, ledger.failed, ledger.unknown), (400, 380, 20, 0));
        assert!(ledger.lost.is_empty());
        assert_eq!((rpo.part.verdict, rpo.window.unwrap().window), (Judged::Passed, Span::ZERO));
        assert_eq!(rpo.part.why, "none of 380 acknowledged writes is missing; a loss shorter than 100 ms could not be seen");
        assert_eq!(rpo.window.unwrap().acknowledged_before, 100);
    }

    #[test]
    fn lost_writes_fail_and_the_window_is_signed() {
        // Acknowledged at 9,613 + … and gone: 96 to 99; the window runs from the first lost acknowledgement to the effect.
        let (facts, rpo) = judged(&writes(), &[answer("api", true, &[(0, 95), (120, 399)])], 0);
        assert_eq!(facts.ledgers["orders"].lost, vec![96, 97, 98, 99]);
        assert_eq!((rpo.part.verdict, rpo.window.unwrap().window), (Judged::Failed, Span::millis(10_002 - 9_613)));
        assert_eq!(rpo.part.why, "4 acknowledged writes lost over 389 ms; the objective is that none is lost");
        assert_eq!(judged(&writes(), &[answer("api", true, &[(0, 95), (120, 399)])], 500).1.part.verdict, Judged::Passed);
        assert_eq!(judged(&writes(), &[answer("api", true, &[(0, 95), (120, 399)])], 388).1.part.verdict, Judged::Inconclusive);
        // A split brain loses writes that were acknowledged after the effect.
        let late = judged(&writes(), &[answer("api", true, &[(0, 99), (130, 399)])], 0).1;
        assert_eq!((late.window.unwrap().window, late.window.unwrap().lost), (Span::millis(900), 10));
    }

    #[test]
    fn the_window_is_at_least_from_the_first_lost_to_the_last() {
        // The effect came at some moment between 8 and 10 s; what was lost was acknowledged from 12.013 to 14.913 s.
        let rows = writes();
        let journal = Journal::new().samples("checkout", &Sim::ms(&[(10_001, 12_000)], 40_000).samples());
        let journal = journal.fault("lose-primary", 7_990, (8_000, 10_000)).undo("lose-primary", 25_000).samples("orders", &rows);
        let judge = |max: u64| {
            let journal = journal.clone().at(40_990, answer("api", true, &[(0, 119), (150, 399)])).finish(41_000);
            let rpo = journal.facts(&planned(max)).claims["back-soon"].rpo.clone().unwrap();
            (rpo.part.verdict, rpo.window.unwrap().window)
        };
        assert_eq!(judge(2_000), (Judged::Failed, Span::millis(2_900)));
        assert_eq!(judge(2_900).0, Judged::Passed);
    }

    #[test]
    fn unknown_outcomes_are_no_loss_and_failures_may_rise() {
        let mut rows = writes();
        for row in rows.iter_mut().filter(|r| (100..110).contains(&r.n)) {
            row.class = if row.n % 2 == 0 { Class::Timeout } else { Class::Status };
        }
        let (facts, rpo) = judged(&rows, &[answer("api", true, &[(0, 102), (119, 399)])], 0);
        let ledger = &facts.ledgers["orders"];
        assert_eq!((ledger.unknown, ledger.recovered, ledger.resurrected, ledger.failed), (10, 3, 1, 10));
        assert_eq!(rpo.part.verdict, Judged::Passed);
    }

    #[test]
    fn what_was_not_read_says_nothing() {
        let change = |f: fn(&mut bool, &mut Option<String>)| {
            let mut event = answer("api", true, &ALL);
            if let Event::LedgerRead { settled, error, .. } = &mut event {
                f(settled, error);
            }
            let (facts, rpo) = judged(&writes(), &[event], 0);
            assert_eq!((rpo.part.verdict, rpo.window), (Judged::Inconclusive, None));
            facts.ledgers["orders"].not_read.clone().unwrap()
        };
        assert!(change(|settled, _| *settled = false).contains("had not settled"));
        assert!(change(|_, error| *error = Some("status 500".into())).contains("status 500"));
        let (facts, rpo) = judged(&writes(), &[answer("copy", false, &ALL)], 0);
        assert_eq!((facts.ledgers["orders"].not_read.as_deref(), rpo.part.verdict), (Some("it was not read back"), Judged::Inconclusive));
    }

    #[test]
    fn without_writes_before_the_fault_there_is_no_evidence() {
        let rows: Vec<Sample> = writes()
            .into_iter()
            .map(|mut row| {
                if (90..100).contains(&row.n) {
                    (row.verdict, row.class) = (Verdict::Bad, Class::Refused);
                }
                row
            })
            .collect();
        assert_eq!(judged(&rows, &[answer("api", true, &[(0, 89), (120, 399)])], 0).1.part.verdict, Judged::Invalid);
    }

    #[test]
    fn a_write_without_a_record_leaves_it_open_unless_it_is_found() {
        let rows: Vec<Sample> = writes().into_iter().filter(|r| r.n != 97).collect();
        let (facts, rpo) = judged(&rows, &[answer("api", true, &[(0, 96), (98, 99), (120, 399)])], 0);
        assert_eq!((rpo.part.verdict, facts.ledgers["orders"].unknown), (Judged::Inconclusive, 1));
        assert_eq!(judged(&rows, &[answer("api", true, &ALL)], 0).1.part.verdict, Judged::Passed);
    }

    #[test]
    fn what_only_a_later_read_has_is_stale_and_not_lost() {
        let mut read = answer("api", true, &ALL);
        if let Event::LedgerRead { appeared, .. } = &mut read {
            *appeared = vec![(90, 99), (130, 131)];
        }
        let (facts, rpo) = judged(&writes(), &[read], 0);
        let ledger = &facts.ledgers["orders"];
        assert_eq!((ledger.stale, ledger.lost.len(), rpo.part.verdict), (12, 0, Judged::Passed));
    }

    #[test]
    fn how_old_the_state_is_that_survived() {
        let point = |found: &[(u64, u64)]| judged(&writes(), &[answer("api", true, found)], 0).1.window.unwrap().point;
        // The last write before the effect was acknowledged at 9,913 ms; the effect was seen at 10,002.
        assert_eq!(point(&ALL), Some(Span::millis(89)));
        assert_eq!(point(&[(0, 95), (120, 399)]), Some(Span::millis(489)));
        // One that survived beyond the first that is lost does not make the state any newer.
        assert_eq!(point(&[(0, 95), (97, 99), (120, 399)]), Some(Span::millis(489)));
        assert_eq!(point(&[(1, 99), (120, 399)]), None);
    }

    #[test]
    fn a_loss_in_a_time_in_which_nothing_was_tried_would_not_show() {
        // The effect is seen 2 s after the call; meanwhile writes fail, which leaves nothing to lose; or they were never sent.
        let facts_of = |verdict: Verdict, class: Class| {
            let mut rows = writes();
            rows.iter_mut()
                .filter(|row| (ms(10_100)..ms(11_990)).contains(&row.planned))
                .for_each(|row| (row.verdict, row.class) = (verdict, class));
            let journal = Journal::new().samples("checkout", &Sim::ms(&[(10_001, 12_000)], 40_000).samples());
            let journal = journal.fault("lose-primary", 9_990, (9_995, 11_990)).undo("lose-primary", 25_000).samples("orders", &rows);
            let journal = journal.at(40_990, answer("api", true, &ALL)).finish(41_000);
            journal.facts(&planned(0)).claims["back-soon"].rpo.clone().unwrap()
        };
        let failed = facts_of(Verdict::Bad, Class::Refused);
        assert_eq!(failed.part.verdict, Judged::Passed, "{}", failed.part.why);
        assert!(failed.part.why.ends_with("a loss shorter than 100 ms could not be seen"), "{}", failed.part.why);
        let ours = facts_of(Verdict::Local, Class::Local);
        assert_eq!(ours.part.verdict, Judged::Inconclusive, "{}", ours.part.why);
        assert!(ours.part.why.contains("what was lost then would not show"), "{}", ours.part.why);
    }

    #[test]
    fn writes_whose_records_end_early_leave_it_open() {
        let rows: Vec<Sample> = writes().into_iter().filter(|row| row.n < 300).collect();
        let rpo = judged(&rows, &[answer("api", true, &[(0, 99), (120, 299)])], 0).1;
        assert_eq!(rpo.part.verdict, Judged::Inconclusive, "{}", rpo.part.why);
    }

    #[test]
    fn what_broke_after_it_was_sent_is_not_known_to_have_failed() {
        let tls = |legs: Legs| Sample { verdict: Verdict::Bad, class: Class::Tls, legs, ..writes()[0].clone() };
        assert_eq!(fate(&tls(Legs::of([None, Some(span(1)), None, None]))), Fate::Failed);
        assert_eq!(fate(&tls(Legs::of([None, Some(span(1)), Some(span(2)), None]))), Fate::Unknown);
        let local = |note: &str| Sample { verdict: Verdict::Local, class: Class::Local, note: Some(note.into()), ..writes()[0].clone() };
        assert_eq!((fate(&local("too many open files")), fate(&local(BROKE))), (Fate::Failed, Fate::Unknown));
    }

    #[test]
    fn other_readers_and_foreign_writes_are_reported() {
        let mut read = answer("api", true, &[(0, 99), (120, 405)]);
        if let Event::LedgerRead { duplicated, unexpected, .. } = &mut read {
            (*duplicated, *unexpected) = (vec![5, 6], 3);
        }
        let (facts, rpo) = judged(&writes(), &[read, answer("copy", false, &[(0, 98), (120, 399)])], 0);
        let ledger = &facts.ledgers["orders"];
        assert_eq!((ledger.duplicated, ledger.unexpected), (2, 9));
        assert_eq!(ledger.divergent, vec![("copy".to_owned(), "lacks 1 acknowledged write that the authority has".to_owned())]);
        assert!(rpo.part.why.contains("copy lacks 1"), "{}", rpo.part.why);
    }

    #[test]
    fn hostile_ranges_are_harmless() {
        let found = Found::new(&[(0, u64::MAX), (7, 3), (5, 9)]);
        assert!(found.has(0) && found.has(u64::MAX));
        assert_eq!(found.count(0, u64::MAX - 1), u64::MAX);
        assert_eq!(Found::new(&[(1, 2), (3, 4)]).ranges, vec![(1, 4)]);
    }
}
