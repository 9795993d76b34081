//! Questions and practices of the framework, with their coverage.

use maud::{Markup, html};

use crate::score::explain::numbers;
use crate::score::{Judgement, PracticeVerdict};

use super::super::Report;
use super::super::practices::{Shown, all, coverage, extent, spoken, status, word, worth};
use super::{class, icon, words};

/// What the run speaks to, then what it does not.
pub(super) fn questions(report: &Report<'_>) -> Markup {
    let judgement = &report.score.practices;
    let silent: Vec<Shown<'_>> = all(judgement).into_iter().filter(|shown| shown.spoken.is_empty()).collect();
    html! {
        p { (words(&worth(judgement))) }
        @for shown in &spoken(judgement) { (question(judgement, shown)) }
        @if !silent.is_empty() {
            details {
                summary { (silent.len()) " questions that this run does not speak to, and what would" }
                dl {
                    @for shown in &silent {
                        dt { (shown.question.label) " " (shown.question.title) }
                        dd { (folded(shown)) }
                    }
                }
            }
        }
    }
}

fn question(judgement: &Judgement, shown: &Shown<'_>) -> Markup {
    html! {
        div.question {
            h3.sub { (shown.question.label) " " (shown.question.title) span.def { (coverage(judgement, &shown.question)) } }
            table.stack {
                thead { tr { th scope="col" { "Practice" } th scope="col" { "Verdict" } th scope="col" { "Why" } th scope="col" { "Entries" } } }
                tbody { @for told in &shown.spoken { (practice(told)) } }
            }
            @if !shown.folded.is_empty() {
                details { summary { "Not drilled, and what would" } p.note { (folded(shown)) } }
            }
        }
    }
}

fn practice(told: &PracticeVerdict) -> Markup {
    let status = status(told.verdict);
    html! {
        tr {
            td data-l="" { span { (told.practice.label) " " (told.practice.title) span.def { (told.practice.choice) } } }
            td data-l="verdict" { span class=(format!("badge {}", class(status))) { (icon(status)) " " (word(told.verdict)) } }
            td data-l="why" { span { (extent(told)) (words(&told.why)) } }
            td.at data-l="entries" { span { (numbers(&told.entries)) } }
        }
    }
}

fn folded(shown: &Shown<'_>) -> Markup {
    html! {
        @for (i, (labels, why)) in shown.folded.iter().enumerate() {
            @if i > 0 { "; " }
            strong { (labels.join(", ")) } " " (words(why))
        }
        "."
    }
}
