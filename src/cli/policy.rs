//! Policies on their way to a decision: which files apply, what is on disk about approvals, and how a refusal is told. A policy that cannot be
//! read refuses everything; it is never passed over.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::exit::Exit;
use super::known::known;
use super::load::Loaded;
use super::login;
use super::named;
use super::out::{Voice, say};
use super::pin;
use super::run::own_exe;
use super::runtime;
use crate::base::{Digest, digest_of};
use crate::engine::finish::cx_for;
use crate::fault::{self, Scene};
use crate::plan::{ApprovalRecord, Mode, Plan, PolicyRecord, RuleRecord};
use crate::policy::approval::parse;
use crate::policy::{self, Bound, Case, Decision, Presented, Reach, Ruled, Ruling, Stage, Verdict};
use crate::scenario::diagnostic::{Diagnostic, render_all};
use crate::sys::{Clock, clock, env};

/// How a policy is called that applies by itself.
pub const FILE: &str = "firedrill.policy.yaml";
/// Where approvals are, beside the scenario.
pub const APPROVALS: &str = "firedrill.approvals";
/// More than a policy may have is not read at all.
const LARGEST: u64 = 1024 * 1024;
/// More than an approval ever has.
const LARGEST_APPROVAL: u64 = 16 * 1024;
/// Most files that are looked at as approvals.
const MOST_APPROVALS: usize = 256;

/// What the policies say of a scenario, here and now.
#[derive(Debug)]
pub struct Judged {
    /// Every policy that applies.
    pub policies: Vec<Ruled>,
    /// What they say.
    pub decision: Decision,
    /// What an approval must be bound to.
    pub bound: Bound,
}

/// Whether a scenario could be run at all: nothing is looked up, and neither time nor approvals matter.
///
/// # Errors
/// The exit code, after the refusal was said.
pub fn check(loaded: &Loaded, named: Option<&Path>, voice: &Voice) -> Result<(), Exit> {
    let policies = read_all(&loaded.dir, named, voice)?;
    if policies.is_empty() {
        return Ok(());
    }
    let judged = judge_by(policies, loaded, Stage::Check, voice)?;
    if judged.is_refused() { Err(judged.refuse(voice)) } else { Ok(()) }
}

/// Lets a scenario pass that may be run now, with the record of what allowed it.
///
/// # Errors
/// The exit code, after the refusal was said.
pub fn allow(mut loaded: Loaded, named: Option<&Path>, voice: &Voice) -> Result<Loaded, Exit> {
    loaded.plan.policy = None;
    loaded.plan.pins = None;
    let policies = read_all(&loaded.dir, named, voice)?;
    let pinned = loaded.file.as_deref().map(pin::path_of).is_some_and(|lock| std::fs::symlink_metadata(lock).is_ok());
    if policies.is_empty() && !pinned {
        return Ok(loaded);
    }
    let none = policies.is_empty();
    let judged = judge_by(policies, &loaded, Stage::Now, voice)?;
    if judged.decision.rulings.iter().any(|ruling| ruling.verdict != Verdict::Passed) {
        return Err(judged.refuse(voice));
    }
    loaded.plan = released(loaded.plan, &judged.policies);
    if !none {
        loaded.plan.policy = Some(judged.record());
        say(&format!("policy   {}", judged.summary()));
    }
    if pinned { pin::hold(loaded, &judged.bound, voice) } else { Ok(loaded) }
}

/// Asks every policy that applies.
///
/// # Errors
/// The exit code, when a policy cannot be read or is wrong; it was said.
pub fn judge(loaded: &Loaded, named: Option<&Path>, stage: Stage, voice: &Voice) -> Result<Judged, Exit> {
    judge_by(read_all(&loaded.dir, named, voice)?, loaded, stage, voice)
}

fn judge_by(policies: Vec<Ruled>, loaded: &Loaded, stage: Stage, voice: &Voice) -> Result<Judged, Exit> {
    let mut reach = policy::reach_of(&loaded.plan);
    let bound = bound(loaded, &policies, &reach).map_err(|error| {
        voice.error(&format!("failed to write the plan: {error}"), None);
        Exit::Bug
    })?;
    let counted = policies.iter().flat_map(|ruled| ruled.policy.rules.values()).any(|rule| rule.max_targets.is_some());
    if counted && stage == Stage::Now {
        login::enter(&loaded.plan, *voice)?;
        look_up(&released(loaded.plan.clone(), &policies), &mut reach);
    }
    let presented = if policies.is_empty() { Vec::new() } else { presented(&loaded.dir.join(APPROVALS), voice) };
    let case = Case { stage, plan: &loaded.plan, reach: &reach, now: clock::now(), bound: &bound, presented: &presented };
    Ok(Judged { decision: policy::decide(&policies, case), policies, bound })
}

/// The plan with what the policies ask of whatever is hit in an AWS account. No part of what an approval is bound to: the policies are.
pub fn released(mut plan: Plan, policies: &[Ruled]) -> Plan {
    let tags = policy::opt_in_tags(policies, &plan);
    if let Some(aws) = &mut plan.aws {
        aws.opt_in = tags;
    }
    plan
}

