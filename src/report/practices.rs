//! Questions and practices of the Well-Architected Framework with their coverage: what is shown of a run in every format, and the whole of it for
//! `firedrill score`. Contradicted ones first, then those that were shown; what was not drilled is folded, with the drill that would.

use std::fmt::Write as _;

use anstyle::Style;
use serde_json::{Map, Value, json};

use crate::score::catalogue::{FRAMEWORK_PUBLICATION, Layer, Practice, catalogue};
use crate::score::{Judgement, PracticeVerdict, QuestionScore, Verdict, explain, explain::numbers};

use super::Report;
use super::markdown::text as escaped;
use super::text::{Page, wrap};
use super::view::{self, Status};

/// A question with what is said of its practices.
pub(super) struct Shown<'a> {
    pub(super) question: QuestionScore,
    /// What a drill or a person spoke to.
    pub(super) spoken: Vec<&'a PracticeVerdict>,
    /// The others, folded: labels, and what they need.
    pub(super) folded: Vec<(Vec<&'a str>, String)>,
}

/// Every question, in the framework's order.
pub(super) fn all(judgement: &Judgement) -> Vec<Shown<'_>> {
    let one = |question: QuestionScore| {
        let practices = judgement.of_question(question.id);
        let (spoken, others): (Vec<_>, Vec<_>) = practices.into_iter().partition(|told| told.verdict != Verdict::NotDrilled);
        Shown { question, spoken, folded: folded(&others) }
    };
    judgement.questions().into_iter().map(one).collect()
}

/// The questions that a run speaks to: those with something refuted first.
pub(super) fn spoken(judgement: &Judgement) -> Vec<Shown<'_>> {
    let mut found: Vec<Shown<'_>> = all(judgement).into_iter().filter(|shown| !shown.spoken.is_empty()).collect();
    found.sort_by_key(|shown| shown.question.contradicted == 0);
    found
}

/// What keeps a practice from being drilled, those of one reason together.
fn folded<'a>(others: &[&'a PracticeVerdict]) -> Vec<(Vec<&'a str>, String)> {
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for told in others {
        let why = match told.practice.layer {
            Layer::Outcome if told.of > 0 => told.why.clone(),
            Layer::Outcome => format!("needs a drill in which {}", told.would.as_deref().unwrap_or("it is exercised")),
            Layer::Programme => "judged over runs, never in one".to_owned(),
            Layer::None => "no drill can show it: a review, or a person's word".to_owned(),
        };
        match groups.iter_mut().find(|(_, reason)| *reason == why) {
            Some((labels, _)) => labels.push(&told.practice.label),
            None => groups.push((vec![&told.practice.label], why)),
        }
    }
    groups
}

/// How much of a question was drilled: never a word like “no risk”.
pub(super) fn coverage(judgement: &Judgement, question: &QuestionScore) -> String {
    let how = if judgement.demonstration && question.drilled > 0 { "shown as a demonstration" } else { "drilled" };
    let refuted = if question.contradicted > 0 { format!(", {} contradicted", question.contradicted) } else { String::new() };
    format!("{} of {} {how}{refuted}", question.drilled, question.total)
}

/// What these verdicts are worth, in a sentence or two.
pub(super) fn worth(judgement: &Judgement) -> String {
    let publication = format!("Practices are those of the publication of {FRAMEWORK_PUBLICATION}.");
    if let Some(why) = &judgement.no_evidence {
        return format!("No practice is judged: {why}. {publication}");
    }
    let announced = if judgement.announced { "an announced" } else { "a blind" };
    let evidence = if judgement.demonstration {
        format!("{}: {announced} drill, one run, machine-observed.", view::DEMONSTRATION)
    } else {
        format!("Evidence of one run, {announced} drill, machine-observed; it expires after {} days.", judgement.expires_days)
    };
    format!(
        "{evidence} A practice is supported for what was drilled, not for the whole workload; what was not drilled is not “no risk”. {publication}"
    )
}

