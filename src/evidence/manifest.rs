//! The manifest: every file with its digest, and in a few lines what they say. All of it follows from the files, so that whoever verifies makes it again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Files, MANIFEST, REGISTER, SIGNATURE, Said, path_of};
use crate::base::digest_of;
use crate::event::{Entry, Event};
use crate::journal::{self, Read, Register};
use crate::plan::Plan;

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `firedrill.evidence/1`.
    pub schema: String,
    /// Version of firedrill that packed it and wrote the reports in it.
    pub firedrill: String,
    /// The runs, oldest first.
    pub runs: Vec<Packed>,
    /// The register of starts as it stood.
    pub register: Head,
    /// Runs of the same scenarios that were started between these and are not among them.
    pub left_out: Vec<LeftOut>,
    /// What a run refers to and the bundle does not hold.
    pub absent: Vec<String>,
    /// Every other file.
    pub files: Vec<Listed>,
}

/// A run in a few words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// Its id.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// Digest of its plan.
    pub plan_digest: String,
    /// The journal's last line.
    pub journal: Head,
    /// The system's verdict; absent where it was not put to the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The exit code.
    pub exit_code: u64,
}

/// Where a chain of lines ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many lines there are.
    pub lines: usize,
    /// The checksum of the last one, which covers all.
    pub sum: String,
}

/// A run that is not in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Its id.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// When it was started.
    pub wall: String,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Where it stands.
    pub path: String,
    /// Its size.
    pub bytes: usize,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

impl Listed {
    fn of(path: &str, bytes: &[u8]) -> Listed {
        Listed { path: path.to_owned(), bytes: bytes.len(), digest: digest_of(bytes).to_string() }
    }
}

impl Manifest {
    /// The form that this version reads and writes.
    pub const SCHEMA: &str = "firedrill.evidence/1";

    /// The manifest of these files, as this version of firedrill would have written it.
    ///
    /// # Errors
    /// A file that cannot be read as what it is.
    pub fn of(firedrill: &str, files: &Files) -> Result<Manifest, Said> {
        let register = register(files)?;
        let ids = runs(files);
        let mut packed = Vec::new();
        let mut absent = Vec::new();
        for run in &ids {
            let (plan, read) = (plan(files, run)?, journal_of(files, run)?);
            packed.push(Packed::of(files, run, &plan, &read)?);
            absent.extend(missing(files, run, &plan, &read.entries));
        }
        let sum = register.starts.last().map(|start| start.sum.clone()).unwrap_or_default();
        let left_out = left_out(&register, &packed);
        let listed = files.iter().filter(|(path, _)| ![MANIFEST, SIGNATURE].contains(&path.as_str()));
        Ok(Manifest {
            schema: Manifest::SCHEMA.into(),
            firedrill: firedrill.to_owned(),
            runs: packed,
            register: Head { lines: register.starts.len(), sum },
            left_out,
            absent,
            files: listed.map(|(path, bytes)| Listed::of(path, bytes)).collect(),
        })
    }

    /// Its text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The files that are not as the list says, not in the list, or in the list only.
    pub fn differences(&self, files: &Files) -> Vec<Said> {
        let mut found = Vec::new();
        let listed: BTreeSet<&str> = self.files.iter().map(|listed| listed.path.as_str()).collect();
        for one in &self.files {
            match files.get(&one.path) {
                None => found.push(Said::in_file(&one.path, "it is listed in the manifest and not in the bundle")),
                Some(bytes) if Listed::of(&one.path, bytes) != *one => {
                    let what = format!("its digest is {}; the manifest says {}", digest_of(bytes), one.digest);
                    found.push(Said::in_file(&one.path, what));
                }
                Some(_) => {}
            }
        }
        let unlisted = files.keys().filter(|path| ![MANIFEST, SIGNATURE].contains(&path.as_str()) && !listed.contains(path.as_str()));
        found.extend(unlisted.map(|path| Said::in_file(path, "it is in the bundle and not listed in the manifest")));
        found
    }
}

