//! Matchers that can never hold, always hold, or cannot be read.

use regex::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::super::finding::{Finding, did_you_mean};
use super::super::matcher::{Matcher, number_of};
use super::choice;

/// What `outcome` can be.
const OUTCOMES: [&str; 7] = ["ok", "refused", "reset", "timeout", "dns", "tls", "error"];
/// Fields that hold one number or word, nothing to path into.
const SCALARS: [&str; 4] = ["outcome", "status", "exit", "duration"];

/// What is wrong with the matcher of one field.
pub(super) fn check(place: &str, field: &str, matcher: &Matcher) -> Vec<Finding> {
    let mut out = Vec::new();
    if let Some(path) = &matcher.path {
        let place = format!("{place}/path");
        if SCALARS.contains(&field) {
            out.push(
                Finding::error(&place, format!("`{field}` is not JSON: it has no path"), "has no meaning here")
                    .help("only a field that holds JSON takes `path`"),
            );
        }
        out.extend(json_path(&place, path));
    }
    if is_empty(matcher) {
        out.push(
            Finding::error(place, format!("nothing is asked of `{field}`"), "has no matcher")
                .help("add for example `equals:`, `one_of:`, `max:` or `exists: true`"),
        );
    }
    out.extend(texts(place, field, matcher));
    out.extend(ranges(place, field, matcher));
    out.extend(sets(place, matcher));
    match field {
        "outcome" => out.extend(outcome(place, matcher)),
        "status" => out.extend(status(place, matcher)),
        _ => {}
    }
    for (key, inner) in [("all", &matcher.all), ("any", &matcher.any)] {
        for (n, inner) in inner.iter().flatten().enumerate() {
            out.extend(check(&format!("{place}/{key}/{n}"), field, inner));
        }
    }
    if let Some(inner) = &matcher.not {
        out.extend(check(&format!("{place}/not"), field, inner));
    }
    out
}

fn is_empty(matcher: &Matcher) -> bool {
    Matcher { path: matcher.path.clone(), ..Matcher::default() } == *matcher
}

/// A path that is not RFC 9535.
pub(super) fn json_path(place: &str, path: &str) -> Option<Finding> {
    let error = JsonPath::parse(path).err()?;
    let label = if path.starts_with('$') {
        format!("cannot be read at character {}", error.position() + 1)
    } else {
        "does not start with `$`".to_owned()
    };
    let finding = Finding::error(place, format!("`{path}` is not a JSON path"), label);
    let wanted = path.trim_start_matches(['.', '$']);
    let guess = format!("$.{wanted}");
    Some(if JsonPath::parse(&guess).is_ok() { finding.help(format!("did you mean `{guess}`?")) } else { finding })
}

fn texts(place: &str, field: &str, matcher: &Matcher) -> Option<Finding> {
    let pattern = matcher.matches.as_ref()?;
    let place = format!("{place}/matches");
    match Regex::new(pattern) {
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("cannot be read");
            Some(Finding::error(place, format!("`{pattern}` is not a regular expression"), why.trim().trim_start_matches("error: ")))
        }
        Ok(_) if pattern.is_empty() => {
            Some(Finding::error(place, format!("an empty pattern finds itself in every `{field}`"), "matches everything"))
        }
        Ok(_) => None,
    }
}

fn ranges(place: &str, field: &str, matcher: &Matcher) -> Vec<Finding> {
    if field == "outcome" {
        return Vec::new();
    }
    let between = matcher.between.as_ref();
    let bounds = [
        ("min".to_owned(), matcher.min.as_ref()),
        ("max".to_owned(), matcher.max.as_ref()),
        ("between/0".to_owned(), between.map(|(low, _)| low)),
        ("between/1".to_owned(), between.map(|(_, high)| high)),
    ];
    let mut out: Vec<Finding> = bounds
        .iter()
        .filter_map(|(key, bound)| Some((key, (*bound)?)))
        .filter(|(_, bound)| number_of(bound).is_none())
        .map(|(key, bound)| {
            Finding::error(format!("{place}/{key}"), format!("{bound} is neither a number nor a quantity"), "cannot be compared")
                .help("write a number, or a quantity with its unit: `5`, `300ms`, `99%`, `10MiB`")
        })
        .collect();
    let number = |value: Option<&Value>| value.and_then(number_of);
    if let (Some(low), Some(high)) = (number(matcher.min.as_ref()), number(matcher.max.as_ref()))
        && low > high
    {
        out.push(
            Finding::error(format!("{place}/min"), "nothing is at once at least `min` and at most `max`", "more than `max`")
                .also(format!("{place}/max"), "less than `min`"),
        );
    }
    if let Some((low, high)) = between
        && let (Some(a), Some(b)) = (number_of(low), number_of(high))
        && a > b
    {
        out.push(
            Finding::error(format!("{place}/between"), "the first bound of `between` is above the second", "holds nothing")
                .help(format!("did you mean `[{high}, {low}]`?")),
        );
    }
    out
}

fn sets(place: &str, matcher: &Matcher) -> Vec<Finding> {
    let empty = [
        ("one_of", matcher.one_of.as_ref().is_some_and(Vec::is_empty), "never holds"),
        ("none_of", matcher.none_of.as_ref().is_some_and(Vec::is_empty), "always holds"),
        ("all", matcher.all.as_ref().is_some_and(Vec::is_empty), "always holds"),
        ("any", matcher.any.as_ref().is_some_and(Vec::is_empty), "never holds"),
    ];
    empty
        .into_iter()
        .filter(|(_, empty, _)| *empty)
        .map(|(key, _, label)| Finding::error(format!("{place}/{key}"), format!("`{key}` lists nothing"), label))
        .collect()
}

