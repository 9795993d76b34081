//! Where the time of questions went: name, connection, TLS, first byte.

use maud::{Markup, html};

use crate::event::Leg;
use crate::measure::facts::LegFacts;
use crate::score::words::count;

use super::super::Report;

const MOST_ROWS: usize = 1_000;

/// By probe and phase, where the kind tells the parts of its way apart.
pub(super) fn legs(report: &Report<'_>) -> Markup {
    let phases = || report.facts.probes.iter().flat_map(|(id, p)| p.phases.iter().map(move |(name, phase)| (id, name, phase)));
    let rows = || phases().flat_map(|(id, name, phase)| phase.legs.iter().map(move |(leg, facts)| (id, name, *leg, facts)));
    if rows().next().is_none() {
        return html! {};
    }
    html! {
        h3.sub { "Where the time went" }
        section.scroll tabindex="0" aria-label="Parts of the way by phase" {
            table {
                thead { tr { th scope="col" { "Probe, phase" } th scope="col" { "Part" } th.n scope="col" { "Ended" } th.n scope="col" { "p50" } th.n scope="col" { "p99" } th.n scope="col" { "max" } } }
                tbody { @for (id, name, leg, facts) in rows().take(MOST_ROWS) { (row(id, name, leg, facts)) } }
            }
        }
        p.note { "A part counts where it was gone to its end: who was refused or timed out in it is not among those that ended. What follows the first byte is in the response time alone." }
    }
}

fn row(id: &str, name: &str, leg: Leg, facts: &LegFacts) -> Markup {
    let took = &facts.took;
    html! {
        tr {
            td { span.tag { (id) } " " (name) } td { (word(leg)) } td.n { (count(facts.count)) }
            @for value in [took.p50, took.p99, took.max] { td.n { (value.human()) } }
        }
    }
}

fn word(leg: Leg) -> &'static str {
    match leg {
        Leg::Dns => "name found",
        Leg::Connect => "connected",
        Leg::Tls => "TLS agreed",
        Leg::FirstByte => "first byte",
    }
}
