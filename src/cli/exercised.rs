//! Which steps of runbooks were ever done in a drill, how often, and how long each took: over the directories of runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::{Span, one_line};
use crate::journal;
use crate::plan::Plan;
use crate::response::{Response, Seen, response};
use crate::score::words::many;

/// What was done of a step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Step {
    runs: u64,
    took: Vec<Span>,
}

/// Steps as `RUNBOOK#STEP`, over many runs.
#[derive(Debug, Default)]
pub struct Walked {
    steps: BTreeMap<String, Step>,
    runs: u64,
    /// Runs that could not be read.
    unread: u64,
}

impl Walked {
    /// Reads every run of these directories.
    pub fn of(dirs: &[PathBuf]) -> Walked {
        let mut walked = Walked::default();
        for dir in dirs {
            match response_of(dir) {
                Some(response) => walked.add(&response),
                None => walked.unread += 1,
            }
        }
        walked
    }

    fn add(&mut self, response: &Response) {
        self.runs += 1;
        for walk in &response.walks {
            for done in &walk.done {
                let step = self.steps.entry(format!("{}#{}", walk.runbook, done.step)).or_default();
                step.runs += 1;
                step.took.extend(done.took);
            }
        }
    }

    /// Lines for people: of these steps, those that nobody ever did, and where it is wanted how long each took.
    pub fn tell(&self, all: &[String], runs: &Path, times: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let never: Vec<&String> = all.iter().filter(|step| !self.steps.contains_key(*step)).collect();
        let end = if never.is_empty() { "" } else { ":" };
        let read = many(self.runs, "run");
        lines.push(format!("{} of {} steps were exercised by no drill, of {read} in {}{end}", never.len(), all.len(), runs.display()));
        lines.extend(never.iter().map(|step| format!("  {step}")));
        if self.unread > 0 {
            lines.push(format!("{} could not be read and may have exercised more", many(self.unread, "run")));
        }
        if times {
            let width = all.iter().map(|step| step.chars().count()).max().unwrap_or(0).min(60);
            lines.push("how long each took, since what was told before it; the median".to_owned());
            for (step, of) in self.steps.iter().filter(|(step, _)| all.contains(*step)) {
                let median = median(&of.took).map_or_else(|| "no time is known".to_owned(), |took| took.human());
                lines.push(format!("  {:width$}  {median}, {}", one_line(step, 128), many(of.runs, "run")));
            }
        }
        lines
    }
}

/// What people did in a run; nothing where it cannot be read.
fn response_of(dir: &Path) -> Option<Response> {
    let plan: Plan = serde_json::from_slice(&std::fs::read(dir.join("plan.json")).ok()?).ok()?;
    let entries = journal::read(dir).ok()?.entries;
    let stamps = Seen::stamps_of(&entries);
    Some(response(&plan, &Seen::of(&entries, &stamps)))
}

/// The middle one; of an even number the smaller of the two in the middle, which was measured.
fn median(took: &[Span]) -> Option<Span> {
    let mut sorted = took.to_vec();
    sorted.sort();
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::At;
    use crate::response::{Done, Walk};

    fn walk(steps: &[(&str, Option<u64>)]) -> Response {
        let done = |(step, took): &(&str, Option<u64>)| Done {
            step: (*step).to_owned(),
            at: At(0),
            by: "ops".into(),
            took: took.map(Span::secs),
            after: None,
            back: None,
        };
        let walk = Walk { runbook: "db".into(), done: steps.iter().map(done).collect(), left_out: Vec::new(), of: Some(3) };
        Response { walks: vec![walk], ..Response::default() }
    }

    #[test]
    fn what_nobody_ever_did_is_named_and_what_was_done_has_its_median() {
        let mut walked = Walked::default();
        for took in [9, 3, 5] {
            walked.add(&walk(&[("look", None), ("promote", Some(took))]));
        }
        walked.add(&Response::default());
        let all: Vec<String> = ["db#look", "db#promote", "db#tell"].map(str::to_owned).into();
        assert_eq!(
            walked.tell(&all, Path::new("runs"), true),
            [
                "1 of 3 steps were exercised by no drill, of 4 runs in runs:",
                "  db#tell",
                "how long each took, since what was told before it; the median",
                "  db#look     no time is known, 3 runs",
                "  db#promote  5 s, 3 runs",
            ]
        );
        assert_eq!(Walked::of(&[PathBuf::from("/nowhere")]).tell(&all, Path::new("x"), false).len(), 5, "what cannot be read is said");
    }
}
