//! `firedrill actions`: the improvement plan over all runs. Findings come from the history, debriefs from beside their runs, and what people do about
//! them goes into a file of its own; a run's report is never touched.

use std::path::Path;

use serde_json::Value;

use super::args::{Actions, ActionsClose, ActionsFormat};
use super::calibrate::home_of;
use super::exit::Exit;
use super::history::{self, rows};
use super::out::{Voice, print, say};
use super::store;
use crate::actions::{self, About, Action, ActionsError, Change, Resolved, Status};
use crate::base::{line_sum, one_line};
use crate::history::Row;
use crate::sys::clock;

/// Longest of what people write, in characters.
const LONGEST: usize = 2_000;
/// Largest debrief that is read, in bytes.
const DEBRIEF: u64 = 16 << 20;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotShown(String),
    #[error("failed to {0}")]
    File(#[from] ActionsError),
    #[error("the history cannot be read")]
    History(#[from] history::Failed),
}

impl Failed {
    fn say(&self, voice: Voice) -> Exit {
        let (help, exit) = match self {
            Failed::History(failed) => return failed.say(voice),
            Failed::Usage(_) => ("`firedrill actions list --all` lists them", Exit::Usage),
            Failed::NotShown(_) => ("run the scenario again, or take the risk for a time: `firedrill actions accept`", Exit::Run(31)),
            Failed::File(ActionsError::Damaged { .. }) => (
                "bring it back from a copy, or move it away: then owners, dates and remarks are gone, and no finding is",
                Exit::CouldNotStart,
            ),
            Failed::File(ActionsError::Version { .. }) => {
                ("use the version of firedrill that wrote it, or a later one", Exit::CouldNotStart)
            }
            Failed::File(_) => ("nothing was changed; try again when the disk, or whoever writes, lets you", Exit::CouldNotStart),
        };
        voice.error(&self.to_string(), Some(help));
        exit
    }
}

/// `firedrill actions`.
pub fn actions(asked: &Actions, voice: Voice) -> Exit {
    act(asked, voice).unwrap_or_else(|failed| failed.say(voice))
}

fn act(asked: &Actions, voice: Voice) -> Result<Exit, Failed> {
    match asked {
        Actions::Export(args) if args.schema => print(&format!("{:#}", actions::schema())),
        Actions::Export(args) => print(&form(&Plan::read(&args.runs.dir, voice)?.all(), args.output)),
        Actions::List(args) => {
            let mut all = Plan::read(&args.runs.dir, voice)?.all();
            all.retain(|action| args.all || action.status != Status::Closed);
            print(&form(&all, args.output));
        }
        Actions::Show(args) => print(&page(&Plan::read(&args.runs.dir, voice)?.find(&args.id)?)),
        Actions::Assign(args) => {
            let due = args.due.as_deref().map(day).transpose()?;
            change(&args.runs.dir, &args.id, Change::Assigned { owner: text(&args.owner, "an owner")?, due }, voice)?;
        }
        Actions::Note(args) => change(&args.runs.dir, &args.id, Change::Noted { text: text(&args.text, "a remark")? }, voice)?,
        Actions::Accept(args) => {
            let until = day(&args.until)?;
            if until < today() {
                return Err(Failed::Usage(format!("{until} has passed: a risk is taken from today on")));
            }
            let accepted = Change::Accepted { by: text(&args.by, "a role")?, until, text: words(&args.why)? };
            change(&args.runs.dir, &args.id, accepted, voice)?;
        }
        Actions::Close(args) => close(args, voice)?,
    }
    Ok(Exit::Ok)
}

fn change(runs: &Path, id: &str, change: Change, voice: Voice) -> Result<(), Failed> {
    let plan = Plan::read(runs, voice)?;
    let about = plan.find(id)?.about;
    write(runs, &about, change, voice)
}

fn write(runs: &Path, about: &About, change: Change, voice: Voice) -> Result<(), Failed> {
    actions::append(&home_of(runs), about, change)?;
    let now = Plan::read(runs, voice)?.find(&about.id)?;
    say(&format!("{}: {}", now.about.id, now.status.words()));
    Ok(())
}

fn close(args: &ActionsClose, voice: Voice) -> Result<(), Failed> {
    let plan = Plan::read(&args.runs.dir, voice)?;
    let action = plan.find(&args.id)?;
    let Some(run) = &args.run else {
        write(&args.runs.dir, &action.about, Change::Done { text: words(&args.note)? }, voice)?;
        say(&format!(
            "a later run of `{}` closes it: firedrill actions close {} --run RUN",
            one_line(&action.about.scenario, 80),
            action.about.id
        ));
        return Ok(());
    };
    let dir = store::find(&args.runs.dir, run).map_err(Failed::Usage)?;
    // Judged anew, whatever the history says.
    let mut judged = rows::judge(std::slice::from_ref(&dir));
    let Some(row) = judged.rows.pop() else { return Err(Failed::NotShown(judged.unread.join("; "))) };
    actions::shows_at(&plan.rows, &plan.resolved, &action.about, &row)
        .map_err(|why| Failed::NotShown(format!("{} is not closed: {}", action.about.id, one_line(&why, 400))))?;
    if !words(&args.note)?.is_empty() {
        actions::append(&home_of(&args.runs.dir), &action.about, Change::Noted { text: words(&args.note)? })?;
    }
    write(&args.runs.dir, &action.about, Change::Closed { run: row.run }, voice)
}

fn form(all: &[Action], output: ActionsFormat) -> String {
    match output {
        ActionsFormat::Text => actions::text(all),
        ActionsFormat::Md => actions::markdown(all),
        ActionsFormat::Csv => actions::csv(all),
        ActionsFormat::Json => format!("{:#}", actions::json(all)),
    }
}

fn today() -> String {
    clock::now().to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

fn day(text: &str) -> Result<String, Failed> {
    let date: Result<jiff::civil::Date, _> = text.parse();
    let shown = one_line(text, 40);
    date.map(|date| date.to_string()).map_err(|_| Failed::Usage(format!("`{shown}` is no day: write it like 2026-12-24")))
}

fn words(text: &str) -> Result<String, Failed> {
    if text.chars().count() > LONGEST {
        return Err(Failed::Usage(format!("a text has at most {LONGEST} characters")));
    }
    Ok(one_line(text, LONGEST).trim().to_owned())
}

fn text(given: &str, what: &str) -> Result<String, Failed> {
    let said = words(given)?;
    if said.is_empty() { Err(Failed::Usage(format!("{what} is needed, and there is nothing in it"))) } else { Ok(said) }
}

/// Everything that the plan is made from.
struct Plan {
    rows: Vec<Row>,
    resolved: Vec<Resolved>,
    records: Vec<actions::Record>,
}

impl Plan {
    fn read(runs: &Path, voice: Voice) -> Result<Plan, Failed> {
        let log = actions::read(&home_of(runs))?;
        if log.torn > 0 {
            voice.warn(&format!("{} ends in the middle of a line: what was being written there was not kept", actions::FILE));
        }
        let rows = rows::known(runs, None, voice)?;
        let mut resolved = Vec::new();
        for row in &rows {
            debrief(&runs.join(&row.run).join("debrief.jsonl"), &row.run, &mut resolved, voice);
        }
        Ok(Plan { rows, resolved, records: log.records })
    }

    fn all(&self) -> Vec<Action> {
        actions::fold(&self.rows, &self.resolved, &self.records, &today())
    }

    fn find(&self, id: &str) -> Result<Action, Failed> {
        let wanted = id.to_lowercase();
        let mut found: Vec<Action> = self.all().into_iter().filter(|action| action.about.id.to_lowercase().starts_with(&wanted)).collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Failed::Usage(format!("no action is called `{}`", one_line(id, 40)))),
            n => Err(Failed::Usage(format!("`{}` is the beginning of {n} actions", one_line(id, 40)))),
        }
    }
}

