//! Latency by probe and phase (design 1.7). Phases go by *planned* time, so that a slow answer counts where it was asked for.
//!
//! `response_all` holds every answer and every error; a time-out enters it at its limit, as *at least* that long. Errors never enter
//! `service_ok`: a refusal in 40 µs must not improve a percentile.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use indexmap::IndexMap;

use crate::base::{At, Span};
use crate::event::{Class, Leg, Quiet, Sample, Verdict};
use crate::fold::packed::{histogram, record, unpack};
use crate::fold::steady::rank;

use super::episode::Recovery;
use super::facts::{Counts, LegFacts, Percentiles, PhaseFacts, Second};
use super::prober::Taint;
use super::read::{Item, Read};
use super::watch::{Piece, Watch};

const SECOND: u64 = 1_000_000_000;
/// A phase of an episode: its name and its times.
pub(super) struct Phase {
    /// `before`, `FAULT.during` …
    pub name: String,
    /// Its times; several when it is interrupted.
    pub times: Vec<(At, At)>,
}

/// The phases of a run.
pub(super) fn phases(read: &Read<'_>, recoveries: &IndexMap<&str, Recovery>) -> Vec<Phase> {
    let faults = || read.plan.faults.keys().filter_map(|id| read.items.get_key_value(id.as_str())).filter(|(_, i)| i.command.is_some());
    let first = faults().filter_map(|(_, i)| i.command).min();
    let end = read.end + Span(1);
    let mut all = vec![Phase { name: "before".into(), times: vec![(read.begun, first.unwrap_or(end))] }];
    for (id, item) in faults() {
        all.extend(phases_of(read, id, item, recoveries.get(id)));
    }
    all.retain(|phase| phase.times.iter().any(|(from, to)| from < to));
    all
}

fn phases_of(read: &Read<'_>, id: &str, item: &Item<'_>, recovery: Option<&Recovery>) -> Vec<Phase> {
    let Some(command) = item.command else { return Vec::new() };
    let next = read.items.values().filter(|i| !i.support).filter_map(|i| i.command).filter(|c| *c > command).min();
    let end = next.unwrap_or(read.end + Span(1));
    // A journal may be damaged; times in it need not be in order.
    let undo = item.undo_started.unwrap_or(end).min(end).max(command);
    let undone = item.undone.and_then(|w| w.hi).unwrap_or(end).clamp(undo, end);
    let effect = item.effective.and_then(|w| w.hi).map(|hi| hi.clamp(command, undo));
    let mut phases = vec![("inject", vec![(command, effect.unwrap_or(undo))])];
    if let Some(effect) = effect {
        phases.push(("during", vec![(effect, undo)]));
    }
    phases.push(("undo", vec![(undo, undone)]));
    phases.push(("after", vec![(undone, end)]));
    if let (Some(effect), Some(recovery)) = (effect, recovery) {
        let up = recovery.stable.when.hi.unwrap_or(end).min(end);
        phases.push(("recovering", vec![(effect, undo.min(up)), (undone, up)]));
    }
    let phase = |(name, times): (&str, Vec<(At, At)>)| Phase { name: format!("{id}.{name}"), times };
    phases.into_iter().map(phase).collect()
}

/// One probe in one phase, with what claims need beyond the facts.
pub(super) struct Measured {
    /// The facts.
    pub facts: PhaseFacts,
    response: Histogram<u64>,
    /// Those that were answered; only where some were not.
    answered: Option<Histogram<u64>>,
    timeouts: u64,
    unknown: u64,
}

impl Measured {
    /// A quantile of `response_all`, and whether it falls among time-outs. `None` without samples.
    pub fn quantile(&self, q: f64) -> Option<(Span, bool)> {
        let n = self.response.len();
        let censored = rank(q, n as usize) as u64 > n - self.timeouts.min(n);
        (n > 0).then(|| (Span(self.response.value_at_quantile(q)), censored))
    }

    /// The same, as if every sample that timed out or that we lost had been slower than any: `None` when it would fall among them. One that left
    /// late may have taken longer, from when it was due, than the time-out of another.
    pub fn worst(&self, q: f64) -> Option<Span> {
        let answered = self.answered.as_ref().unwrap_or(&self.response);
        let at = rank(q, (self.response.len() + self.unknown) as usize) as u64;
        let n = answered.len();
        (at > 0 && at <= n).then(|| Span(answered.value_at_quantile(at as f64 / n as f64)))
    }
}

