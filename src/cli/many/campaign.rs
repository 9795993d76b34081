//! `firedrill campaign`: how many runs there will be is fixed before the first of them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::args::{Campaign, CampaignStart, CampaignStatus};
use super::super::calibrate::home_of;
use super::super::exit::Exit;
use super::super::known::known;
use super::super::load::load;
use super::super::out::{Voice, print, say};
use super::super::{named, store};
use super::{Over, Refused, there};
use crate::base::Digest;
use crate::journal::{self, Start, register_start};
use crate::plan::Mode;
use crate::score::many::{CONFIDENCE, share_shown};
use crate::score::words::many;
use crate::sys::clock;

/// More than a declaration ever has.
const LARGEST: u64 = 64 * 1024;
/// Marks the line of the register that stands for a declaration.
const MARK: &str = "campaign/";

/// What was declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Declared {
    schema: String,
    name: String,
    scenario: String,
    scenario_digest: Digest,
    workload_digest: Option<Digest>,
    runs: u32,
    wall: String,
    /// The checksum of its own line in the register: shows what was started after it.
    line: String,
}

impl Declared {
    /// What the register holds of it, so that nothing of it can be changed afterwards.
    fn marked(&self) -> String {
        let workload = self.workload_digest.as_ref().map_or_else(String::new, |digest| format!(" with {digest}"));
        format!("{} runs of {}{workload}", self.runs, self.scenario_digest)
    }
}

/// Does what was asked.
pub fn campaign(asked: &Campaign, voice: Voice) -> Exit {
    match asked {
        Campaign::Start(args) => start(args, voice),
        Campaign::Status(args) => status(args, voice),
    }
}

fn path_of(runs: &Path, name: &str) -> PathBuf {
    home_of(runs).join("campaigns").join(format!("{name}.json"))
}

fn start(args: &CampaignStart, voice: Voice) -> Exit {
    let loaded = match load(&args.file, &args.vars.vars, Mode::Normal, known(), &voice) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let plan = &loaded.plan;
    let name = args.name.clone().unwrap_or_else(|| plan.name.clone());
    if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c)) || name.starts_with('.') {
        voice.error(&format!("`{name}` is no name for a campaign"), Some("use letters, digits, `-`, `_` and `.`"));
        return Exit::Usage;
    }
    let path = path_of(&args.runs.dir, &name);
    if path.exists() {
        voice.error(
            &format!("there is a campaign `{name}` already: {}", path.display()),
            Some("what was declared is not changed afterwards; give another `--name`"),
        );
        return Exit::CouldNotStart;
    }
    let write = || -> Result<(), String> {
        let runs = std::path::absolute(&args.runs.dir).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(&runs).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(|error| error.to_string())?;
        let mut declared = Declared {
            schema: "firedrill.campaign/1".into(),
            name: name.clone(),
            scenario: plan.name.clone(),
            scenario_digest: plan.scenario_digest.clone(),
            workload_digest: plan.workload_digest.clone(),
            runs: args.count,
            wall: clock::wall(),
            line: String::new(),
        };
        let label = format!("{MARK}{name}");
        register_start(&runs, &label, &plan.name, &declared.marked(), &declared.wall).map_err(|error| error.to_string())?;
        let register = journal::register(&runs).map_err(|error| error.to_string())?;
        let line = register.starts.iter().rev().find(|start| start.run == label).map(|start| start.sum.clone());
        declared.line = line.unwrap_or_default();
        let text = serde_json::to_string_pretty(&declared).map_err(|error| error.to_string())?;
        std::fs::write(&path, text + "\n").map_err(|error| error.to_string())
    };
    if let Err(why) = write() {
        voice.error(&format!("failed to write {}: {why}", path.display()), Some("make room, or give another place with `--runs DIR`"));
        return Exit::CouldNotStart;
    }
    let clean = (share_shown(args.count, 0, CONFIDENCE) * 1000.0).floor() / 10.0;
    say(&format!(
        "{name}: {} runs of {} from now on; none of them failing would support {clean} % at 95 % confidence",
        args.count, plan.title
    ));
    say(&format!("  run them with: firedrill run {} --repeat {}", args.file.display(), args.count));
    Exit::Ok
}

