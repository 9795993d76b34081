//! Response times of each phase against those before the fault, and for how long the service was up and yet not as it should be.

use maud::{Markup, html};

use crate::base::Span;
use crate::measure::facts::{PhaseFacts, Shift, Shifted, Shifts};
use crate::score::words::count;

use super::super::Report;

const MOST_ROWS: usize = 500;

/// A row for each phase of each probe that can be compared, or that was degraded; nothing where none is.
pub(super) fn compared(report: &Report<'_>) -> Markup {
    let phases = || report.facts.probes.iter().flat_map(|(id, p)| p.phases.iter().map(move |(name, phase)| (id, name, phase)));
    let telling = |phase: &PhaseFacts| {
        phase.shifts.is_some_and(|s| s.p50.verdict != Shifted::NoData) || phase.degraded.is_some_and(|d| d > Span::ZERO)
    };
    let rows = || phases().filter(|(_, _, phase)| telling(phase));
    if rows().next().is_none() {
        return html! {};
    }
    html! {
        h3.sub { "Against the time before" }
        section.scroll tabindex="0" aria-label="Phases against the time before the fault" {
            table {
                thead { tr {
                    th scope="col" { "Probe, phase" } th.n scope="col" { "Seconds before : now" } th.n scope="col" { "p50 by" } th scope="col" { "which is" }
                    th.n scope="col" { "p99 by" } th scope="col" { "which is" } th.n scope="col" { "Degraded" }
                } }
                tbody { @for (id, name, phase) in rows().take(MOST_ROWS) { (row(id, name, phase)) } }
            }
        }
        p.note {
            "Medians and 99th percentiles of the seconds of a phase against those of the seconds before the first fault: the middle of all differences, with its bounds at 98 % confidence (Hodges and Lehmann). "
            "Higher or lower is what is sure and at least a tenth. It is a difference and not a cause: a before and an after have no control group. "
            "Degraded counts whole seconds with good answers that did not keep to the steady state."
        }
    }
}

fn row(id: &str, name: &str, phase: &PhaseFacts) -> Markup {
    let cells = |of: fn(&Shifts) -> Shift| {
        let shift = phase.shifts.as_ref().map(of);
        html! { td.n { (shift.map_or_else(String::new, |s| by(&s))) } td { (shift.map_or("", |s| word(s.verdict))) } }
    };
    let seconds = phase.shifts.map_or_else(String::new, |s| format!("{} : {}", count(s.p50.seconds.0), count(s.p50.seconds.1)));
    html! {
        tr {
            td { span.tag { (id) } " " (name) } td.n { (seconds) } (cells(|s| s.p50)) (cells(|s| s.p99))
            td.n { (phase.degraded.filter(|d| *d > Span::ZERO).map_or_else(String::new, Span::human)) }
        }
    }
}

/// `+2.1 ms (+1.3 ms … +2.9 ms)`.
fn by(shift: &Shift) -> String {
    let (Some(by), Some(lo), Some(hi)) = (shift.by_ns, shift.lo_ns, shift.hi_ns) else { return String::new() };
    format!("{} ({} … {})", signed(by), signed(lo), signed(hi))
}

fn signed(ns: i64) -> String {
    let sign = match ns {
        0 => "",
        n if n < 0 => "−",
        _ => "+",
    };
    format!("{sign}{}", Span(ns.unsigned_abs()).human())
}

fn word(verdict: Shifted) -> &'static str {
    match verdict {
        Shifted::Same => "the same",
        Shifted::Higher => "higher",
        Shifted::Lower => "lower",
        Shifted::NoData => "too few seconds",
    }
}
