//! The claim table: claimed, measured, margin and verdict of each part, in the words that every format uses.

use crate::base::Span;
use crate::measure::facts::{BudgetFacts, ClaimFacts, Judged, PartVerdict, SteadyAfter};
use crate::plan::{By, RtoFrom};
use crate::score::words::{at_least, count, many, percent, percent_bounds, range};

use super::Report;
use super::view::{Status, clock, phase_word, was_down};

/// One row of the claim table.
pub(super) struct Row {
    pub(super) claim: String,
    /// A key: `rto`, `rpo`, `holds.no-writes` …
    pub(super) part: String,
    /// What it is, for people.
    pub(super) what: String,
    /// The name of its definition.
    pub(super) definition: &'static str,
    pub(super) claimed: String,
    pub(super) measured: String,
    pub(super) margin: String,
    pub(super) status: Status,
    pub(super) why: String,
    /// How long what it speaks of lasted, where that is one duration.
    pub(super) time: Option<Span>,
    /// Its episode was not run at all.
    pub(super) not_run: bool,
    /// The numbers say all that the reason says.
    plain: bool,
}

impl Row {
    fn new(part: &str, what: impl Into<String>, definition: &'static str, verdict: &PartVerdict) -> Row {
        Row {
            claim: String::new(),
            part: part.to_owned(),
            what: what.into(),
            definition,
            claimed: String::new(),
            measured: UNMEASURED.to_owned(),
            margin: String::new(),
            status: Status::of(verdict.verdict),
            why: verdict.why.clone(),
            time: None,
            not_run: false,
            plain: false,
        }
    }

    /// Whether the verdict's reason is worth a line beside its numbers.
    pub(super) fn worth_saying(&self) -> bool {
        !self.why.is_empty() && self.status != Status::Passed && !self.plain
    }
}

const UNMEASURED: &str = "not measured";

/// Every claim part, then steady state after undo.
pub(super) fn rows(report: &Report<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, claim) in &report.facts.claims {
        let episode = report.facts.episodes.get(&claim.fault);
        let not_run = episode.is_none_or(|e| matches!(e.phase.as_str(), "not_run" | "planned"));
        let fixed = [rto(claim), rpo(report, claim), availability(claim), latency(claim), by(claim)];
        let mut of_claim: Vec<Row> = fixed.into_iter().flatten().chain(holds(report, id, claim)).collect();
        if of_claim.is_empty() {
            let part = PartVerdict { verdict: claim.verdict, why: "no part of this claim was measured".into() };
            of_claim.push(Row::new("claim", "Claim", "", &part));
        }
        rows.extend(of_claim.into_iter().map(|row| {
            let plain = row.status == Status::Failed && !row.margin.is_empty() && (row.part != "rto" || itself(claim));
            Row { claim: id.clone(), not_run, plain, ..row }
        }));
    }
    rows.push(steady(report));
    rows
}

/// It came back before the undo, so that a recovery time says all.
fn itself(claim: &ClaimFacts) -> bool {
    claim.rto.as_ref().is_some_and(|r| r.self_recovered == Some(true))
}

fn rto(claim: &ClaimFacts) -> Option<Row> {
    let rto = claim.rto.as_ref()?;
    let definition = match rto.from {
        RtoFrom::Effect => "recovery_time",
        RtoFrom::Impact => "failover_time",
        RtoFrom::Command => "command_to_recovery",
        RtoFrom::Declared => "declared_to_recovery",
    };
    let mut row = Row::new("rto", "Recovery time", definition, &rto.part);
    row.claimed = format!("≤ {}", rto.claimed.human());
    if let Some(m) = &rto.measured {
        row.measured = if was_down(m) { range(m) } else { format!("no outage seen; {}", range(m)) };
        row.margin = margin(rto.part.verdict, rto.claimed, m.lo, m.hi);
        row.time = Some(m.hi.unwrap_or(m.lo));
    }
    Some(row)
}

