//! The truth log: what really happened, in JSON lines, written by those to whom it happened.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::DemoError;
use crate::sys::clock;

/// An open truth log, or none. Lines go out in one `write` each with O_APPEND, so that a SIGKILL leaves whole lines only.
#[derive(Debug)]
pub(super) struct Truth(Option<File>);

impl Truth {
    pub(super) fn open(path: Option<&Path>) -> Result<Truth, DemoError> {
        let Some(path) = path else { return Ok(Truth(None)) };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(DemoError::file(parent))?;
        }
        OpenOptions::new().create(true).append(true).open(path).map(|file| Truth(Some(file))).map_err(DemoError::file(path))
    }

    /// Writes one line: `ev`, the time, and the fields of `more`, which is an object.
    pub(super) fn log(&self, event: &str, more: Value) -> io::Result<()> {
        let Some(mut file) = self.0.as_ref() else { return Ok(()) };
        let mut line = json!({ "ev": event, "mono_ns": clock::mono_ns() });
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        let mut text = line.to_string();
        text.push('\n');
        file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_over_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/truth.jsonl");
        for key in ["k1", "k2"] {
            Truth::open(Some(&path)).unwrap().log("acked", json!({ "key": key })).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let keys: Vec<Value> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].clone()).collect();
        assert_eq!(keys, ["k1", "k2"]);
        assert!(Truth::open(None).unwrap().log("acked", json!({})).is_ok());
    }
}
