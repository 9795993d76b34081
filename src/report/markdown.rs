//! The report for a pull request: verdict, claims, findings, timeline. Everything from outside is escaped, so that no scenario can
//! add markup, mention people or break a table.

use std::fmt::Write as _;

use crate::score::words::capital;

use super::Report;
use super::cues;
use super::rows::rows;
use super::signoff;
use super::team;
use super::view::{self, Status, clock, headline, min_detectable, plain};

/// The report as GitHub-flavoured Markdown.
pub fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    let head = headline(report);
    let _ = writeln!(out, "## {} {}: {}\n", head.status.shape(), capital(head.status.word()), text(&report.plan.title));
    owed(report, &mut out);
    if let Some(why) = view::demonstration(report) {
        let _ = writeln!(out, "> **{}**\n", text(&why));
    }
    let _ = writeln!(out, "{}\n", text(&head.sentence));
    let of_run = matches!(head.status, Status::Stuck | Status::Aborted | Status::NotStarted | Status::NotSteady);
    if of_run {
        let _ = writeln!(out, "The system: {}.\n", text(&report.score.system_why.join("; ")));
    }
    claims(report, &mut out);
    people(report, &mut out);
    for (id, who) in &report.facts.left_to {
        let _ = writeln!(out, "**{} was left to {} to undo, and was not seen to be undone.**\n", text(id), text(who));
    }
    findings(report, &mut out);
    if !super::practices::spoken(&report.score.practices).is_empty() {
        out.push_str(&super::practices::markdown(report, false));
    }
    timeline(report, &mut out);
    if let Some(least) = min_detectable(report).filter(|_| report.score.judged && !of_run) {
        let _ = writeln!(out, "An outage under {} would not have been seen. {}\n", least.human(), view::ONE_RUN);
    }
    sign_off(report, &mut out);
    let facts = &report.facts.run;
    let _ = writeln!(
        out,
        "<sub>run {} · {} · {} · firedrill {} · plan {} · exit {}</sub>",
        text(&facts.id),
        view::environment(report),
        view::test_kind(report),
        text(&facts.firedrill),
        text(&facts.plan_digest),
        report.score.exit_code
    );
    out
}

fn owed(report: &Report<'_>, out: &mut String) {
    if report.score.exit_code != 50 {
        return;
    }
    out.push_str("> [!CAUTION]\n> **An undo failed: a fault may still be there.**\n\n");
    for item in &report.facts.owed {
        let what = if item.targets.is_empty() { String::new() } else { format!(": {}", text(&item.targets.join(", "))) };
        let _ = writeln!(out, "**{}**{what}, armed at {} of the run. Undo it by hand:\n", text(&item.id), clock(item.since));
        out.push_str(&fenced(&item.undo.by_hand, "sh"));
        for tried in &item.tried {
            let _ = writeln!(out, "- tried: {}", text(tried));
        }
        out.push('\n');
    }
    out.push_str("To try again:\n\n");
    out.push_str(&fenced(&format!("firedrill undo {}", report.facts.run.id), "sh"));
}

fn claims(report: &Report<'_>, out: &mut String) {
    if !report.score.judged {
        return;
    }
    out.push_str("| | Claim | Part | Claimed | Measured | Margin |\n|---|---|---|---|---|---|\n");
    for row in rows(report) {
        let why = if row.worth_saying() { format!("<br>{}", text(&row.why)) } else { String::new() };
        let _ = writeln!(
            out,
            "| {} {} | {} | {} | {} | {}{why} | {} |",
            row.status.shape(),
            row.status.word(),
            text(&row.claim),
            text(&row.what),
            text(&row.claimed),
            text(&row.measured),
            text(&row.margin),
        );
    }
    out.push('\n');
}

fn people(report: &Report<'_>, out: &mut String) {
    let word = team::verdict(report).map_or_else(String::new, |status| format!("{} {}, ", status.shape(), status.word()));
    let _ = writeln!(out, "Team: {word}{}.\n", text(&team::sentence(report)));
    let rows = team::rows(report);
    if !rows.is_empty() {
        out.push_str("| | Expected | Of whom | Within | Observed | Source |\n|---|---|---|---|---|---|\n");
    }
    for row in &rows {
        let training = if row.counts { "" } else { " (training)" };
        let _ = writeln!(
            out,
            "| {} {} | {}: {}{training} | {} | {} | {} | {} |",
            row.status.shape(),
            row.word,
            text(&row.id),
            text(&row.what),
            text(&row.by),
            text(&row.within),
            text(&row.why),
            text(&row.source)
        );
    }
    for remark in team::remarks(report) {
        let _ = writeln!(out, "\n{}", text(&remark));
    }
    if !rows.is_empty() {
        out.push('\n');
    }
    for (n, (heading, texts)) in cues::debrief(report).into_iter().enumerate() {
        let _ = writeln!(out, "{}#### {heading}\n", if n == 0 { "### Debrief\n\n" } else { "" });
        for line in &texts {
            let _ = writeln!(out, "- {}", text(line));
        }
        out.push('\n');
    }
}

