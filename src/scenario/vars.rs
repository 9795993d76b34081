//! `${name}` in text values: filled once, while parsing, never read again as YAML.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::finding::did_you_mean;
use super::node::{Entry, Node, Place, Raw};
use super::parse::Slip;

/// Templates that are filled later, by whoever runs the drill.
const LATE: [&str; 5] = ["run.dir", "run.id", "firedrill", "key", "key.prefix"];

/// Most bytes that vars may bring into a file.
const MOST_FILLED: usize = 4 << 20;

/// Keys whose values are compared with what is seen, never filled again.
const COMPARED: [&str; 2] = ["expect", "acknowledged_when"];

/// The vars of a scenario and which of them were asked for.
#[derive(Debug, Default)]
pub struct Vars {
    values: IndexMap<String, String>,
    used: BTreeSet<String>,
    /// Bytes that were filled in so far.
    filled: usize,
}

impl Vars {
    /// Whether something of that name is declared.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether that var stands in some text.
    pub fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    /// Sets a value as it is.
    pub fn set(&mut self, name: &str, value: String) {
        self.values.insert(name.to_owned(), value);
    }

    /// All values.
    pub fn into_values(self) -> IndexMap<String, String> {
        self.values
    }

    /// Adds a `vars:` block. A value may use the vars above it; those of `given` (`--var`) win and are not templates.
    pub fn declare(&mut self, block: &Node, source: &str, given: &IndexMap<String, String>) -> Vec<Slip> {
        let mut slips = Vec::new();
        for Entry { key, place, value } in block.entries() {
            if !is_name(key) || is_late(key) {
                let title =
                    if is_late(key) { format!("`{key}` is a word of the language") } else { format!("`{key}` is not a var's name") };
                let help = if is_late(key) {
                    format!("`${{{key}}}` is filled while the drill runs; give the var another name")
                } else {
                    "names are letters, digits, `_` and `-`, and begin with a letter".to_owned()
                };
                slips.push(Slip::at(place.clone(), title, "cannot be the name of a var").help(help));
                continue;
            }
            if let Some(given) = given.get(key) {
                self.set(key, given.clone());
                continue;
            }
            let text = match &value.raw {
                Raw::Text(_) => {
                    let mut value = value.clone();
                    self.fill(&mut value, source, true, &mut slips);
                    value.text().unwrap_or_default().to_owned()
                }
                Raw::Number(_) | Raw::Bool(_) => written(value, source),
                // The shape is reported elsewhere.
                Raw::Null | Raw::List(_) | Raw::Map(_) => continue,
            };
            self.set(key, text);
        }
        slips
    }

    /// Fills every text under a node. `again`: it is filled again at the moment of use, so that what is escaped must stay so until then.
    pub fn fill(&mut self, node: &mut Node, source: &str, again: bool, slips: &mut Vec<Slip>) {
        match &mut node.raw {
            Raw::Text(text) => {
                if text.contains("${") {
                    let (filled, changed) = self.fill_text(text, &node.place, source, again, slips);
                    *text = filled;
                    node.filled = changed;
                }
            }
            Raw::List(items) => items.iter_mut().for_each(|item| self.fill(item, source, again, slips)),
            Raw::Map(entries) => {
                for entry in entries {
                    let again = again && !COMPARED.contains(&entry.key.as_str());
                    self.fill(&mut entry.value, source, again, slips);
                }
            }
            Raw::Null | Raw::Bool(_) | Raw::Number(_) => {}
        }
    }

    fn fill_text(&mut self, text: &str, place: &Place, source: &str, again: bool, slips: &mut Vec<Slip>) -> (String, bool) {
        let mut out = String::new();
        let mut rest = text;
        let mut changed = false;
        while let Some(at) = rest.find("${") {
            let (before, tail) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                rest = &tail[2..];
                // What would have a meaning later keeps its escape until then: `${$}` stands for the dollar sign.
                let name = rest.find('}').map_or("", |end| &rest[..end]);
                out.push_str(if again && (is_late(name) || name.contains("${")) { "${$}{" } else { "${" });
                continue;
            }
            out.push_str(before);
            let Some(end) = tail.find('}') else {
                let slip = Slip::at(within(place, source, "${"), "`${` without `}`", "opens a var that does not end");
                slips.push(slip.help("write `$${` for the text `${`"));
                rest = "";
                out.push_str(tail);
                break;
            };
            let name = &tail[2..end];
            let whole = &tail[..=end];
            rest = &tail[end + 1..];
            if let Some(value) = self.values.get(name) {
                self.filled += value.len();
                if self.filled > MOST_FILLED {
                    // Said once; everything else stays as it is written.
                    if self.filled - value.len() <= MOST_FILLED {
                        let slip = Slip::at(within(place, source, whole), "the vars make the file too large", "one value too many");
                        slips.push(slip.help(format!("all values that are filled in may have {} MiB", MOST_FILLED >> 20)));
                    }
                    out.push_str(whole);
                    continue;
                }
                out.push_str(value);
                self.used.insert(name.to_owned());
                changed = true;
            } else {
                out.push_str(whole);
                if !is_late(name) {
                    slips.push(self.unknown(name, within(place, source, whole)));
                }
            }
        }
        out.push_str(rest);
        (out, changed)
    }

    fn unknown(&self, name: &str, place: Place) -> Slip {
        let slip = Slip::at(place, format!("no var is called `{name}`"), "unknown var");
        let names = self.names().chain(LATE);
        if let Some(near) = did_you_mean(name, names) {
            slip.help(format!("did you mean `${{{near}}}`?"))
        } else if is_name(name) {
            slip.help(format!("declare it: `vars: {{ {name}: … }}`; or write `$${{{name}}}` for the text itself"))
        } else {
            slip.help(format!("write `$${{{name}}}` for the text itself"))
        }
    }
}

