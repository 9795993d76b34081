//! Whether a document has the shape that a schema asks for. Walks the whole tree and collects every problem, each at the place where it
//! is; where a schema allows several forms, the YAML type chooses, so that messages say exactly what is wrong.

mod keys;
mod kinds;
mod scalar;

use serde_json::{Map, Value};

use super::finding::{Finding, pointer_part};
use super::known::Known;
use super::node::{Node, Raw};
use super::schema::FileSchema;

/// Every problem of shape, and what the kinds say of their own specs.
pub fn shape(root: &Node, schema: &FileSchema, known: &Known) -> Vec<Finding> {
    let mut walk = Walk { schema, known, above: Vec::new(), findings: Vec::new() };
    walk.node(root, schema.root(), Where { at: "", key: "", above_zero: false, item: false, needed: true });
    walk.findings
}

/// Where the walk is.
#[derive(Debug, Clone, Copy)]
struct Where<'a> {
    /// JSON pointer.
    at: &'a str,
    /// The nearest key, for messages.
    key: &'a str,
    /// Zero makes no sense here.
    above_zero: bool,
    /// An item of the list of that key.
    item: bool,
    /// It cannot be left out.
    needed: bool,
}

struct Walk<'a> {
    schema: &'a FileSchema,
    known: &'a Known,
    /// The mappings around with their forms, the present one last.
    above: Vec<(&'a Node, &'a Object)>,
    findings: Vec<Finding>,
}

type Object = Map<String, Value>;

impl<'a> Walk<'a> {
    fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// A schema with its reference followed.
    fn resolve(&self, schema: &'a Value) -> Option<&'a Object> {
        let mut object = schema.as_object()?;
        for _ in 0..16 {
            let Some(target) = object.get("$ref").and_then(Value::as_str) else { break };
            let found = match target.strip_prefix("#/$defs/") {
                Some(name) => self.schema.def(name)?,
                None => self.schema.root(),
            };
            object = found.as_object()?;
        }
        Some(object)
    }

    /// The forms that a schema allows. None when it allows anything.
    fn forms(&self, schema: &'a Value, out: &mut Vec<&'a Object>, depth: usize) -> bool {
        let Some(object) = self.resolve(schema) else { return false };
        if !object.contains_key("properties")
            && depth < 8
            && let Some(Value::Array(branches)) = object.get("anyOf").or_else(|| object.get("oneOf"))
        {
            return branches.iter().all(|branch| self.forms(branch, out, depth + 1));
        }
        let says = ["type", "const", "enum", "properties", "patternProperties", "items", "format"];
        if !says.iter().any(|word| object.contains_key(*word)) {
            return false;
        }
        out.push(object);
        true
    }

    fn node(&mut self, node: &'a Node, schema: &'a Value, here: Where<'_>) {
        let above_zero = here.above_zero || schema.get("x-firedrill-above-zero").is_some();
        let here = Where { above_zero, ..here };
        let mut forms = Vec::new();
        if !self.forms(schema, &mut forms, 0) {
            return;
        }
        match &node.raw {
            Raw::Null => self.nothing(&forms, here),
            Raw::Text(text) => self.text(node, text, &forms, here),
            Raw::Number(number) => self.number(number, &forms, here),
            Raw::Bool(flag) => self.boolean(*flag, &forms, here),
            Raw::List(items) => self.list(items, &forms, here),
            Raw::Map(_) => self.map(node, &forms, here),
        }
    }

    fn nothing(&mut self, forms: &[&'a Object], here: Where<'_>) {
        if forms.iter().any(|form| has_type(form, "null")) {
            return;
        }
        let what = name_of(here, "the document");
        let finding = Finding::error(here.at, format!("{what} has no value"), "nothing follows").on_key();
        let wanted = scalar::wanted(forms);
        self.report(if here.needed || here.item {
            finding.help(format!("write {wanted}"))
        } else {
            finding.help(format!("write {wanted}, or leave the key out"))
        });
    }

    fn list(&mut self, items: &'a [Node], forms: &[&'a Object], here: Where<'_>) {
        let Some(form) = forms.iter().find(|form| has_type(form, "array")) else {
            let title = format!("{} must be {}, not a list", name_of(here, "the document"), scalar::wanted(forms));
            let finding = Finding::error(here.at, title, "is a list");
            let by_id = forms.iter().any(|form| form.contains_key("patternProperties"));
            let text = forms.iter().any(|form| has_type(form, "string"));
            self.report(match items {
                _ if by_id => finding.help(format!("give each a name: `{}: {{ NAME: … }}`", here.key)),
                [only] if text && only.text().is_some() => {
                    finding.help(format!("write `{}: {}`", here.key, only.text().unwrap_or_default()))
                }
                _ => finding,
            });
            return;
        };
        let fixed = form.get("prefixItems").and_then(Value::as_array);
        let least = form.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
        let most = form.get("maxItems").and_then(Value::as_u64).map_or(usize::MAX, |n| n as usize);
        let is_command = here.key == "run" && scalar::is_text_list(form);
        if items.len() < least || items.len() > most || (items.is_empty() && is_command) {
            let title = match (least, most) {
                (least, most) if least == most => format!("{} needs exactly {least} values", name_of(here, "this list")),
                (_, most) if items.len() > most => format!("{} takes at most {most} values", name_of(here, "this list")),
                (least, _) => format!("{} needs at least {} value", name_of(here, "this list"), least.max(1)),
            };
            self.report(Finding::error(here.at, title, format!("has {}", items.len())));
        }
        for (n, item) in items.iter().enumerate() {
            let schema = fixed.and_then(|fixed| fixed.get(n)).or_else(|| form.get("items"));
            if let Some(schema) = schema {
                let at = format!("{}/{n}", here.at);
                self.node(item, schema, Where { at: &at, item: true, ..here });
            }
        }
    }

    fn map(&mut self, node: &'a Node, forms: &[&'a Object], here: Where<'_>) {
        let objects: Vec<&'a Object> = forms.iter().copied().filter(|form| has_type(form, "object")).collect();
        match objects.as_slice() {
            [] => {
                let title = format!("{} must be {}, not a mapping", name_of(here, "the document"), scalar::wanted(forms));
                self.report(Finding::error(here.at, title, "is a mapping"));
            }
            [only] => self.object(node, only, here),
            several => self.choice(node, several, here),
        }
    }

