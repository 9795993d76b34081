//! The register in a bundle: whether its chain holds, what it says of these runs, and which runs of the same scenarios are not among them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::manifest::Manifest;
use super::{Asked, REGISTER, Said, Verdict};
use crate::journal::{Register, Start};

/// Checks the register by itself.
pub fn check(register: &Register, asked: &Asked, verdict: &mut Verdict) {
    if let Some(line) = register.broken {
        let what = "it does not continue the line before it: a start was taken out, put in or changed here";
        verdict.problems.push(Said::at(REGISTER, line, what));
    }
    let mut seen = BTreeMap::new();
    let mut latest: Option<Timestamp> = None;
    for (line, start) in (1..).zip(&register.starts) {
        if let Some(before) = seen.insert(start.run.as_str(), line) {
            verdict.problems.push(Said::at(REGISTER, line, format!("run {} is started a second time; first in line {before}", start.run)));
        }
        let Ok(wall) = start.wall.parse::<Timestamp>() else { continue };
        if let Some(before) = latest.filter(|before| before.as_second() - wall.as_second() > 60) {
            let what = format!("{wall} comes after {before}: a time was changed, or the machine's clock was set back");
            verdict.doubts.push(Said::at(REGISTER, line, what));
        }
        latest = latest.max(Some(wall));
    }
    for head in &asked.heads {
        if !register.starts.iter().any(|start| start.sum == *head) {
            let what =
                format!("no line of it has the checksum {head}, which was noted elsewhere: it is not the register that was seen there");
            verdict.problems.push(Said::in_file(REGISTER, what));
        }
    }
}

/// The start of a run, and its line.
pub fn start_of<'a>(register: &'a Register, run: &str) -> Option<(usize, &'a Start)> {
    (1..).zip(&register.starts).find(|(_, start)| start.run == run)
}

/// Says which runs are not in the bundle.
pub fn omissions(register: &Register, manifest: &Manifest, verdict: &mut Verdict) {
    for left in &manifest.left_out {
        let line = start_of(register, &left.run).map_or(0, |(line, _)| line);
        let what = format!(
            "run {} of {} was started at {}, between these, and is not in the bundle: whether it held, nobody can say",
            left.run, left.scenario, left.wall
        );
        verdict.doubts.push(Said::at(REGISTER, line, what));
    }
    let lines: Vec<usize> = manifest.runs.iter().filter_map(|one| start_of(register, &one.run)).map(|(line, _)| line).collect();
    let (Some(first), Some(last)) = (lines.iter().min(), lines.iter().max()) else { return };
    let same = |start: &Start| manifest.runs.iter().any(|one| one.scenario == start.scenario);
    let count = |which: &dyn Fn(usize) -> bool| (1..).zip(&register.starts).filter(|(line, start)| which(*line) && same(start)).count();
    let (before, after) = (count(&|line| line < *first), count(&|line| line > *last));
    for (count, when) in [(before, "before these"), (after, "after these, when it was packed")] {
        if count > 0 {
            let runs = if count == 1 { "1 run was" } else { &format!("{count} runs were") };
            verdict.notes.push(Said::in_file(REGISTER, format!("{runs} started of the same scenarios {when}, and not packed")));
        }
    }
}
