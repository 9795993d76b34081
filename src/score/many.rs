//! What many runs of the same thing can claim (design 1.8). Nothing is averaged and nothing is assumed of a distribution: a run either came back
//! within the objective, by its upper bound, or it did not.

use super::verdict::sustained_through;
use super::words::many;
use crate::base::Span;
use crate::measure::facts::{ClaimFacts, Facts, Judged, SteadyAfter};
use crate::plan::{Plan, TestKind};

/// Confidence of every statement: one in twenty such statements may be wrong.
pub const CONFIDENCE: f64 = 0.95;
/// The share that people ask about.
const ASKED: f64 = 0.95;

/// One run as evidence for one claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The run.
    pub run: String,
    /// Recovery time, at least; absent when the claim has none or it could not be measured.
    pub lo: Option<Span>,
    /// Recovery time, at most; absent when it was not seen to come back.
    pub hi: Option<Span>,
    /// The same where it came back by itself: what is not known to have recovered before its undo bounds nothing.
    pub itself: Option<Span>,
    /// What was said of the recovery time.
    pub rto: Option<Judged>,
    /// What was said of the whole claim.
    pub whole: Judged,
}

/// A run that is no evidence, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excluded {
    /// The run.
    pub run: String,
    /// Why, in words.
    pub why: String,
}

/// What many runs say of one claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Many {
    /// The claim.
    pub claim: String,
    /// Its objective for the recovery time.
    pub objective: Option<Span>,
    /// Runs that count, in their order.
    pub counted: Vec<Counted>,
    /// Runs that do not.
    pub excluded: Vec<Excluded>,
}

/// How often something held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// In so many runs.
    pub held: u32,
    /// Of so many.
    pub of: u32,
    /// At [`CONFIDENCE`], it holds in at least this share of all such runs.
    pub at_least: f64,
}

/// The natural logarithm of the sum of exponentials, without overflow.
fn ln_sum(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY { top } else { top + terms.iter().map(|term| (term - top).exp()).sum::<f64>().ln() }
}

/// The chance of at most `failures` failures in `runs` runs, where each holds with the chance `share`: the sum over i ≤ k of C(n, i) (1 − p)^i p^(n − i).
fn at_most(failures: u32, runs: u32, share: f64) -> f64 {
    let (p, q) = (share.ln(), (1.0 - share).ln());
    let mut ln_choose = 0.0;
    let mut terms = Vec::new();
    for i in 0..=failures.min(runs) {
        if i > 0 {
            ln_choose += f64::from(runs - i + 1).ln() - f64::from(i).ln();
        }
        let failed = if i == 0 { 0.0 } else { f64::from(i) * q };
        let held = if i == runs { 0.0 } else { f64::from(runs - i) * p };
        terms.push(ln_choose + failed + held);
    }
    ln_sum(&terms).exp().min(1.0)
}

/// The largest share that `runs` runs with so many failures support: the exact one-sided binomial bound (Clopper and Pearson). Zero for no runs.
pub fn share_shown(runs: u32, failures: u32, confidence: f64) -> f64 {
    if runs == 0 || failures >= runs {
        return 0.0;
    }
    let (mut lo, mut hi) = (0.0_f64, 1.0_f64);
    for _ in 0..100 {
        let middle = f64::midpoint(lo, hi);
        if at_most(failures, runs, middle) <= 1.0 - confidence { lo = middle } else { hi = middle }
    }
    lo
}

/// How many runs with so many failures among them support a share.
pub fn runs_needed(share: f64, failures: u32, confidence: f64) -> u32 {
    (failures + 1..1_000_000).find(|runs| at_most(failures, *runs, share) <= 1.0 - confidence).unwrap_or(u32::MAX)
}

impl Share {
    fn of(held: usize, of: usize) -> Share {
        let (held, of) = (u32::try_from(held).unwrap_or(u32::MAX), u32::try_from(of).unwrap_or(u32::MAX));
        Share { held, of, at_least: share_shown(of, of - held, CONFIDENCE) }
    }

