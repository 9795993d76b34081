//! The debrief of a practice: what it was, what happened when, times against what was expected with what hints cost, and what to think about. A pure
//! function of plan and journal.

use super::console::ROLE;
use super::drills::Pick;
use super::page::{row, wrap};
use super::spoken::clock;
use crate::base::{At, Span, one_line};
use crate::event::{Deed, Entry, Event, Role, Said, TeamEvent, Verdict as Sampled};
use crate::measure::facts::Facts;
use crate::plan::Plan;
use crate::response::{ExpectationFacts, Turn, Verdict, verdict_word};

/// From this share of orders on, in percent, customers count as served.
const SERVED: u64 = 90;

/// What was said by the participant, in order.
fn said(entries: &[Entry]) -> impl Iterator<Item = (At, &Said)> {
    entries.iter().filter_map(|entry| match &entry.event {
        Event::Team(TeamEvent::Said(said)) => Some((entry.at, said)),
        _ => None,
    })
}

/// Hints that were taken: when, which, its words.
fn hints(entries: &[Entry]) -> Vec<(At, usize, &str)> {
    let one = |(at, said): (At, &'_ Said)| match &said.deed {
        Deed::Mark { mark, .. } => Some((at, mark.strip_prefix("hint-")?.parse::<usize>().ok()?)),
        _ => None,
    };
    let texts: Vec<&str> = said(entries)
        .filter_map(|(_, said)| match &said.deed {
            Deed::Mark { mark, text } if mark.starts_with("hint-") => Some(text.as_str()),
            _ => None,
        })
        .collect();
    said(entries).filter_map(one).zip(texts).map(|((at, n), text)| (at, n, text)).collect()
}

/// What hints cost until then.
fn cost(pick: &Pick, entries: &[Entry], until: At) -> Span {
    let costs = |n: usize| pick.drill.hints.get(n.wrapping_sub(1)).map_or(Span::ZERO, |hint| hint.costs);
    hints(entries).into_iter().filter(|(at, ..)| *at <= until).fold(Span::ZERO, |sum, (_, n, _)| sum + costs(n))
}

/// A time with what hints cost, and whether that is still what was expected.
fn with_hints(facts: &ExpectationFacts, cost: Span) -> Option<(Span, Verdict)> {
    let took = facts.took?.1 + cost;
    let verdict = match facts.verdict {
        Verdict::OnTime if took > facts.within => Verdict::Late,
        other => other,
    };
    Some((took, verdict))
}

fn to_the_tenth(span: Span) -> String {
    Span(span.0.div_ceil(100_000_000) * 100_000_000).human()
}

/// Share of orders that were served in the seconds before a moment, in percent.
fn served_before(entries: &[Entry], at: At) -> Option<u64> {
    let rows = entries.iter().filter_map(|entry| match &entry.event {
        Event::Samples { probe, rows } if probe == "checkout" => Some(rows),
        _ => None,
    });
    let near = rows.flatten().filter(|row| row.done <= at && at.since(row.done) <= Span::secs(2));
    let (good, all) = near.fold((0, 0), |(good, all), row| match row.verdict {
        Sampled::Ok => (good + 1, all + 1),
        Sampled::Bad => (good, all + 1),
        Sampled::Local | Sampled::Capped => (good, all),
    });
    (all > 0).then(|| good * 100 / all)
}

/// What happened, a line each.
fn timeline(entries: &[Entry], facts: &Facts) -> Vec<(At, String)> {
    let mut out = Vec::new();
    let mut faults: Vec<&str> = Vec::new();
    for entry in entries {
        let text = match &entry.event {
            Event::Armed { id, role: Role::Fault, .. } => {
                faults.push(id);
                continue;
            }
            Event::Effective { id, .. } if faults.contains(&id.as_str()) => format!("it bites ({id})"),
            Event::Undone { id, .. } if faults.contains(&id.as_str()) => format!("it is undone ({id})"),
            Event::Team(TeamEvent::Alert(alert)) => {
                let of = alert.labels.get("instance").map_or_else(String::new, |of| format!(" ({of})"));
                format!("alert {}{of} {}", alert.name, if alert.firing { "fires" } else { "has ended" })
            }
            Event::Team(TeamEvent::Said(said)) if said.role == ROLE => deed(&said.deed, facts, entry.at),
            Event::AbortRequested { reason, .. } => format!("it was ended: {reason}"),
            _ => continue,
        };
        out.push((entry.at, text));
    }
    out
}