fn rpo(report: &Report<'_>, claim: &ClaimFacts) -> Option<Row> {
    let rpo = claim.rpo.as_ref()?;
    let mut row = Row::new("rpo", "Loss of acknowledged writes", "rpo_time", &rpo.part);
    row.claimed = if rpo.claimed == Span::ZERO { "none lost".to_owned() } else { format!("window ≤ {}", rpo.claimed.human()) };
    if let Some(w) = rpo.window {
        let of = report.facts.ledgers.get(&rpo.ledger).map(|l| format!(" of {}", count(l.acknowledged))).unwrap_or_default();
        let window = match (w.lost, w.resolution) {
            (0, Some(gap)) => format!("; a window under {} would not show", gap.human()),
            (0, None) => String::new(),
            (_, _) => format!("; loss window {}", w.window.human()),
        };
        row.measured = format!("{} lost{of}{window}", count(w.lost));
        row.margin = margin(rpo.part.verdict, rpo.claimed, w.window, Some(w.window));
        row.time = Some(w.window);
    }
    Some(row)
}

fn availability(claim: &ClaimFacts) -> Option<Row> {
    let a = claim.availability.as_ref()?;
    let mut row = Row::new("availability", "Availability", "availability_time", &a.part);
    row.claimed = format!("≥ {} over {}", percent(a.claimed), a.over.human());
    if let (Some(lo), Some(hi)) = (a.by_time_lo, a.by_time_hi) {
        row.measured = format!("{} by time", percent_bounds(lo, hi));
        let points = |x: f64| format!("{:.1} points", x * 100.0);
        row.margin = match a.part.verdict {
            Judged::Passed => format!("{} to spare", points(lo - a.claimed)),
            Judged::Failed if hi < a.claimed => format!("short by {}", points(a.claimed - hi)),
            Judged::Failed | Judged::Inconclusive | Judged::Invalid => String::new(),
        };
    }
    if let Some(requests) = a.by_requests {
        let sep = if row.measured == UNMEASURED { "not measured by time; " } else { "; " };
        row.measured = format!("{}{sep}{} by requests", row.measured.trim_end_matches(UNMEASURED), percent(requests));
    }
    if let Some(spent) = a.budget.as_ref().and_then(budget) {
        row.measured = format!("{}; {spent}", row.measured);
    }
    row.time = Some(a.over);
    Some(row)
}

/// `0.6 – 0.8 % of the error budget (99.9 % over 30 d), burning 84 times too fast`.
fn budget(b: &BudgetFacts) -> Option<String> {
    let (lo, hi) = (b.spent_lo?, b.spent_hi?);
    let said = format!("{} of the error budget ({} over {})", spent_bounds(lo, hi), percent(b.slo), b.over);
    let burn = b.burn_rate.filter(|rate| *rate > 0.0).map(|rate| format!(", burning at {} times its pace", significant(rate, f64::round)));
    Some(format!("{said}{}", burn.unwrap_or_default()))
}

/// Shares of a budget, which may be above one and far below a thousandth, in percent, outwards.
fn spent_bounds(lo: f64, hi: f64) -> String {
    let (low, high) = (significant(lo * 100.0, f64::floor), significant(hi * 100.0, f64::ceil));
    if low == high { format!("{high} %") } else { format!("{low} – {high} %") }
}