/// The status whose shape and colour stands for a verdict.
pub(super) fn status(verdict: Verdict) -> Status {
    match verdict {
        Verdict::Contradicted(_) => Status::Failed,
        Verdict::Supported => Status::Passed,
        Verdict::Attested | Verdict::NotDrilled => Status::NotJudged,
    }
}

/// A verdict in words: `contradicted, high risk`.
pub(super) fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Contradicted(risk) => format!("contradicted, {}", risk.name()),
        Verdict::Supported => "supported".to_owned(),
        Verdict::Attested => "attested".to_owned(),
        Verdict::NotDrilled => "not drilled".to_owned(),
    }
}

/// For how much of the run's claims a verdict holds; nothing where there is only one.
pub(super) fn extent(told: &PracticeVerdict) -> String {
    if told.of > 1 { format!("{} of {} claims; ", told.shown, told.of) } else { String::new() }
}

/// The section in a terminal's report: what the run speaks to, and a line on the rest.
pub(super) fn section(report: &Report<'_>, page: &mut Page) {
    let judgement = &report.score.practices;
    let found = spoken(judgement);
    if found.is_empty() {
        return;
    }
    let labels = judgement.practices.iter().filter(|told| told.verdict == Verdict::NotDrilled).count();
    page.block("  ", &format!("WELL-ARCHITECTED, publication of {FRAMEWORK_PUBLICATION}"), Style::new().bold());
    for shown in &found {
        question(judgement, shown, page);
    }
    let rest = format!(
        "{labels} of {} practices are not drilled; `firedrill score {}` tells what would.",
        judgement.practices.len(),
        report.facts.run.id
    );
    page.block("  ", &rest, Style::new().dimmed());
    page.line("");
}

fn question(judgement: &Judgement, shown: &Shown<'_>, page: &mut Page) {
    let q = &shown.question;
    page.block("  ", &format!("{} {}: {}", q.label, q.title, coverage(judgement, q)), Style::new());
    for told in &shown.spoken {
        let risk = if let Verdict::Contradicted(risk) = told.verdict { risk.abbreviation() } else { "" };
        let status = status(told.verdict);
        page.part(status, &format!("{} {risk}", told.practice.label), &view::sentence(&told.practice.title), 24);
        page.columns("", 0, 24, &format!("{}{}", extent(told), told.why));
    }
}

/// Everything about every question, for `firedrill score`.
pub fn text(report: &Report<'_>, colour: bool, width: usize, every: bool) -> String {
    let judgement = &report.score.practices;
    let mut page = Page::new(colour, width);
    page.block("  ", &worth(judgement), if judgement.demonstration { Style::new().bold() } else { Style::new() });
    unknown(judgement, &mut page);
    page.line("");
    let shown = if every { all(judgement) } else { spoken(judgement) };
    for shown in &shown {
        let q = &shown.question;
        page.block("  ", &format!("{} {}: {}", q.label, q.title, coverage(judgement, q)), Style::new().bold());
        for told in &shown.spoken {
            let risk = if let Verdict::Contradicted(risk) = told.verdict { risk.abbreviation() } else { "" };
            page.part(status(told.verdict), &format!("{} {risk}", told.practice.label), &view::sentence(&told.practice.title), 24);
            page.columns("", 0, 24, &format!("{}{}", extent(told), told.why));
            if !told.entries.is_empty() {
                page.columns("", 0, 24, &format!("entries {}", numbers(&told.entries)));
            }
        }
        for (labels, why) in &shown.folded {
            page.columns("  – not drilled", 15, 24, &format!("{}: {why}", labels.join(", ")));
        }
        page.line("");
    }
    let silent = judgement.questions().iter().filter(|q| q.drilled == 0).count();
    if !every && silent > 0 {
        let rest =
            format!("{silent} of {} questions are not touched by this run; --all lists them with what would.", judgement.questions().len());
        page.block("  ", &rest, Style::new());
    }
    page.out
}

fn unknown(judgement: &Judgement, page: &mut Page) {
    if !judgement.unknown_targets.is_empty() {
        let names = judgement.unknown_targets.join(", ");
        page.block(
            "  ",
            &format!("score.targets names what no rule knows: {names}. `firedrill kinds signals` lists the targets."),
            Style::new().bold(),
        );
    }
}

