//! `firedrill kinds`: what can be broken and what can be watched, in words. Everything is read from the two lists of kinds and from the schema
//! that files are checked against, so that a page cannot say anything else than what is accepted.

use serde_json::{Map, Value};

use super::known::known;
use crate::fault::{self, ErasedFault};
use crate::probe::{self, ErasedProbe};
use crate::scenario::finding::did_you_mean;
use crate::scenario::schema::json_schema;

/// How wide a line of prose may be.
const WIDTH: usize = 100;

/// Every kind in one line each.
pub fn list() -> String {
    let width = names().map(str::len).max().unwrap_or(0);
    let section = |title: &str, kinds: Vec<(&str, &str)>| {
        let lines: String = kinds.iter().map(|(name, about)| format!("  {name:width$}  {}\n", as_fragment(about))).collect();
        format!("{title}\n{lines}")
    };
    let faults = section("Faults, under `faults:`", fault::KINDS.iter().map(|kind| (kind.kind(), kind.about())).collect());
    let watching = |ledger: bool| {
        let kinds = probe::KINDS.iter().filter(|kind| kind.ledger() == ledger);
        kinds.map(|kind| (kind.kind(), kind.about())).collect()
    };
    let probes =
        section("Probes, under `probes:` and wherever a condition is asked (`guards:`, `ready`, `confirm`, `done_when`)", watching(false));
    let ledgers = section("Ledgers, under `probes:` only", watching(true));
    format!(
        "{faults}\n{probes}\n{ledgers}\n`firedrill kinds KIND` explains one: its keys, an example, how it is seen and undone.\n`firedrill kinds signals` lists what practices are judged by.\n"
    )
}

/// The page of a kind; of both, where a fault and a probe share a name.
pub fn one(name: &str) -> Option<String> {
    let schema = json_schema(known());
    let faults = fault::KINDS.iter().filter(|kind| kind.kind() == name).map(|kind| page(&schema, &of_fault(*kind)));
    let probes = probe::KINDS.iter().filter(|kind| kind.kind() == name).map(|kind| page(&schema, &of_probe(*kind)));
    let pages: Vec<String> = faults.chain(probes).collect();
    (!pages.is_empty()).then(|| pages.join("\n"))
}

/// The kind that was probably meant: a near name, or one that has the word as a part.
pub fn nearest(name: &str) -> Option<String> {
    let wanted = name.to_ascii_lowercase();
    let part = || names().find(|kind| kind.split('.').any(|part| part == wanted));
    did_you_mean(name, names()).or_else(part).map(str::to_owned)
}

fn names() -> impl Iterator<Item = &'static str> {
    fault::KINDS.iter().map(|kind| kind.kind()).chain(probe::KINDS.iter().map(|kind| kind.kind()))
}

