//! For the sceptical reviewer: how it was measured, every number by phase, the plan and its digests.

use maud::{Markup, PreEscaped, html};

use crate::base::Span;
use crate::measure::facts::{LedgerFacts, PhaseFacts, ProbeFacts};
use crate::score::words::{bounds, count, many, range};

use super::super::Report;
use super::super::chart::clipped;
use super::super::histogram::{histogram, merged};
use super::super::rows::rows;
use super::super::view::{self, DEFINITIONS, clock, is_censored, plain, quantiles};
use super::compared::compared;
use super::legs::legs;
use super::{Detail, words};

const MOST_ROWS: usize = 1_000;
const MOST_HISTOGRAMS: usize = 48;
const MOST_PLAN: usize = 400_000;

/// Definitions, resolution, prober health, counts, exclusions, and what one run can support.
pub(super) fn method(report: &Report<'_>) -> Markup {
    let facts = report.facts;
    html! {
        @if !facts.validity.valid {
            div { h3.sub { "Why this run is no evidence" } ul { @for why in &facts.validity.reasons { li { (words(why)) } } } }
        }
        div.cols {
            div { h3 { "What it can and cannot show" } (limits(report)) }
            div { h3 { "The prober itself" } (prober(report)) }
        }
        (episodes(report))
        (probes(report))
        @for (id, ledger) in facts.ledgers.iter().take(50) { (self::ledger(id, ledger)) }
        (exclusions(report))
        div { h3.sub { "What the names mean" } (definitions(report)) }
    }
}

fn limits(report: &Report<'_>) -> Markup {
    html! {
        ul {
            @if let Some(least) = view::min_detectable(report) {
                li { "An outage under " (least.human()) " would not have been seen; “no outage” means none as long as that." }
            }
            li { (view::ONE_RUN) }
            li { "Bounds hold every value that fits the samples: “7.31 – 7.42 s” is not an average with a spread." }
            li { "Probes are synthetic traffic, a sample of what users see." }
            li { "Before and after are a difference, not a proof of cause: there is no simultaneous control." }
        }
    }
}

fn prober(report: &Report<'_>) -> Markup {
    let p = &report.facts.prober;
    let lag = p.lag_p99.map_or_else(|| "not measured".to_owned(), Span::human);
    html! {
        dl {
            dt { "Lag, p99" } dd { (lag) " between due and woken" }
            dt { "Stood still" } dd { (many(p.stalls, "time")) @if p.stalls > 0 { ", at most " (p.longest_stall.human()) } }
            dt { "Waited for a processor" }
            dd { (many(p.waits, "time")) @if p.waits > 0 { ", at most " (p.longest_wait.human()) " within a second" }
                @if let Some(pressed) = p.pressed { ", while somebody on the machine waited for up to " (pressed.human()) " of one" } }
            dt { "Clock steps" } dd { (p.clock_steps) " of wall time; durations do not depend on it" }
            dt { "Suspends" } dd { (p.suspends) }
            dt { "Calibration" } dd { (words(&view::calibration(report))) }
            dt { "Seconds in doubt" } dd { (report.facts.validity.tainted_seconds) " of " (report.facts.run.end.0 / 1_000_000_000) }
        }
    }
}

fn episodes(report: &Report<'_>) -> Markup {
    html! {
        @for (id, e) in report.facts.episodes.iter().take(100) {
            div {
                h3.sub { "Fault " (id) }
                dl {
                    dt { "Kind" } dd { (words(&e.kind)) ", " (words(&e.phase.replace('_', " "))) }
                    @if !e.summary.is_empty() { dt { "Done" } dd { (words(&e.summary)) } }
                    @if let Some(why) = &e.why_not { dt { "Why not" } dd { (words(why)) } }
                    @if let Some(seen) = &e.effect_seen { dt { "Effect seen by" } dd { (words(seen)) } }
                    @if e.flaps > 0 { dt { "Flaps" } dd { (e.flaps) " between the first good answer and stable recovery" } }
                    @if let Some(itself) = e.self_recovered { dt { "Came back" } dd { @if itself { "by itself, before the undo" } @else { "not before the undo" } } }
                    @for (name, r) in &e.times { dt { (words(name)) } dd { (range(r)) } }
                    @if let Some(by_hand) = &e.by_hand { dt { "Undo by hand" } dd { code { (plain(by_hand)) } } }
                }
            }
        }
    }
}