/// Every policy that applies to scenarios in a directory.
fn read_all(dir: &Path, named: Option<&Path>, voice: &Voice) -> Result<Vec<Ruled>, Exit> {
    let mut files = found_upwards(dir);
    let by_name = env::var("FIREDRILL_POLICY").filter(|path| !path.is_empty()).map(PathBuf::from);
    files.extend(by_name.into_iter().chain(named.map(Path::to_path_buf)));
    let mut policies: Vec<Ruled> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in files {
        // Found by itself and named as well: it says the same twice.
        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if seen.contains(&real) {
            continue;
        }
        seen.push(real);
        let label = short(&path);
        let bytes = named::whole(&path, LARGEST).map_err(|unread| {
            voice.error(
                &format!("failed to read the policy {label}: {}", unread.why),
                Some("a policy that cannot be read refuses everything"),
            );
            Exit::Refused
        })?;
        let ruled = policy::read(&bytes, &label, known(), &clock::zone).map_err(|diagnostics| {
            say(&render_all(&diagnostics, voice.colour_err));
            Exit::Refused
        })?;
        policies.push(ruled);
    }
    Ok(policies)
}

/// Every policy from a directory up to the root of its repository; without a repository, up to the root of the file system.
fn found_upwards(dir: &Path) -> Vec<PathBuf> {
    let start = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mut found = Vec::new();
    for dir in start.ancestors() {
        let path = dir.join(FILE);
        // What is there but cannot be looked at counts as there: reading it says why.
        let absent = std::fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        if !absent {
            found.push(path);
        }
        if std::fs::symlink_metadata(dir.join(".git")).is_ok() {
            break;
        }
    }
    found
}

/// A path as people like to read it.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().and_then(std::fs::canonicalize).ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display().to_string()
}

/// What an approval of this scenario is bound to. The directory is no part of it: two people may have two checkouts.
fn bound(loaded: &Loaded, policies: &[Ruled], reach: &[Reach]) -> Result<Bound, serde_json::Error> {
    let plan = Plan { base_dir: String::new(), mode: Mode::Normal, policy: None, pins: None, ..loaded.plan.clone() };
    let mut vars: Vec<(&String, &String)> = loaded.vars.iter().collect();
    vars.sort_unstable();
    Ok(Bound {
        scenario: plan.scenario_digest.clone(),
        workload: plan.workload_digest.clone().unwrap_or_else(|| digest_of(b"")),
        vars: digest_of(&serde_json::to_vec(&vars)?),
        policy: digest_of_all(policies),
        targets: digest_of(&serde_json::to_vec(reach)?),
        plan: plan.to_text()?.1,
    })
}

/// One digest over what policies say, in whatever order they were found.
fn digest_of_all(policies: &[Ruled]) -> Digest {
    let mut digests: Vec<String> = policies.iter().map(|ruled| ruled.digest.to_string()).collect();
    digests.sort_unstable();
    digests.dedup();
    digest_of(digests.join("\n").as_bytes())
}

/// Counts the targets that are not known from the plan alone. Only reads; what is not found stays unknown.
fn look_up(plan: &Plan, reach: &mut [Reach]) {
    let Ok(runtime) = runtime() else { return };
    let cx = cx_for(plan, "preview", &std::env::temp_dir(), own_exe(), Clock::start());
    for reach in reach.iter_mut().filter(|reach| reach.count.is_none()) {
        let Some(spec) = plan.faults.get(&reach.fault) else { continue };
        let Some(kind) = fault::by_kind(&spec.kind) else { continue };
        if let Ok(found) = runtime.block_on(kind.prepare(&cx.fill_value(&spec.spec), Scene { cx: &cx, plan })) {
            reach.count = Some(found.targets.len());
            reach.population = found.population;
        }
    }
}

/// The approvals in a directory, as they are.
fn presented(dir: &Path, voice: &Voice) -> Vec<Presented> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(dir) {
        Ok(entries) => {
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect()
        }
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                voice.warn(&format!("failed to look for approvals in {}: {error}", dir.display()));
            }
            return Vec::new();
        }
    };
    paths.sort();
    if paths.len() > MOST_APPROVALS {
        voice.warn(&format!("{} holds {} files; only the first {MOST_APPROVALS} are looked at", dir.display(), paths.len()));
        paths.truncate(MOST_APPROVALS);
    }
    paths.iter().map(|path| one_presented(path)).collect()
}

fn one_presented(path: &Path) -> Presented {
    let file = path.file_name().map(|name| format!("{APPROVALS}/{}", name.to_string_lossy())).unwrap_or_default();
    // Not through links: the owner of the link would not be who wrote the file.
    let meta = std::fs::symlink_metadata(path);
    let owner = meta.as_ref().map_or(u32::MAX, MetadataExt::uid);
    let said = match meta {
        Ok(meta) if !meta.is_file() => Err("it is no regular file".to_owned()),
        Ok(meta) if meta.len() > LARGEST_APPROVAL => Err("it is too large".to_owned()),
        Ok(_) => named::whole(path, LARGEST_APPROVAL).map_err(|unread| unread.why).and_then(|bytes| parse(&bytes)),
        Err(error) => Err(error.to_string()),
    };
    Presented { file, owner, said }
}