    /// What that supports, and what it does not, in sentences.
    pub fn sentence(&self, what: &str) -> String {
        // Rounded down: never more than was shown.
        let percent = |share: f64| format!("{} %", (share * 1000.0).floor() / 10.0);
        let Share { held, of, at_least } = *self;
        if of == 0 {
            return format!("no run says anything of whether {what}");
        }
        let failures = of - held;
        let needed = runs_needed(ASKED, failures, CONFIDENCE);
        let more = if of >= needed {
            String::new()
        } else {
            let failed = if failures == 0 { String::new() } else { format!(" with no further failure than {failures}") };
            format!("; {needed} runs{failed} would support {}", percent(ASKED))
        };
        if held == 0 {
            return format!("{held} of {of}: that {what} cannot be claimed of any share of such cases");
        }
        format!("{held} of {of}: {what} in at least {} of such cases, at {} confidence{more}", percent(at_least), percent(CONFIDENCE))
    }
}

/// A share of all recoveries with the longest that they take, at [`CONFIDENCE`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// The share.
    pub share: f64,
    /// At most.
    pub within: Span,
    /// Which of the upper bounds that is, counted from the shortest, and of how many.
    pub rank: (usize, usize),
}

impl Bound {
    /// Of n runs the order statistic X(n − k), for the largest k at which n runs with k longer ones still support the share (design 1.8): what is asked
    /// for where that many were made, else the largest share that the longest bounds. Runs that were not seen to come back by themselves took longer than any.
    fn of(runs: &[Counted]) -> Option<Bound> {
        let mut known: Vec<Span> = runs.iter().filter_map(|run| run.itself).collect();
        known.sort_unstable();
        let (all, open) = (u32::try_from(runs.len()).ok()?, u32::try_from(runs.len() - known.len()).ok()?);
        let enough = (open..all).take_while(|k| runs_needed(ASKED, *k, CONFIDENCE) <= all).last();
        let (share, longer) = enough.map_or_else(|| (share_shown(all, open, CONFIDENCE), open), |k| (ASKED, k));
        let rank = (all - longer) as usize;
        let within = *known.get(rank.checked_sub(1)?)?;
        Some(Bound { share, within, rank: (rank, all as usize) })
    }

    /// In a sentence.
    pub fn sentence(&self) -> String {
        // Rounded down: never more than was shown.
        let share = (self.share * 1000.0).floor() / 10.0;
        let which = if self.rank.0 == self.rank.1 { "the longest".to_owned() } else { format!("the {}.", self.rank.0) };
        let (within, all) = (super::words::bounds(Span::ZERO, Some(self.within)), words_of(self.rank.1));
        format!("at least {share} % of recoveries take {within} ({which} of {all}), at {} % confidence", CONFIDENCE * 100.0)
    }
}

fn words_of(runs: usize) -> String {
    many(runs as u64, "upper bound")
}

impl Many {
    /// What runs say of a claim: `facts` of each, in their order.
    pub fn of<'a>(claim: &str, runs: impl Iterator<Item = (&'a str, &'a Plan, &'a Facts)>) -> Many {
        let mut many = Many { claim: claim.to_owned(), objective: None, counted: Vec::new(), excluded: Vec::new() };
        for (run, plan, facts) in runs {
            match evidence(claim, facts) {
                Ok(found) => {
                    many.objective = many.objective.or(found.rto.as_ref().map(|rto| rto.claimed));
                    many.counted.push(Counted { whole: whole(plan, facts, found), ..counted(run, found) });
                }
                Err(why) => many.excluded.push(Excluded { run: run.to_owned(), why }),
            }
        }
        many
    }

    /// In how many the recovery time was within its objective, by its upper bound; nothing where none is claimed.
    pub fn within(&self) -> Option<Share> {
        self.objective?;
        Some(Share::of(self.counted.iter().filter(|run| run.rto == Some(Judged::Passed)).count(), self.counted.len()))
    }

    /// The longest that a share of recoveries takes; nothing where no recovery time is claimed, or none is known.
    pub fn bound(&self) -> Option<Bound> {
        self.objective?;
        Bound::of(&self.counted)
    }

    /// In how many the whole claim held.
    pub fn whole(&self) -> Share {
        Share::of(self.counted.iter().filter(|run| run.whole == Judged::Passed).count(), self.counted.len())
    }

    /// `59 of 61 started; 2 excluded: …`.
    pub fn counts(&self) -> String {
        let all = self.counted.len() + self.excluded.len();
        if self.excluded.is_empty() {
            return many(all as u64, "run");
        }
        let why: Vec<String> = self.excluded.iter().map(|one| format!("{}: {}", one.run, one.why)).collect();
        format!("{} of {all} runs; {} excluded ({})", self.counted.len(), self.excluded.len(), why.join("; "))
    }
}