fn probes(report: &Report<'_>) -> Markup {
    html! {
        section.scroll tabindex="0" aria-label="Samples by probe" {
            table {
                thead {
                    tr {
                        th scope="col" { "Probe" } th.n scope="col" { "Every" } th.n scope="col" { "Time-out" } th.n scope="col" { "Planned" } th.n scope="col" { "Good" } th.n scope="col" { "Failed" } th.n scope="col" { "Ours" } th.n scope="col" { "Not sent" }
                        th scope="col" { "Failed by class" } th scope="col" { "Outages" }
                    }
                }
                tbody {
                    @for (id, p) in report.facts.probes.iter().take(MOST_ROWS) {
                        @let s = &p.samples;
                        tr {
                            td.tag { (id) @if p.control { span.def { "control" } } @if !p.valid { span.def { "percentiles not valid" } } }
                            td.n { (p.interval.human()) } td.n { (p.timeout.human()) } td.n { (count(s.planned)) } td.n { (count(s.ok)) }
                            td.n { (count(s.bad)) } td.n { (count(s.local)) } td.n { (count(s.capped)) }
                            td { (classes(p)) } td { (outages(p)) }
                        }
                    }
                }
            }
        }
    }
}

fn classes(p: &ProbeFacts) -> String {
    let name = |c| serde_json::to_value(c).ok().and_then(|v| v.as_str().map(|s| s.replace('_', " "))).unwrap_or_default();
    p.samples.by_class.iter().map(|(class, n)| format!("{} {}", name(class), count(*n))).collect::<Vec<_>>().join(", ")
}

fn outages(p: &ProbeFacts) -> String {
    let shown: Vec<String> = p
        .outages
        .iter()
        .take(4)
        .map(|o| {
            let narrower = o.arrival.filter(|a| (a.lo, a.hi) != (o.lo, o.hi));
            let arrival = narrower.map_or_else(String::new, |a| format!(" (arrival: {})", bounds(a.lo, a.hi)));
            let doubt = if o.widened { " (widened: prober in doubt)" } else { "" };
            format!("{} from {}{arrival}{doubt}", bounds(o.lo, o.hi), clock(o.onset.lo))
        })
        .collect();
    match p.outages.len() {
        0 => format!("none as long as {}", p.min_detectable.human()),
        n if n > 4 => format!("{}; and {} more", shown.join("; "), n - 4),
        _ => shown.join("; "),
    }
}

fn ledger(id: &str, l: &LedgerFacts) -> Markup {
    html! {
        div {
            h3.sub { "Ledger " (id) }
            dl {
                dt { "Written" } dd { (count(l.attempted)) " attempted: " (count(l.acknowledged)) " acknowledged, " (count(l.failed)) " failed, " (count(l.unknown)) " unknown" }
                @if let Some(why) = &l.not_read { dt { "Read back" } dd { "nothing can be said: " (words(why)) } }
                @else {
                    dt { "Read back" } dd {
                        (count(l.lost.len() as u64)) " acknowledged lost, " (count(l.duplicated)) " duplicated, " (count(l.unexpected)) " unexpected, "
                        (count(l.resurrected)) " failed and yet found, " (count(l.recovered)) " of unknown outcome found"
                        @if l.stale > 0 { ", " (count(l.stale)) " acknowledged and found only by a later read (stale, not lost)" }
                    }
                    @if !l.lost.is_empty() { dt { "Lost writes" } dd { (numbers(&l.lost)) } }
                    @for (reader, how) in l.divergent.iter().take(20) { dt { "Reader " (words(reader)) } dd { (words(how)) } }
                }
            }
        }
    }
}

/// Write numbers as ranges: `264–300, 310`.
fn numbers(lost: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for n in lost {
        match ranges.last_mut() {
            Some((_, to)) if *n == *to + 1 => *to = *n,
            _ => ranges.push((*n, *n)),
        }
    }
    let text = |(a, b): &(u64, u64)| if a == b { a.to_string() } else { format!("{a}–{b}") };
    let shown: Vec<String> = ranges.iter().take(20).map(text).collect();
    if ranges.len() > 20 { format!("{} and {} more ranges", shown.join(", "), ranges.len() - 20) } else { shown.join(", ") }
}

