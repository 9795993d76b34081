//! Whether a run shows that something is mended. Pure; what the run did not look at is not shown.

use super::fold::{Resolved, Sighting, last_before};
use super::{About, Source};
use crate::history::Row;

/// Whether `run` shows that what `last` saw is mended.
///
/// # Errors
/// Why it does not, for people.
pub(super) fn shows(source: Source, scenario: &str, last: Option<&Sighting<'_>>, run: &Row) -> Result<(), String> {
    if run.scenario != scenario {
        return Err(format!("{} is a run of `{}`, and the retest is `{scenario}`", run.run, run.scenario));
    }
    if !run.account.counts {
        return Err(format!("{} is no evidence: it was not valid, or did not go to its end", run.run));
    }
    let Some(last) = last else { return Err("the runs that found it are gone, so nothing can be compared with them".into()) };
    if run.run <= last.row.run {
        return Err(format!("{} is not later than {}, which found it", run.run, last.row.run));
    }
    if run.account.environment != last.row.account.environment {
        let (here, there) = (&run.account.environment, &last.row.account.environment);
        return Err(format!("{} ran in `{here}`, and it was found in `{there}`", run.run));
    }
    if source == Source::Debrief {
        let clean = run.exit_code == 0;
        return if clean { Ok(()) } else { Err(format!("{} ended with exit {}: it is no drill that went well", run.run, run.exit_code)) };
    }
    for found in &last.found {
        if let Some(again) = run.account.findings.iter().find(|f| f.choice == found.choice && f.subject == found.subject) {
            return Err(format!("{} found it again: {}", run.run, again.observed));
        }
        let Some(shown) = run.account.shown.iter().find(|shown| shown.id == found.id) else {
            return Err(format!("{} does not show `{}`: it was not asked for, not measured, or could not be decided", run.run, found.id));
        };
        if let (Some(now), Some(then)) = (shown.limit, found.limit)
            && now.is_softer_than(then)
        {
            return Err(format!("{} asked for less of `{}` than the run that found it", run.run, found.id));
        }
        if found.limit.is_some() && shown.limit.is_none() || shown.asked.as_ref().is_some_and(|asked| *asked != found.expected) {
            return Err(format!("{} asked for something else of `{}` than the run that found it", run.run, found.id));
        }
    }
    Ok(())
}

/// The same for whoever closes an action by this run: against the last run before it that found the action.
///
/// # Errors
/// Why it does not show it, for people.
pub fn shows_at(rows: &[Row], resolved: &[Resolved], about: &About, run: &Row) -> Result<(), String> {
    let mine = |row: &&Row| {
        row.account.findings.iter().any(|found| super::name(Source::Finding, &[&found.choice, &row.scenario, &found.subject]) == about.id)
    };
    if let Some(row) = rows.iter().filter(mine).find(|row| row.run >= run.run) {
        return Err(format!("{} found it", row.run));
    }
    shows(about.source, &about.scenario, last_before(rows, resolved, about, &run.run).as_ref(), run)
}
