//! Conditions on an observed value. No code in YAML: matchers only.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Bytes, Percent, Span};

/// What a value must look like. Every key that is given must hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// For `json`: an RFC 9535 path to the value that is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Exactly this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// Any other value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Value>,
    /// One of these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
    /// None of these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_of: Option<Vec<Value>>,
    /// At least; a number or a quantity with its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// At most; a number or a quantity with its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// From the first to the second, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<(Value, Value)>,
    /// Text that this regular expression finds something in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// Text that contains this text, or a list that contains this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<Value>,
    /// Whether there is a value at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// Whether it differs from what was seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// Each of these must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Vec<Matcher>>,
    /// At least one of these must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any: Option<Vec<Matcher>>,
    /// This must not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Matcher>>,
}

/// What a matcher says of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// It holds.
    Yes,
    /// It does not, and why, in a few words.
    No(String),
    /// There was nothing to look at: neither good nor bad.
    NoData(String),
}

impl Match {
    /// Whether it holds.
    pub fn is_yes(&self) -> bool {
        *self == Match::Yes
    }
}

/// A number from a number or from a quantity with its unit: durations in seconds, shares as fractions, sizes in bytes.
pub fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text
            .parse::<f64>()
            .ok()
            .or_else(|| text.parse::<Span>().ok().map(Span::as_secs_f64))
            .or_else(|| text.parse::<Percent>().ok().map(Percent::fraction))
            .or_else(|| text.parse::<Bytes>().ok().map(|b| b.0 as f64)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

/// Equality as people mean it: numbers by value, a number equals its own text.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x.as_f64() == y.as_f64(),
        (Value::Number(x), Value::String(y)) | (Value::String(y), Value::Number(x)) => y == &x.to_string(),
        (Value::Bool(x), Value::String(y)) | (Value::String(y), Value::Bool(x)) => y == &x.to_string(),
        _ => a == b,
    }
}

impl Matcher {
    /// A matcher for one exact value.
    pub fn equals(value: impl Into<Value>) -> Matcher {
        Matcher { equals: Some(value.into()), ..Matcher::default() }
    }

    /// Whether the value looks as asked. `first` is what was seen first, for `changed`.
    pub fn test(&self, value: Option<&Value>, first: Option<&Value>) -> Match {
        let picked;
        let value = match (&self.path, value) {
            (Some(path), Some(whole)) => match serde_json_path::JsonPath::parse(path) {
                Ok(parsed) => {
                    let mut found = parsed.query(whole).all();
                    match found.len() {
                        0 => None,
                        1 => Some(found.remove(0)),
                        _ => {
                            picked = Value::Array(found.into_iter().cloned().collect());
                            Some(&picked)
                        }
                    }
                }
                Err(error) => return Match::NoData(format!("path {path}: {error}")),
            },
            (_, value) => value,
        };
        if let Some(wanted) = self.exists {
            let there = value.is_some_and(|v| !v.is_null());
            if there != wanted {
                return Match::No(if wanted { "nothing there".into() } else { "something there".into() });
            }
            if !wanted {
                return Match::Yes;
            }
        }
        let Some(value) = value else {
            let what = self.path.as_deref().map_or_else(|| "no such field".to_owned(), |path| format!("nothing at {path}"));
            return Match::NoData(what);
        };
        let checks = [self.test_equality(value), self.test_range(value), self.test_text(value), self.test_change(value, first)];
        for check in checks {
            if !check.is_yes() {
                return check;
            }
        }
        self.test_nested(value, first)
    }

    fn test_equality(&self, value: &Value) -> Match {
        if let Some(wanted) = &self.equals
            && !same(value, wanted)
        {
            return Match::No(format!("{} is not {}", brief(value), brief(wanted)));
        }
        if let Some(unwanted) = &self.not_equals
            && same(value, unwanted)
        {
            return Match::No(format!("is {}", brief(value)));
        }
        if let Some(set) = &self.one_of
            && !set.iter().any(|wanted| same(value, wanted))
        {
            return Match::No(format!("{} is none of {}", brief(value), brief(&Value::Array(set.clone()))));
        }
        if let Some(set) = &self.none_of
            && set.iter().any(|unwanted| same(value, unwanted))
        {
            return Match::No(format!("is {}", brief(value)));
        }
        Match::Yes
    }

    fn test_range(&self, value: &Value) -> Match {
        let between = self.between.as_ref();
        let lowest = self.min.as_ref().or(between.map(|(low, _)| low));
        let highest = self.max.as_ref().or(between.map(|(_, high)| high));
        if lowest.is_none() && highest.is_none() {
            return Match::Yes;
        }
        let Some(number) = number_of(value) else {
            return Match::No(format!("{} is not a number", brief(value)));
        };
        if let Some(low) = lowest
            && number_of(low).is_some_and(|low| number < low)
        {
            return Match::No(format!("{} is below {}", brief(value), brief(low)));
        }
        if let Some(high) = highest
            && number_of(high).is_some_and(|high| number > high)
        {
            return Match::No(format!("{} is above {}", brief(value), brief(high)));
        }
        Match::Yes
    }