fn exclusions(report: &Report<'_>) -> Markup {
    let facts = report.facts;
    let tainted = &facts.prober.tainted;
    let subject: Vec<(&String, String)> = facts
        .subject
        .iter()
        .map(|(id, (before, after))| {
            let seen = |v: &Option<String>| v.as_deref().map_or_else(|| "not seen".to_owned(), words);
            (id, if before == after { seen(before) } else { format!("{} before, {} after", seen(before), seen(after)) })
        })
        .collect();
    html! {
        div.cols {
            div {
                h3 { "Excluded, and why" }
                @if tainted.is_empty() { p { "Nothing: the prober was never in doubt." } }
                @else {
                    ul {
                        @for (at, why) in tainted.iter().take(20) { li { "the second from " (clock(*at)) ": " (words(why)) } }
                        @if tainted.len() > 20 { li { "and " (tainted.len() - 20) " more" } }
                    }
                }
                @let control = facts.probes.values().filter(|p| p.control).count();
                @if control > 0 { p { (many(control as u64, "control probe")) " on the prober's own path: counted here, and never a verdict on the system." } }
            }
            div {
                h3 { "What was tested, and what was watched" }
                dl {
                    @for (id, value) in subject.iter().take(50) { dt { (id) } dd { (value) } }
                    @for (id, why) in facts.guards.iter().take(50) {
                        dt { "Guard " (id) } dd { @match why { Some(why) => { "breached: " (words(why)) }, None => { "held" } } }
                    }
                    @for (id, (result, detail)) in facts.restore.iter().take(50) { dt { "Restore " (id) } dd { (words(result)) ": " (words(detail)) } }
                }
            }
        }
    }
}

fn definitions(report: &Report<'_>) -> Markup {
    let rows = rows(report);
    let used = |name: &str| {
        matches!(name, "response_all" | "min_detectable" | "stably up" | "outage" | "arrival")
            || rows.iter().any(|r| r.definition == name)
            || report.facts.episodes.values().any(|e| e.times.contains_key(name))
            || (name == "rpo_point" && rows.iter().any(|r| r.definition == "rpo_time"))
            || (name == "error_budget" && report.facts.claims.values().any(|c| c.availability.as_ref().is_some_and(|a| a.budget.is_some())))
            || (name == "degraded" && report.facts.probes.values().any(|p| p.phases.values().any(|phase| phase.degraded.is_some())))
            || (name == "availability_requests" && rows.iter().any(|r| r.definition == "availability_time"))
    };
    html! { dl { @for (name, text) in DEFINITIONS.iter().filter(|(name, _)| used(name)) { dt { (name) } dd { (text) } } } }
}

/// Percentiles and histograms by phase.
pub(super) fn phases(report: &Report<'_>, detail: Detail) -> Markup {
    let all: Vec<(&String, &ProbeFacts, &String, &PhaseFacts)> =
        report.facts.probes.iter().flat_map(|(id, p)| p.phases.iter().map(move |(name, phase)| (id, p, name, phase))).collect();
    if all.is_empty() {
        return html! { p { "Nothing was sampled." } };
    }
    html! {
        section.scroll tabindex="0" aria-label="Response times by phase" {
            table {
                thead {
                    tr { th scope="col" { "Probe, phase" } th.n scope="col" { "Length" } th.n scope="col" { "Samples" } th.n scope="col" { "Good" } th.n scope="col" { "p50" } th.n scope="col" { "p90" } th.n scope="col" { "p95" } th.n scope="col" { "p99" } th.n scope="col" { "p99.9" } th.n scope="col" { "max" } th.n scope="col" { "Lag p99" } }
                }
                tbody { @for (id, _, name, phase) in all.iter().take(MOST_ROWS) { (phase_row(id, name, phase)) } }
            }
        }
        p.note { "≥ marks quantiles that fall among time-outs: they are lower bounds. Refusals count with the time that they took, time-outs at their limit." }
        (compared(report))
        (legs(report))
        @if detail == Detail::Full { (histograms(&all)) }
    }
}

