//! The first screen: what is owed, the verdict with its number, and the claim table.

use maud::{Markup, html};

use super::super::Report;
use super::super::rows::{Row, rows};
use super::super::team;
use super::super::view::{self, Headline, Status, clock, plain};
use super::{badge, class, icon, words};

/// First of all, where a fault may still be there.
pub(super) fn owed(report: &Report<'_>) -> Markup {
    if report.score.exit_code != 50 {
        return html! {};
    }
    html! {
        aside.owed aria-label="Undo failed" {
            p.alarm { (icon(Status::Stuck)) "Undo failed: a fault may still be there" }
            @for item in &report.facts.owed {
                p.what { (words(&item.targets.join(", "))) @if item.targets.is_empty() { (item.id) } }
                p {
                    "Left by fault " (item.id) ", armed at " (clock(item.since)) " of the run, "
                    (report.facts.run.end.since(item.since).human()) " before the journal's end. Undo it by hand with:"
                }
                pre { (plain(&item.undo.by_hand)) }
                @if !item.tried.is_empty() {
                    p { "What was tried, and what it answered:" }
                    ul { @for tried in &item.tried { li { (words(tried)) } } }
                }
            }
            p.what { "To try again" }
            pre { "firedrill undo " (plain(&report.facts.run.id)) }
        }
    }
}

/// The verdict.
pub(super) fn header(report: &Report<'_>, head: &Headline) -> Markup {
    let run = &report.facts.run;
    let two = if head.number.is_some() { " two" } else { "" };
    html! {
        header {
            p.meta {
                span { "Firedrill report" } span { (view::environment(report)) } span { (view::test_kind(report)) }
                span { (wall(&run.started_at)) } span { "run " (plain(&run.id)) }
            }
            h1 { (words(&report.plan.title)) }
            @if let Some(why) = view::demonstration(report) { p.demo { (why) } }
            div class=(format!("verdict {}{two}", class(head.status))) id="verdict" {
                div {
                    (badge(head.status))
                    @if let Some((number, caption)) = &head.number {
                        span.number { (number) }
                        span.caption { (words(caption)) }
                    }
                }
                div.said {
                    p.sentence { (words(&head.sentence)) }
                    @if matches!(head.status, Status::Stuck | Status::Aborted | Status::NotStarted | Status::NotSteady) && report.score.judged {
                        p.sentence { "The system: " (words(&report.score.system_why.join("; "))) "." }
                    }
                    p.note { "Team: " @if let Some(status) = team::verdict(report) { (status.word()) ", " } (words(&team::sentence(report))) "." }
                    @for (id, who) in &report.facts.left_to {
                        p { strong { (id) " was left to " (words(who)) " to undo, and was not seen to be undone." } }
                    }
                    @if let Some(by) = &run.taken_over { p.note { "The runner died; the run was finished by " (words(by)) "." } }
                }
            }
            @if let Some(why) = &report.plan.why { p.note style="margin-top:18px" { "Why this drill: " (words(why)) } }
        }
    }
}

/// A wall time as people read it: to the second, without the fraction that no label needs.
fn wall(rfc3339: &str) -> String {
    let plain = plain(rfc3339);
    match plain.split_once('.') {
        Some((seconds, rest)) => format!("{}{}", seconds.replace('T', " "), rest.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => plain.replace('T', " "),
    }
}

/// Claimed, measured, margin, verdict.
pub(super) fn claims(report: &Report<'_>) -> Markup {
    let rows = rows(report);
    html! {
        @if !report.score.judged { p { "Nothing was put to the test, so no claim is judged." } }
        @if report.score.judged && report.facts.claims.is_empty() { p { "No claims were made. Only steady state after undo is judged." } }
        @if report.score.judged {
            table.stack {
                thead { tr { th scope="col" { "" } th scope="col" { "Claimed" } th scope="col" { "Measured" } th scope="col" { "Margin" } th scope="col" { "Verdict" } } }
                tbody {
                    @for (i, row) in rows.iter().enumerate() {
                        @if i == 0 || rows.get(i - 1).is_none_or(|before| before.claim != row.claim) { (claim_head(report, &row.claim)) }
                        (claim_row(row))
                    }
                }
            }
        }
    }
}

fn claim_head(report: &Report<'_>, id: &str) -> Markup {
    let declared = report.plan.claims.get(id);
    let about: Vec<String> = declared
        .map(|c| [c.service.clone(), c.disruption.clone(), Some(format!("fault {}", c.fault))].into_iter().flatten().collect())
        .unwrap_or_default();
    let source = declared.and_then(|c| c.source.as_ref());
    html! {
        tr.claim {
            td colspan="5" {
                (id)
                @if !about.is_empty() { span.def { (words(&about.join(" · "))) } }
                @if let Some(source) = source {
                    span.def { "from " (words(&source.document)) @if let Some(who) = &source.approved_by { ", approved by " (words(who)) } }
                }
            }
        }
    }
}

fn claim_row(row: &Row) -> Markup {
    html! {
        tr {
            td data-l="" { span { (words(&row.what)) @if !row.definition.is_empty() { span.def { (row.definition) } } } }
            td data-l="claimed" { span { (words(&row.claimed)) } }
            td data-l="measured" { span { (words(&row.measured)) @if row.worth_saying() { span.why { (words(&row.why)) } } } }
            @if row.margin.is_empty() { td {} } @else { td data-l="margin" { span { (row.margin) } } }
            td data-l="verdict" { (badge(row.status)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wall;

    #[test]
    fn wall_time_is_a_label() {
        assert_eq!(wall("2026-11-19T09:30:00.000000001Z"), "2026-11-19 09:30:00Z");
        assert_eq!(wall("2026-11-19T09:30:00+01:00"), "2026-11-19 09:30:00+01:00");
    }
}