impl Packed {
    fn of(files: &Files, run: &str, plan: &Plan, read: &Read) -> Result<Packed, Said> {
        let path = path_of(run, "report.json");
        let report: Value = serde_json::from_slice(files.get(&path).map_or(&[][..], Vec::as_slice))
            .map_err(|error| Said::at(&path, error.line(), format!("it is no JSON: {error}")))?;
        let digest = read.entries.iter().find_map(|entry| match &entry.event {
            Event::RunStarted { plan_digest, .. } => Some(plan_digest.to_string()),
            _ => None,
        });
        Ok(Packed {
            run: run.to_owned(),
            scenario: plan.name.clone(),
            plan_digest: digest.unwrap_or_default(),
            journal: Head { lines: read.entries.len(), sum: read.sum.clone() },
            system: report["run"]["system"].as_str().map(str::to_owned),
            exit_code: report["run"]["exit_code"].as_u64().ok_or_else(|| Said::in_file(&path, "it has no `run.exit_code`"))?,
        })
    }
}

/// The ids of the runs in a bundle.
pub fn runs(files: &Files) -> BTreeSet<String> {
    files.keys().filter_map(|path| path.strip_prefix("runs/")?.split_once('/')).map(|(run, _)| run.to_owned()).collect()
}

/// The register in a bundle.
pub fn register(files: &Files) -> Result<Register, Said> {
    let bytes = files.get(REGISTER).ok_or_else(|| Said::in_file(REGISTER, "it is missing: nobody can tell what else was started"))?;
    std::str::from_utf8(bytes).map(Register::parse).map_err(|_| Said::in_file(REGISTER, "it is not text"))
}

/// A run's plan.
pub fn plan(files: &Files, run: &str) -> Result<Plan, Said> {
    let path = path_of(run, journal::PLAN);
    let bytes = files.get(&path).ok_or_else(|| Said::in_file(&path, "it is missing"))?;
    serde_json::from_slice(bytes).map_err(|error| Said::at(&path, error.line(), format!("it is no plan: {error}")))
}

/// A run's journal.
pub fn journal_of(files: &Files, run: &str) -> Result<Read, Said> {
    let path = path_of(run, journal::FILE);
    let bytes = files.get(&path).ok_or_else(|| Said::in_file(&path, "it is missing"))?;
    journal::read_from(bytes.as_slice(), path.as_ref()).map_err(|error| match error {
        journal::JournalError::Damaged { line, why, .. } => Said::at(&path, line, format!("the chain of checksums breaks here: {why}")),
        other => Said::in_file(&path, other.to_string()),
    })
}

/// What was started of the same scenarios between the first and the last of these runs, and is not among them.
fn left_out(register: &Register, packed: &[Packed]) -> Vec<LeftOut> {
    let place = |run: &str| register.starts.iter().position(|start| start.run == run);
    let places: Vec<usize> = packed.iter().filter_map(|one| place(&one.run)).collect();
    let (Some(first), Some(last)) = (places.iter().min(), places.iter().max()) else { return Vec::new() };
    let same = |scenario: &str| packed.iter().any(|one| one.scenario == scenario);
    let among = |run: &str| packed.iter().any(|one| one.run == run);
    let between = register.starts.iter().take(last + 1).skip(*first);
    let missing = between.filter(|start| same(&start.scenario) && !among(&start.run));
    missing.map(|start| LeftOut { run: start.run.clone(), scenario: start.scenario.clone(), wall: start.wall.clone() }).collect()
}

fn missing(files: &Files, run: &str, plan: &Plan, entries: &[Entry]) -> Vec<String> {
    let mut absent = Vec::new();
    let is_there = |name: &str| files.contains_key(&path_of(run, name));
    if let Some(digest) = plan.workload_digest.as_ref().filter(|_| !is_there("workload.yaml")) {
        absent.push(format!("{}: the plan knows it by its digest, {digest}", path_of(run, "workload.yaml")));
    }
    let calibrated = entries.iter().any(|entry| matches!(entry.event, Event::Calibrated(_)));
    if calibrated && !is_there("calibration.json") {
        absent.push(format!("{}: the journal holds what it came to", path_of(run, "calibration.json")));
    }
    absent
}