/// The values that a matcher compares with, and where they stand.
fn compared<'a>(place: &str, matcher: &'a Matcher) -> Vec<(String, &'a Value)> {
    let mut out = Vec::new();
    for (key, value) in [("equals", &matcher.equals), ("not_equals", &matcher.not_equals)] {
        out.extend(value.iter().map(|value| (format!("{place}/{key}"), value)));
    }
    for (key, values) in [("one_of", &matcher.one_of), ("none_of", &matcher.none_of)] {
        out.extend(values.iter().flatten().enumerate().map(|(n, value)| (format!("{place}/{key}/{n}"), value)));
    }
    out
}

fn outcome(place: &str, matcher: &Matcher) -> Vec<Finding> {
    let ranges = [("min", matcher.min.is_some()), ("max", matcher.max.is_some()), ("between", matcher.between.is_some())];
    let mut out: Vec<Finding> = ranges
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(key, _)| {
            Finding::error(format!("{place}/{key}"), format!("`outcome` is a word: `{key}` has no meaning"), "compares numbers")
                .help(format!("an outcome is one of {}", choice(&OUTCOMES)))
        })
        .collect();
    for (place, value) in compared(place, matcher) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !OUTCOMES.contains(&text.as_str()) {
            let help = did_you_mean(&text, OUTCOMES)
                .map_or_else(|| format!("an outcome is one of {}", choice(&OUTCOMES)), |near| format!("did you mean `{near}`?"));
            out.push(Finding::error(place, format!("`{text}` is not an outcome"), "never happens").help(help));
        }
    }
    out
}

fn status(place: &str, matcher: &Matcher) -> Vec<Finding> {
    let possible = |value: &Value| number_of(value).is_some_and(|n| (100.0..600.0).contains(&n) && n.fract() == 0.0);
    compared(place, matcher)
        .into_iter()
        .filter(|(_, value)| !possible(value))
        .map(|(place, value)| {
            Finding::error(place, format!("{value} is not an HTTP status"), "never happens").help("a status is a number from 100 to 599")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at_of(field: &str, matcher: Value) -> Vec<(String, String)> {
        let matcher = serde_json::from_value(matcher).unwrap();
        check("/e", field, &matcher).into_iter().map(|finding| (finding.at, finding.title)).collect()
    }

    #[test]
    fn sensible_matchers_pass() {
        for (field, matcher) in [
            ("status", json!({ "one_of": [200, "201"] })),
            ("status", json!({ "min": 200, "max": 299 })),
            ("outcome", json!({ "not": { "equals": "ok" } })),
            ("json", json!({ "path": "$.items[0].id", "exists": true })),
            ("duration", json!({ "max": "300ms" })),
            ("value", json!({ "between": [1, 5] })),
            ("stdout", json!({ "any": [{ "matches": "^a" }, { "contains": "b" }] })),
        ] {
            assert_eq!(at_of(field, matcher.clone()), vec![], "{field} {matcher}");
        }
    }

    #[test]
    fn senseless_ones_are_told_apart() {
        for (field, matcher, place, title) in [
            ("status", json!({}), "/e", "nothing is asked of `status`"),
            ("json", json!({ "path": "$.a" }), "/e", "nothing is asked"),
            ("outcome", json!({ "min": 1 }), "/e/min", "is a word"),
            ("outcome", json!({ "equals": "refuse" }), "/e/equals", "`refuse` is not an outcome"),
            ("outcome", json!({ "one_of": ["ok", 5] }), "/e/one_of/1", "`5` is not an outcome"),
            ("status", json!({ "equals": 2000 }), "/e/equals", "not an HTTP status"),
            ("status", json!({ "not": { "equals": "up" } }), "/e/not/equals", "not an HTTP status"),
            ("value", json!({ "min": "many" }), "/e/min", "neither a number nor a quantity"),
            ("value", json!({ "min": "2s", "max": "300ms" }), "/e/min", "at once"),
            ("value", json!({ "between": [5, 1] }), "/e/between", "above the second"),
            ("body", json!({ "matches": "(" }), "/e/matches", "not a regular expression"),
            ("body", json!({ "matches": "" }), "/e/matches", "empty pattern"),
            ("json", json!({ "path": "state", "equals": 1 }), "/e/path", "`state` is not a JSON path"),
            ("status", json!({ "path": "$.a", "equals": 200 }), "/e/path", "is not JSON"),
            ("body", json!({ "one_of": [] }), "/e/one_of", "lists nothing"),
            ("body", json!({ "any": [{ "min": "x" }] }), "/e/any/0/min", "neither a number"),
        ] {
            let found = at_of(field, matcher.clone());
            assert_eq!(found.len(), 1, "{field} {matcher}: {found:?}");
            assert_eq!(found[0].0, place, "{matcher}");
            assert!(found[0].1.contains(title), "{matcher}: {}", found[0].1);
        }
    }

    #[test]
    fn a_path_says_where_it_goes_wrong() {
        let finding = json_path("/p", "state").unwrap();
        assert_eq!(finding.label, "does not start with `$`");
        assert_eq!(finding.help.as_deref(), Some("did you mean `$.state`?"));
        for (path, label) in [("$.a[", 4), ("$.ab[x]", 5)] {
            let finding = json_path("/p", path).unwrap();
            assert_eq!(finding.label, format!("cannot be read at character {label}"), "{path}");
        }
        assert!(json_path("/p", "$.items[?@.id == 1].name").is_none());
    }
}
