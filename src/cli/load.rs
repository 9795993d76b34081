//! A scenario file on its way to a plan. All problems at once, on stderr.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;

use super::exit::Exit;
use super::named;
use super::out::{Voice, say};
use super::runbook;
use crate::base::digest_of;
use crate::plan::{self, Mode, Origin, Plan};
use crate::scenario::diagnostic::{Diagnostic, render_all};
use crate::scenario::known::Known;
use crate::scenario::{check, read};

/// A scenario that was accepted.
#[derive(Debug)]
pub struct Loaded {
    /// What will happen.
    pub plan: Plan,
    /// The file, word for word.
    pub text: Vec<u8>,
    /// Its workload, word for word, where it has one.
    pub workload: Option<String>,
    /// Every var with its value.
    pub vars: IndexMap<String, String>,
    /// Where the scenario lies.
    pub dir: PathBuf,
    /// Its file; nothing for text that is in no file.
    pub file: Option<PathBuf>,
    /// What was warned of, one line each.
    pub warnings: Vec<String>,
}

/// More than the language allows is not read at all.
const LARGEST: u64 = 1024 * 1024;

/// Reads and checks one file.
///
/// # Errors
/// The exit code, after the problems were said.
pub fn load(path: &Path, vars: &[(String, String)], mode: Mode, known: &Known, voice: &Voice) -> Result<Loaded, Exit> {
    let bytes = bytes_of(path, voice)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let loaded = load_bytes(&bytes, path, dir, vars, mode, known, voice)?;
    Ok(Loaded { file: Some(path.to_owned()), ..loaded })
}

fn bytes_of(path: &Path, voice: &Voice) -> Result<Vec<u8>, Exit> {
    named::whole(path, LARGEST).map_err(|unread| {
        voice.error(&format!("failed to read {}: {}", path.display(), unread.why), Some(unread.help));
        Exit::Refused
    })
}

/// The same for text that is already here; `path` is its name for people, relative paths in it resolve against `dir`.
///
/// # Errors
/// The exit code, after the problems were said.
pub fn load_bytes(
    bytes: &[u8],
    path: &Path,
    dir: &Path,
    vars: &[(String, String)],
    mode: Mode,
    known: &Known,
    voice: &Voice,
) -> Result<Loaded, Exit> {
    let label = path.display().to_string();
    let vars: IndexMap<String, String> = vars.iter().cloned().collect();
    let workload = std::cell::RefCell::new(None);
    let loader = |name: &str| {
        let bytes = named::whole(&dir.join(name), LARGEST).map_err(|unread| unread.why)?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        *workload.borrow_mut() = Some(text.clone());
        Ok(text)
    };
    let found = read(bytes, &label, known, &vars, &loader);
    let found = match found {
        Ok(found) => found,
        Err(diagnostics) => return Err(refuse(&diagnostics, voice)),
    };
    let mut diagnostics = found.warnings;
    diagnostics.extend(found.documents.diagnose(check::check(&found.scenario, known)));
    Diagnostic::sort(&mut diagnostics);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(refuse(&diagnostics, voice));
    }
    // A warning shows what it is about.
    if !diagnostics.is_empty() && !voice.shared {
        say(&render_all(&diagnostics, voice.colour_err));
    }
    let warnings = diagnostics.iter().map(|warning| warning.render(false)).collect();
    let workload = workload.into_inner();
    let base = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let origin = Origin {
        name: path.file_stem().map_or_else(|| "scenario".into(), |stem| stem.to_string_lossy().into_owned()),
        base_dir: base.display().to_string(),
        scenario_digest: digest_of(bytes),
        workload_digest: workload.as_ref().map(|text| digest_of(text.as_bytes())),
        mode,
    };
    let mut plan = plan::build(&found.scenario, known, origin);
    // A report tells what was left out of a runbook: how it was written on that day belongs to what was planned.
    let steps = runbook::steps(&plan);
    if let Some(team) = &mut plan.team {
        team.steps = steps;
    }
    Ok(Loaded { plan, text: bytes.to_vec(), workload, vars: found.scenario.vars, dir: base, file: None, warnings })
}

fn refuse(diagnostics: &[Diagnostic], voice: &Voice) -> Exit {
    say(&render_all(diagnostics, voice.colour_err));
    Exit::Refused
}