/// What a run says of the whole claim: that steady state came back after the undo, and that a sustained test did not leave it, are part of it.
fn whole(plan: &Plan, facts: &Facts, found: &ClaimFacts) -> Judged {
    let mut parts = vec![found.verdict];
    match &facts.steady_after {
        SteadyAfter::Held(_) => {}
        SteadyAfter::Missed(_) => parts.push(Judged::Failed),
        SteadyAfter::NotReached => parts.push(Judged::Inconclusive),
    }
    let episode = facts.episodes.get(&found.fault);
    if let Some((episode, effective)) = episode.and_then(|e| Some((e, e.effective?))).filter(|_| plan.test == TestKind::Sustained) {
        let mut said = Vec::new();
        sustained_through(plan, facts, &found.fault, episode, effective, &mut said);
        parts.extend(said.into_iter().map(|(verdict, _)| verdict));
    }
    let worst = [Judged::Failed, Judged::Invalid, Judged::Inconclusive].into_iter().find(|verdict| parts.contains(verdict));
    worst.unwrap_or(Judged::Passed)
}

fn counted(run: &str, found: &ClaimFacts) -> Counted {
    let measured = found.rto.as_ref().and_then(|rto| rto.measured);
    Counted {
        run: run.to_owned(),
        lo: measured.map(|range| range.lo),
        hi: measured.and_then(|range| range.hi),
        itself: measured.and_then(|range| range.hi).filter(|_| found.rto.as_ref().is_some_and(|rto| rto.self_recovered == Some(true))),
        rto: found.rto.as_ref().map(|rto| rto.part.verdict),
        whole: found.verdict,
    }
}

