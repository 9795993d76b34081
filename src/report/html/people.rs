//! People: expected against observed, as a picture and as the table behind it.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use crate::base::At;
use crate::response::{ExpectationFacts, Verdict};

use super::super::Report;
use super::super::chart::{Scale, clipped, escape, time_ticks};
use super::super::cues;
use super::super::team::{self, Row};
use super::super::view::{Status, clock};
use super::{badge, class, icon, words};

/// Rows drawn at most.
const MOST: usize = 60;
const ROW: f64 = 26.0;
const LEFT: f64 = 190.0;
const WIDE: f64 = 1_000.0;

/// What was expected of people, and what was observed.
pub(super) fn people(report: &Report<'_>) -> Markup {
    let rows = team::rows(report);
    html! {
        @if let Some(status) = team::verdict(report) { p { (badge(status)) " " (words(&team::sentence(report))) "." } }
        @else { p { "Team: " (words(&team::sentence(report))) "." } }
        @if let Some(picture) = gantt(report) {
            figure {
                section.scroll tabindex="0" aria-label="Expected against observed" { (PreEscaped(picture)) }
                figcaption {
                    span { "box: the time that was allowed" } span { "bar: the time it took, paler within its bounds" }
                    span { "round: observed by a machine" } span { "square: told by a person" }
                }
            }
        }
        @if !rows.is_empty() { (table(&rows)) }
        @for remark in team::remarks(report) { p.note { (words(&remark)) } }
        @for (heading, texts) in cues::debrief(report) {
            h3 { (heading) }
            ul { @for text in texts { li { (words(&text)) } } }
        }
    }
}

fn table(rows: &[Row]) -> Markup {
    html! {
        table.stack {
            thead { tr { th scope="col" { "" } th scope="col" { "Expected" } th scope="col" { "Of whom" } th scope="col" { "Within" } th scope="col" { "Observed" } th scope="col" { "Source" } } }
            tbody {
                @for row in rows.iter().take(200) {
                    tr {
                        td data-l="" { span class=(format!("badge {}", class(row.status))) { (icon(row.status)) " " (row.word) } }
                        td data-l="expected" { span { (words(&row.id)) span.def { (words(&row.what)) @if !row.counts { "; training" } } } }
                        td data-l="of whom" { (words(&row.by)) }
                        td data-l="within" { (words(&row.within)) }
                        td data-l="observed" { (words(&row.why)) }
                        @if row.source.is_empty() { td {} } @else { td.at data-l="source" { span { (words(&row.source)) } } }
                    }
                }
            }
        }
    }
}

/// The expectations that began to count, from the first of them to the last.
fn drawn<'a>(report: &'a Report<'_>) -> Vec<(&'a String, &'a ExpectationFacts)> {
    let all = report.facts.team.expectations.iter();
    all.filter(|(_, e)| e.base.is_some() && e.verdict != Verdict::NotDue).take(MOST).collect()
}

fn gantt(report: &Report<'_>) -> Option<String> {
    let rows = drawn(report);
    let start = rows.iter().filter_map(|(_, e)| e.base).map(|base| base.lo).min()?;
    let last = |e: &ExpectationFacts| [e.due, e.at.map(|at| at.hi.unwrap_or(at.lo))].into_iter().flatten().max();
    // What is due long after all was over would push everything else together.
    let end = rows.iter().filter_map(|(_, e)| last(e)).max()?.min(report.facts.run.end).max(At(start.0 + 1_000_000_000));
    let seconds = |at: At| at.0.saturating_sub(start.0) as f64 / 1e9;
    let x = Scale::linear(0.0, seconds(end) * 1.02, LEFT, WIDE - 12.0);
    let height = ROW * rows.len() as f64 + 34.0;
    let mut out = String::new();
    let _ = write!(
        out,
        r#"<svg class="picture gantt" viewBox="0 0 {WIDE} {height}" style="min-width:680px" role="img" aria-labelledby="gantt-t gantt-d"><title id="gantt-t">Expected against observed</title><desc id="gantt-d">For each expectation the time that was allowed and the time it took, from {} of the run on. The table below holds the same.</desc>"#,
        clock(start)
    );
    for tick in time_ticks(seconds(end), 9) {
        let at = x.at(tick);
        let label = clock(At(start.0 + (tick * 1e9) as u64));
        let _ = write!(
            out,
            r#"<path class="grid" d="M{at:.1} 4V{:.1}"/><text x="{at:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#,
            height - 24.0,
            height - 8.0
        );
    }
    for (n, (id, e)) in rows.iter().enumerate() {
        row(&mut out, id, e, ROW * n as f64 + 6.0, |at| x.at(seconds(at)));
    }
    out.push_str("</svg>");
    Some(out)
}

fn row(out: &mut String, id: &str, e: &ExpectationFacts, top: f64, x: impl Fn(At) -> f64) {
    let status = team::status(e.verdict);
    let tone = match status {
        Status::Passed => "good",
        Status::Failed => "bad",
        _ => "open",
    };
    let middle = top + 8.0;
    let _ = write!(out, r#"<text class="lane-label" x="0" y="{:.1}">{} {}</text>"#, middle + 4.0, status.shape(), escape(&clipped(id, 24)));
    let Some(base) = e.base else { return };
    if let Some(due) = e.due {
        let (from, to) = (x(base.lo), x(due));
        let _ = write!(out, r#"<rect class="served" x="{from:.1}" y="{top:.1}" width="{:.1}" height="16"/>"#, (to - from).max(2.0));
    }
    let Some(at) = e.at else { return };
    let (from, sure, end) = (x(base.lo), x(at.lo), x(at.hi.unwrap_or(at.lo)));
    let _ = write!(
        out,
        r#"<g style="color:var(--{tone})"><rect fill="currentColor" x="{from:.1}" y="{:.1}" width="{:.1}" height="6"/><rect fill="currentColor" opacity=".35" x="{sure:.1}" y="{:.1}" width="{:.1}" height="6"/>"#,
        middle - 3.0,
        (sure - from).max(0.0),
        middle - 3.0,
        (end - sure.max(from)).max(0.0)
    );
    let _ = if e.machine {
        write!(out, r#"<circle fill="currentColor" cx="{end:.1}" cy="{middle:.1}" r="5"/></g>"#)
    } else {
        write!(out, r#"<rect fill="currentColor" x="{:.1}" y="{:.1}" width="9" height="9"/></g>"#, end - 4.5, middle - 4.5)
    };
}
