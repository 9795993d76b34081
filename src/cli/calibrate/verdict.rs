//! What was measured beside what was true. Pure.
//!
//! A bound covers when it meets the moments between which the truth lies: the server knows each change only as `[before, after]`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::grid::{Case, Length};
use crate::base::{At, Interval, Span};
use crate::measure::facts::{Facts, Outage};
use crate::truth::{Outage as True, State, Told};

/// A change that took longer is no truth to measure by.
const SHARP: Span = Span::millis(1);
/// Lateness that the bar for the point estimate allows.
const POINT_SLACK: Span = Span::millis(1);
/// From which time-out on a connection whose first packet was lost may still be made in time: the kernel sends it again after a second.
const SENT_AGAIN: Span = Span::millis(950);

/// What became of one trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// In which way the service was down.
    pub state: String,
    /// For how long it was to be down.
    pub length: String,
    /// Time between two samples, in µs.
    pub interval_us: u64,
    /// Longest wait for an answer, in µs.
    pub timeout_us: u64,
    /// How long it truly was down, in µs, and the least and most it can have been; of all times together where there were several.
    pub truth_us: Option<(u64, u64)>,
    /// The measured bounds, in µs; nothing where no outage, or more than one, was seen.
    pub measured_us: Option<(u64, Option<u64>)>,
    /// How many outages were seen.
    pub seen: usize,
    /// Their width, in µs.
    pub width_us: Option<u64>,
    /// By how much the point estimate is off, in µs.
    pub point_error_us: Option<u64>,
    /// Whether a client is told at once.
    pub fast: bool,
    /// An edge was widened because the prober was in doubt.
    pub widened: bool,
    /// Whether the arrival bounds hold the truth as well, and how wide they are, in µs; nothing where there are none. They rest on an assumption, and are
    /// told and not judged.
    pub arrival: Option<(bool, Option<u64>)>,
    /// Every bound holds the truth.
    pub covered: bool,
    /// What does not.
    pub wrong: Vec<String>,
}

/// What is said of all trials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Trials that count.
    pub trials: u32,
    /// Of these, how many have every bound around the truth.
    pub covered: u32,
    /// Trials taken again because the server or the prober stood still.
    pub redone: u32,
    /// Median width of the bounds of an outage, in µs, over those that fail fast.
    pub median_width_fast_us: Option<u64>,
    /// The same over those where a client waits for its time-out.
    pub median_width_slow_us: Option<u64>,
    /// Outages with arrival bounds, and how many of these hold the truth.
    #[serde(default)]
    pub arrivals: (u32, u32),
    /// Median width of arrival bounds where clients wait, in µs.
    #[serde(default)]
    pub median_arrival_slow_us: Option<u64>,
    /// Point estimates within one interval and 1 ms of the truth.
    pub points_near: u32,
    /// Point estimates.
    pub points: u32,
    /// Median of their errors, in µs.
    pub median_point_error_us: Option<u64>,
}

/// Compares; `Err` says why the trial proves nothing. `stalls` is when the prober stood still.
pub fn compare(case: &Case, facts: &Facts, told: &[Told], stalls: &[(At, At)]) -> Result<Trial, String> {
    let truth = True::all(told);
    let probe = facts.probes.get("seen").ok_or("the drill has no samples")?;
    doubt(case, facts, told, &truth)?;
    let raw = |at: At| facts.run.start_mono_ns + at.0;
    let expected: Vec<True> = if case.length == Length::None { Vec::new() } else { truth.clone() };
    let mut trial = Trial {
        state: case.state.to_string(),
        length: match case.length {
            Length::For(span) => span.human().to_string(),
            Length::Never => "never".into(),
            Length::None => "none".into(),
            Length::Flap(times, down, up) => format!("{times} × {}/{}", down.human(), up.human()),
        },
        interval_us: case.look.every.as_micros(),
        timeout_us: case.look.timeout.as_micros(),
        truth_us: truly_down(&expected),
        measured_us: None,
        seen: probe.outages.len(),
        width_us: None,
        point_error_us: None,
        fast: case.state.fails_fast(),
        widened: probe.outages.iter().any(|outage| outage.widened),
        arrival: None,
        covered: false,
        wrong: Vec::new(),
    };
    let wrong = &mut trial.wrong;
    for outage in &probe.outages {
        let known = expected.iter().any(|truth| meets(raw, outage.onset, Some(truth.down)) && meets(raw, outage.recovery, truth.up));
        if !known && explained(raw, outage, told, case.look.timeout) {
            return Err("the server stood still".into());
        }
        if !expected.iter().any(|truth| meets(raw, outage.onset, Some(truth.down))) {
            wrong.push(format!("an outage began, it says, {}, and truly nothing did", shown(outage.onset)));
        }
        if !expected.iter().any(|truth| meets(raw, outage.recovery, truth.up)) {
            wrong.push(format!("an outage ended, it says, {}, and truly nothing did", shown(outage.recovery)));
        }
    }
    wrong.extend(unseen(case, facts, (&probe.outages, &expected), stalls)?);
    wrong.extend(in_all(&probe.outages, &expected));
    if let ([outage], [truth]) = (probe.outages.as_slice(), expected.as_slice()) {
        trial.measured(outage, truth, raw);
    }
    let wrong = &mut trial.wrong;
    if probe.outages.len() > expected.len() {
        wrong.push(format!("{} outages were seen where there were {}", probe.outages.len(), expected.len()));
    }
    trial.covered = trial.wrong.is_empty();
    Ok(trial)
}

