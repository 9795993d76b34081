//! `firedrill gameday report`: the log of the day and what its runs came to, in one.

use std::path::Path;

use jiff::Timestamp;

use super::super::args::{DayFormat, GamedayReport};
use super::super::debrief;
use super::super::exit::{Exit, worst};
use super::super::history::word as judged;
use super::super::out::{Voice, print, say};
use super::super::store as runs_store;
use super::{read_file, store};
use crate::gameday::{self, Day, DayReport, Entry, Finding, Happened, Log, Noted, Previous, Read, Row, Said, Stands};
use crate::measure;
use crate::report::gameday as rendered;
use crate::response::debrief::Item;
use crate::score::{TeamVerdict, score};

/// `firedrill gameday report DAY`.
pub fn report(args: &GamedayReport, voice: Voice) -> Exit {
    match store::find(&args.runs.dir, &args.day) {
        Ok((_, dir)) => conclude(&dir, &args.runs.dir, args.output, voice),
        Err(error) => {
            voice.error(&error.to_string(), Some(error.help()));
            Exit::Usage
        }
    }
}

/// Writes the report of a day beside its log, prints it, and exits as the day did.
pub fn conclude(dir: &Path, runs: &Path, output: DayFormat, voice: Voice) -> Exit {
    let day = match collect(dir, runs, voice) {
        Ok(day) => day,
        Err(exit) => return exit,
    };
    for (name, text) in
        [("report.html", rendered::html(&day)), ("report.md", rendered::markdown(&day)), ("report.json", rendered::json(&day))]
    {
        if let Err(error) = std::fs::write(dir.join(name), text) {
            voice.warn(&format!("failed to write {}: {error}", dir.join(name).display()));
        }
    }
    print(&match output {
        DayFormat::Text => rendered::text(&day),
        DayFormat::Json => rendered::json(&day),
        DayFormat::Html => rendered::html(&day),
        DayFormat::Md => rendered::markdown(&day),
    });
    say(&format!("report   {}", dir.join("report.html").display()));
    Exit::Run(day.exit_code)
}

fn collect(dir: &Path, runs: &Path, voice: Voice) -> Result<DayReport, Exit> {
    let (_, read) = read_file(&dir.join(store::FILE), voice)?;
    let log = store::log(dir).map_err(|error| {
        voice.error(&error.to_string(), Some(error.help()));
        Exit::CouldNotStart
    })?;
    let stands = Day::of(&read.day, &log);
    let mut day = DayReport {
        id: dir.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default(),
        title: read.day.title.clone(),
        why: read.day.why.clone(),
        owner: read.day.owner.clone(),
        when: read.when.clone(),
        began: log.lines.first().and_then(at),
        ended: log.lines.last().and_then(at),
        stopped: stands.stopped.clone(),
        over: stands.finished || stands.stopped.is_some(),
        roster: read.day.participants.iter().map(|(role, accounts)| (role.to_string(), accounts.len())).collect(),
        agenda: Vec::new(),
        findings: Vec::new(),
        debrief: Vec::new(),
        timeline: told(&read, &log),
        exit_code: worst(stands.exits(&read.day)),
    };
    for (index, (item, stands)) in read.day.agenda.iter().zip(&stands.items).enumerate() {
        let cut = if *stands == Stands::UnderWay { cut_off(&log, index + 1, item, runs) } else { None };
        let entry = entry(index + 1, item, stands, cut, &mut day, runs);
        day.agenda.push(entry);
    }
    day.exit_code = worst(day.agenda.iter().filter_map(|entry| entry.exit_code).chain([day.exit_code]));
    day.timeline.sort_by_key(|row| row.at);
    day.findings.sort_by(|a, b| a.risk.cmp(&b.risk));
    Ok(day)
}

fn at(noted: &Noted) -> Option<Timestamp> {
    noted.wall.parse().ok()
}

/// The run of a drill in which the process died that held the day: the first of this scenario that was begun after that drill was, and before anything
/// else of the day.
fn cut_off(log: &Log, number: usize, item: &gameday::Item, runs: &Path) -> Option<String> {
    let name = Path::new(item.run.as_ref()?).file_stem()?.to_string_lossy().into_owned();
    let line = log.lines.iter().rposition(|noted| noted.what == Happened::Began { item: number })?;
    let ms = |noted: &Noted| at(noted).and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let (began, next) = (ms(log.lines.get(line)?)?, log.lines.get(line + 1).and_then(ms));
    let mut ids = runs_store::all(runs).into_iter().filter_map(|dir| {
        let id = dir.file_name()?.to_string_lossy().into_owned();
        let begun = ulid::Ulid::from_string(&id).ok()?.timestamp_ms();
        let fits = begun >= began && next.is_none_or(|next| begun < next);
        (fits && runs_store::read(&dir).is_ok_and(|(plan, _)| plan.name == name)).then_some(id)
    });
    ids.next()
}

