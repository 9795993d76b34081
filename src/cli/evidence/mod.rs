//! `firedrill evidence`: packing, verifying and comparing bundles, and the keys that sign them.

mod keygen;
mod pack;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{Evidence, EvidenceDiff, EvidenceVerify, TrialsFormat};
use super::exit::Exit;
use super::out::{Voice, print};
use super::{hlog, named};
use crate::base::one_line;
use crate::event::Entry;
use crate::evidence::{self, Asked, Files, Public, Said, Shape, Verdict};
use crate::measure;
use crate::plan::Plan;
use crate::report::{self, Report};
use crate::score::score;

/// `firedrill evidence …`.
pub fn evidence(asked: &Evidence, voice: Voice) -> Exit {
    let done = match asked {
        Evidence::Pack(args) => pack::pack(args, voice),
        Evidence::Verify(args) => verify(args),
        Evidence::Diff(args) => diff(args),
        Evidence::Keygen(args) => keygen::keygen(&args.file),
    };
    done.unwrap_or_else(|failed| {
        voice.error(&failed.to_string(), Some(failed.help()));
        failed.exit()
    })
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// No such run, or more than one.
    #[error("{0}")]
    Run(String),
    /// The runs do not bear being packed.
    #[error("{why}")]
    Unfit { why: String, help: &'static str },
    /// The register does not bear it out.
    #[error("{0}")]
    Register(String),
    /// A file.
    #[error("failed to {doing} {path}: {why}", path = path.display())]
    File { doing: &'static str, path: PathBuf, why: String },
    /// Something is no key.
    #[error("failed to read the key `{name}`: {why}", name = one_line(name, 120))]
    Key { name: String, why: String },
}

impl Failed {
    fn file(doing: &'static str, path: &Path, why: impl ToString) -> Failed {
        Failed::File { doing, path: path.to_owned(), why: why.to_string() }
    }

    fn help(&self) -> &'static str {
        match self {
            Failed::Run(_) => "`firedrill runs` lists them",
            Failed::Unfit { help, .. } => help,
            Failed::Register(_) => "a bundle rests on the register of starts beside the runs: without it nobody can tell what was left out",
            Failed::File { doing: "read", .. } => "name a bundle that `firedrill evidence pack` has written",
            Failed::File { .. } => "name another file, or make room",
            Failed::Key { .. } => "`firedrill evidence keygen` makes a pair: the private key signs, FILE.pub is trusted",
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Failed::Run(_) | Failed::Key { .. } => Exit::Usage,
            Failed::Unfit { .. } | Failed::File { .. } => Exit::CouldNotStart,
            Failed::Register(_) => Exit::Run(31),
        }
    }
}

/// What this version makes of plan and journal: the files of [`evidence::DERIVED`].
///
/// # Errors
/// The histogram log cannot hold it.
pub fn judge(plan: &Plan, entries: &[Entry]) -> Result<BTreeMap<&'static str, Vec<u8>>, String> {
    let facts = measure::facts(plan, entries);
    let score = score(plan, &facts);
    let whole = Report::new(plan, &facts, &score);
    let texts = [
        ("report.html", report::html::render(&whole)),
        ("report.md", report::markdown::render(&whole)),
        ("report.json", report::json::render(&whole)),
        ("report.xml", report::junit::render(&whole)),
        ("latency.hlog", hlog::render(plan, entries, &facts)?),
    ];
    Ok(texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect())
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// A bundle's bytes.
fn bytes_of(path: &Path) -> Result<Vec<u8>, Failed> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > evidence::LARGEST) {
        return Err(Failed::file("read", path, format!("it is larger than a bundle may be (at most {} bytes)", evidence::LARGEST)));
    }
    named::whole(path, evidence::LARGEST).map_err(|unread| Failed::file("read", path, unread.why))
}