/// What a page says beside the keys of the schema.
struct KindPage {
    name: &'static str,
    about: &'static str,
    /// `fault` or `probe`: also the beginning of its name in the schema.
    sort: &'static str,
    /// The definition in the schema that holds the keys beside the kind's own.
    beside: &'static str,
    example: &'static str,
    facts: Vec<(&'static str, String)>,
    /// What `expect` may name.
    fields: &'static [(&'static str, &'static str)],
}

fn of_fault(kind: &dyn ErasedFault) -> KindPage {
    let seen = if kind.reads_back() {
        "by the kind itself; `confirm:` may ask something else"
    } else {
        "only by what you write under `confirm:`, which is required"
    };
    let undone = if kind.needs_declared_undo(&example_spec(kind.kind(), kind.example())) {
        format!("{}: required", kind.undo_means())
    } else {
        format!("{}; `undo:` may declare another way", kind.undo_means())
    };
    KindPage {
        name: kind.kind(),
        about: kind.about(),
        sort: "fault",
        beside: "Fault",
        example: kind.example(),
        facts: vec![("undone", undone), ("seen", seen.into())],
        fields: &[],
    }
}

fn of_probe(kind: &dyn ErasedProbe) -> KindPage {
    let used = if kind.ledger() {
        "under `probes:`; its writes are numbered and read back after recovery, which decides a claim's `rpo`"
    } else {
        "under `probes:`, and as a condition: `guards:`, `ready`, `confirm`, `done_when`, `only_if`"
    };
    let mut facts = vec![("used", used.to_owned())];
    if let Some(rate) = crate::base::Rate::per_second(kind.rate_hz()) {
        facts.push(("asked", format!("{rate} unless `rate:` says otherwise")));
    }
    KindPage {
        name: kind.kind(),
        about: kind.about(),
        sort: "probe",
        beside: "Probe",
        example: kind.example(),
        facts,
        fields: kind.fields(),
    }
}

/// The spec of an example; nothing when it is none, which `tests/kinds.rs` forbids.
fn example_spec(kind: &str, example: &str) -> Value {
    let parsed: Value = serde_saphyr::from_str(example).unwrap_or_default();
    parsed.get(kind).cloned().unwrap_or_default()
}

fn page(root: &Value, page: &KindPage) -> String {
    let mut out = format!("{}   ({})\n{}\n", page.name, page.sort, wrap(&as_sentence(page.about), 2));
    for (word, text) in &page.facts {
        out += &format!("\n  {word:7} {}", wrap(text, 10).trim_start());
    }
    out += &format!("\n\nKeys of `{}:`\n", page.name);
    let defs = &root["$defs"];
    let own = keys(defs, &defs[format!("{}.{}", page.sort, page.name)], true);
    out += &if own.is_empty() { "  none: write `{}`\n".to_owned() } else { table(&own) };
    out += &format!("\nKeys beside it, the same for every {}\n", page.sort);
    out += &table(&keys(defs, &defs[page.beside], false));
    if !page.fields.is_empty() {
        let width = page.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        out += "\nFields that `expect:` may name\n";
        for (name, about) in page.fields {
            out += &format!("  {name:width$}  {}\n", wrap(about, width + 4).trim_start());
        }
    }
    out += "\nExample\n";
    let home = if page.sort == "fault" { "faults" } else { "probes" };
    out += &format!("  {home}:\n    example:\n");
    for line in page.example.trim_end().lines() {
        out += &format!("      {line}\n");
    }
    out
}

/// One key of a schema.
#[derive(Debug, PartialEq)]
struct Key {
    name: String,
    what: String,
    /// `required`, a default, or nothing.
    need: String,
    doc: String,
}

/// The keys of an object, those within it under dotted names when `deep`. Kinds of the registry are no keys.
fn keys(defs: &Value, schema: &Value, deep: bool) -> Vec<Key> {
    let mut out = Vec::new();
    let kinds: Vec<&str> = schema["x-firedrill"]["kinds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let none = Map::new();
    for (name, property) in schema["properties"].as_object().unwrap_or(&none) {
        // `on` is read and refused: this version breaks things on this machine alone.
        if kinds.contains(&name.as_str()) || (!deep && name == "on") {
            continue;
        }
        let required = schema["required"].as_array().is_some_and(|list| list.iter().any(|key| key == name.as_str()));
        let default = property.get("default").filter(|value| !value.is_object() && !value.is_array());
        let need = match default {
            _ if required => "required".to_owned(),
            Some(Value::String(text)) => format!("default {text}"),
            Some(value) => format!("default {value}"),
            None => String::new(),
        };
        let (_, meant) = resolve(defs, property);
        let doc = property["description"].as_str().unwrap_or_default();
        let doc = if default.is_some() { without_default(doc) } else { doc.to_owned() };
        out.push(Key { name: name.clone(), what: what(defs, property), need, doc });
        if deep {
            let (inner, step) = match meant.get("items") {
                Some(items) => (items, "[]."),
                None => (property, "."),
            };
            if !is_named(inner, "Matcher") {
                let inner = keys(defs, resolve(defs, inner).1, true);
                out.extend(inner.into_iter().map(|key| Key { name: format!("{name}{step}{}", key.name), ..key }));
            }
        }
    }
    out
}

/// Follows a reference; the definition's name without the kind it belongs to.
fn resolve<'a>(defs: &'a Value, schema: &'a Value) -> (Option<&'a str>, &'a Value) {
    match schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/")) {
        Some(name) => (name.rsplit('.').next(), &defs[name]),
        None => (None, schema),
    }
}

fn is_named(schema: &Value, name: &str) -> bool {
    schema.get("$ref").and_then(Value::as_str).is_some_and(|target| target.rsplit(['/', '.']).next() == Some(name))
}