/// What is wrong with which outages were seen; `Err` where those that were not prove nothing.
fn unseen(case: &Case, facts: &Facts, (outages, expected): (&[Outage], &[True]), stalls: &[(At, At)]) -> Result<Option<String>, String> {
    let raw = |at: At| facts.run.start_mono_ns + at.0;
    // Samples this far apart may fall beside an outage; a longer one has met at least one of them. And whoever only had to wait, and not for too
    // long, was answered: that is no outage by its definition.
    // A packet that nobody took is sent again by the kernel after a second.
    let answered_late = case.state == State::Stall || case.state == State::Blackhole && case.look.timeout >= SENT_AGAIN;
    let waited = if answered_late { case.look.timeout } else { Span(0) };
    let sure = Span(case.look.every.0 + waited.0 + facts.prober.lag_p99.unwrap_or_default().0 + 2_000_000);
    let to_see: Vec<&True> = expected.iter().filter(|truth| length_of(truth).is_some_and(|(least, _)| least > sure.0)).collect();
    let seen = |truth: &True| {
        let overlaps = |outage: &Outage| {
            raw(outage.onset.lo) <= truth.up.map_or(u64::MAX, |up| up.1) && outage.recovery.hi.is_none_or(|hi| truth.down.0 <= raw(hi))
        };
        outages.iter().any(overlaps)
    };
    let unseen: Vec<&&True> = to_see.iter().filter(|truth| !seen(truth)).collect();
    // A time-out that was decided while the prober stood still says nothing, and so the measurement takes it.
    if unseen.iter().any(|truth| stalls.iter().any(|stall| blinded(raw, truth, case.look.timeout, *stall))) {
        return Err("the prober stood still when its samples were decided".into());
    }
    Ok(match (unseen.len(), expected.len()) {
        (0, _) => None,
        (_, 1) => Some("the outage was not seen".into()),
        (missed, all) => Some(format!("{missed} of {all} outages were not seen")),
    })
}

/// Why a trial proves nothing: the truth is not sharp, the drill itself says that its evidence is not valid, or there was no outage.
fn doubt(case: &Case, facts: &Facts, told: &[Told], truth: &[True]) -> Result<(), String> {
    if truth.is_empty() {
        return Err("the service never went down".into());
    }
    if !facts.validity.valid {
        return Err(format!("the drill is not valid: {}", facts.validity.reasons.join("; ")));
    }
    if facts.steady_before.is_none() {
        return Err("the service was not steady".into());
    }
    let edges: Vec<(u64, u64)> = truth.iter().flat_map(|one| std::iter::once(one.down).chain(one.up)).collect();
    if edges.iter().any(|(before, after)| after - before > SHARP.0) {
        return Err("the server took too long to change".into());
    }
    // A server that stands still near an edge answers late, and a client may give up on it: that is no fault of the measurement.
    let near = case.look.timeout.0;
    let stood = told.iter().any(|line| match line {
        Told::Stall { from_mono_ns, to_mono_ns } => {
            edges.iter().any(|(before, after)| before.saturating_sub(near) <= *to_mono_ns && *from_mono_ns <= after.saturating_add(near))
        }
        _ => false,
    });
    if stood { Err("the server stood still".into()) } else { Ok(()) }
}

