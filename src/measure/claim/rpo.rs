//! Loss of acknowledged writes against its objective.

use crate::base::Span;
use crate::plan::RpoPlan;

use super::super::facts::{Judged, LossWindow, PartVerdict, RpoFacts};
use super::super::ledger::{FED, Ledger};
use super::super::words::count;
use super::{Case, part};

pub(super) fn unmeasured(rpo: &RpoPlan, part: PartVerdict) -> RpoFacts {
    RpoFacts { part, ledger: rpo.ledger.to_string(), claimed: rpo.max, window: None }
}

pub(super) fn judge(case: &Case<'_>, rpo: &RpoPlan) -> RpoFacts {
    let Some(ledger) = case.court.ledgers.get(rpo.ledger.as_str()) else {
        return unmeasured(rpo, part(Judged::Inconclusive, format!("{} is no ledger of this run", rpo.ledger)));
    };
    let fault = case.claim.fault.as_str();
    let window = ledger.facts.windows.get(fault).copied();
    if let Some(why) = &ledger.facts.not_read {
        let end = case.aborted().map_or_else(String::new, |text| format!("; {text}"));
        return unmeasured(rpo, part(Judged::Inconclusive, format!("nothing can be said of lost writes: {why}{end}")));
    }
    let Some(window) = window else {
        return unmeasured(rpo, part(Judged::Inconclusive, "no loss window: the fault was never injected"));
    };
    let part = verdict(case, rpo, ledger, &window);
    RpoFacts { part, ledger: rpo.ledger.to_string(), claimed: rpo.max, window: Some(window) }
}

fn verdict(case: &Case<'_>, rpo: &RpoPlan, ledger: &Ledger, window: &LossWindow) -> PartVerdict {
    let fault = case.claim.fault.as_str();
    // The loss window ends at the effect, which has bounds of its own; it cannot be shorter than from lost write to lost write.
    let slack = case.item.effective.map_or(Span::ZERO, |w| w.hi.unwrap_or(w.lo).since(w.lo));
    let least = (window.window - slack).max(window.between_lost);
    let lost = count(window.lost, "acknowledged write");
    if window.lost > 0 && (rpo.max == Span::ZERO || least > rpo.max) {
        let why = format!("{lost} lost over {}; the objective is {}", window.window.human(), allowed(rpo.max));
        return part(Judged::Failed, why);
    }
    if !ledger.fed.get(fault).copied().unwrap_or(false) {
        return part(Judged::Invalid, "no write was acknowledged right before the fault, so none could be lost");
    }
    if ledger.unaccounted > 0 {
        let why = format!(
            "{} left no record and were not found: whether they had been acknowledged is unknown",
            count(ledger.unaccounted, "write")
        );
        return part(Judged::Inconclusive, why);
    }
    if window.window > rpo.max {
        let why = format!("{lost} lost over {} to {}; the objective is {}", least.human(), window.window.human(), allowed(rpo.max));
        return part(Judged::Inconclusive, why);
    }
    let interval = case.court.read.probes.get(rpo.ledger.as_str()).map(|watch| watch.interval).unwrap_or_default();
    if window.lost == 0 && window.blind > rpo.max.max(interval.times(FED)) {
        let why = format!(
            "for {} before the effect no write was acknowledged and none failed: what was lost then would not show",
            window.blind.human()
        );
        return part(Judged::Inconclusive, format!("{why} (prober)"));
    }
    let mut why = if window.lost == 0 {
        format!("none of {} is missing", count(ledger.facts.acknowledged, "acknowledged write"))
    } else {
        format!("{lost} lost over {}, within {}", window.window.human(), rpo.max.human())
    };
    if let (0, Some(gap)) = (window.lost, window.resolution) {
        why.push_str(&format!("; a loss shorter than {} could not be seen", gap.human()));
    }
    for (reader, how) in &ledger.facts.divergent {
        why.push_str(&format!("; {reader} {how}"));
    }
    part(Judged::Passed, why)
}

fn allowed(max: Span) -> String {
    if max == Span::ZERO { "that none is lost".into() } else { format!("at most {}", max.human()) }
}