/// The same as Markdown.
pub fn markdown(report: &Report<'_>, every: bool) -> String {
    let mut out = String::from("### Well-Architected\n\n");
    let judgement = &report.score.practices;
    let _ = writeln!(out, "{}\n", escaped(&worth(judgement)));
    for shown in if every { all(judgement) } else { spoken(judgement) } {
        let q = &shown.question;
        let _ = writeln!(out, "**{} {}**: {}\n", q.label, escaped(q.title), coverage(judgement, q));
        if !shown.spoken.is_empty() {
            out.push_str("| | Practice | Why | Entries |\n|---|---|---|---|\n");
        }
        for told in &shown.spoken {
            let _ = writeln!(
                out,
                "| {} {} | {} {} | {}{} | {} |",
                status(told.verdict).shape(),
                word(told.verdict),
                told.practice.label,
                escaped(&told.practice.title),
                extent(told),
                escaped(&told.why),
                numbers(&told.entries)
            );
        }
        if !shown.folded.is_empty() {
            let folded: Vec<String> =
                shown.folded.iter().map(|(labels, why)| format!("{} ({})", labels.join(", "), escaped(why))).collect();
            let _ = writeln!(out, "\n<sub>Not drilled, and what would: {}</sub>\n", folded.join("; "));
        }
    }
    out
}

/// Lines that may hold words from outside, as a block of code.
pub fn fenced(text: &str) -> String {
    super::markdown::fenced(text, "text")
}

/// Lines fit for a terminal of that width. What hangs over goes on under its own column: that behind the first wide gap.
pub fn wrapped(lines: &[String], width: usize) -> String {
    let mut out = String::new();
    for line in lines {
        let line = view::plain(line);
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let gap = text.find("  ").map_or(0, |at| at + text[at..].len() - text[at..].trim_start().len());
        let head: String = line.chars().take(indent + text[..gap].chars().count()).collect();
        let hang = if head.chars().count() * 2 > width { indent + 2 } else { head.chars().count() };
        for (i, part) in wrap(&text[gap..], width.max(40) - hang).iter().enumerate() {
            let start = if i == 0 { head.clone() } else { " ".repeat(hang) };
            let _ = writeln!(out, "{}", format!("{start}{part}").trim_end());
        }
    }
    out
}

/// What a program reads of one practice.
fn practice(told: &PracticeVerdict) -> Value {
    let risk = if let Verdict::Contradicted(risk) = told.verdict { Some(risk) } else { None };
    let drilled = told.verdict != Verdict::NotDrilled;
    json!({
        "label": told.practice.label, "question": told.practice.question, "title": told.practice.title, "verdict": told.verdict.word(),
        "risk": risk, "why": told.why, "entries": told.entries, "shown": drilled.then_some(told.shown), "of": drilled.then_some(told.of),
        "refuted_by": (!told.refuted_by.is_empty()).then_some(&told.refuted_by), "would": told.would,
    })
}

/// The `score` object of a report, without findings; `every` holds practices that were neither drilled nor exercised as well.
pub fn value(report: &Report<'_>, every: bool) -> Value {
    let judgement = &report.score.practices;
    let shown = judgement.practices.iter().filter(|told| every || told.verdict != Verdict::NotDrilled || told.of > 0);
    let practices: Map<String, Value> = shown.map(|told| (told.practice.choice.clone(), practice(told))).collect();
    let question = |q: &QuestionScore| {
        let (evidenced, demonstrated) = if judgement.demonstration { (0, q.drilled) } else { (q.drilled, 0) };
        json!({
            "label": q.label, "title": q.title, "contradicted": q.contradicted, "evidenced": evidenced, "demonstrated": demonstrated, "total": q.total,
        })
    };
    let questions: Map<String, Value> = judgement.questions().iter().map(|q| (q.id.to_owned(), question(q))).collect();
    json!({
        "framework_publication": FRAMEWORK_PUBLICATION, "demonstration": judgement.demonstration, "announced": judgement.announced,
        "expires_days": judgement.expires_days, "no_evidence": judgement.no_evidence, "unknown_targets": judgement.unknown_targets,
        "practices": practices, "questions": questions,
    })
}