fn deed(deed: &Deed, facts: &Facts, at: At) -> String {
    match deed {
        Deed::Mark { mark, text } if mark.starts_with("hint-") => format!("hint: {text}"),
        Deed::Mark { mark, .. } => format!("you: {mark}"),
        Deed::Answer { text, .. } => {
            let right = facts.team.expectations.get("diagnosed").and_then(|e| e.at).is_some_and(|right| right.lo <= at);
            format!("you: it is “{text}”{}", if right { "" } else { ", which it was not" })
        }
        Deed::Step { step, back_out: false } => format!("you did {step}"),
        Deed::Step { step, back_out: true } => format!("you took {step} back"),
        Deed::Note { text } => format!("you noted: {text}"),
        Deed::Command { line } => format!("$ {line}"),
        _ => "you said something".to_owned(),
    }
}

fn table(pick: &Pick, entries: &[Entry], facts: &Facts, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, e) in &facts.team.expectations {
        let until = e.at.map_or(At(u64::MAX), |at| at.hi.unwrap_or(at.lo));
        let cost = if e.machine { Span::ZERO } else { cost(pick, entries, until) };
        let early = served(entries).filter(|share| id == "mitigated" && *share < SERVED);
        let text = match with_hints(e, cost) {
            Some((took, _)) if early.is_some() => {
                format!("said after {}, when {} % of orders were served", to_the_tenth(took), early.unwrap_or_default())
            }
            Some((took, verdict)) if cost > Span::ZERO => {
                format!("{}: {} and {} for hints; {}", verdict_word(verdict), to_the_tenth(took - cost), cost.human(), wanted(e))
            }
            Some((took, verdict)) => format!("{}: {}; {}", verdict_word(verdict), to_the_tenth(took), wanted(e)),
            None => format!("{}: {}", verdict_word(e.verdict), if e.why.is_empty() { "nothing can be said" } else { &e.why }),
        };
        lines.extend(row(id, &text, 13, width));
    }
    lines
}

/// What was expected, and what it is counted from.
fn wanted(e: &ExpectationFacts) -> String {
    format!("expected within {} after {}", e.within.human(), e.from)
}

/// Share of orders that were served when it was said that they were again, in percent.
fn served(entries: &[Entry]) -> Option<u64> {
    let marked = said(entries).find_map(|(at, said)| matches!(&said.deed, Deed::Mark { mark, .. } if mark == "mitigated").then_some(at))?;
    served_before(entries, marked)
}

/// Whether what was done had helped before it was said that it had.
fn mitigation(entries: &[Entry]) -> Option<String> {
    Some(match served(entries)? {
        SERVED.. => {
            "When you said that it was mitigated, customers were served again: what you did had helped, before anything was repaired."
                .to_owned()
        }
        share => format!(
            "When you said that it was mitigated, {share} % of orders were served: it was the repair at the end of the drill that helped. Look at the \
             customers before you say that they are well."
        ),
    })
}

