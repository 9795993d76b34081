//! The evidence bundle: one archive that somebody else can check without the machine it came from. Packed with the same bytes each time, signed, and
//! verified down to the line that does not fit. Bytes in, bytes and words out; it must never know files, the terminal, or how a report is rendered.

mod archive;
mod compare;
mod key;
mod manifest;
mod register;
mod run;
mod verify;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use archive::{LARGEST, Shape, is_bundle, read, write};
pub use compare::{Difference, compare, values as differences};
pub use key::{BadKey, Private, Public, Signed};
pub use manifest::{Listed, Manifest, Packed};
pub use verify::{Asked, Verdict, verify};

use crate::base::one_line;
use crate::event::Entry;
use crate::plan::Plan;

/// The files of a bundle by path, without the directory that they all stand in.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What lists and digests every other file.
pub const MANIFEST: &str = "manifest.json";
/// Who stands for the manifest.
pub const SIGNATURE: &str = "manifest.sig";
/// Every start beside these runs, as it stood when the bundle was packed.
pub const REGISTER: &str = "register.jsonl";

/// What a run's directory in a bundle may hold: the record, and after it what follows from the record.
pub const RECORD: [&str; 5] = ["scenario.yaml", "workload.yaml", "plan.json", "events.jsonl", "calibration.json"];
/// What is made from plan and journal, and made again by whoever verifies.
pub const DERIVED: [&str; 5] = ["report.html", "report.md", "report.json", "report.xml", "latency.hlog"];

/// Where a file of a run stands in a bundle.
pub fn path_of(run: &str, name: &str) -> String {
    format!("runs/{run}/{name}")
}

/// What this version makes of plan and journal: the files of [`DERIVED`] by name.
pub type Judge<'a> = dyn Fn(&Plan, &[Entry]) -> Result<BTreeMap<&'static str, Vec<u8>>, String> + 'a;

/// Something to be said of a bundle, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The file in the bundle; absent where it is the bundle itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What does not fit, in a sentence. Text from the bundle stands in it as one line without anything that steers a terminal.
    pub what: String,
}

impl Said {
    /// Of the bundle as a whole.
    pub fn of(what: impl AsRef<str>) -> Said {
        Said { file: None, line: None, what: one_line(what.as_ref(), LONGEST) }
    }

    /// Of a file.
    pub fn in_file(file: &str, what: impl AsRef<str>) -> Said {
        Said { file: Some(one_line(file, 120)), ..Said::of(what) }
    }

    /// Of a line of a file.
    pub fn at(file: &str, line: usize, what: impl AsRef<str>) -> Said {
        Said { line: Some(line), ..Said::in_file(file, what) }
    }
}

/// Longest sentence, in characters.
const LONGEST: usize = 600;

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}, line {line}: {}", self.what),
            (Some(file), None) => write!(f, "{file}: {}", self.what),
            (None, _) => f.write_str(&self.what),
        }
    }
}