/// Whether a line of the register declares a campaign, and is no run.
pub(super) fn declares(start: &Start) -> bool {
    start.run.starts_with(MARK)
}

/// What else was declared or run of the same scenario: who declares again and again, or only after some runs, chooses among what was seen.
fn beside(starts: &[Start], at: usize, declared: &Declared) -> Option<String> {
    let of_it = || starts.iter().enumerate().filter(|(_, start)| start.scenario == declared.scenario);
    let others: Vec<&str> = of_it().filter(|(i, start)| *i != at && declares(start)).map(|(_, start)| &start.run[MARK.len()..]).collect();
    let before = of_it().filter(|(i, start)| *i < at && !declares(start)).count();
    let campaigns = match &others[..] {
        [] => None,
        [one] => Some(format!("another campaign of it was declared: {one}")),
        more => Some(format!("{} other campaigns of it were declared: {}", more.len(), more.join(", "))),
    };
    let runs = (before > 0).then(|| format!("{} of it had been started before", many(before as u64, "run")));
    let all: Vec<String> = [campaigns, runs].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn declared(runs: &Path, name: &str) -> Result<Declared, String> {
    let path = path_of(runs, name);
    let text = named::whole(&path, LARGEST).map_err(|unread| format!("failed to read {}: {}", path.display(), unread.why))?;
    serde_json::from_slice(&text).map_err(|error| format!("failed to read {}: {error}", path.display()))
}

fn status(args: &CampaignStatus, voice: Voice) -> Exit {
    let refuse = |why: &str, help: &str| {
        voice.error(why, Some(help));
        Exit::Usage
    };
    let declared = match declared(&args.runs.dir, &args.name) {
        Ok(declared) => declared,
        Err(why) => return refuse(&why, "`firedrill campaign start FILE --count N` declares one"),
    };
    let runs = std::path::absolute(&args.runs.dir).unwrap_or_default();
    let register = match journal::register(&runs) {
        Ok(register) => register,
        Err(error) => return refuse(&format!("failed to {error}"), "without the register nobody knows what was started"),
    };
    let label = format!("{MARK}{}", declared.name);
    let Some(at) =
        register.starts.iter().position(|start| start.run == label && start.sum == declared.line && start.plan_digest == declared.marked())
    else {
        voice.error(
            &format!("the register does not hold the declaration of `{}`: one of them was changed", declared.name),
            Some("begin anew, in a directory of its own (`--runs`)"),
        );
        return Exit::Run(31);
    };
    let mut counted: Vec<PathBuf> = Vec::new();
    let mut valid = 0;
    for start in register.starts.iter().skip(at + 1).filter(|start| start.scenario == declared.scenario && !declares(start)) {
        let dir = runs.join(&start.run);
        let one = match there(&runs, start) {
            Ok(one) => one,
            Err(Refused { why, help }) => {
                voice.error(&why, Some(&help));
                return Exit::Run(31);
            }
        };
        let other = one.plan.scenario_digest != declared.scenario_digest || one.plan.workload_digest != declared.workload_digest;
        if other || one.plan.mode != Mode::Normal {
            continue;
        }
        let says = one.facts.validity.valid && one.facts.episodes.values().any(|e| e.command.is_some());
        if store::all(&runs).contains(&dir) {
            counted.push(dir);
        }
        valid += u32::from(says);
        if valid == declared.runs {
            break;
        }
    }
    let rule = format!("{} runs were declared at {}, before the first of them; {valid} were made", declared.runs, declared.wall);
    let rule = beside(&register.starts, at, &declared).map_or_else(|| rule.clone(), |beside| format!("{rule}; {beside}"));
    if counted.is_empty() {
        print(&rule);
        return Exit::Run(31);
    }
    let exit = super::conclude(&args.runs.dir, &counted, Some(rule), Over::Between, args.output.into(), voice);
    if exit == Exit::Ok && valid < declared.runs {
        say(&format!("{} more to come: until then nothing is claimed", declared.runs - valid));
        return Exit::Run(31);
    }
    exit
}