/// One probe in one phase.
pub(super) fn measure(watch: &Watch<'_>, phase: &Phase, taint: f64) -> Measured {
    let (mut response, mut service, mut lag) = (histogram(), histogram(), histogram());
    let (mut counts, mut timed_out, mut in_doubt) = (Counts::default(), Vec::new(), 0);
    let mut legs: BTreeMap<Leg, Histogram<u64>> = BTreeMap::new();
    for &(from, to) in phase.times.iter().filter(|(from, to)| from < to) {
        let rows = watch.planned(from, to);
        for row in rows {
            tally(&mut counts, row);
            in_doubt += u64::from(watch.unsure.contains(&row.n));
            record(&mut lag, row.lag());
            if matches!(row.verdict, Verdict::Ok | Verdict::Bad) {
                match row.class {
                    Class::Timeout => timed_out.push(response_of(row, watch)),
                    _ => record(&mut response, row.response()),
                }
                row.legs.iter().for_each(|(leg, took)| record(legs.entry(leg).or_insert_with(histogram), took));
            }
            if row.verdict == Verdict::Ok {
                record(&mut service, row.service());
            }
        }
        for run in watch.quiet(from, to) {
            quietly(&mut counts, run.count);
            for (into, packed) in [(&mut response, &run.response), (&mut service, &run.service), (&mut lag, &run.lag)] {
                // One that grows takes whatever another holds.
                let _ = into.add(unpack(packed));
            }
            for (leg, packed) in &run.legs {
                let _ = legs.entry(*leg).or_insert_with(histogram).add(unpack(packed));
            }
        }
        let missing = watch.missing(from, to);
        counts.planned += missing;
        counts.local += missing;
    }
    let answered = (!timed_out.is_empty()).then(|| response.clone());
    timed_out.iter().for_each(|took| record(&mut response, *took));
    let timeouts = timed_out.len() as u64;
    let facts = PhaseFacts {
        length: phase.times.iter().fold(Span::ZERO, |sum, (from, to)| sum + to.since(*from)),
        response: percentiles(&response, timeouts),
        service_ok: percentiles(&service, 0),
        legs: legs.iter().filter_map(|(leg, took)| Some((*leg, LegFacts { count: took.len(), took: percentiles(took, 0)? }))).collect(),
        lag_p99: (!lag.is_empty()).then(|| Span(lag.value_at_quantile(0.99))),
        tainted: taint > 0.01,
        in_doubt,
        degraded: None,
        shifts: None,
        histogram: buckets(&response),
        counts,
    };
    Measured { unknown: facts.counts.local + facts.counts.capped, facts, response, answered, timeouts }
}

/// A time-out counts at its limit, whatever our own timer added.
pub(super) fn response_of(row: &Sample, watch: &Watch<'_>) -> Span {
    if row.class == Class::Timeout { row.response().max(watch.plan.timeout) } else { row.response() }
}

/// Counts a sample in.
pub(super) fn tally(counts: &mut Counts, row: &Sample) {
    counts.planned += 1;
    match row.verdict {
        Verdict::Ok => counts.ok += 1,
        Verdict::Bad => {
            counts.bad += 1;
            *counts.by_class.entry(row.class).or_default() += 1;
        }
        Verdict::Local => counts.local += 1,
        Verdict::Capped => counts.capped += 1,
    }
}

/// Counts samples of a run in.
pub(super) fn quietly(counts: &mut Counts, samples: u64) {
    counts.planned += samples;
    counts.ok += samples;
}

fn percentiles(from: &Histogram<u64>, timeouts: u64) -> Option<Percentiles> {
    let n = from.len();
    let at = |q: f64| Span(from.value_at_quantile(q).min(from.max()));
    let censored = (timeouts > 0).then(|| ((n - timeouts.min(n)) * 1000 / n.max(1)) as u32 + 1);
    (n > 0).then(|| Percentiles {
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: Span(from.max()),
        censored_from: censored,
    })
}

/// For the picture: ten buckets a decade.
fn buckets(from: &Histogram<u64>) -> Vec<(Span, u64)> {
    let mut out: Vec<(Span, u64)> = Vec::new();
    for value in from.iter_recorded() {
        let step = ((value.value_iterated_to() as f64).log10() * 10.0).floor() as i32 + 1;
        let bound = Span(10f64.powf(f64::from(step) / 10.0).round() as u64);
        match out.last_mut() {
            Some(last) if last.0 == bound => last.1 += value.count_at_value(),
            _ => out.push((bound, value.count_at_value())),
        }
    }
    out
}

