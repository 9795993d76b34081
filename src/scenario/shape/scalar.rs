//! Single values against what is wanted: text, units, words, numbers.

use serde_json::{Number, Value};

use super::{Object, Walk, Where, has_type, name_of};
use crate::base::{BadUnit, Bytes, Id, Percent, Rate, Span};
use crate::scenario::finding::{Finding, did_you_mean};
use crate::scenario::node::Node;

/// A text that is not what its format asks for.
struct BadText {
    title: String,
    label: &'static str,
    help: String,
}

/// Checks a text against a `format`; unknown formats accept everything.
fn check_format(format: &str, text: &str, above_zero: bool) -> Result<(), BadText> {
    let unit = |label: &'static str, bad: &BadUnit| BadText { title: bad.to_string(), label, help: bad.help().to_owned() };
    match format {
        "firedrill-duration" => match text.parse::<Span>() {
            Ok(Span::ZERO) if above_zero => {
                Err(BadText { title: "must be above zero".into(), label: "is no time at all", help: "write for example `10s`".into() })
            }
            Ok(_) => Ok(()),
            Err(bad) => Err(unit("not a duration", &bad)),
        },
        "firedrill-rate" => text.parse::<Rate>().map(drop).map_err(|bad| unit("not a rate", &bad)),
        "firedrill-percent" => text.parse::<Percent>().map(drop).map_err(|bad| unit("not a percentage", &bad)),
        "firedrill-bytes" => text.parse::<Bytes>().map(drop).map_err(|bad| unit("not a size", &bad)),
        "firedrill-id" => text.parse::<Id>().map(drop).map_err(|_| BadText {
            title: format!("`{text}` is not an id"),
            label: "not an id",
            help: id_help(text),
        }),
        _ => Ok(()),
    }
}

pub(super) fn id_help(text: &str) -> String {
    let rule = "ids are lower-case letters, digits and `-`, and begin with a letter";
    Id::suggest(text).filter(|near| near != text).map_or_else(|| rule.to_owned(), |near| format!("write `{near}`; {rule}"))
}

/// What a format is called.
fn format_name(format: &str) -> Option<&'static str> {
    match format {
        "firedrill-duration" => Some("a duration such as `30s`"),
        "firedrill-rate" => Some("a rate such as `20/s`"),
        "firedrill-percent" => Some("a percentage such as `99.9%`"),
        "firedrill-bytes" => Some("a size such as `10MiB`"),
        "firedrill-id" => Some("an id"),
        _ => None,
    }
}

fn format_of(form: &Object) -> Option<&str> {
    form.get("format").and_then(Value::as_str).filter(|format| format_name(format).is_some())
}

/// The fixed words that a form allows.
fn words(form: &Object) -> Vec<&Value> {
    match (form.get("const"), form.get("enum")) {
        (Some(one), _) => vec![one],
        (None, Some(Value::Array(several))) => several.iter().collect(),
        _ => Vec::new(),
    }
}

fn quoted(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}

/// `a`, `b` or `c`.
pub(super) fn listed(names: &[&str]) -> String {
    join(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>())
}