fn phase_row(id: &str, name: &str, phase: &PhaseFacts) -> Markup {
    let cells: Vec<String> = phase.response.as_ref().map_or_else(
        || vec![String::new(); 6],
        |p| {
            let text = |(_, thousandths, value): (_, u32, Span)| {
                format!("{}{}", if is_censored(p, thousandths) { "≥ " } else { "" }, value.human())
            };
            quantiles(p).into_iter().map(text).collect()
        },
    );
    let c = &phase.counts;
    html! {
        tr {
            td { span.tag { (id) } " " (name) @if phase.tainted { span.def { "over 1 % in doubt: not scored" } } }
            td.n { (phase.length.human()) } td.n { (count(c.planned)) } td.n { (count(c.ok)) }
            @for cell in &cells { td.n { (cell) } }
            td.n { (phase.lag_p99.map_or_else(String::new, Span::human)) }
        }
    }
}

fn histograms(all: &[(&String, &ProbeFacts, &String, &PhaseFacts)]) -> Markup {
    let uppers = || all.iter().flat_map(|(_, _, _, p)| p.histogram.iter().filter(|(_, n)| *n > 0).map(|(upper, _)| *upper));
    let (Some(lo), Some(hi)) = (uppers().min(), uppers().max()) else { return html! {} };
    let drawn: Vec<_> = all
        .iter()
        .take(MOST_HISTOGRAMS)
        .enumerate()
        .filter_map(|(i, (id, _, name, phase))| {
            histogram(phase, &format!("h{i}"), &format!("{id}, {name}"), (lo, hi)).map(|svg| (*id, *name, *phase, svg))
        })
        .collect();
    html! {
        div.grid3 { @for (id, name, _, svg) in &drawn { div { span.label { strong { (id) } " " (name) } (PreEscaped(svg.clone())) } } }
        @if all.len() > MOST_HISTOGRAMS { p.note { "Drawn: the first " (MOST_HISTOGRAMS) " of " (all.len()) "." } }
        details {
            summary { "The tables behind the histograms" }
            div.grid3 {
                @for (id, name, phase, _) in &drawn {
                    table {
                        thead { tr { th scope="col" { (id) " " (name) ", up to" } th.n scope="col" { "samples" } } }
                        tbody { @for (upper, n) in merged(&phase.histogram).iter().filter(|(_, n)| *n > 0) { tr { td { (upper.human()) } td.n { (count(*n)) } } } }
                    }
                }
            }
        }
    }
}

/// The plan and what pins it down.
pub(super) fn plan(report: &Report<'_>, detail: Detail) -> Markup {
    let (plan, run) = (report.plan, &report.facts.run);
    let pretty = if detail == Detail::Full { serde_json::to_string_pretty(plan).unwrap_or_default() } else { String::new() };
    html! {
        dl {
            dt { "Scenario" } dd { (words(&plan.name)) }
            @if let Some(owner) = &plan.owner { dt { "Owner" } dd { (words(owner)) } }
            dt { "Outcome" } dd { (view::outcome(report.facts)) ", exit " (report.score.exit_code) }
            dt { "Plan" } dd { code { (words(&run.plan_digest)) } }
            dt { "Scenario file" } dd { code { (plan.scenario_digest) } }
            @if let Some(policy) = &plan.policy {
                dt { "Policy" }
                dd {
                    (policy.rules.len()) " rules of " (words(&policy.files.join(", "))) " held"
                    @for approval in &policy.approvals { "; approved by " (words(&approval.who)) " (account " (words(&approval.account)) ", " (words(&approval.at)) ")" }
                    ": " code { (policy.digest) }
                }
            }
            @if let Some(digest) = &plan.workload_digest { dt { "Workload file" } dd { code { (digest) } } }
            dt { "Boot" } dd { code { (words(&run.boot_id)) } ", CLOCK_MONOTONIC " (run.start_mono_ns) " ns at the start" }
            dt { "Firedrill" } dd { (words(&run.firedrill)) }
        }
        @if pretty.is_empty() { p.note { "The plan is too long to be shown here; it is " code { "plan.json" } " in the run directory." } }
        @else {
            details {
                summary { "The plan, with every default filled in" }
                section.scroll tabindex="0" aria-label="The plan" { pre { (clipped(&visible(&pretty), MOST_PLAN)) } }
            }
        }
    }
}

/// JSON as it stands, without characters that turn the reading direction.
fn visible(json: &str) -> String {
    json.lines().map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_writes_are_named_as_ranges() {
        assert_eq!(numbers(&[264, 265, 266, 300]), "264–266, 300");
        assert_eq!(numbers(&[]), "");
        let odd: Vec<u64> = (0..100).map(|n| n * 2).collect();
        assert!(numbers(&odd).ends_with("and 80 more ranges"));
    }
}