fn entry(number: usize, item: &gameday::Item, stands: &Stands, cut: Option<String>, day: &mut DayReport, runs: &Path) -> Entry {
    let title = item.run.clone().unwrap_or_else(|| if item.pause.is_some() { "Break".into() } else { "Debrief".into() });
    let mut entry = Entry { number, title, drill: item.run.is_some(), ..Entry::default() };
    (entry.stands, entry.told) = match stands {
        Stands::NotYet => ("not_yet", "not begun".to_owned()),
        Stands::UnderWay => {
            entry.run = cut;
            ("under_way", "begun; its end was not written down".to_owned())
        }
        Stands::Done => ("done", String::new()),
        Stands::Skipped(why) => ("skipped", format!("left out: {why}")),
        Stands::NoGo { by, why } => ("no_go", format!("no-go, by {by}{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())),
        Stands::Held { run, exit } => {
            entry.exit_code = Some(*exit);
            entry.run.clone_from(run);
            ("held", Exit::Run(*exit).meaning().to_owned())
        }
    };
    if let Some(run) = entry.run.clone() {
        judge(&runs.join(run), &mut entry, day);
    }
    entry
}

/// What a run came to, into its item, the findings and the timeline.
fn judge(dir: &Path, entry: &mut Entry, day: &mut DayReport) {
    let (plan, entries) = match runs_store::read(dir) {
        Ok(read) => read,
        Err(error) => {
            entry.why.push(format!("its run cannot be read: {error}"));
            return;
        }
    };
    let facts = measure::facts(&plan, &entries);
    let score = score(&plan, &facts);
    if entry.exit_code.is_none() && facts.run.outcome.is_some() {
        entry.exit_code = Some(score.exit_code);
        entry.told = format!("the process that held the day died in it: {}", Exit::Run(score.exit_code).meaning());
    }
    entry.title = plan.title.clone();
    entry.system = score.judged.then(|| judged(score.system).to_owned());
    entry.team = match score.team {
        TeamVerdict::NotDeclared | TeamVerdict::NotJudged => None,
        TeamVerdict::Passed => Some("passed".into()),
        TeamVerdict::Failed => Some("failed".into()),
        TeamVerdict::Inconclusive => Some("inconclusive".into()),
        TeamVerdict::Invalid => Some("invalid".into()),
    };
    entry.why = score.system_why.iter().take(3).cloned().chain(score.team_why.iter().take(3).map(|why| format!("team: {why}"))).collect();
    for finding in &score.findings {
        let (risk, text) = (finding.risk.abbreviation().to_owned(), format!("{}: {}", finding.title, finding.observed));
        match day.findings.iter_mut().find(|known| known.text == text && known.risk == risk) {
            Some(known) => known.items.push(entry.number),
            None => day.findings.push(Finding { risk, text, items: vec![entry.number] }),
        }
    }
    for written in debrief::of(dir).entries {
        let (sort, text) = match written.item {
            Item::Well(text) => ("went well", text),
            Item::Surprise(text) => ("surprised us", text),
            Item::Factor(text) => ("contributed", text),
            Item::Change(text) => ("to change", text),
            Item::Action(action) => ("action", format!("{} ({}, by {})", action.text, action.owner, action.due)),
        };
        day.debrief.push(Said { item: entry.number, sort: sort.to_owned(), text });
    }
    let Ok(start) = facts.run.started_at.parse::<Timestamp>() else { return };
    for moment in &facts.timeline {
        let ago = jiff::SignedDuration::from_nanos(i64::try_from(moment.at.0).unwrap_or(i64::MAX));
        let at = start.checked_add(ago).unwrap_or(start);
        let (what, text, source) = (moment.what.clone(), moment.text.clone(), moment.source.clone());
        day.timeline.push(Row { at, item: Some(entry.number), what, text, source });
    }
}

/// The lines of the day's own log.
fn told(read: &Read, log: &Log) -> Vec<Row> {
    let named = |item: &usize| match item.checked_sub(1).and_then(|n| read.day.agenda.get(n)) {
        Some(gameday::Item { run: Some(_), .. }) => format!("drill {item}"),
        Some(gameday::Item { pause: Some(_), .. }) => "the break".to_owned(),
        _ => "the debrief".to_owned(),
    };
    let row = |noted: &Noted| {
        let (item, what, text) = match &noted.what {
            Happened::Started { by, .. } => (None, "day", format!("begun by {by}")),
            Happened::Resumed { by } => (None, "day", format!("taken up again by {by}")),
            Happened::Asked { item, role } => (
                Some(*item),
                "gate",
                format!("go or no-go{} is asked for", role.as_ref().map(|role| format!(" by {role}")).unwrap_or_default()),
            ),
            Happened::Go { item, by } => (Some(*item), "gate", format!("go, by {by}")),
            Happened::NoGo { item, by, why } => {
                (Some(*item), "gate", format!("no-go, by {by}{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default()))
            }
            Happened::Skipped { item, why } => (Some(*item), "left out", why.clone()),
            Happened::Began { item } => (Some(*item), "item", format!("{} begins", named(item))),
            Happened::Ended { item, by, .. } => {
                (Some(*item), "item", format!("{} ends{}", named(item), by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default()))
            }
            Happened::Reset { item, failed: None } => (Some(*item), "reset", "the system was brought back".to_owned()),
            Happened::Reset { item, failed: Some(why) } => (Some(*item), "reset", format!("the system could not be brought back: {why}")),
            Happened::Stopped { why } => (None, "day", format!("ended before its agenda: {why}")),
            Happened::Finished {} => (None, "day", "the agenda is done".to_owned()),
        };
        Some(Row { at: at(noted)?, item, what: what.to_owned(), text, source: "game day".to_owned() })
    };
    log.lines.iter().filter_map(row).collect()
}

/// A word of the language for people.
pub fn word(previous: Previous) -> &'static str {
    match previous {
        Previous::Failed => "failed",
        Previous::Passed => "passed",
        Previous::Inconclusive => "inconclusive",
        Previous::Invalid => "invalid",
        Previous::NotSteady => "not steady beforehand",
        Previous::Aborted => "aborted",
        Previous::NotHeld => "not held",
    }
}
