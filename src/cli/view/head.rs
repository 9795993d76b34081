//! The head of a run: what is drilled, what is claimed, what may be hit, and how it is undone.

use anstyle::Style as Paint;

use super::line::{Look, columns_of, cut, plain};
use crate::fault;
use crate::plan::{FaultPlan, Mode, Plan, preview};

/// Columns of a label of the head.
const LABEL: usize = 9;

/// Title, run, environment, test and claim: known before anything starts.
pub(super) fn opening(plan: &Plan, run: &str, look: &Look) -> Vec<String> {
    let title = plain(&plan.title);
    let bold = look.paint(Paint::new().bold(), &title);
    let about = format!("{}   {} test", word(plan.environment), word(plan.test));
    let right = format!("run {}   {about}", plain(run));
    let mut lines = vec![String::new()];
    if look.live && 2 + columns_of(&title) + 3 + columns_of(&right) <= look.columns() {
        let gap = look.columns() - 2 - columns_of(&title) - columns_of(&right);
        lines.push(format!("  {bold}{}{}", " ".repeat(gap.min(12)), look.paint(Paint::new().dimmed(), &right)));
    } else {
        let title = cut(&title, look.columns().saturating_sub(2));
        lines.push(format!("  {}", look.paint(Paint::new().bold(), &title)));
        lines.push(look.row("run", LABEL, Paint::new().dimmed(), &format!("{run}   {about}")));
    }
    lines.extend(look.wrapped("claim", LABEL, &preview::claim_line(plan)));
    match plan.mode {
        Mode::Normal => {}
        Mode::Baseline => lines.push(look.row("blast", LABEL, Paint::new().dimmed(), "nothing: it stops after baseline")),
        Mode::Tabletop => lines.push(look.row("blast", LABEL, Paint::new().dimmed(), "nothing: a tabletop touches no fault")),
    }
    lines
}

/// What a look for targets found.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The fault.
    pub(super) id: String,
    /// What would be hit.
    pub(super) targets: Vec<String>,
    /// How many there are of that sort.
    pub(super) population: Option<u64>,
    /// One line for `sh`.
    pub(super) by_hand: String,
}

/// Blast radius and undo of every fault that was looked at.
pub(super) fn previewed(plan: &Plan, seen: &[Seen], watchdog: bool, look: &Look) -> Vec<String> {
    let several = plan.faults.len() > 1;
    let who = match watchdog {
        true => "a watchdog does it if this process dies, `firedrill undo` if both do",
        false => "`firedrill undo` does it if this process dies",
    };
    let mut lines = Vec::new();
    for one in seen {
        let Some(fault) = plan.faults.iter().find(|(id, _)| id.as_str() == one.id).map(|(_, fault)| fault) else { continue };
        let named = |text: String| if several { format!("{}: {text}", one.id) } else { text };
        lines.extend(look.wrapped("blast", LABEL, &named(blast(fault, one))));
        lines.extend(look.wrapped("undo", LABEL, &format!("{}; {who}", named(undo_words(fault)))));
        lines.push(look.row("by hand", LABEL, Paint::new().dimmed(), &one.by_hand));
    }
    lines
}

fn blast(fault: &FaultPlan, seen: &Seen) -> String {
    let targets = seen.targets.join("; ");
    if fault.spec.get("target").is_some() {
        return format!("one of {}: known once it is looked for", seen.targets.join(", "));
    }
    let sort = match fault.kind.split('.').next() {
        Some("process") if fault.spec.get("system").is_some() => "system processes",
        Some("process") => "processes of that name",
        Some("proxy") => "proxies",
        _ => return targets,
    };
    match seen.population {
        Some(1) if seen.targets.len() == 1 => format!("{targets}, the only one of its sort"),
        Some(all) => format!("{} of {all} {sort}: {targets}", seen.targets.len()),
        None => targets,
    }
}

/// How a fault is undone, in words.
pub(super) fn undo_words(fault: &FaultPlan) -> String {
    let declared = fault.undo.as_ref();
    if let Some(run) = declared.and_then(|undo| undo.run.as_ref()) {
        return format!("runs {}", run.join(" "));
    }
    if let Some(who) = declared.and_then(|undo| undo.left_to.as_ref()) {
        return format!("left to {who}");
    }
    match fault.spec.get("system").and_then(serde_json::Value::as_str) {
        // The kind's own sentence has to speak of every case; here it is known which one it is.
        Some(system) if fault.kind == "process.kill" => format!("{system} is started again"),
        _ => fault::by_kind(&fault.kind).map_or_else(|| "as its kind knows".to_owned(), |kind| kind.undo_means().to_owned()),
    }
}

/// A word as it stands in the scenario.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Columns of a word of event lines: as wide as the longest probe asks for, within reason; a narrow terminal needs them for sentences.
pub(super) fn word_columns(plan: &Plan, live: bool, width: usize) -> usize {
    let most = if live && width < 100 { 10 } else { 16 };
    plan.probes.keys().map(|id| columns_of(id.as_str())).max().unwrap_or(0).clamp(10, most) + 2
}