/// One row per second in which anything was planned.
pub(super) fn seconds(watch: &Watch<'_>, id: &str, taint: &Taint) -> Vec<Second> {
    let mut out = Vec::new();
    let mut rest = &watch.rows[..];
    while let Some(first) = rest.first() {
        let second = first.planned.0 / SECOND;
        let (here, more) = rest.split_at(rest.partition_point(|row| row.planned.0 / SECOND <= second));
        rest = more;
        let mut counts = Counts::default();
        here.iter().for_each(|row| tally(&mut counts, row));
        let speaking = here.iter().filter(|row| matches!(row.verdict, Verdict::Ok | Verdict::Bad));
        let mut took: Vec<Span> = speaking.map(|row| response_of(row, watch)).collect();
        took.sort_unstable();
        let at = |q: f64| rank(q, took.len()).checked_sub(1).and_then(|i| took.get(i).copied());
        out.push(Second {
            at: At(second * SECOND),
            ok: counts.ok as u32,
            bad: counts.bad as u32,
            other: (counts.local + counts.capped) as u32,
            p50: at(0.5),
            p99: at(0.99),
            max: took.last().copied(),
            tainted: taint.second(id, second),
        });
    }
    for run in &watch.quiet {
        out.extend(seconds_of(watch, run, |second| taint.second(id, second)));
    }
    out.sort_by_key(|second| second.at);
    out.dedup_by(|more, second| {
        let same = more.at == second.at;
        if same {
            join(second, more);
        }
        same
    });
    out
}

/// The seconds of a run. Its distribution is that of each of them, as far as anybody can still tell.
fn seconds_of(watch: &Watch<'_>, run: &Quiet, tainted: impl Fn(u64) -> bool) -> Vec<Second> {
    let response = unpack(&run.response);
    let at = |q: f64| (!response.is_empty()).then(|| Span(response.value_at_quantile(q).min(response.max())));
    let of = |second: u64| Second {
        at: At(second * SECOND),
        ok: u32::try_from(
            watch.quietly(At(second * SECOND).max(run.first.planned), At((second + 1) * SECOND).min(run.last.planned + Span(1))),
        )
        .unwrap_or(u32::MAX),
        bad: 0,
        other: 0,
        p50: at(0.5),
        p99: at(0.99),
        max: at(1.0),
        tainted: tainted(second),
    };
    (run.first.planned.0 / SECOND..=run.last.planned.0 / SECOND).map(of).collect()
}

/// One second of which two parts are known.
fn join(second: &mut Second, more: &Second) {
    if more.ok + more.bad > second.ok + second.bad {
        second.p50 = more.p50;
    }
    second.ok += more.ok;
    second.bad += more.bad;
    second.other += more.other;
    second.p99 = second.p99.max(more.p99);
    second.max = second.max.max(more.max);
}

/// Who answered, in order of sending, each until its last answer. Answers that alternate all the time end in `several`.
pub(super) fn served_by(watch: &Watch<'_>) -> Vec<(String, Option<At>)> {
    const MOST: usize = 64;
    let mut out: Vec<(String, Option<At>)> = Vec::new();
    let mut answered = |by: &str, done: At| -> bool {
        let full = out.len() == MOST;
        match out.last_mut() {
            Some((who, until)) if who == by => *until = (*until).max(Some(done)),
            _ if full => {
                out.push(("several".into(), None));
                return false;
            }
            _ => out.push((by.to_owned(), Some(done))),
        }
        true
    };
    for piece in watch.pieces() {
        let goes_on = match piece {
            Piece::Each(row) if row.verdict == Verdict::Ok => row.by.as_ref().is_none_or(|by| answered(by, row.done)),
            Piece::Each(_) => true,
            Piece::Run(run) => {
                let (first, last) = (run.first.by.as_deref(), run.last.by.as_deref());
                let within = run.by.iter().map(|(who, _)| who.as_str()).filter(|who| Some(*who) != last);
                let order = first.into_iter().chain(within).chain(last);
                order.into_iter().all(|by| answered(by, run.last.done))
            }
        };
        if !goes_on {
            return out;
        }
    }
    if let Some(last) = out.last_mut() {
        last.1 = None;
    }
    out
}