/// What may be written there, in words.
fn what(defs: &Value, schema: &Value) -> String {
    let (name, schema) = resolve(defs, schema);
    match name {
        Some("Id") => return "id".to_owned(),
        Some("Matcher") => return "matcher".to_owned(),
        Some("Condition") => return "condition".to_owned(),
        _ => {}
    }
    if let Some(quantity) = schema["format"].as_str().and_then(|format| format.strip_prefix("firedrill-")) {
        return quantity.to_owned();
    }
    if let Some(word) = schema.get("const") {
        return plain(word);
    }
    if let Some(words) = schema["enum"].as_array() {
        return either(words.iter().map(plain));
    }
    if let Some(object) = schema["properties"].as_object() {
        return format!("{{ {} }}", object.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
    }
    if let Some(forms) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return either(forms.iter().map(|form| what(defs, form)));
    }
    match schema["type"].as_str() {
        Some("string") => "text".to_owned(),
        Some("integer" | "number") => "number".to_owned(),
        Some("boolean") => "true | false".to_owned(),
        Some("array") => format!("list of {}", what(defs, &schema["items"])),
        Some("object") => match schema.get("additionalProperties").filter(|inner| inner.is_object()) {
            Some(inner) => format!("map of {}", what(defs, inner)),
            None => "map".to_owned(),
        },
        _ => "any value".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn either(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" | ")
}

fn table(keys: &[Key]) -> String {
    let mut out = String::new();
    for key in keys {
        let need = if key.need.is_empty() { String::new() } else { format!(", {}", key.need) };
        // What does not fit goes on further in; the key itself stands out.
        let head = wrap(&format!("{}: {}{need}", key.name, key.what), 6);
        out += &format!("{}\n", head.get(4..).unwrap_or_default());
        if !key.doc.is_empty() {
            out += &format!("{}\n", wrap(&key.doc, 8));
        }
    }
    out
}

/// The schema says it in a field of its own.
fn without_default(doc: &str) -> String {
    match doc.find(" Default `").and_then(|from| doc[from..].find("`.").map(|to| (from, from + to + 2))) {
        Some((from, to)) => format!("{}{}", &doc[..from], &doc[to..]),
        None => doc.to_owned(),
    }
}

/// Prose in lines of at most [`WIDTH`] characters, each after so many spaces.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > indent && last + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent));
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// With a capital letter and a full stop.
fn as_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>()).unwrap_or_default();
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

/// Without either: for a list.
fn as_fragment(text: &str) -> String {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_and_has_a_page() {
        let list = list();
        for name in names() {
            assert!(list.lines().any(|line| line.trim_start().starts_with(&format!("{name} "))), "{name} is not listed:\n{list}");
            let page = one(name).unwrap();
            assert!(page.contains(&format!("Keys of `{name}:`")) && page.contains("Example"), "{page}");
            assert!(page.lines().all(|line| line.chars().count() <= 140), "{page}");
        }
        assert_eq!(one("carrier.pigeon"), None);
    }

    #[test]
    fn a_page_tells_every_key_of_the_schema() {
        for kind in fault::KINDS {
            let page = one(kind.kind()).unwrap();
            let schema = kind.schema().to_value();
            for key in schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
                assert!(page.contains(&format!("\n  {key}: ")), "{}: no `{key}` in\n{page}", kind.kind());
            }
        }
        for kind in probe::KINDS {
            let page = one(kind.kind()).unwrap();
            for (field, _) in kind.fields() {
                assert!(page.contains(&format!("\n  {field} ")), "{}: no `{field}` in\n{page}", kind.kind());
            }
        }
    }

    #[test]
    fn types_needs_and_defaults_are_told() {
        let page = one("proxy.latency").unwrap();
        assert!(page.contains("  delay: duration, required\n"), "{page}");
        assert!(page.contains("  jitter: duration, default 0s\n        More or less, evenly spread.\n"), "{page}");
        assert!(page.contains("  direction: both | up | down, default down\n"), "{page}");
        assert!(page.contains("  for: once | duration | { until, at_most }, required\n"), "{page}");
        let page = one("ledger.http").unwrap();
        assert!(page.contains("  readers[].url: text, required\n") && page.contains("  acknowledged_when: map of matcher\n"), "{page}");
    }

    #[test]
    fn a_name_that_two_kinds_share_has_both_pages() {
        let page = one("command").unwrap();
        assert!(page.contains("command   (fault)") && page.contains("command   (probe)"));
        assert!(page.contains("which is required") && page.contains("under `undo:`: required"), "{page}");
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(nearest("proces.kil").as_deref(), Some("process.kill"));
        assert_eq!(nearest("pause").as_deref(), Some("process.pause"));
        assert_eq!(nearest("ledger").as_deref(), Some("ledger.http"));
        assert_eq!(nearest("earthquake"), None);
    }

    #[test]
    fn a_page_reads_well() {
        insta::assert_snapshot!(one("process.pause").unwrap());
    }
}