fn findings(report: &Report<'_>, out: &mut String) {
    if report.score.findings.is_empty() {
        return;
    }
    out.push_str("### Findings\n\n");
    for finding in &report.score.findings {
        let practice = &finding.practice;
        let _ = writeln!(out, "#### {}: {}\n", finding.risk.abbreviation(), text(&finding.title));
        let _ = writeln!(out, "- Observed: {}", text(&finding.observed));
        let _ = writeln!(out, "- Expected: {}", text(&finding.expected));
        let _ = writeln!(out, "- Impact: {}", text(&finding.impact));
        let _ = writeln!(out, "- What to do: {}", text(&finding.remediation));
        let _ = writeln!(
            out,
            "- Speaks to: {} {} ({}, {}; publication {})",
            practice.question_label,
            text(&practice.question_title),
            practice.label,
            text(&practice.title),
            crate::score::catalogue::FRAMEWORK_PUBLICATION
        );
        if let Some(due) = &finding.due {
            let _ = writeln!(out, "- Owner: {}, by {due}", text(finding.owner.as_deref().unwrap_or("nobody yet")));
        }
        let _ = writeln!(out, "- Shown by: {}", crate::score::explain::shown_by(&finding.entries));
        let _ = writeln!(out, "- Retest: {}\n", text(&finding.retest));
    }
}

fn timeline(report: &Report<'_>, out: &mut String) {
    if report.facts.timeline.is_empty() {
        return;
    }
    out.push_str("<details><summary>Timeline</summary>\n\n| At | What | | After effect | Source |\n|---|---|---|---|---|\n");
    for moment in report.facts.timeline.iter().take(LONGEST) {
        let after = view::after_effect(report.facts, moment.at, moment.bounds).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            clock(moment.at),
            text(&moment.what),
            text(&moment.text),
            text(&after),
            text(&moment.source)
        );
    }
    if report.facts.timeline.len() > LONGEST {
        let _ = writeln!(out, "\n{} later entries are in the journal.", report.facts.timeline.len() - LONGEST);
    }
    out.push_str("\n</details>\n\n");
}

fn sign_off(report: &Report<'_>, out: &mut String) {
    let Some(subject) = signoff::subject(report) else { return };
    let _ = writeln!(out, "### Sign-off\n\n{}\n\n| Role | Signs that | Name | Date | Signature |\n|---|---|---|---|---|", text(&subject));
    for (role, what) in signoff::LINES {
        let _ = writeln!(out, "| {role} | {what} | | | |");
    }
    out.push('\n');
}

/// Most lines of a timeline in a pull request.
const LONGEST: usize = 200;

/// A block that holds any text: its fence is longer than every run of backticks inside.
pub(super) fn fenced(code: &str, language: &str) -> String {
    let code: String = code.lines().map(plain).collect::<Vec<_>>().join("\n");
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{code}\n{fence}\n\n")
}

/// Text from outside as text: no markup, no HTML, no mentions, no references, no table edges.
pub(super) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in plain(raw).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // Neither a link that GitHub makes by itself.
    out.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::{Sample, all};
    use crate::score::score;

    fn render_sample(sample: &Sample) -> String {
        let score = score(&sample.plan, &sample.facts);
        render(&Report::new(&sample.plan, &sample.facts, &score))
    }

    #[test]
    fn what_a_reviewer_reads() {
        for sample in all() {
            insta::assert_snapshot!(format!("markdown-{}", sample.name), render_sample(&sample));
        }
    }

    #[test]
    fn text_from_outside_is_no_markup() {
        assert_eq!(text("a|b `c` <img> @me #1"), "a\\|b \\`c\\` &lt;img&gt; &#64;me &#35;1");
        assert_eq!(text("x\n\n# y"), "x  &#35; y");
        assert_eq!(fenced("echo ```x", "sh"), "````sh\necho ```x\n````\n\n");
    }

    #[test]
    fn a_hostile_title_stays_a_title() {
        let mut sample = all().into_iter().next().unwrap();
        sample.plan.title = "x | y\n<script>alert(1)</script> @all ![](http://e.example/x.png)".into();
        let out = render_sample(&sample);
        let first = out.lines().next().unwrap();
        assert!(first.contains("x \\| y &lt;script&gt;"), "{first}");
        for bad in ["<script", "@all", "![](", "http://"] {
            assert!(!out.contains(bad), "{bad}");
        }
    }

    #[test]
    fn every_table_row_has_as_many_cells_as_its_head() {
        for mut sample in all() {
            for moment in &mut sample.facts.timeline {
                moment.text.push_str(" a|b||c");
            }
            let mut cells = None;
            for line in render_sample(&sample).lines() {
                let n = line.replace("\\|", "").matches('|').count();
                if line.starts_with('|') {
                    assert_eq!(*cells.get_or_insert(n), n, "{line}");
                } else {
                    cells = None;
                }
            }
        }
    }
}
