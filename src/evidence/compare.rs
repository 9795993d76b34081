//! Where two texts, two JSON values or two bundles differ.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::{Files, SIGNATURE};
use crate::base::one_line;

/// Most differences that are told of one file.
const MOST: usize = 12;

/// Something in which two bundles differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The file.
    pub file: String,
    /// In what way; text of the bundles as one line.
    pub what: String,
}

/// In what these bundles differ; nothing when they hold the same.
pub fn compare(a: &Files, b: &Files) -> Vec<Difference> {
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let mut say = |what: String| found.push(Difference { file: path.clone(), what });
        match (a.get(path), b.get(path)) {
            (Some(_), None) => say("only in the first".into()),
            (None, Some(_)) => say("only in the second".into()),
            (Some(x), Some(y)) if x != y && path == SIGNATURE => say("signed by another key, or of another manifest".into()),
            (Some(x), Some(y)) if x != y => inside(path, x, y).into_iter().for_each(say),
            _ => {}
        }
    }
    found
}

fn inside(path: &str, a: &[u8], b: &[u8]) -> Vec<String> {
    if path.ends_with("report.json")
        && let (Ok(a), Ok(b)) = (serde_json::from_slice(a), serde_json::from_slice(b))
    {
        return values(&a, &b);
    }
    let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    if path.ends_with(".jsonl") {
        // Both only grow: one that begins with the other is the same one, later.
        let (shorter, longer) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
        if longer.starts_with(shorter.as_ref()) {
            let more = longer.lines().count() - shorter.lines().count();
            return vec![format!(
                "{} goes on where the other ends: {more} lines more",
                if a.len() < b.len() { "the second" } else { "the first" }
            )];
        }
    }
    first_line(&a, &b).into_iter().map(|(line, a, b)| format!("line {line}: `{a}` here, `{b}` there")).collect()
}

/// The first line in which two texts differ, from 1, and what stands there in each.
pub fn first_line(a: &str, b: &str) -> Option<(usize, String, String)> {
    if a == b {
        return None;
    }
    // With their ends: a line feed that is missing is a difference.
    let (mut left, mut right) = (a.split_inclusive('\n'), b.split_inclusive('\n'));
    for number in 1.. {
        match (left.next(), right.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => return Some((number, shown(a, b), shown(b, a))),
        }
    }
    None
}

/// What surrounds the first difference of a line.
fn shown(line: Option<&str>, other: Option<&str>) -> String {
    let Some(line) = line else { return "nothing".into() };
    let same = line.chars().zip(other.unwrap_or_default().chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(30);
    let part: String = line.chars().skip(from).take(100).collect();
    one_line(&if from > 0 { format!("…{part}") } else { part }, 110)
}

/// The leaves in which two JSON values differ: path, and what stands there in each.
pub fn values(a: &Value, b: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", a, b, &mut found);
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("and {more} differences more"));
    }
    found
}

fn walk(path: &str, a: &Value, b: &Value, found: &mut Vec<String>) {
    let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                walk(&at(key), a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for n in 0..a.len().max(b.len()) {
                walk(&at(&n.to_string()), a.get(n).unwrap_or(&Value::Null), b.get(n).unwrap_or(&Value::Null), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("`{}` is {} here, {} there", one_line(path, 120), leaf(a), leaf(b))),
    }
}

fn leaf(value: &Value) -> String {
    match value {
        Value::Null => "absent".into(),
        other => one_line(&other.to_string(), 80),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_named() {
        assert_eq!(first_line("a\nb\n", "a\nc\n"), Some((2, "b".into(), "c".into())));
        assert_eq!(first_line("a\n", "a"), Some((1, "a".into(), "a".into())));
        assert_eq!(first_line("a\n", "a\nb\n"), Some((2, "nothing".into(), "b".into())));
        assert_eq!(first_line("a", "a"), None);
        let (a, b) = (json!({ "x": [1, { "y": 2 }], "z": 1 }), json!({ "x": [1, { "y": 3 }] }));
        assert_eq!(values(&a, &b), ["`x.1.y` is 2 here, 3 there", "`z` is 1 here, absent there"]);
    }

    #[test]
    fn a_longer_journal_is_the_same_one_later() {
        let files = |text: &str| Files::from([("register.jsonl".to_owned(), text.as_bytes().to_vec())]);
        assert!(compare(&files("a\n"), &files("a\n")).is_empty());
        let found = compare(&files("a\n"), &files("a\nb\nc\n"));
        assert_eq!(found[0].what, "the second goes on where the other ends: 2 lines more");
        assert!(compare(&files("x\n"), &files("a\nb\n"))[0].what.starts_with("line 1"));
    }
}