    fn test_text(&self, value: &Value) -> Match {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if let Some(pattern) = &self.matches {
            match Regex::new(pattern) {
                Ok(regex) if regex.is_match(&text) => {}
                Ok(_) => return Match::No(format!("{} does not match {pattern}", brief(value))),
                Err(_) => return Match::NoData(format!("{pattern} is not a regular expression")),
            }
        }
        if let Some(wanted) = &self.contains {
            let found = match value {
                Value::Array(items) => items.iter().any(|item| same(item, wanted)),
                Value::Object(map) => wanted.as_str().is_some_and(|key| map.contains_key(key)),
                _ => text.contains(&brief_full(wanted)),
            };
            if !found {
                return Match::No(format!("does not contain {}", brief(wanted)));
            }
        }
        Match::Yes
    }

    fn test_change(&self, value: &Value, first: Option<&Value>) -> Match {
        match (self.changed, first) {
            (None, _) => Match::Yes,
            (Some(_), None) => Match::NoData("nothing seen before".into()),
            (Some(wanted), Some(first)) if same(value, first) != wanted => Match::Yes,
            (Some(true), _) => Match::No(format!("still {}", brief(value))),
            (Some(false), _) => Match::No(format!("now {}", brief(value))),
        }
    }

    fn test_nested(&self, value: &Value, first: Option<&Value>) -> Match {
        for inner in self.all.iter().flatten() {
            let result = inner.test(Some(value), first);
            if !result.is_yes() {
                return result;
            }
        }
        if let Some(choices) = &self.any {
            let mut last = Match::No("none of the choices".into());
            for inner in choices {
                last = inner.test(Some(value), first);
                if last.is_yes() {
                    break;
                }
            }
            if !last.is_yes() {
                return last;
            }
        }
        match self.not.as_ref().map(|inner| inner.test(Some(value), first)) {
            Some(Match::Yes) => Match::No(format!("is {}", brief(value))),
            Some(Match::NoData(why)) => Match::NoData(why),
            Some(Match::No(_)) | None => Match::Yes,
        }
    }
}

fn brief_full(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn test(matcher: Value, value: Value) -> Match {
        serde_json::from_value::<Matcher>(matcher).unwrap().test(Some(&value), Some(&json!("a")))
    }

    #[test]
    fn each_matcher_says_yes_and_no() {
        for (matcher, good, bad) in [
            (json!({"equals": 200}), json!(200), json!(500)),
            (json!({"equals": 200}), json!("200"), json!("x")),
            (json!({"not_equals": "x"}), json!("y"), json!("x")),
            (json!({"one_of": [200, 201]}), json!(201), json!(202)),
            (json!({"none_of": ["a"]}), json!("b"), json!("a")),
            (json!({"min": 5}), json!(5), json!(4.9)),
            (json!({"max": "300ms"}), json!(0.3), json!(0.31)),
            (json!({"between": [1, 3]}), json!(3), json!(3.5)),
            (json!({"matches": "^ok"}), json!("okay"), json!("not ok")),
            (json!({"contains": "b"}), json!(["a", "b"]), json!(["a"])),
            (json!({"contains": "bc"}), json!("abcd"), json!("ad")),
            (json!({"exists": true}), json!(1), Value::Null),
            (json!({"changed": true}), json!("b"), json!("a")),
            (json!({"changed": false}), json!("a"), json!("b")),
            (json!({"all": [{"min": 1}, {"max": 2}]}), json!(1), json!(3)),
            (json!({"any": [{"equals": 1}, {"equals": 2}]}), json!(2), json!(3)),
            (json!({"not": {"equals": 1}}), json!(2), json!(1)),
            (json!({"path": "$.state", "equals": "ok"}), json!({"state": "ok"}), json!({"state": "no"})),
        ] {
            assert_eq!(test(matcher.clone(), good.clone()), Match::Yes, "{matcher} of {good}");
            assert!(matches!(test(matcher.clone(), bad.clone()), Match::No(_)), "{matcher} of {bad}");
        }
    }

    #[test]
    fn a_missing_value_is_no_data_and_text_is_never_zero() {
        assert!(matches!(Matcher::equals(1).test(None, None), Match::NoData(_)));
        assert!(matches!(test(json!({"path": "$.nope", "equals": 1}), json!({})), Match::NoData(_)));
        assert!(matches!(test(json!({"max": 5}), json!("many")), Match::No(_)));
    }
}
