//! `firedrill score`: what a run says of the Well-Architected Framework, and `firedrill kinds signals`: by what it is judged.

use super::args::{Score, ScoreFormat};
use super::exit::Exit;
use super::kinds::wrap;
use super::out::{Voice, print, terminal_size};
use super::past::{self, Past};
use crate::measure;
use crate::report::{Report, practices};
use crate::review;
use crate::scenario::finding::did_you_mean;
use crate::score::catalogue::{Catalogue, Practice, catalogue};
use crate::score::{explain, score as judge};
use crate::score::{extract, people};

/// `firedrill score RUN`.
pub fn score(args: &Score, voice: Voice) -> Exit {
    let practice = match args.explain.as_deref().map(|name| asked(name, voice)) {
        Some(None) => return Exit::Usage,
        Some(found) => found,
        None => None,
    };
    let Past { plan, entries, .. } = match past::read(&args.runs.dir, &args.run, voice) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let facts = measure::facts(&plan, &entries);
    let scored = judge(&plan, &facts);
    let whole = Report { plan: &plan, facts: &facts, score: &scored };
    let width = terminal_size().map_or(100, |(columns, _)| columns.min(100));
    print(&match (practice, args.output) {
        (None, ScoreFormat::Text) => practices::text(&whole, voice.colour_out, width, args.all),
        (None, ScoreFormat::Json) => practices::json(&whole),
        (None, ScoreFormat::Md) => practices::markdown(&whole, args.all),
        (Some(practice), ScoreFormat::Json) => practices::explained(&whole, practice),
        (Some(practice), ScoreFormat::Text) => page(&whole, practice, width),
        (Some(practice), ScoreFormat::Md) => practices::fenced(&page(&whole, practice, 100)),
    });
    Exit::Ok
}

fn page(whole: &Report<'_>, practice: &Practice, width: usize) -> String {
    let judgement = &whole.score.practices;
    let told = judgement.find(practice);
    let lines = told.map(|told| explain::page(catalogue(), told, judgement)).unwrap_or_default();
    practices::wrapped(&lines, width)
}

/// The practice that is meant; nothing, and it was said, where there is none.
pub fn asked(name: &str, voice: Voice) -> Option<&'static Practice> {
    let found = catalogue().find(name);
    if found.is_none() {
        let names = catalogue().practices.iter().flat_map(|p| [p.label.as_str(), p.choice.as_str()]);
        let near = did_you_mean(&name.to_ascii_uppercase(), names).map(|near| format!("did you mean {near}?"));
        let help =
            near.as_deref().unwrap_or("a practice has a label like REL11-BP01 and a choice id; `firedrill score RUN --all` lists them");
        voice.error(&format!("no practice is called `{name}`"), Some(help));
    }
    found
}

/// Every signal: what it is, and whether this version produces it.
pub fn signals() -> String {
    let all: &Catalogue = catalogue();
    let used = |name: &str| all.practices.iter().filter(|p| p.rule.as_ref().is_some_and(|rule| rule.names().0.contains(&name))).count();
    let made = |name: &str| extract::PRODUCED.contains(&name) || people::PRODUCED.contains(&name) || review::PRODUCED.contains(&name);
    let mut out = String::from(
        "Signals that practices are judged by. What is not produced counts as not instrumented: it supports nothing and refutes nothing.\n",
    );
    for (title, produced) in [("Produced by this version", true), ("Not produced yet", false)] {
        out += &format!("\n{title}\n");
        for (name, kind) in all.signals.iter().filter(|(name, _)| made(name) == produced) {
            let quantity = kind.quantity.as_ref().map_or_else(String::new, |quantity| format!(" [{quantity}]"));
            let rules = match used(name) {
                0 => "no rule".to_owned(),
                1 => "1 rule".to_owned(),
                n => format!("{n} rules"),
            };
            let about = format!("{}{quantity}. From {}; {rules}.", kind.means, kind.from.words());
            out += &format!("  {name} ({})\n{}\n", kind.unit, wrap(&about, 8));
        }
    }
    out += "\nTargets that rules compare with; `score.targets` of a scenario sets those that are times, without the unit of their name\n";
    for (name, value) in &all.targets {
        let value = value.map_or_else(|| "must be claimed or declared".to_owned(), |value| format!("default {value}"));
        out += &format!("  {name:28} {value}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_told_once_with_its_meaning() {
        let page = signals();
        for (name, kind) in &catalogue().signals {
            let first: String = kind.means.chars().take(40).collect();
            let head = format!("\n  {name} ({})\n        {first}", kind.unit);
            assert_eq!(page.matches(&head).count(), 1, "{name}");
        }
        let yet = page.find("Not produced yet").unwrap();
        assert!(
            page.find("  failover_s (s)").unwrap() < yet
                && page.find("  ttd_s (s)").unwrap() < yet
                && page.find("  ttn_s (s)").unwrap() > yet
        );
        assert!(
            page.contains("failover_time (1.6)") && page.contains("rto_s                        must be claimed or declared"),
            "{page}"
        );
    }

    #[test]
    fn what_is_meant_is_found() {
        let voice = Voice { colour_err: false, colour_out: false, live: false, width: 80, shared: false };
        assert_eq!(asked("REL11-BP01", voice).map(|p| p.label.as_str()), Some("REL11-BP01"));
        assert_eq!(asked("REL11-BP99", voice), None);
    }
}