fn join(parts: &[String]) -> String {
    match parts {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}

/// What the forms allow, in words.
pub(super) fn wanted(forms: &[&Object]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for form in forms {
        let fixed = words(form);
        let more: Vec<String> = if !fixed.is_empty() {
            fixed.into_iter().map(quoted).collect()
        } else if let Some(name) = format_of(form).and_then(format_name) {
            vec![name.to_owned()]
        } else if let Some(keys) = form.get("required").and_then(Value::as_array).filter(|keys| !keys.is_empty() && keys.len() < 4)
            && !form.contains_key("x-firedrill")
        {
            let keys: Vec<String> = keys.iter().filter_map(Value::as_str).map(|key| format!("{key}: …")).collect();
            vec![format!("`{{ {} }}`", keys.join(", "))]
        } else {
            let types = ["string", "integer", "number", "boolean", "array", "object"];
            let names = ["text", "a whole number", "a number", "`true` or `false`", "a list", "a mapping"];
            types.iter().zip(names).filter(|(t, _)| has_type(form, t)).map(|(_, name)| name.to_owned()).collect()
        };
        for part in more {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    join(&parts)
}

pub(super) fn is_text_list(form: &Object) -> bool {
    has_type(form, "array") && form.get("items").and_then(|items| items.get("type")).is_some_and(|t| t == "string")
}

impl<'a> Walk<'a> {
    pub(super) fn text(&mut self, node: &Node, text: &str, forms: &[&'a Object], here: Where<'_>) {
        let fixed: Vec<&Value> = forms.iter().flat_map(|form| words(form)).collect();
        if fixed.iter().any(|word| word.as_str() == Some(text)) {
            return;
        }
        let free = forms.iter().find(|form| has_type(form, "string") && words(form).is_empty());
        if let Some(form) = free {
            return self.free_text(text, form, forms, &fixed, here);
        }
        if !fixed.is_empty() {
            return self.wrong_word(text, &fixed, forms, here);
        }
        self.not_text(node, text, forms, here);
    }

    fn free_text(&mut self, text: &str, form: &Object, forms: &[&Object], fixed: &[&Value], here: Where<'_>) {
        if text.is_empty() && (form.contains_key("format") || form.get("minLength").is_some_and(|n| n != 0)) {
            self.report(Finding::error(here.at, format!("{} is empty", name_of(here, "this text")), "is empty"));
            return;
        }
        let Some(format) = format_of(form) else {
            self.pattern(text, form, here);
            return;
        };
        let Err(bad) = check_format(format, text, here.above_zero) else { return };
        let title =
            if bad.title == "must be above zero" { format!("{} must be above zero", name_of(here, "this")) } else { bad.title.clone() };
        let near = did_you_mean(text, fixed.iter().filter_map(|word| word.as_str()));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if forms.len() > 1 && !bad.help.ends_with('?') => {
                format!("{}; {} takes {}", bad.help, name_of(here, "this"), wanted(forms))
            }
            None => bad.help,
        };
        self.report(Finding::error(here.at, title, bad.label).help(help));
    }

    fn pattern(&mut self, text: &str, form: &Object, here: Where<'_>) {
        let Some(pattern) = form.get("pattern").and_then(Value::as_str) else { return };
        if regex::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
            let finding = Finding::error(here.at, format!("`{text}` is not a valid {}", here.key), "does not fit");
            self.report(finding.help(format!("it must match `{pattern}`")));
        }
    }

    fn wrong_word(&mut self, text: &str, fixed: &[&Value], forms: &[&Object], here: Where<'_>) {
        let names: Vec<&str> = fixed.iter().filter_map(|word| word.as_str()).collect();
        let of = name_of(Where { item: false, ..here }, "this");
        let finding = Finding::error(here.at, format!("`{text}` is no value of {of}"), "unknown value");
        // Signals are often written with their prefix, words in capitals.
        let bare = text.strip_prefix("SIG").unwrap_or(text);
        self.report(match did_you_mean(bare, names.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("write {}", wanted(forms))),
        });
    }

    /// A text where something else is needed.
    fn not_text(&mut self, node: &Node, text: &str, forms: &[&Object], here: Where<'_>) {
        let name = name_of(here, "the document");
        if forms.iter().any(|form| is_text_list(form)) && matches!(here.key, "run" | "setup") {
            let finding = Finding::error(here.at, "commands are argument lists, never shell strings", "is one text");
            let help = if here.item { format!("write `{}`", argv(text)) } else { format!("write `{}: {}`", here.key, argv(text)) };
            self.report(finding.help(help));
            return;
        }
        let finding = Finding::error(here.at, format!("{name} must be {}, not text", wanted(forms)), "is text");
        let has = |t: &str| forms.iter().any(|form| has_type(form, t));
        let help = if node.filled {
            Some("the value of a var is always text".to_owned())
        } else if has("boolean") {
            let truth = match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "on" | "true" | "1" => Some("true"),
                "no" | "n" | "off" | "false" | "0" => Some("false"),
                _ => None,
            };
            truth.map(|truth| format!("write `{truth}`"))
        } else if (has("integer") || has("number")) && text.parse::<f64>().is_ok() {
            Some(format!("write `{}` without quotes", text.trim()))
        } else if forms.iter().any(|form| is_text_list(form)) {
            Some(format!("write `{}: [{}]`", here.key, item(text)))
        } else {
            self.wrap(text.to_owned(), forms, here)
        };
        self.report(match help {
            Some(help) => finding.help(help),
            None => finding,
        });
    }

    /// How a bare value would look inside the mapping that is wanted.
    fn wrap(&self, value: String, forms: &[&Object], here: Where<'_>) -> Option<String> {
        let form = forms.iter().find(|form| has_type(form, "object"))?;
        let properties = form.get("properties")?.as_object()?;
        let inner = if properties.contains_key("equals") && properties.contains_key("one_of") {
            "equals"
        } else if properties.len() == 1 {
            properties.keys().next()?
        } else {
            match form.get("required").and_then(Value::as_array).map(Vec::as_slice) {
                Some([only]) => only.as_str()?,
                _ => return None,
            }
        };
        if inner == "after" && value.parse::<Span>().is_ok() {
            return Some(format!("write `{}: {{ after: effective, plus: {value} }}`", here.key));
        }
        let value = match properties.get(inner).and_then(|schema| self.resolve_free(schema)).and_then(format_of) {
            Some(format) if check_format(format, &value, false).is_err() => return None,
            _ => value,
        };
        Some(format!("write `{}: {{ {inner}: {value} }}`", here.key))
    }

    fn resolve_free(&self, schema: &Value) -> Option<&Object> {
        let target = schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        self.schema.def(target)?.as_object()
    }

    pub(super) fn number(&mut self, number: &Number, forms: &[&'a Object], here: Where<'_>) {
        let value = Value::Number(number.clone());
        let fixed: Vec<&Value> = forms.iter().flat_map(|form| words(form)).collect();
        if fixed.contains(&&value) {
            return;
        }
        let name = name_of(here, "the document");
        if let Some(form) = forms.iter().find(|form| has_type(form, "number") || has_type(form, "integer")) {
            return self.range(number, form, here);
        }
        if let Some(format) = forms.iter().find_map(|form| format_of(form)) {
            if let Err(bad) = check_format(format, &number.to_string(), false) {
                let label = if format == "firedrill-id" { "is a number" } else { "a number without a unit" };
                self.report(Finding::error(here.at, bad.title, label).help(bad.help));
            }
            return;
        }
        let finding = Finding::error(here.at, format!("{name} must be {}, not a number", wanted(forms)), "is a number");
        let help = if forms.iter().any(|form| has_type(form, "string") && words(form).is_empty()) {
            Some(format!("put it in quotes: `\"{number}\"`"))
        } else {
            self.wrap(number.to_string(), forms, here)
        };
        self.report(match help {
            Some(help) => finding.help(help),
            None => finding,
        });
    }

    fn range(&mut self, number: &Number, form: &Object, here: Where<'_>) {
        let name = name_of(here, "this");
        let whole = number.is_u64() || number.is_i64() || number.as_f64().is_some_and(|n| n.fract() == 0.0 && n.abs() < 9e15);
        if !has_type(form, "number") && !whole {
            self.report(Finding::error(here.at, format!("{name} must be a whole number"), "has a fraction"));
            return;
        }
        let Some(n) = number.as_f64() else { return };
        let bound = |word: &str| form.get(word).and_then(Value::as_f64);
        let most = bound("maximum").or(match form.get("format").and_then(Value::as_str) {
            Some("uint8") => Some(f64::from(u8::MAX)),
            Some("uint16") => Some(f64::from(u16::MAX)),
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            _ => None,
        });
        let title = if bound("minimum").is_some_and(|least| n < least) {
            format!("{name} must be at least {}", bound("minimum").unwrap_or(0.0))
        } else if bound("exclusiveMinimum").is_some_and(|least| n <= least) {
            format!("{name} must be above {}", bound("exclusiveMinimum").unwrap_or(0.0))
        } else if let Some(most) = most.filter(|most| n > *most) {
            format!("{name} must be at most {most}")
        } else {
            return;
        };
        self.report(Finding::error(here.at, title, format!("is {number}")));
    }

    pub(super) fn boolean(&mut self, flag: bool, forms: &[&'a Object], here: Where<'_>) {
        if forms.iter().any(|form| has_type(form, "boolean")) {
            return;
        }
        let title = format!("{} must be {}, not `{flag}`", name_of(here, "the document"), wanted(forms));
        let finding = Finding::error(here.at, title, "is true or false");
        let text = forms.iter().any(|form| has_type(form, "string") && words(form).is_empty() && format_of(form).is_none());
        self.report(if text { finding.help(format!("put it in quotes: `\"{flag}\"`")) } else { finding });
    }
}

/// A shell string as the list it stands for.
fn argv(text: &str) -> String {
    if text.contains(['|', '&', ';', '<', '>', '`', '*']) || text.contains("$(") {
        return format!("[sh, -c, {}]", Value::String(text.to_owned()));
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut open = false;
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                open = true;
            }
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    format!("[{}]", words.iter().map(|word| item(word)).collect::<Vec<_>>().join(", "))
}

/// A text as an item of a flow list.
fn item(text: &str) -> String {
    let safe = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+@%=".contains(c))
        && text.parse::<f64>().is_err()
        && !text.starts_with(['@', '%', '='])
        && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "-");
    if safe { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_string_becomes_a_list() {
        assert_eq!(argv("pg_ctl -D '/my data' stop -t 5"), "[pg_ctl, -D, \"/my data\", stop, -t, \"5\"]");
        assert_eq!(argv("echo hi | cat"), "[sh, -c, \"echo hi | cat\"]");
        assert_eq!(argv("x \"\""), "[x, \"\"]");
    }
}