/// What a run says of a claim; `Err` says why it says nothing. Whatever was injected and not seen to come back counts, and counts as failed.
fn evidence<'a>(claim: &str, facts: &'a Facts) -> Result<&'a ClaimFacts, String> {
    // That another fault was not seen to bite takes nothing from what this one did.
    if !facts.validity.of_run.is_empty() {
        return Err(format!("invalid: {}", facts.validity.of_run.join(", ")));
    }
    let found = facts.claims.get(claim).ok_or("it does not have this claim")?;
    let Some(episode) = facts.episodes.get(&found.fault).filter(|episode| episode.command.is_some()) else {
        let why = facts.run.could_not_start.clone().or_else(|| facts.run.aborted.clone());
        return Err(why.map_or_else(|| "nothing was injected".to_owned(), |why| format!("nothing was injected: {why}")));
    };
    // A recovery that came too late, or may have, is a failure of it whatever else could not be measured: leaving it out would improve the rest.
    let late = found.rto.as_ref().is_some_and(|rto| matches!(rto.part.verdict, Judged::Failed | Judged::Inconclusive));
    if found.verdict == Judged::Invalid && !late {
        return Err(match &episode.why_not {
            Some(why) => format!("invalid: fault {} was not confirmed: {why}", found.fault),
            None => "invalid: its numbers are not to be trusted".into(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::facts;
    use proptest::prelude::*;

    /// The table of design section 1.8.
    #[test]
    fn runs_that_are_needed() {
        let table = [
            (0.90, 0.90, [22, 38, 52, 65]),
            (0.90, 0.95, [29, 46, 61, 76]),
            (0.95, 0.90, [45, 77, 105, 132]),
            (0.95, 0.95, [59, 93, 124, 153]),
            (0.99, 0.95, [299, 473, 628, 773]),
            (0.99, 0.99, [459, 662, 838, 1001]),
        ];
        for (share, confidence, needed) in table {
            for (failures, runs) in (0..).zip(needed) {
                assert_eq!(runs_needed(share, failures, confidence), runs, "{share} {confidence} {failures}");
                assert!(share_shown(runs, failures, confidence) >= share && share_shown(runs - 1, failures, confidence) < share);
            }
        }
    }

    #[test]
    fn clean_runs_bound_a_quantile() {
        for (runs, percent) in [(1, 5.0), (3, 36.8), (5, 54.9), (10, 74.1), (20, 86.0), (30, 90.4), (59, 95.0)] {
            let shown = share_shown(runs, 0, 0.95) * 100.0;
            assert!((shown - percent).abs() < 0.1, "{runs}: {shown}");
        }
        assert!(share_shown(0, 0, 0.95) == 0.0 && share_shown(3, 3, 0.95) == 0.0);
    }

    #[test]
    fn sentences_say_no_more_than_was_shown() {
        let said = |held, of| Share::of(held, of).sentence("it came back within 10 s");
        assert_eq!(said(59, 59), "59 of 59: it came back within 10 s in at least 95 % of such cases, at 95 % confidence");
        assert_eq!(
            said(58, 59),
            "58 of 59: it came back within 10 s in at least 92.2 % of such cases, at 95 % confidence; 93 runs with no further failure than 1 would support 95 %"
        );
        assert_eq!(
            said(1, 1),
            "1 of 1: it came back within 10 s in at least 5 % of such cases, at 95 % confidence; 59 runs would support 95 %"
        );
        assert_eq!(said(0, 4), "0 of 4: that it came back within 10 s cannot be claimed of any share of such cases");
        assert_eq!(said(0, 0), "no run says anything of whether it came back within 10 s");
    }

    #[test]
    fn what_is_no_evidence_is_excluded_and_named() {
        let good = facts();
        let claim = good.claims.keys().next().unwrap().clone();
        let mut invalid = facts();
        invalid.validity.valid = false;
        invalid.validity.of_run = vec!["the prober was starved".into()];
        invalid.validity.reasons = invalid.validity.of_run.clone();
        let mut never = facts();
        never.episodes.values_mut().for_each(|episode| episode.command = None);
        let mut open = facts();
        let rto = open.claims.get_mut(&claim).unwrap().rto.as_mut().unwrap();
        rto.part.verdict = Judged::Inconclusive;
        // What was late stays in the count, whatever else of its run could not be measured; so does what another fault has nothing to do with.
        let mut late = open.clone();
        late.claims.get_mut(&claim).unwrap().verdict = Judged::Invalid;
        let mut beside = open.clone();
        let episode = beside.episodes.values().next().unwrap().clone();
        beside.episodes.insert("other".into(), episode);
        beside.validity.valid = false;
        beside.validity.reasons = vec!["fault other was not confirmed: it was not seen to bite".into()];
        let all = [("a", &good), ("b", &invalid), ("c", &never), ("d", &open), ("e", &late), ("f", &beside)];
        let plan = crate::score::samples::plan();
        let many = Many::of(&claim, all.into_iter().map(|(run, facts)| (run, &plan, facts)));
        assert_eq!(many.counted.len(), 4);
        assert_eq!(many.excluded.iter().map(|one| one.run.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(many.within().map(|share| (share.held, share.of)), Some((1, 4)), "what was not decided did not come back in time");
        assert!(
            many.counts().contains("4 of 6 runs; 2 excluded (b: invalid: the prober was starved; c: nothing was injected"),
            "{}",
            many.counts()
        );
    }

    /// Runs whose upper bounds are 1, 2, 3 … s, and some that did not come back by themselves.
    fn bounded(known: u64, open: usize) -> Option<Bound> {
        let run = |itself: Option<Span>| Counted { run: String::new(), lo: None, hi: itself, itself, rto: None, whole: Judged::Passed };
        let runs: Vec<Counted> = (1..=known).map(|n| run(Some(Span::secs(n)))).chain((0..open).map(|_| run(None))).collect();
        Bound::of(&runs)
    }

    #[test]
    fn an_upper_bound_for_a_quantile_is_an_order_statistic() {
        let of = |known, open| bounded(known, open).map(|b| (b.rank.0, b.within, (b.share * 1000.0).floor() as u64));
        assert_eq!(of(59, 0), Some((59, Span::secs(59), 950)));
        assert_eq!(of(93, 0), Some((92, Span::secs(92), 950)), "one longer one is allowed of 93");
        assert_eq!(of(124, 0), Some((122, Span::secs(122), 950)));
        assert_eq!(of(92, 1), Some((92, Span::secs(92), 950)), "and one that did not come back may be it");
        assert_eq!(of(58, 1), Some((58, Span::secs(58), 922)), "59 with one failure support less");
        assert_eq!(of(10, 0), Some((10, Span::secs(10), 741)));
        assert_eq!((of(0, 0), of(0, 3)), (None, None));
        assert_eq!(
            bounded(59, 0).unwrap().sentence(),
            "at least 95 % of recoveries take at most 59 s (the longest of 59 upper bounds), at 95 % confidence"
        );
    }

    #[test]
    fn a_run_that_was_not_steady_after_its_undo_does_not_hold() {
        let (plan, good) = (crate::score::samples::plan(), facts());
        let claim = good.claims.keys().next().unwrap().clone();
        let whole = |plan: &Plan, facts: &Facts| {
            let share = Many::of(&claim, [("a", plan, facts)].into_iter()).whole();
            (share.held, share.of)
        };
        assert_eq!(whole(&plan, &good), (1, 1));
        for after in [SteadyAfter::Missed("p99 900 ms".into()), SteadyAfter::NotReached] {
            let left = Facts { steady_after: after, ..good.clone() };
            assert_eq!(whole(&plan, &left), (0, 1));
        }
        let sustained = Plan { test: TestKind::Sustained, ..plan };
        assert_eq!(whole(&sustained, &good), (0, 1), "it went down while the fault lasted");
    }

    proptest! {
        /// Of many recoveries drawn at random, the share within the bound is what it says, as often as it says.
        #[test]
        fn the_bound_holds_as_often_as_it_says(seed in any::<u64>()) {
            let draw = |i: u64| (seed ^ i.wrapping_mul(0xD6E8_FEB8_6659_FD93)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
            let (trials, n, top) = (400u64, 59u64, (1u64 << 20) as f64);
            let held = (0..trials).filter(|t| {
                let runs: Vec<Counted> = (0..n)
                    .map(|i| Some(Span(draw(t * n + i))))
                    .map(|itself| Counted { run: String::new(), lo: None, hi: itself, itself, rto: None, whole: Judged::Passed })
                    .collect();
                // Uniform: the true share within x is x / top.
                Bound::of(&runs).unwrap().within.0 as f64 / top >= ASKED
            });
            // 95 % of 400, less four standard deviations.
            prop_assert!(held.count() as f64 >= 380.0 - 4.0 * (400.0f64 * 0.95 * 0.05).sqrt());
        }

        /// More failures, or fewer runs, never show more.
        #[test]
        fn less_evidence_never_shows_more(runs in 1u32..400, failures in 0u32..400) {
            let failures = failures.min(runs);
            let shown = share_shown(runs, failures, CONFIDENCE);
            prop_assert!((0.0..1.0).contains(&shown));
            prop_assert!(share_shown(runs, failures + 1, CONFIDENCE) <= shown);
            prop_assert!(share_shown(runs + 1, failures, CONFIDENCE) >= shown - 1e-9);
            // Not more than the observed share.
            prop_assert!(shown <= f64::from(runs - failures) / f64::from(runs));
        }
    }
}