impl Judged {
    /// Whether waiting and approving would not help.
    pub fn is_refused(&self) -> bool {
        self.decision.rulings.iter().any(|ruling| matches!(ruling.verdict, Verdict::Refused(_)))
    }

    /// Says what refuses, each at its own line; and which approvals do not count.
    pub fn refuse(&self, voice: &Voice) -> Exit {
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        for (n, ruled) in self.policies.iter().enumerate() {
            let own = self.decision.rulings.iter().filter(|ruling| ruling.policy == n);
            diagnostics.extend(ruled.documents.diagnose(own.filter_map(Ruling::finding).collect()));
        }
        for line in self.void_lines() {
            say(&line);
        }
        say(&render_all(&diagnostics, voice.colour_err));
        Exit::Refused
    }

    fn void_lines(&self) -> Vec<String> {
        self.decision.void.iter().map(|(file, why)| format!("approval {file} does not count: {why}")).collect()
    }

    fn place(&self, ruling: &Ruling) -> String {
        self.policies.get(ruling.policy).map(|ruled| ruled.documents.line_of(&ruling.at)).unwrap_or_default()
    }

    fn summary(&self) -> String {
        let files: Vec<&str> = self.policies.iter().map(|ruled| ruled.label.as_str()).collect();
        let approved: Vec<&str> = self.decision.approved.iter().map(|approval| approval.who.as_str()).collect();
        let by = if approved.is_empty() { String::new() } else { format!("; approved by {}", approved.join(", ")) };
        format!("{} rules of {} hold{by}", self.decision.rulings.len(), files.join(", "))
    }

    /// What was applied, for programs: each demand with its verdict.
    pub fn to_json(&self) -> Value {
        let rule = |ruling: &Ruling| {
            let (verdict, why) = match &ruling.verdict {
                Verdict::Passed => ("passed", None),
                Verdict::Refused(why) => ("refused", Some(why)),
                Verdict::NotNow(why, _) => ("not_now", Some(why)),
                Verdict::Later => ("open", None),
            };
            let mut told = json!({ "rule": ruling.rule, "asks": ruling.asks, "at": self.place(ruling), "verdict": verdict });
            if let Some(why) = why {
                told["why"] = json!(why);
            }
            told
        };
        json!({
            "files": self.policies.iter().map(|ruled| &ruled.label).collect::<Vec<_>>(),
            "rules": self.decision.rulings.iter().map(rule).collect::<Vec<_>>(),
            "approved_by": self.decision.approved.iter().map(|approval| &approval.who).collect::<Vec<_>>(),
            "void_approvals": self.void_lines(),
        })
    }

    fn record(&self) -> PolicyRecord {
        let rule = |ruling: &Ruling| RuleRecord { rule: ruling.rule.clone(), asks: ruling.asks.clone(), at: self.place(ruling) };
        PolicyRecord {
            digest: self.bound.policy.clone(),
            files: self.policies.iter().map(|ruled| ruled.label.clone()).collect(),
            decided_at: clock::wall(),
            rules: self.decision.rulings.iter().map(rule).collect(),
            approvals: self
                .decision
                .approved
                .iter()
                .map(|approval| ApprovalRecord {
                    who: approval.who.clone(),
                    account: approval.account.clone(),
                    at: approval.at.to_string(),
                    digest: approval.digest.clone(),
                })
                .collect(),
        }
    }

    /// The section of a plan that says what was applied; empty where no policy applies.
    pub fn section(&self) -> String {
        if self.policies.is_empty() {
            return String::new();
        }
        let mut lines = vec![String::new(), "policy".to_owned()];
        let width = |of: fn(&Ruling) -> &str| self.decision.rulings.iter().map(|r| of(r).chars().count()).max().unwrap_or(0);
        let (rule, asks) = (width(|r| &r.rule), width(|r| &r.asks));
        for ruling in &self.decision.rulings {
            let (verdict, why) = match &ruling.verdict {
                Verdict::Passed => ("passed", String::new()),
                Verdict::Refused(why) => ("refused", why.clone()),
                Verdict::NotNow(why, help) if help.is_empty() => ("not now", why.clone()),
                Verdict::NotNow(why, help) => ("not now", format!("{why}; {help}")),
                Verdict::Later => ("open", String::new()),
            };
            lines.push(format!("  {verdict:<8} {:rule$}   {:asks$}   {}", ruling.rule, ruling.asks, self.place(ruling)));
            if !why.is_empty() {
                lines.push(format!("           {why}"));
            }
        }
        for approval in &self.decision.approved {
            lines.push(format!("  approved by {} (account {}) at {}", approval.who, approval.account, approval.at));
        }
        lines.extend(self.void_lines().into_iter().map(|line| format!("  {line}")));
        let text = lines.join("\n") + "\n";
        // Names and reasons may hold anything: nothing in them may steer a terminal.
        text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
    }
}
