//! What happened: the picture, the timeline, people, and what follows from it.

use maud::{Markup, PreEscaped, html};

use crate::score::explain::shown_by;
use crate::score::words::count;

use super::super::Report;
use super::super::picture::{self, MOST_PANELS, buckets, drawn};
use super::super::view::{after_effect, clock};
use super::{Detail, words};

const MOST_MOMENTS: usize = 1_000;

/// The one large picture, for wide and for narrow screens, its legend, and the table behind it.
pub(super) fn picture(report: &Report<'_>, detail: Detail) -> Markup {
    let (Some(wide), Some(narrow)) = (picture::picture(report, "wide", 1120), picture::picture(report, "narrow", 390)) else {
        return html! { p { "No probe was watched, so there is nothing to draw." } };
    };
    let shown = drawn(report);
    let all = report.facts.probes.values().filter(|p| !p.control).count();
    html! {
        figure {
            (PreEscaped(wide))
            (PreEscaped(narrow))
            (legend())
        }
        @if all > MOST_PANELS { p.note { "Drawn: the first " (MOST_PANELS) " of " (all) " probes; the numbers of all are below." } }
        @if detail == Detail::Full {
            details {
                summary { "The table behind the picture" }
                @for (name, probe) in shown { (behind(name, probe)) }
            }
        }
    }
}

fn behind(name: &str, probe: &crate::measure::facts::ProbeFacts) -> Markup {
    let rows = buckets(&probe.seconds, 120);
    let each = rows.first().map_or_else(String::new, |b| b.length.human());
    let cell = |span: Option<crate::base::Span>| span.map_or_else(String::new, crate::base::Span::human);
    html! {
        section.scroll tabindex="0" aria-label=(format!("Samples of {name}")) {
            table {
                thead {
                    tr {
                        th scope="col" { (name) ", each " (each) } th.n scope="col" { "good" } th.n scope="col" { "failed" } th.n scope="col" { "not judged" } th.n scope="col" { "p50" } th.n scope="col" { "p99, worst second" } th scope="col" { "" }
                    }
                }
                tbody {
                    @for b in &rows {
                        tr {
                            td { (clock(b.at)) } td.n { (count(b.ok)) } td.n { (count(b.bad)) } td.n { (count(b.other)) }
                            td.n { (cell(b.p50)) } td.n { (cell(b.p99)) } td { @if b.tainted { "prober in doubt" } }
                        }
                    }
                }
            }
        }
    }
}

fn legend() -> Markup {
    let swatch = |shape: &str| PreEscaped(format!(r#"<svg class="swatch" viewBox="0 0 26 12" aria-hidden="true">{shape}</svg>"#));
    let items = [
        (r#"<path class="p50" d="M0 6h26"/>"#, "p50 of good seconds"),
        (r#"<path class="p99" d="M0 6h26"/>"#, "p99"),
        (r#"<path class="bad-mark" d="M10 3l6 6M10 9l6-6"/>"#, "slowest answer of a second with failures"),
        (
            r#"<path class="edge" d="M1 1v10M1 6h24M25 1v10"/><path class="edge-sure" d="M6 6h14"/>"#,
            "outage: thick for certain, thin within its bounds",
        ),
        (r#"<rect class="band" width="26" height="12"/>"#, "fault in effect"),
        (r#"<rect class="stable" x="1" y="1" width="24" height="10"/>"#, "held stable to count as recovered"),
        (r#"<path class="hatch" d="M2 12L10 0M9 12l8-12M16 12l8-12"/>"#, "prober in doubt"),
        (r#"<path class="op" d="M9 2h8l-4 9z"/>"#, "command"),
        (r#"<circle class="op solid" cx="13" cy="6" r="4"/>"#, "effect"),
        (r#"<path class="op" d="M13 1l5 5-5 5-5-5z"/>"#, "undo began"),
        (r#"<rect class="op solid" x="9" y="2" width="8" height="8"/>"#, "undone"),
    ];
    html! { figcaption { @for (shape, text) in items { span { (swatch(shape)) (text) } } } }
}

/// The timeline, with bounds and sources.
pub(super) fn timeline(report: &Report<'_>) -> Markup {
    let moments = &report.facts.timeline;
    if moments.is_empty() {
        return html! { p { "The journal holds nothing for people." } };
    }
    html! {
        table.moments {
            thead { tr { th scope="col" { "At" } th scope="col" { "What" } th scope="col" { "" } th scope="col" { "After effect" } th scope="col" { "Source" } } }
            tbody {
                @for m in moments.iter().take(MOST_MOMENTS) {
                    tr {
                        td.at data-l="at" { (clock(m.at)) }
                        td.tag data-l="what" { span { (words(&m.what)) } }
                        td data-l="" { span { (words(&m.text)) } }
                        @match after_effect(report.facts, m.at, m.bounds) {
                            Some(after) => td.at data-l="after effect" { (after) },
                            None => td {},
                        }
                        td.at data-l="source" { span { (words(&m.source)) ", entry " (m.seq) } }
                    }
                }
            }
        }
        @if moments.len() > MOST_MOMENTS { p.note { (count((moments.len() - MOST_MOMENTS) as u64)) " later entries are in the journal." } }
    }
}

/// Findings, worst first.
pub(super) fn findings(report: &Report<'_>) -> Markup {
    let found = &report.score.findings;
    if found.is_empty() {
        let why = if !report.score.judged {
            "The system was not put to the test."
        } else if !report.facts.validity.valid {
            "A run without valid evidence gives no findings."
        } else {
            "No part of a claim failed, and no practice was contradicted."
        };
        return html! { p { (why) } };
    }
    html! {
        @for f in found.iter().take(200) {
            article class=(format!("finding {}", f.risk.abbreviation().to_lowercase())) {
                h3 { span.risk { (f.risk.abbreviation()) } (words(&f.title)) }
                dl {
                    dt { "Observed" } dd { (words(&f.observed)) }
                    dt { "Expected" } dd { (words(&f.expected)) }
                    dt { "Impact" } dd { (words(&f.impact)) }
                    dt { "What to do" } dd { (words(&f.remediation)) }
                    @if let Some(due) = &f.due { dt { "Owner" } dd { (words(f.owner.as_deref().unwrap_or("nobody yet"))) ", by " (due) } }
                    dt { "Retest" } dd { code { (words(&f.retest)) } }
                    dt { "Risk" } dd { (f.risk.name()) ", " (f.practice.label) ", shown by " (shown_by(&f.entries)) }
                }
            }
        }
    }
}