/// The whole of it.
pub fn text(pick: &Pick, plan: &Plan, entries: &[Entry], facts: &Facts, report: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    lines.extend(wrap(&format!("DEBRIEF  {}", plan.title), width, 9));
    lines.push(String::new());
    lines.extend(wrap(&format!("  {}", one_line(plan.why.as_deref().unwrap_or_default(), 1_000)), width, 2));
    let head = |lines: &mut Vec<String>, text: &str| {
        lines.push(String::new());
        lines.push(format!("  {text}"));
    };
    head(&mut lines, "WHAT HAPPENED");
    for (at, text) in timeline(entries, facts) {
        lines.extend(wrap(&format!("  {}  {}", clock(at), one_line(&text, 400)), width, 9));
    }
    head(&mut lines, "TIMES, AND WHAT WAS EXPECTED");
    lines.extend(table(pick, entries, facts, width));
    lines.extend(mitigation(entries).map(|text| wrap(&format!("  {text}"), width, 2)).into_iter().flatten());
    let taken = hints(entries);
    if !taken.is_empty() {
        head(&mut lines, "HINTS");
        for (at, n, text) in &taken {
            lines.extend(wrap(&format!("  {}  {n}: {}", clock(*at), one_line(text, 400)), width, 9));
        }
        lines.extend(wrap("  What they cost is counted here; report.html tells the clock's own times, and when each was taken.", width, 2));
    }
    head(&mut lines, "WRONG TURNS");
    let turns: Vec<_> = facts.team.wrong_turns.values().filter(|turn| matches!(turn.turn, Turn::Taken | Turn::BackedOut)).collect();
    if turns.is_empty() {
        lines.push("  none of those that were foreseen".to_owned());
    }
    for turn in turns {
        let text = format!("{}: {}. {}", turn.what, turn.why, turn.teaches.as_deref().unwrap_or_default());
        lines.extend(wrap(&format!("  {}", one_line(&text, 600)), width, 4));
    }
    head(&mut lines, "WHAT WOULD HAVE BEEN GOOD");
    lines.extend(wrap(&format!("  {}", pick.drill.best), width, 2));
    head(&mut lines, "TO THINK ABOUT");
    pick.drill.think.iter().for_each(|question| lines.extend(wrap(&format!("  · {question}"), width, 4)));
    lines.push(String::new());
    lines.extend(row("again", &format!("firedrill practice --drill {} --seed {}", pick.number, pick.seed), 7, width));
    lines.extend(row("report", report, 7, width));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::args::Colour;
    use crate::cli::out::Voice;
    use crate::event::AlertSeen;
    use crate::measure;
    use serde_json::json;

    const PORTS: super::super::drills::Ports = [18180, 18181, 18182, 18183, 18184, 18185, 18186];

    /// A journal by seconds.
    struct Told(Vec<Entry>);

    impl Told {
        fn at(&mut self, second: f64, event: Event) -> &mut Told {
            let at = At((second * 1e9) as u64);
            self.0.push(Entry { seq: self.0.len() as u64 + 1, at, event });
            self
        }

        fn json(&mut self, second: f64, event: serde_json::Value) -> &mut Told {
            self.at(second, serde_json::from_value(event).unwrap())
        }

        fn says(&mut self, second: f64, deed: Deed) -> &mut Told {
            let said = Said { role: ROLE.into(), by: "dan (uid 1000)".into(), claimed: None, deed };
            self.at(second, Event::Team(TeamEvent::Said(said)))
        }

        fn alert(&mut self, second: f64, firing: bool) -> &mut Told {
            let labels = [("alertname", "CheckoutUnhappy"), ("instance", "balancer")].map(|(k, v)| (k.to_owned(), v.to_owned()));
            let when = crate::base::Interval::new(At(((second - 1.0) * 1e9) as u64), At((second * 1e9) as u64));
            let alert = json!({ "source": "monitor", "kind": "alertmanager", "name": "CheckoutUnhappy", "key": "k", "firing": firing,
                                "labels": std::collections::BTreeMap::from(labels), "when": when });
            self.at(second, Event::Team(TeamEvent::Alert(serde_json::from_value::<AlertSeen>(alert).unwrap())))
        }

        fn orders(&mut self, second: f64, good: bool) -> &mut Told {
            let at = (second * 1e9) as u64;
            let (verdict, class) = if good { ("ok", "ok") } else { ("bad", "status") };
            self.json(second, json!({ "type": "samples", "probe": "checkout", "rows": [[0, at, at, at, at, verdict, class, null, null]] }))
        }
    }

    fn debrief(width: usize, tell: impl FnOnce(&mut Told)) -> String {
        let pick = Pick::of(5, Some(3)).unwrap();
        let voice = Voice { live: false, width: 100, ..Voice::new(Colour::Never) };
        let plan = super::super::load(&pick, &PORTS, Path::new("."), &voice).unwrap().plan;
        let mut told = Told(Vec::new());
        told.at(0.0, Event::Team(TeamEvent::Listening { place: "/x".into() }))
            .at(0.0, Event::Team(TeamEvent::SourceReached { source: "monitor".into(), looked: At(0) }))
            .json(3.0, json!({ "type": "steady_shown", "since": 0, "summary": "checkout 100 %" }))
            .json(
                8.0,
                json!({ "type": "armed", "id": "fill-volume", "role": "fault", "targets": ["x"], "summary": "x",
                        "undo": { "kind": "command", "detail": { "ran": ["x"] }, "by_hand": "x" } }),
            )
            .json(8.5, json!({ "type": "effective", "id": "fill-volume", "when": { "lo": 8_100_000_000u64, "hi": 8_500_000_000u64 }, "seen": "x" }))
            .alert(12.5, true);
        tell(&mut told);
        let facts = measure::facts(&plan, &told.0);
        text(&pick, &plan, &told.0, &facts, ".firedrill/runs/01RUN/report.html", width)
    }

    fn mark(mark: &str, text: &str) -> Deed {
        Deed::Mark { mark: mark.into(), text: text.into() }
    }

    #[test]
    fn the_debrief_reads_as_it_should() {
        let played = debrief(100, |told| {
            told.says(20.0, mark("ack", ""))
                .says(25.0, Deed::Command { line: "look a".into() })
                .says(30.0, mark("hint-1", "Does it hit all orders, or some? (+15 s on your clock)"))
                .says(40.0, Deed::Answer { of: None, text: "the database is slow".into() })
                .says(45.0, Deed::Step { step: "payments-failing#pay-later".into(), back_out: false })
                .says(60.0, Deed::Step { step: "payments-failing#pay-later".into(), back_out: true })
                .says(70.0, Deed::Step { step: "checkout-unhappy#take-out".into(), back_out: false })
                .alert(76.0, false)
                .orders(78.0, true)
                .orders(79.0, true)
                .says(80.0, mark("mitigated", ""))
                .json(80.2, json!({ "type": "undone", "id": "fill-volume", "when": { "lo": 80_000_000_000u64, "hi": 80_200_000_000u64 }, "seen": "x" }))
                .says(90.0, Deed::Answer { of: None, text: "the volume of a is full\u{1b}[2J".into() })
                .json(95.0, json!({ "type": "probes_stopped" }));
        });
        assert!(!played.contains('\u{1b}'));
        insta::assert_snapshot!("played", played);
    }

    #[test]
    fn giving_up_early_and_a_mitigation_that_was_none_are_told_plainly() {
        let given_up = debrief(60, |told| {
            told.orders(20.0, false)
                .orders(20.5, true)
                .says(21.0, mark("mitigated", ""))
                .json(30.0, json!({ "type": "abort_requested", "by": "dan", "reason": "the participant gave up" }));
        });
        assert!(given_up.lines().all(|line| line.chars().count() <= 60 || line.contains("runs/")), "{given_up}");
        insta::assert_snapshot!("given_up", given_up);
    }

    #[test]
    fn what_hints_cost_can_make_a_time_late() {
        let late = debrief(100, |told| {
            told.says(13.0, mark("hint-1", "x"))
                .says(14.0, mark("hint-2", "x"))
                .says(30.0, mark("ack", ""))
                .json(95.0, json!({ "type": "probes_stopped" }));
        });
        assert!(late.contains("late: 18.5 s and 45 s for hints; expected within 60 s after detected"), "{late}");
    }
}
