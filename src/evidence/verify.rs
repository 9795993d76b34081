//! The examination of a bundle. Three kinds of answer: what contradicts itself, what cannot be told from it, and what is good to know.

use serde::Serialize;

use super::compare::first_line;
use super::manifest::{self, Manifest};
use super::run::Case;
use super::{Files, Judge, MANIFEST, Public, SIGNATURE, Said, Signed, archive, register};

/// What whoever verifies brings along.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Keys that are trusted; with none, any key will do and the answer says which it was.
    pub trust: Vec<Public>,
    /// Checksums of register lines that were noted elsewhere.
    pub heads: Vec<String>,
    /// Version of the firedrill that verifies.
    pub version: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Verdict {
    /// Contradictions: with any of them the bundle is no evidence.
    pub problems: Vec<Said>,
    /// What the bundle leaves open.
    pub doubts: Vec<Said>,
    /// What is good to know.
    pub notes: Vec<Said>,
    /// The key that signed it, where the signature holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Whether that key is one that is trusted; absent where none was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    /// What it says it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Manifest>,
}

/// Examines a bundle.
pub fn verify(bytes: &[u8], asked: &Asked, judge: &Judge<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let shape = archive::read(bytes);
    verdict.problems.extend(shape.flaws);
    let files = shape.files;
    if files.is_empty() {
        return verdict;
    }
    signature(&files, asked, &mut verdict);
    let manifest = match read_manifest(&files) {
        Ok(manifest) => manifest,
        Err(said) => {
            verdict.problems.push(said);
            return verdict;
        }
    };
    verdict.problems.extend(manifest.differences(&files));
    runs(&files, &manifest, asked, judge, &mut verdict);
    // Everything else in the manifest follows from the files; when those are not what it says, that was said.
    if verdict.problems.is_empty() {
        verdict.problems.extend(not_ours(&files, &manifest));
    }
    verdict.notes.extend(manifest.absent.iter().map(|absent| Said::of(format!("not in the bundle: {absent}"))));
    verdict.manifest = Some(manifest);
    verdict
}

fn signature(files: &Files, asked: &Asked, verdict: &mut Verdict) {
    let Some(file) = files.get(SIGNATURE) else {
        let unsigned = Said::of("it is not signed: damage shows, and forgery by somebody who takes pains does not");
        if asked.trust.is_empty() {
            verdict.notes.push(unsigned)
        } else {
            verdict.problems.push(unsigned)
        }
        return;
    };
    match Signed::check(file, files.get(MANIFEST).map_or(&[][..], Vec::as_slice)) {
        Ok(key) => {
            if !asked.trust.is_empty() {
                let trusted = asked.trust.contains(&key);
                verdict.trusted = Some(trusted);
                if !trusted {
                    verdict.problems.push(Said::in_file(SIGNATURE, format!("it is signed by {key}, which is no key that you trust")));
                }
            }
            verdict.signed_by = Some(key.to_string());
        }
        Err(why) => verdict.problems.push(Said::in_file(SIGNATURE, why)),
    }
}

fn read_manifest(files: &Files) -> Result<Manifest, Said> {
    let bytes = files.get(MANIFEST).ok_or_else(|| Said::in_file(MANIFEST, "it is missing"))?;
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| Said::at(MANIFEST, error.line(), format!("it is no JSON: {error}")))?;
    if value["schema"] != Manifest::SCHEMA {
        let what = format!("it is written as {}; this version reads {}: use another firedrill", value["schema"], Manifest::SCHEMA);
        return Err(Said::in_file(MANIFEST, what));
    }
    serde_json::from_slice(bytes).map_err(|error| Said::at(MANIFEST, error.line(), format!("it is no manifest: {error}")))
}

fn runs(files: &Files, manifest: &Manifest, asked: &Asked, judge: &Judge<'_>, verdict: &mut Verdict) {
    let register = match manifest::register(files) {
        Ok(register) => register,
        Err(said) => {
            verdict.problems.push(said);
            return;
        }
    };
    register::check(&register, asked, verdict);
    let ids = manifest::runs(files);
    if ids.is_empty() {
        verdict.problems.push(Said::of("there is no run in it"));
    }
    let same_version = manifest.firedrill == asked.version;
    if !same_version {
        let what = format!(
            "its reports were written by firedrill {}, this is {}: verdicts are compared, numbers and wording only by the version that wrote them",
            manifest.firedrill, asked.version
        );
        verdict.doubts.push(Said::of(what));
    }
    for run in &ids {
        let start = register::start_of(&register, run);
        match start {
            None => verdict.problems.push(Said::in_file(super::REGISTER, format!("run {run} is not in it"))),
            Some((line, start)) => {
                let name = manifest::plan(files, run).map(|plan| plan.name).unwrap_or_default();
                if name != start.scenario {
                    let what = format!("run {run} was started of `{}`; its plan is of `{name}`", start.scenario);
                    verdict.problems.push(Said::at(super::REGISTER, line, what));
                }
            }
        }
        Case { files, run, start, same_version }.check(judge, verdict);
    }
    register::omissions(&register, manifest, verdict);
}

/// The first line of the manifest that does not follow from the files.
fn not_ours(files: &Files, manifest: &Manifest) -> Option<Said> {
    let again = match Manifest::of(&manifest.firedrill, files) {
        Ok(again) => again.text(),
        Err(said) => return Some(said),
    };
    let text = String::from_utf8_lossy(files.get(MANIFEST).map_or(&[][..], Vec::as_slice));
    first_line(&text, &again).map(|(line, theirs, ours)| {
        Said::at(MANIFEST, line, format!("`{theirs}` stands there; from the files in the bundle it is `{ours}`"))
    })
}