/// Whether an outage of time-outs that nobody caused is one of the server's own: it says itself that it stood still, or waited for a processor, for at
/// least half of the time that its clients had for an answer. One that failed in any other way is never explained by that.
fn explained(raw: impl Fn(At) -> u64, outage: &Outage, told: &[Told], timeout: Span) -> bool {
    if !outage.reason.contains("no full answer") {
        return false;
    }
    let (from, to) = (raw(outage.onset.lo).saturating_sub(timeout.0), outage.recovery.hi.map_or(u64::MAX, &raw));
    let within = |line: &Told| match line {
        Told::Stall { from_mono_ns, to_mono_ns } => (*to_mono_ns).min(to).saturating_sub((*from_mono_ns).max(from)),
        _ => 0,
    };
    let waited = |line: &Told| match line {
        Told::Waited { from_mono_ns, to_mono_ns, waited_ns } if *from_mono_ns < to && *to_mono_ns > from => *waited_ns,
        _ => 0,
    };
    // A stall may be a wait as well: the longer of the two accounts counts, not both.
    let (stood, waited) = (told.iter().map(within).sum::<u64>(), told.iter().map(waited).sum::<u64>());
    stood.max(waited) >= timeout.0 / 2
}

/// Whether the prober stood still while samples of an outage were under way.
fn blinded(raw: impl Fn(At) -> u64, truth: &True, timeout: Span, (from, to): (At, At)) -> bool {
    let end = truth.up.map_or(u64::MAX, |up| up.1.saturating_add(timeout.0).saturating_add(Span::millis(5).0));
    raw(from) <= end && truth.down.0 <= raw(to)
}

/// What is wrong with how long it was down in all, where it was more than once and each was seen. Where it was up for less than samples are apart, what was
/// measured spans the time between.
fn in_all(outages: &[Outage], expected: &[True]) -> Option<String> {
    if expected.len() < 2 || outages.len() != expected.len() || expected.iter().any(|truth| truth.up.is_none()) {
        return None;
    }
    let (least, most) = truly_down(expected)?;
    let lo: u64 = outages.iter().map(|outage| outage.lo.as_micros()).sum();
    let hi = outages.iter().try_fold(0u64, |sum, outage| outage.hi.map(|hi| sum + hi.0.div_ceil(1000)));
    let wrong = lo > most || hi.is_some_and(|hi| hi < least);
    wrong.then(|| format!("it was down for {} to {} in all", Span::micros(least).human(), Span::micros(most).human()))
}

fn length_of(truth: &True) -> Option<(u64, u64)> {
    truth.up.map(|up| (up.0.saturating_sub(truth.down.1), up.1 - truth.down.0))
}

fn truly_down(truth: &[True]) -> Option<(u64, u64)> {
    let lengths: Vec<(u64, u64)> = truth.iter().filter_map(length_of).collect();
    let sum = |pick: fn(&(u64, u64)) -> u64| lengths.iter().map(pick).sum::<u64>() / 1000;
    (!lengths.is_empty()).then(|| (sum(|length| length.0), sum(|length| length.1)))
}

/// Whether measured bounds hold some moment of the truth; an edge that never came is held by an open bound.
fn meets(raw: impl Fn(At) -> u64, measured: Interval, truth: Option<(u64, u64)>) -> bool {
    match truth {
        Some((before, after)) => raw(measured.lo) <= after && measured.hi.is_none_or(|hi| before <= raw(hi)),
        None => measured.hi.is_none(),
    }
}

fn shown(bounds: Interval) -> String {
    let hi = bounds.hi.map_or("…".to_owned(), |hi| Span(hi.0).human().to_string());
    format!("{} – {hi} after the start", Span(bounds.lo.0).human())
}