/// `firedrill evidence verify FILE`.
fn verify(args: &EvidenceVerify) -> Result<Exit, Failed> {
    let trust: Result<Vec<Public>, Failed> = args.trust.iter().map(|named| trusted(named)).collect();
    let asked = Asked { trust: trust?, heads: args.head.clone(), version: version() };
    let bytes = bytes_of(&args.file)?;
    let verdict = evidence::verify(&bytes, &asked, &judge);
    match args.output {
        TrialsFormat::Json => {
            let mut value = json!({ "schema": "firedrill.verification/1", "exit_code": exit_of(&verdict).code() });
            if let (Some(map), Ok(serde_json::Value::Object(told))) = (value.as_object_mut(), serde_json::to_value(&verdict)) {
                map.extend(told);
            }
            print(&format!("{value:#}"));
        }
        TrialsFormat::Text => print(&text(&verdict, bytes.len())),
    }
    Ok(exit_of(&verdict))
}

/// A key by its text, or in a file.
fn trusted(named: &str) -> Result<Public, Failed> {
    let bad = |why: String| Failed::Key { name: named.to_owned(), why };
    if named.starts_with("ed25519:") {
        return Public::parse(named).map_err(|error| bad(error.to_string()));
    }
    let bytes = named::whole(Path::new(named), keygen::LARGEST).map_err(|unread| bad(unread.why))?;
    Public::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| bad(error.to_string()))
}

fn exit_of(verdict: &Verdict) -> Exit {
    match (verdict.problems.is_empty(), verdict.doubts.is_empty()) {
        (false, _) => Exit::Run(33),
        (true, false) => Exit::Run(31),
        (true, true) => Exit::Ok,
    }
}

/// Most lines of one sort that are printed for people.
const MOST: usize = 40;

fn text(verdict: &Verdict, bytes: usize) -> String {
    let mut lines = Vec::new();
    if let Some(manifest) = &verdict.manifest {
        lines.push(format!(
            "evidence bundle of firedrill {}: {} files, {bytes} bytes",
            one_line(&manifest.firedrill, 40),
            manifest.files.len()
        ));
        for run in &manifest.runs {
            let system =
                run.system.as_deref().map_or_else(|| "not put to the test".to_owned(), |word| format!("system {}", one_line(word, 20)));
            lines.push(format!(
                "  run       {}  {}  {system}  exit {}",
                one_line(&run.run, 30),
                one_line(&run.scenario, 60),
                run.exit_code
            ));
        }
        lines.push(format!("  register  {} starts, checksum {}", manifest.register.lines, one_line(&manifest.register.sum, 40)));
    }
    lines.push(match (&verdict.signed_by, verdict.trusted) {
        (Some(key), Some(true)) => format!("  signed    by {key}, which you trust"),
        (Some(key), Some(false)) => format!("  signed    by {key}, which you do not trust"),
        (Some(key), None) => format!("  signed    by {key}; whose key that is, `--trust` would tell"),
        (None, _) => "  signed    by nobody whose signature holds".into(),
    });
    for (mark, all) in [("✗", &verdict.problems), ("?", &verdict.doubts), ("·", &verdict.notes)] {
        lines.extend(all.iter().take(MOST).map(|said: &Said| format!("  {mark} {said}")));
        if all.len() > MOST {
            lines.push(format!("  {mark} and {} more; `--output json` lists them all", all.len() - MOST));
        }
    }
    lines.push(match exit_of(verdict) {
        Exit::Ok => "it holds: what is in it follows from the journals, and nothing contradicts".into(),
        Exit::Run(31) => "nothing in it contradicts, and something is left open".into(),
        _ => "it does not hold: it is no evidence".into(),
    });
    lines.join("\n")
}

/// `firedrill evidence diff A B`.
fn diff(args: &EvidenceDiff) -> Result<Exit, Failed> {
    let (a, b) = (opened(&args.first)?, opened(&args.second)?);
    let found = evidence::compare(&a, &b);
    if found.is_empty() {
        print("they hold the same");
        return Ok(Exit::Ok);
    }
    let lines: Vec<String> = found.iter().map(|one| format!("{}: {}", one.file, one.what)).collect();
    print(&lines.join("\n"));
    Ok(Exit::Run(33))
}

fn opened(path: &Path) -> Result<Files, Failed> {
    let Shape { files, flaws } = evidence::read(&bytes_of(path)?);
    match flaws.first() {
        Some(flaw) => Err(Failed::file("read", path, flaw)),
        None => Ok(files),
    }
}
