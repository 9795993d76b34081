//! Many runs on one page, in the dress of a report: what they can claim together, or how a number went over time.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::intervals::{Bars, MOST, over_time, side_by_side};
use super::super::view::plain;
use super::{badge, section, style, words};

/// How runs stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Runs of the same thing, whose order says nothing.
    Repeats,
    /// Runs over time.
    Trend,
}

/// One number of many runs, with what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it is, for people: a claim, or a part of one.
    pub name: String,
    /// Sentences.
    pub said: Vec<String>,
    /// Its runs, where any was measured.
    pub bars: Option<Bars>,
    /// What only some want to read: a heading, and sentences.
    pub more: Option<(String, Vec<String>)>,
}

/// A page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What was run: the scenario's title.
    pub title: String,
    /// What the page is: `Claims over runs`, `Trend over runs`.
    pub kind: &'static str,
    /// The scenario's name, and of when the runs are.
    pub meta: Vec<String>,
    /// What holds for all of it, in sentences.
    pub said: Vec<String>,
    /// How the runs stand to each other.
    pub order: Order,
    /// By claim.
    pub panels: Vec<Panel>,
}

/// The page as one HTML file.
pub fn render(page: &Page) -> String {
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(format!("firedrill {}", env!("CARGO_PKG_VERSION")));
                title { (page.kind) ": " (words(&page.title)) }
                style { (PreEscaped(style::SHEET)) }
            }
            body {
                main {
                    header {
                        p.meta { span { "Firedrill: " (page.kind) } @for part in &page.meta { span { (words(part)) } } }
                        h1 { (words(&page.title)) }
                        @for said in &page.said { p { (words(said)) } }
                    }
                    @for (n, panel) in page.panels.iter().enumerate() { (section(&format!("claim-{n}"), &plain(&panel.name), "", body(page.order, n, panel))) }
                    @if page.panels.is_empty() { p { "The scenario claims nothing." } }
                }
            }
        }
    };
    html.into_string()
}

fn body(order: Order, n: usize, panel: &Panel) -> Markup {
    html! {
        @for said in &panel.said { p { (words(said)) } }
        @if let Some(bars) = &panel.bars {
            @let draw = match order { Order::Repeats => side_by_side, Order::Trend => over_time };
            figure {
                (PreEscaped(draw(bars, &format!("w{n}"), 1120)))
                (PreEscaped(draw(bars, &format!("n{n}"), 390)))
                (legend(order, bars))
            }
            @if bars.runs.len() > MOST { p.note { "Drawn: the last " (MOST) " of " (bars.runs.len()) " runs." } }
            details { summary { "The table behind the picture" } (table(bars)) }
        }
        @if let Some((heading, said)) = &panel.more {
            details { summary { (words(heading)) } @for said in said { p { (words(said)) } } }
        }
    }
}

fn legend(order: Order, bars: &Bars) -> Markup {
    let swatch = |shape: &str| PreEscaped(format!(r#"<svg class="swatch" viewBox="0 0 26 12" aria-hidden="true">{shape}</svg>"#));
    let mut items = vec![
        (r#"<rect class="bound good" x="3" y="2" width="20" height="8"/>"#, "passed: from at least to at most"),
        (r#"<rect class="bound bad" x="3" y="2" width="20" height="8"/>"#, "failed"),
        (r#"<rect class="bound open" x="3" y="2" width="20" height="8"/>"#, "undecided"),
    ];
    if bars.drawn().iter().any(|bar| bar.lo.is_some() && bar.hi.is_none()) {
        items.push((
            r#"<rect class="bound bad" x="1" y="2" width="20" height="8"/><path class="open-end bad" d="M18 0l6 6-6 6"/>"#,
            "not seen to end",
        ));
    }
    if bars.objective.is_some() {
        items.push((r#"<path class="objective" d="M0 6h26"/>"#, "claimed"));
    }
    if order == Order::Trend && bars.drawn().iter().any(|bar| bar.changed) {
        items.push((r#"<path class="changed" d="M13 0v12"/>"#, "something was changed before this run"));
    }
    html! { figcaption { @for (shape, text) in items { span { (swatch(shape)) (text) } } } }
}

fn table(bars: &Bars) -> Markup {
    let dated = bars.drawn().iter().any(|bar| !bar.day.is_empty());
    html! {
        section.scroll tabindex="0" aria-label=(format!("Runs of {}", words(&bars.name))) {
            table {
                thead { tr { th scope="col" { "Run" } @if dated { th scope="col" { "Of" } } th scope="col" { "Measured" } th scope="col" { "Verdict" } } }
                tbody {
                    @for bar in bars.drawn() {
                        tr { td { code { (words(&bar.run)) } } @if dated { td.at { (words(&bar.day)) } } td.at { (bars.measure.between(bar.lo, bar.hi)) } td { (badge(bar.status())) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::intervals::{Bar, Measure};
    use super::*;

    #[test]
    fn a_hostile_name_is_only_text_and_nothing_is_asked_for() {
        let evil = "<script>alert(1)</script>\"><img src=x>\u{202e}".to_owned();
        let bar = Bar { run: evil.clone(), day: evil.clone(), lo: Some(1e9), hi: None, verdict: evil.clone(), changed: true };
        let bars = Bars { name: evil.clone(), measure: Measure::Time, objective: Some(2e9), runs: vec![bar] };
        for order in [Order::Repeats, Order::Trend] {
            let panel = Panel {
                name: evil.clone(),
                said: vec![evil.clone()],
                bars: Some(bars.clone()),
                more: Some((evil.clone(), vec![evil.clone()])),
            };
            let page = Page {
                title: evil.clone(),
                kind: "Claims over runs",
                meta: vec![evil.clone()],
                said: vec![evil.clone()],
                order,
                panels: vec![panel],
            };
            let html = render(&page);
            for bad in ["<script", "<img", "\u{202e}", "<link", "url(http", "href=\"http"] {
                assert!(!html.contains(bad), "{bad}");
            }
            assert_eq!(html.matches("role=\"img\"").count(), 2);
        }
    }
}