/// Every run that the history knows, in order of time, and every action as it stands.
///
/// # Errors
/// The history or the file of actions cannot be read; that was said.
pub fn standing(runs: &Path, voice: Voice) -> Result<(Vec<Row>, Vec<Action>), Exit> {
    let plan = Plan::read(runs, voice).map_err(|failed| failed.say(voice))?;
    let all = plan.all();
    Ok((plan.rows, all))
}

/// The action items of a debrief: lines that each continue the one before, the first one the run's id. What does not is left out with what follows.
fn debrief(path: &Path, run: &str, into: &mut Vec<Resolved>, voice: Voice) {
    let Ok(about) = std::fs::metadata(path) else { return };
    let text =
        if about.is_file() && about.len() <= DEBRIEF { std::fs::read_to_string(path) } else { Err(std::io::Error::other("too large")) };
    let Ok(text) = text else { return voice.warn(&format!("{} cannot be read", path.display())) };
    let mut sum = run.to_owned();
    for (number, line) in (1..).zip(text.lines()) {
        let parts = line.strip_suffix("\"}").and_then(|rest| rest.rsplit_once(",\"sum\":\""));
        let Some((body, said)) = parts.map(|(body, said)| (format!("{body}}}"), said)).filter(|(body, said)| line_sum(&sum, body) == *said)
        else {
            return voice.warn(&format!("{}: line {number} does not continue the one before: left out with what follows", path.display()));
        };
        sum = said.to_owned();
        let value: Value = serde_json::from_str(&body).unwrap_or_default();
        let Some(item) = value.get("item").and_then(|item| item.get("action")) else { continue };
        let of = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        if let (Some(id), Some(text)) = (of("id"), of("text")) {
            into.push(Resolved { run: run.to_owned(), id, text, owner: of("owner"), due: of("due").and_then(|due| day(&due).ok()) });
        }
    }
}

fn page(action: &Action) -> String {
    let mut lines = vec![actions::text(std::slice::from_ref(action)).lines().skip(2).collect::<Vec<_>>().join("\n")];
    let mut say = |name: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("  {name:11} {}", one_line(text, 2_000)));
        }
    };
    say("observed", &action.observed);
    say("expected", &action.expected);
    say("impact", &action.impact);
    say("to do", &action.remediation);
    say("first seen", action.first_seen.as_deref().unwrap_or_default());
    say("last seen", action.last_seen.as_deref().unwrap_or_default());
    say("reopened", action.reopened.as_deref().unwrap_or_default());
    say("retest", &format!("firedrill run {}.yaml, then firedrill actions close {} --run RUN", action.about.scenario, action.about.id));
    for (wall, change) in &action.told {
        let said = match change {
            Change::Assigned { owner, due } => {
                format!("assigned to {owner}{}", due.as_ref().map_or_else(String::new, |due| format!(", due {due}")))
            }
            Change::Noted { text } => text.clone(),
            Change::Done { text } => format!("said to be done; waiting for a retest. {text}"),
            Change::Accepted { by, until, text } => format!("risk accepted until {until} by {by}. {text}"),
            Change::Closed { run } => format!("closed by {run}"),
        };
        say(wall.get(..10).unwrap_or_default(), &said);
    }
    lines.join("\n")
}
