//! A spec that is too long for one line, as indented lines: each value on a line of its own as soon as it fits there.

use serde_json::Value;

/// What a line may hold, its indentation included.
const WIDTH: usize = 130;
/// The longest spec that stands on the line of its kind.
const SHORT: usize = 110;
/// How much deeper each level stands.
const STEP: usize = 2;

/// A kind with its spec, and the lines below it where that is too long: those begin with so many spaces.
pub(super) fn kind(name: &str, spec: &Value, indent: usize) -> (String, Vec<String>) {
    let line = super::words::kind(name, spec);
    let lines = if line.chars().count() > SHORT { block(spec, indent) } else { Vec::new() };
    if lines.is_empty() { (line, lines) } else { (name.to_owned(), lines) }
}

/// A map as lines that begin with so many spaces; nothing where it is no map or holds nothing.
fn block(value: &Value, indent: usize) -> Vec<String> {
    let mut out = Vec::new();
    fill(value, indent, &mut out);
    out
}

fn fill(value: &Value, indent: usize, out: &mut Vec<String>) {
    let margin = " ".repeat(indent);
    let each: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (format!("{key}:"), value)).collect(),
        Value::Array(list) => list.iter().map(|value| ("-".to_owned(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in each {
        let flat = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let line = format!("{margin}{name} {flat}");
        if line.chars().count() <= WIDTH || !(value.is_object() || value.is_array()) {
            out.push(line);
        } else {
            out.push(format!("{margin}{name}"));
            fill(value, indent + STEP, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_fits_stays_on_its_line_and_what_does_not_is_taken_apart() {
        let long = "x".repeat(70);
        let spec = json!({ "short": { "a": 1 }, "text": "b", "many": { "one": { "is": long }, "two": [long.clone(), long.clone()] } });
        let lines = block(&spec, 4);
        let rest = [
            format!("      one: {{\"is\":\"{long}\"}}"),
            "      two:".to_owned(),
            format!("        - {long}"),
            format!("        - {long}"),
        ];
        let first = ["    short: {\"a\":1}".to_owned(), "    text: b".to_owned(), "    many:".to_owned()];
        assert_eq!(lines, [first.as_slice(), rest.as_slice()].concat());
        assert!(block(&json!("text"), 2).is_empty());
        // What cannot be taken apart stands as it is.
        assert_eq!(block(&json!({ "t": "y".repeat(200) }), 0).len(), 1);
    }
}