/// Two significant digits, or whole.
fn significant(x: f64, round: fn(f64) -> f64) -> String {
    if x <= 0.0 {
        return "0".into();
    }
    let digits = (1.0 - x.log10().floor()).clamp(0.0, 9.0);
    // What is not a power of two would otherwise be rounded up from a hair above its own digits.
    let (scale, hair) = (10f64.powf(digits), 1e-9);
    let near = (x * scale).round();
    let scaled = if (x * scale - near).abs() < hair * near.max(1.0) { near } else { round(x * scale) };
    let text = format!("{:.*}", digits as usize, scaled / scale);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn latency(claim: &ClaimFacts) -> Option<Row> {
    let l = claim.latency.as_ref()?;
    let mut row = Row::new("latency", format!("Latency ({})", phase_word(l.phase)), "response_all", &l.part);
    let list = |text: fn(Span, Option<Span>) -> String| {
        l.quantiles.iter().map(|(q, (claimed, measured))| format!("{q} {}", text(*claimed, *measured))).collect::<Vec<_>>().join(", ")
    };
    row.claimed = list(|claimed, _| format!("≤ {}", claimed.human()));
    row.measured = list(|_, measured| measured.map_or_else(|| UNMEASURED.to_owned(), Span::human));
    if let (1, Some((claimed, Some(measured)))) = (l.quantiles.len(), l.quantiles.values().next()) {
        row.margin = margin(l.part.verdict, *claimed, *measured, Some(*measured));
    }
    Some(row)
}

fn by(claim: &ClaimFacts) -> Option<Row> {
    let by = claim.by.as_ref()?;
    let mut row = Row::new("by", "Answered by", "served_by", &by.part);
    row.claimed = match by.claimed {
        By::AnotherInstance => "another instance".into(),
        By::SameInstance => "the same instance".into(),
    };
    let name = |who: &Option<String>| who.clone().unwrap_or_else(|| "nobody seen".into());
    row.measured = format!("{} → {}", name(&by.before), name(&by.after));
    Some(row)
}

fn holds(report: &Report<'_>, id: &str, claim: &ClaimFacts) -> Vec<Row> {
    let limits = report.plan.claims.get(id).map(|c| &c.holds);
    let row = |(name, holds): (&String, &crate::measure::facts::HoldsFacts)| {
        let mut row = Row::new(&format!("holds.{name}"), format!("Holds: {name}"), "share_ok", &holds.part);
        if let Some(declared) = limits.and_then(|l| l.get(name.as_str())) {
            let least = declared.success.min.map(|p| format!("≥ {}", percent(p.fraction())));
            let most = declared.success.max.map(|p| format!("≤ {}", percent(p.fraction())));
            row.claimed = format!("{} good", [least, most].into_iter().flatten().collect::<Vec<_>>().join(", "));
        }
        if let Some(share) = holds.share {
            row.measured = format!("{} good of {}", percent(share), many(holds.samples, "sample"));
        }
        row
    };
    claim.holds.iter().map(row).collect()
}

fn margin(verdict: Judged, claimed: Span, lo: Span, hi: Option<Span>) -> String {
    match (verdict, hi) {
        (Judged::Passed, Some(hi)) if claimed > hi => format!("{} to spare", at_least(claimed - hi)),
        (Judged::Failed, _) if lo > claimed && hi == Some(lo) => format!("over by {}", (lo - claimed).human()),
        (Judged::Failed, _) if lo > claimed => format!("over by at least {}", at_least(lo - claimed)),
        (Judged::Inconclusive, Some(hi)) if lo <= claimed && claimed < hi => "within the bounds".to_owned(),
        (_, _) => String::new(),
    }
}

fn steady(report: &Report<'_>) -> Row {
    let (verdict, measured, why) = match &report.facts.steady_after {
        SteadyAfter::Held(at) => (Judged::Passed, format!("held from {}", clock(*at)), String::new()),
        SteadyAfter::Missed(why) => (Judged::Failed, "did not hold".into(), why.clone()),
        SteadyAfter::NotReached => (Judged::Inconclusive, UNMEASURED.into(), "the run did not get so far".into()),
    };
    let mut row = Row::new("steady-after", "Steady state after undo", "steady_state", &PartVerdict { verdict, why });
    row.claim = "every run".into();
    row.claimed = format!("within {}", report.plan.settle_within.human());
    row.measured = measured;
    row.not_run = report.facts.steady_after == SteadyAfter::NotReached;
    if !report.score.judged {
        (row.status, row.why) = (Status::NotJudged, String::new());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::all;
    use crate::score::score;

    #[test]
    fn margins_are_said_in_words() {
        let s = Span::secs;
        assert_eq!(margin(Judged::Passed, s(10), s(7), Some(s(8))), "2 s to spare");
        assert_eq!(margin(Judged::Failed, s(10), s(14), Some(s(15))), "over by at least 4 s");
        assert_eq!(margin(Judged::Failed, s(10), s(90), None), "over by at least 80 s");
        assert_eq!(margin(Judged::Inconclusive, s(10), s(9), Some(s(11))), "within the bounds");
    }

    #[test]
    fn every_claim_has_a_row_and_steady_state_comes_last() {
        for sample in all() {
            let score = score(&sample.plan, &sample.facts);
            let rows = rows(&Report::new(&sample.plan, &sample.facts, &score));
            assert_eq!(rows.last().unwrap().part, "steady-after");
            for id in sample.facts.claims.keys() {
                assert!(rows.iter().any(|r| r.claim == *id), "{}", sample.name);
            }
        }
    }
}
