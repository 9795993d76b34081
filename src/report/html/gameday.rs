//! A game day as one page, in the dress of a run's report.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::gameday::{clock, headline, held, numbers, verdict};
use super::{section, style, words};
use crate::gameday::DayReport;

/// Most lines of the timeline.
const MOST_LINES: usize = 5_000;

/// The page.
pub fn gameday(day: &DayReport) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Game day: " (words(&day.title)) }
                style { (PreEscaped(style::SHEET)) }
            }
            body {
                main {
                    header {
                        p.meta { span { "Game day " (day.id) } @if let Some(owner) = &day.owner { span { (words(owner)) } } }
                        h1 { (words(&day.title)) }
                        p { (headline(day)) }
                        p.note { (words(&held(day))) }
                        @if let Some(why) = &day.why { p { (words(why)) } }
                    }
                    (section("agenda", "Agenda", "and what became of it", agenda(day)))
                    (section("findings", "Findings", "worst first, each once", findings(day)))
                    @if !day.debrief.is_empty() { (section("debrief", "Debrief", "what was said afterwards", debrief(day))) }
                    (section("timeline", "Timeline", "everything in one line", timeline(day)))
                }
            }
        }
    };
    page.into_string()
}

fn agenda(day: &DayReport) -> Markup {
    html! {
        section.scroll tabindex="0" aria-label="Agenda" {
            table {
                thead { tr { th.n scope="col" { "No." } th scope="col" { "What" } th scope="col" { "What became of it" } th scope="col" { "Report" } } }
                tbody {
                    @for entry in &day.agenda {
                        tr {
                            td.n { (entry.number) }
                            td { strong { (words(&entry.title)) } @for why in &entry.why { span.why { (words(why)) } } }
                            td { (verdict(entry)) }
                            td { @if let Some(run) = &entry.run { a href=(format!("../../runs/{run}/report.html")) { (words(run)) } } }
                        }
                    }
                }
            }
        }
    }
}

fn findings(day: &DayReport) -> Markup {
    if day.findings.is_empty() {
        return html! { p { "None." } };
    }
    html! {
        ul { @for finding in &day.findings { li { strong { (finding.risk) } " " (words(&finding.text)) span.note { " drill " (numbers(&finding.items)) } } } }
    }
}

fn debrief(day: &DayReport) -> Markup {
    html! { ul { @for said in &day.debrief { li { strong { (words(&said.sort)) } " " (words(&said.text)) span.note { " drill " (said.item) } } } } }
}

fn timeline(day: &DayReport) -> Markup {
    html! {
        section.scroll tabindex="0" aria-label="Timeline" {
            table {
                thead { tr { th scope="col" { "When" } th.n scope="col" { "Drill" } th scope="col" { "What" } th scope="col" { "Told" } th scope="col" { "Source" } } }
                tbody {
                    @for row in day.timeline.iter().take(MOST_LINES) {
                        tr {
                            td.at { (clock(day, row)) }
                            td.n { (row.item.map(|item| item.to_string()).unwrap_or_default()) }
                            td { span.tag { (words(&row.what)) } } td { (words(&row.text)) } td { (words(&row.source)) }
                        }
                    }
                }
            }
        }
        @if day.timeline.len() > MOST_LINES { p.note { (day.timeline.len() - MOST_LINES) " more lines stand in the JSON." } }
    }
}