/// The source text of a scalar.
pub fn written(node: &Node, source: &str) -> String {
    let place = node.defined.as_ref().unwrap_or(&node.place);
    source.get(place.clone()).unwrap_or_default().trim().to_owned()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn is_late(name: &str) -> bool {
    LATE.contains(&name) || name.strip_prefix("secret:").is_some_and(|id| !id.is_empty())
}

/// The part of a place that says `what`, or the whole.
fn within(place: &Place, source: &str, what: &str) -> Place {
    match source.get(place.clone()).and_then(|text| text.find(what)) {
        Some(at) => place.start + at..place.start + at + what.len(),
        None => place.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;
    use serde_json::json;

    fn fill(text: &str, vars: &[(&str, &str)]) -> (serde_json::Value, Vec<Slip>, Vars) {
        let mut all = Vars::default();
        for (name, value) in vars {
            all.set(name, (*value).to_owned());
        }
        let mut node = parse(text).0.unwrap();
        let mut slips = Vec::new();
        all.fill(&mut node, text, true, &mut slips);
        (node.to_value(), slips, all)
    }

    #[test]
    fn vars_are_filled_and_stay_text() {
        let text =
            "a: \"${api}/x/${run.dir}\"\nb: [\"${port}\", \"$${api}\", \"${secret:hook}\", \"$HOME\"]\nc: { \"${api}\": \"${key}\" }\n";
        let (value, slips, vars) = fill(text, &[("api", "http://h"), ("port", "8080"), ("unused", "")]);
        assert_eq!(slips, []);
        assert_eq!(
            value,
            json!({"a": "http://h/x/${run.dir}", "b": ["8080", "${api}", "${secret:hook}", "$HOME"], "c": {"${api}": "${key}"}})
        );
        assert!(vars.is_used("port") && !vars.is_used("unused"));
    }

    #[test]
    fn an_escape_of_what_is_filled_later_stays_one_until_then() {
        let text =
            "a: \"$${run.dir} $${HOME} $${x:-${run.dir}} $${${v}} ${d}${run.id}\"\nexpect: { body: { contains: \"$${run.dir}\" } }\n";
        let (value, slips, mut all) = fill(text, &[("v", "run.dir"), ("d", "$")]);
        assert_eq!(slips, []);
        let a = "${$}{run.dir} ${HOME} ${$}{x:-${run.dir}} ${$}{run.dir} $${run.id}";
        assert_eq!(value, json!({"a": a, "expect": {"body": {"contains": "${run.dir}"}}}));
        let mut title = parse("$${key}").0.unwrap();
        all.fill(&mut title, "$${key}", false, &mut Vec::new());
        assert_eq!(title.text(), Some("${key}"));
    }

    #[test]
    fn vars_do_not_grow_without_end() {
        let text: String = (0..64).map(|n| format!("v{}: \"${{v{n}}}${{v{n}}}\"\n", n + 1)).collect();
        let text = format!("v0: {}\n{text}", "x".repeat(1024));
        let mut vars = Vars::default();
        let slips = vars.declare(&parse(&text).0.unwrap(), &text, &IndexMap::new());
        assert_eq!(slips.len(), 1, "{slips:?}");
        assert_eq!((slips[0].title.as_str(), slips[0].help.is_some()), ("the vars make the file too large", true));
        assert!(vars.into_values().values().map(String::len).sum::<usize>() < 2 * MOST_FILLED);
    }

    #[test]
    fn a_value_is_never_a_template_again() {
        let (value, slips, _) = fill("a: ${x}\n", &[("x", "${y}: [1, \"{\"")]);
        assert_eq!(slips, []);
        assert_eq!(value, json!({"a": "${y}: [1, \"{\""}));
    }

    #[test]
    fn an_unknown_var_is_underlined_and_guessed() {
        let text = "a: \"x ${apii} y\"\nb: ${HOME:-x}\nc: \"${open\"\n";
        let (_, slips, _) = fill(text, &[("api", "")]);
        assert_eq!(&text[slips[0].place.clone().unwrap()], "${apii}");
        assert_eq!(slips[0].help.as_deref(), Some("did you mean `${api}`?"));
        assert_eq!(slips[1].help.as_deref(), Some("write `$${HOME:-x}` for the text itself"));
        assert_eq!(slips[2].title, "`${` without `}`");
    }

    #[test]
    fn declared_vars_may_use_earlier_ones_and_the_command_line_wins() {
        let text = "host: h\nport: 8080\nurl: \"${host}:${port}\"\nkey: no\n";
        let mut vars = Vars::default();
        let given = IndexMap::from([("host".to_owned(), "${literal}".to_owned())]);
        let slips = vars.declare(&parse(text).0.unwrap(), text, &given);
        assert_eq!(slips.len(), 1);
        assert_eq!(slips[0].title, "`key` is a word of the language");
        assert_eq!(vars.into_values().get("url").map(String::as_str), Some("${literal}:8080"));
    }
}