    fn object(&mut self, node: &'a Node, form: &'a Object, here: Where<'_>) {
        self.above.push((node, form));
        self.members(node, form, here);
        self.above.pop();
    }

    fn members(&mut self, node: &'a Node, form: &'a Object, here: Where<'_>) {
        if let Some(mark) = form.get("x-firedrill").filter(|mark| mark.get("sort").is_some()) {
            self.kinds(node, form, mark, here);
        }
        let properties = form.get("properties").and_then(Value::as_object);
        let by_id = form.get("patternProperties").and_then(Value::as_object).and_then(|patterns| patterns.values().next());
        let others = form.get("additionalProperties");
        let required = form.get("required").and_then(Value::as_array);
        for entry in node.entries() {
            let at = format!("{}/{}", here.at, pointer_part(&entry.key));
            let needed = by_id.is_some() || required.is_some_and(|names| names.iter().any(|name| *name == *entry.key));
            let inner = Where { at: &at, key: &entry.key, above_zero: false, item: false, needed };
            if let Some(schema) = properties.and_then(|properties| properties.get(&entry.key)) {
                self.property(&entry.value, schema, form, inner);
            } else if let Some(schema) = by_id {
                self.id(&entry.key, &at);
                self.node(&entry.value, schema, inner);
            } else if let Some(Value::Bool(false)) = others {
                self.unknown_key(node, &entry.key, form, here);
            } else if let Some(schema) = others {
                self.node(&entry.value, schema, inner);
            }
        }
        self.missing(node, form, here);
    }

    /// The value of a declared key; for a kind's spec the kind itself is asked once the shape is right.
    fn property(&mut self, node: &'a Node, schema: &'a Value, form: &Object, here: Where<'_>) {
        let before = self.findings.len();
        self.node(node, schema, here);
        if before != self.findings.len() {
            return;
        }
        let sort = form.get("x-firedrill").and_then(|mark| mark.get("sort")).and_then(Value::as_str);
        let kind = match sort {
            Some("fault") => self.known.fault(here.key),
            Some("probe" | "condition") => self.known.probe(here.key),
            _ => None,
        };
        for problem in kind.map(|kind| (kind.check)(&node.to_value())).unwrap_or_default() {
            let finding = Finding::error(format!("{}{}", here.at, problem.at), problem.text, "");
            self.report(match problem.help {
                Some(help) => finding.help(help),
                None => finding,
            });
        }
    }

    /// Several mappings are allowed: the one whose keys are there is meant.
    fn choice(&mut self, node: &'a Node, forms: &[&'a Object], here: Where<'_>) {
        let fits = |form: &Object| {
            let properties = form.get("properties").and_then(Value::as_object);
            node.entries().iter().filter(|entry| properties.is_some_and(|p| p.contains_key(&entry.key))).count()
        };
        let keyed = forms.iter().all(|form| form.get("properties").and_then(Value::as_object).is_some_and(|p| p.len() == 1));
        let names: Vec<&'a str> = forms
            .iter()
            .filter_map(|form| form.get("properties").and_then(Value::as_object))
            .flat_map(|properties| properties.keys().map(String::as_str))
            .collect();
        let there: Vec<&str> = names.iter().copied().filter(|name| node.entry(name).is_some()).collect();
        if keyed && there.len() > 1 {
            let at = format!("{}/{}", here.at, pointer_part(there[1]));
            let title = format!("{} takes one of {}, not several", name_of(here, "this"), scalar::listed(&names));
            let first = format!("{}/{}", here.at, pointer_part(there[0]));
            self.report(Finding::error(at, title, "a second one").on_key().also(first, "the first"));
            return;
        }
        if keyed && there.is_empty() {
            if node.entries().is_empty() {
                let title = format!("{} needs one of {}", name_of(here, "this"), scalar::listed(&names));
                self.report(Finding::error(here.at, title, "has none").on_key());
            }
            for entry in node.entries() {
                self.unknown_among(&entry.key, &names, here);
            }
            return;
        }
        if let Some(best) = forms.iter().copied().rev().max_by_key(|form| fits(form)) {
            self.object(node, best, here);
        }
    }
}

fn has_type(form: &Object, name: &str) -> bool {
    match form.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|t| t == name),
        _ => match name {
            "object" => form.contains_key("properties") || form.contains_key("patternProperties"),
            "array" => form.contains_key("items"),
            _ => false,
        },
    }
}

/// How a value is called in a message.
fn name_of(here: Where<'_>, otherwise: &str) -> String {
    match (here.key, here.item) {
        ("", _) => otherwise.to_owned(),
        (key, true) => format!("an item of `{key}`"),
        (key, false) => format!("`{key}`"),
    }
}
