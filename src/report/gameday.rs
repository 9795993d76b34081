//! How a game day reads: one page over its drills, each of which has a report of its own.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::chart::clipped;
use super::view::plain;
use crate::gameday::{DayReport, Entry, Row};
use crate::score::words::many;

pub use super::html::gameday as html;

/// Most lines of the timeline in text forms; the page and the JSON have all.
const MOST_LINES: usize = 400;

/// For the terminal.
pub fn text(day: &DayReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "  {}   {}", words(&day.title), headline(day));
    let _ = writeln!(out, "  {}", held(day));
    let _ = writeln!(out);
    for entry in &day.agenda {
        let _ = writeln!(out, "  {:>2}  {}   {}", entry.number, words(&entry.title), verdict(entry));
        for why in entry.why.iter().take(3) {
            let _ = writeln!(out, "      {}", words(why));
        }
        if let Some(run) = &entry.run {
            let _ = writeln!(out, "      run {run}");
        }
    }
    if !day.findings.is_empty() {
        let _ = writeln!(out, "\n  {}", many(day.findings.len() as u64, "finding"));
        for finding in &day.findings {
            let _ = writeln!(out, "  {}  {} (drill {})", finding.risk, words(&finding.text), numbers(&finding.items));
        }
    }
    out
}

/// For a pull request or a wiki.
pub fn markdown(day: &DayReport) -> String {
    let mut out = format!("# {}\n\n**{}**\n\n{}\n", escaped(&day.title), headline(day), escaped(&held(day)));
    if let Some(why) = &day.why {
        let _ = writeln!(out, "\n{}", escaped(why));
    }
    let _ = writeln!(out, "\n| | What | What became of it | System | Team | Run |\n|---|---|---|---|---|---|");
    for entry in &day.agenda {
        let cell = |text: Option<&String>| text.map_or_else(|| "–".to_owned(), |text| escaped(text));
        let (title, told) = (escaped(&entry.title), escaped(&entry.told));
        let (system, team, run) = (cell(entry.system.as_ref()), cell(entry.team.as_ref()), cell(entry.run.as_ref()));
        let _ = writeln!(out, "| {} | {title} | {told} | {system} | {team} | {run} |", entry.number);
    }
    for entry in day.agenda.iter().filter(|entry| !entry.why.is_empty()) {
        let _ = writeln!(out, "\n**{}. {}**\n", entry.number, escaped(&entry.title));
        for why in &entry.why {
            let _ = writeln!(out, "- {}", escaped(why));
        }
    }
    if !day.findings.is_empty() {
        let _ = writeln!(out, "\n## Findings\n");
        for finding in &day.findings {
            let _ = writeln!(out, "- **{}** {} (drill {})", finding.risk, escaped(&finding.text), numbers(&finding.items));
        }
    }
    if !day.debrief.is_empty() {
        let _ = writeln!(out, "\n## Debrief\n");
        for said in &day.debrief {
            let _ = writeln!(out, "- {} (drill {}): {}", said.sort, said.item, escaped(&said.text));
        }
    }
    let _ = writeln!(out, "\n## Timeline\n\n| When | Drill | | | Source |\n|---|---|---|---|---|");
    for row in day.timeline.iter().take(MOST_LINES) {
        let item = row.item.map(|item| item.to_string()).unwrap_or_default();
        let (what, text, source) = (escaped(&row.what), escaped(&row.text), escaped(&row.source));
        let _ = writeln!(out, "| {} | {item} | {what} | {text} | {source} |", clock(day, row));
    }
    if day.timeline.len() > MOST_LINES {
        let _ = writeln!(out, "\n{} more lines stand in the page and the JSON.", day.timeline.len() - MOST_LINES);
    }
    out
}