impl Trial {
    /// Of one outage where there truly was one: its bounds, and whether its length is within them.
    fn measured(&mut self, outage: &Outage, truth: &True, raw: impl Fn(At) -> u64 + Copy) {
        self.measured_us = Some((outage.lo.as_micros(), outage.hi.map(|hi| hi.0.div_ceil(1000))));
        self.arrival = outage.arrival.map(|arrival| {
            let held = meets(raw, arrival.onset, Some(truth.down)) && meets(raw, arrival.recovery, truth.up);
            (held, arrival.hi.map(|hi| (hi - arrival.lo).as_micros()))
        });
        self.width_us = outage.hi.map(|hi| (hi - outage.lo).as_micros());
        if let Some((least, most)) = length_of(truth) {
            if outage.lo.0 > most || outage.hi.is_some_and(|hi| hi.0 < least) {
                self.wrong.push(format!("it was down for {} to {}", Span(least).human(), Span(most).human()));
            }
            self.point_error_us = outage.point.map(|point| point.0.abs_diff(u64::midpoint(least, most)) / 1000);
        }
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let us = |us: u64| Span::micros(us).human();
        let truth = self.truth_us.map_or("nothing".to_owned(), |(least, _)| us(least).to_string());
        let seen = match self.measured_us {
            Some((lo, Some(hi))) => format!("{} – {}", us(lo), us(hi)),
            Some((lo, None)) => format!("at least {}", us(lo)),
            None if self.seen > 0 => format!("{} outages", self.seen),
            None => "nothing".to_owned(),
        };
        let what = format!("{:10} {:14} every {}", self.state, self.length, us(self.interval_us));
        let wrong = if self.covered { String::new() } else { format!("  WRONG: {}", self.wrong.join("; ")) };
        format!("{what}: truly {truth}, measured {seen}{wrong}")
    }
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

impl Summary {
    /// Over these trials.
    pub fn of(trials: &[Trial], redone: u32) -> Summary {
        let count = |pick: &dyn Fn(&&Trial) -> bool| u32::try_from(trials.iter().filter(pick).count()).unwrap_or(u32::MAX);
        let widths = |fast: bool| median(trials.iter().filter(|t| t.fast == fast).filter_map(|t| t.width_us).collect());
        let near = |t: &&Trial| t.point_error_us.is_some_and(|error| error <= t.interval_us + POINT_SLACK.as_micros());
        Summary {
            trials: count(&|_| true),
            covered: count(&|t| t.covered),
            redone,
            median_width_fast_us: widths(true),
            median_width_slow_us: widths(false),
            arrivals: (count(&|t| t.arrival.is_some()), count(&|t| t.arrival.is_some_and(|(held, _)| held))),
            median_arrival_slow_us: median(trials.iter().filter(|t| !t.fast).filter_map(|t| t.arrival?.1).collect()),
            points_near: count(&near),
            points: count(&|t| t.point_error_us.is_some()),
            median_point_error_us: median(trials.iter().filter_map(|t| t.point_error_us).collect()),
        }
    }
}

/// The summary for people.
pub fn text(summary: &Summary, trials: &[Trial]) -> String {
    let mut out = String::new();
    let us = |us: Option<u64>| us.map_or("–".to_owned(), |us| Span::micros(us).human().to_string());
    let _ = writeln!(out, "{} of {} trials: every bound holds the truth", summary.covered, summary.trials);
    let _ = writeln!(
        out,
        "median width      {} where clients are told at once, {} where they wait",
        us(summary.median_width_fast_us),
        us(summary.median_width_slow_us)
    );
    let _ = writeln!(
        out,
        "point estimates   {} of {} within one interval and 1 ms, median error {}",
        summary.points_near,
        summary.points,
        us(summary.median_point_error_us)
    );
    let (arrivals, held) = summary.arrivals;
    if arrivals > 0 {
        let width = us(summary.median_arrival_slow_us);
        let _ = writeln!(out, "arrival bounds    {held} of {arrivals} hold the truth, median width {width} where they wait");
    }
    if summary.redone > 0 {
        let _ = writeln!(
            out,
            "taken again       {}: they proved nothing, because the server or the prober stood still, or the disk refused",
            summary.redone
        );
    }
    for trial in trials.iter().filter(|trial| !trial.covered) {
        let _ = writeln!(out, "  {}", trial.line());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(onset: (u64, u64), recovery: (u64, Option<u64>)) -> Outage {
        let lo = Span(recovery.0.saturating_sub(onset.1));
        Outage {
            onset: Interval::new(At(onset.0), At(onset.1)),
            recovery: Interval { lo: At(recovery.0), hi: recovery.1.map(At) },
            point: None,
            lo,
            hi: recovery.1.map(|hi| Span(hi - onset.0)),
            censored: recovery.1.is_none(),
            samples: 1,
            reason: String::new(),
            widened: false,
            arrival: None,
        }
    }

    #[test]
    fn bounds_meet_the_truth_or_do_not() {
        let raw = |at: At| at.0 + 1000;
        let seen = outage((10, 20), (50, Some(60)));
        assert!(meets(raw, seen.onset, Some((1015, 1016))));
        assert!(meets(raw, seen.onset, Some((1020, 1021))), "an edge at the bound is inside");
        assert!(!meets(raw, seen.onset, Some((1021, 1022))));
        assert!(!meets(raw, seen.onset, Some((1000, 1009))));
        assert!(!meets(raw, seen.recovery, None), "what never ended has no upper bound");
        let open = outage((10, 20), (50, None));
        assert!(meets(raw, open.recovery, None) && meets(raw, open.recovery, Some((9_000, 9_001))));
    }

    #[test]
    fn a_prober_that_stood_still_has_proven_nothing() {
        let raw = |at: At| at.0 + 1000;
        let ms = |n: u64| Span::millis(n).0;
        let truth = True { down: (ms(100), ms(101)), up: Some((ms(103), ms(104))) };
        let stood = |from: u64, to: u64| blinded(raw, &truth, Span::millis(50), (At(ms(from)), At(ms(to))));
        assert!(stood(150, 160) && stood(90, 120) && stood(102, 103));
        assert!(!stood(160, 200) && !stood(10, 90));
    }

    #[test]
    fn a_server_that_stood_still_explains_time_outs_and_nothing_else() {
        let raw = |at: At| at.0;
        let ms = |n: u64| Span::millis(n).0;
        let seen = |reason: &str| Outage { reason: reason.into(), ..outage((ms(100), ms(150)), (ms(120), Some(ms(170)))) };
        let stood = |from: u64, to: u64| [Told::Stall { from_mono_ns: ms(from), to_mono_ns: ms(to) }];
        let late = seen("no full answer within 50ms");
        assert!(explained(raw, &late, &stood(100, 130), Span::millis(50)));
        assert!(!explained(raw, &late, &stood(100, 124), Span::millis(50)), "less than half of the time");
        assert!(!explained(raw, &late, &stood(10, 50), Span::millis(50)), "long before");
        assert!(!explained(raw, &seen("connection refused"), &stood(100, 130), Span::millis(50)));
        let waited = |from: u64, to: u64, long: u64| [Told::Waited { from_mono_ns: ms(from), to_mono_ns: ms(to), waited_ns: ms(long) }];
        assert!(explained(raw, &late, &waited(90, 140, 30), Span::millis(50)));
        assert!(!explained(raw, &late, &waited(90, 140, 20), Span::millis(50)), "less than half of the time");
        assert!(!explained(raw, &late, &waited(10, 50, 40), Span::millis(50)), "long before");
    }

    #[test]
    fn several_outages_are_held_against_the_whole() {
        let ms = |n: u64| Span::millis(n).0;
        let truth = [(100, 200), (300, 400)].map(|(down, up)| True { down: (ms(down), ms(down)), up: Some((ms(up), ms(up))) });
        let seen = |from: u64, to: u64| outage((ms(from - 10), ms(from + 10)), (ms(to - 10), Some(ms(to + 10))));
        assert_eq!(in_all(&[seen(100, 200), seen(300, 400)], &truth), None);
        assert!(in_all(&[seen(100, 130), seen(300, 330)], &truth).is_some(), "too short");
        assert!(in_all(&[seen(100, 260), seen(300, 460)], &truth).is_some(), "too long");
        assert_eq!(in_all(&[seen(100, 400)], &truth), None, "whoever did not see it up between says that it was down throughout");
    }

    #[test]
    fn lengths_add_up() {
        let truth = [True { down: (0, 1_000), up: Some((5_000, 6_000)) }, True { down: (10_000, 10_000), up: None }];
        assert_eq!(truly_down(&truth), Some((4, 6)));
        assert_eq!(truly_down(&[]), None);
        assert_eq!(median(vec![3, 1, 2]), Some(2));
        assert_eq!(median(vec![4, 1, 2, 3]), Some(2));
        assert_eq!(median(vec![]), None);
    }
}