/// The whole score as JSON text, ending in a line feed.
pub fn json(report: &Report<'_>) -> String {
    let mut whole = value(report, true);
    if let Value::Object(map) = &mut whole {
        map.insert("findings".into(), report.score.findings.iter().map(super::json::finding).collect());
        map.insert("run".into(), json!(report.facts.run.id));
    }
    format!("{:#}\n", super::json::without_nulls(whole))
}

/// One practice explained for programs: rule, values, entries, and what would have made it better.
pub fn explained(report: &Report<'_>, practice: &Practice) -> String {
    let judgement = &report.score.practices;
    let Some(told) = judgement.find(practice) else { return String::new() };
    let mut whole = self::practice(told);
    if let Value::Object(map) = &mut whole {
        map.insert("choice".into(), json!(practice.choice));
        map.insert("run".into(), json!(report.facts.run.id));
        map.insert("demonstration".into(), json!(judgement.demonstration));
        map.insert("rule".into(), json!({ "supported": practice.texts[0], "medium": practice.texts[1], "high": practice.texts[2] }));
        map.insert("values".into(), explain::values_for(catalogue(), practice, judgement));
    }
    format!("{:#}\n", super::json::without_nulls(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::{Sample, all as samples};
    use crate::score::score;

    fn of(sample: &Sample, how: impl Fn(&Report<'_>) -> String) -> String {
        let score = score(&sample.plan, &sample.facts);
        how(&Report::new(&sample.plan, &sample.facts, &score))
    }

    fn named(name: &str) -> Sample {
        samples().into_iter().find(|s| s.name == name).unwrap()
    }

    #[test]
    fn what_score_prints() {
        insta::assert_snapshot!("score-failed", of(&named("failed"), |r| text(r, false, 80, false)));
        insta::assert_snapshot!("score-laptop-all", of(&named("laptop"), |r| text(r, false, 80, true)));
        insta::assert_snapshot!("score-failed-md", of(&named("failed"), |r| markdown(r, false)));
        insta::assert_snapshot!(
            "explain-failed",
            of(&named("failed"), |r| {
                let told = r.score.practices.find(catalogue().find("REL11-BP02").unwrap()).unwrap();
                wrapped(&explain::page(catalogue(), told, &r.score.practices), 80)
            })
        );
        insta::assert_snapshot!("explain-failed-json", of(&named("failed"), |r| explained(r, catalogue().find("REL11-BP02").unwrap())));
    }

    #[test]
    fn lines_fit_and_no_run_is_called_without_risk() {
        for sample in samples() {
            for every in [false, true] {
                let page = of(&sample, |r| text(r, false, 80, every));
                assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
                assert!(!page.to_lowercase().replace("not “no risk”", "").contains("no risk"), "{page}");
            }
        }
    }

    #[test]
    fn every_practice_is_in_the_whole_score() {
        for sample in samples() {
            let whole: Value = serde_json::from_str(&of(&sample, json)).unwrap();
            assert_eq!(whole["practices"].as_object().unwrap().len(), 133);
            let total: u64 = whole["questions"].as_object().unwrap().values().map(|q| q["total"].as_u64().unwrap()).sum();
            assert_eq!(total, 133);
            let evidenced: u64 = whole["questions"].as_object().unwrap().values().map(|q| q["evidenced"].as_u64().unwrap()).sum();
            assert!(evidenced == 0 || !sample.plan.is_demonstration(), "{}: a demonstration is no evidence", sample.name);
        }
    }

    #[test]
    fn hostile_words_stay_words() {
        let mut sample = named("failed");
        sample.facts.claims["checkout-node-loss"].fault = "lose-primary".into();
        sample.plan.carried.insert("score".into(), json!({ "targets": { "\u{1b}[2J<script>|x": "1s" } }));
        let page = of(&sample, |r| text(r, false, 80, true));
        assert!(!page.contains('\u{1b}') && page.contains("score.targets names what no rule knows"), "{page}");
    }
}