/// For programs: `firedrill.gameday/1`. What is not known is absent.
pub fn json(day: &DayReport) -> String {
    let known = |pairs: Vec<(&str, Option<Value>)>| -> Map<String, Value> {
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    };
    let entry = |entry: &Entry| {
        let mut map = known(vec![
            ("number", Some(json!(entry.number))),
            ("title", Some(json!(entry.title))),
            ("drill", Some(json!(entry.drill))),
            ("stands", Some(json!(entry.stands))),
            ("told", Some(json!(entry.told))),
            ("system", entry.system.as_ref().map(|word| json!(word))),
            ("team", entry.team.as_ref().map(|word| json!(word))),
            ("run", entry.run.as_ref().map(|run| json!(run))),
            ("exit_code", entry.exit_code.map(|code| json!(code))),
        ]);
        map.insert("why".into(), json!(entry.why));
        Value::Object(map)
    };
    let row = |row: &Row| {
        let mut map = known(vec![("at", Some(json!(row.at.to_string()))), ("item", row.item.map(|item| json!(item)))]);
        map.extend(known(vec![("what", Some(json!(row.what))), ("text", Some(json!(row.text))), ("source", Some(json!(row.source)))]));
        Value::Object(map)
    };
    let mut value = known(vec![
        ("schema", Some(json!("firedrill.gameday/1"))),
        ("id", Some(json!(day.id))),
        ("title", Some(json!(day.title))),
        ("why", day.why.as_ref().map(|why| json!(why))),
        ("owner", day.owner.as_ref().map(|owner| json!(owner))),
        ("planned", Some(json!(day.when.begins.to_string()))),
        ("zone", day.when.zone.iana_name().map(|name| json!(name))),
        ("began", day.began.map(|at| json!(at.to_string()))),
        ("ended", day.ended.map(|at| json!(at.to_string()))),
        ("over", Some(json!(day.over))),
        ("stopped", day.stopped.as_ref().map(|why| json!(why))),
        ("exit_code", Some(json!(day.exit_code))),
        ("roster", Some(json!(day.roster.iter().map(|(role, count)| json!({ "role": role, "people": count })).collect::<Vec<_>>()))),
    ]);
    value.insert("agenda".into(), day.agenda.iter().map(entry).collect());
    let finding = |finding: &crate::gameday::Finding| json!({ "risk": finding.risk, "text": finding.text, "items": finding.items });
    value.insert("findings".into(), day.findings.iter().map(finding).collect());
    let said = |said: &crate::gameday::Said| json!({ "item": said.item, "sort": said.sort, "text": said.text });
    value.insert("debrief".into(), day.debrief.iter().map(said).collect());
    value.insert("timeline".into(), day.timeline.iter().map(row).collect());
    format!("{:#}", Value::Object(value))
}

/// How many drills were held, and how they went.
pub(super) fn headline(day: &DayReport) -> String {
    let drills = || day.agenda.iter().filter(|entry| entry.drill);
    let of = |stands: &str| drills().filter(|entry| entry.stands == stands).count();
    let system = |word: &str| drills().filter(|entry| entry.system.as_deref() == Some(word) && entry.exit_code != Some(40)).count();
    let aborted = drills().filter(|entry| matches!(entry.exit_code, Some(40 | 50))).count();
    let parts = [
        (system("passed"), "passed"),
        (system("failed"), "failed"),
        (system("inconclusive"), "inconclusive"),
        (aborted, "aborted"),
        (of("no_go"), "no-go"),
        (of("skipped"), "left out"),
        (of("not_yet") + of("under_way"), "not held to the end"),
    ];
    let told: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let all = many(drills().count() as u64, "drill");
    if told.is_empty() { all } else { format!("{all}: {}", told.join(", ")) }
}

/// When it was, and who took part, by role.
pub(super) fn held(day: &DayReport) -> String {
    let zone = day.when.zone.iana_name().unwrap_or("UTC");
    let mut told = match (day.began, day.ended) {
        (Some(began), Some(ended)) => format!("held {} to {} {zone}", day.when.shown(began), day.when.clock(ended)),
        _ => format!("planned for {} {zone}", day.when.shown(day.when.begins)),
    };
    if !day.roster.is_empty() {
        let roles: Vec<String> = day.roster.iter().map(|(role, count)| format!("{role} ({count})")).collect();
        let _ = write!(told, "; roles: {}", roles.join(", "));
    }
    if let Some(why) = &day.stopped {
        let _ = write!(told, "; ended before its agenda: {why}");
    } else if !day.over {
        let _ = write!(told, "; it is not over yet");
    }
    told
}

pub(super) fn verdict(entry: &Entry) -> String {
    let system = entry.system.as_ref().filter(|_| entry.exit_code != Some(40)).map(|word| format!("system {word}"));
    let team = entry.team.as_ref().map(|word| format!("team {word}"));
    let told = system.into_iter().chain(team).collect::<Vec<_>>().join(", ");
    if told.is_empty() { words(&entry.told) } else { told }
}

pub(super) fn clock(day: &DayReport, row: &Row) -> String {
    row.at.to_zoned(day.when.zone.clone()).strftime("%H:%M:%S").to_string()
}

pub(super) fn numbers(items: &[usize]) -> String {
    items.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn words(text: &str) -> String {
    clipped(&plain(text), 500)
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in words(text).chars() {
        if matches!(c, '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
