//! A document as it was written: values with the places of keys and values in the source text.

use std::ops::Range;

use serde_json::{Map, Number, Value};

/// Bytes of the source text.
pub type Place = Range<usize>;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub raw: Raw,
    /// Where it stands; for an alias the alias itself.
    pub place: Place,
    /// Where an alias' value is defined.
    pub defined: Option<Place>,
    /// A variable was filled in.
    pub filled: bool,
}

/// A value of the YAML core schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`, unquoted; no other words.
    Bool(bool),
    /// An unquoted number.
    Number(Number),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in file order; keys are unique.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

/// The nearest node to a pointer.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its key, unless it is an item of a list or the whole document.
    pub key: Option<&'a Place>,
    /// How many parts of the pointer led there.
    pub parts: usize,
    /// All parts of the pointer exist.
    pub exact: bool,
    /// The alias that led there.
    pub alias: Option<&'a Place>,
}

impl Node {
    /// A value without alias or variables.
    pub fn new(raw: Raw, place: Place) -> Node {
        Node { raw, place, defined: None, filled: false }
    }

    /// The value without places.
    pub fn to_value(&self) -> Value {
        match &self.raw {
            Raw::Null => Value::Null,
            Raw::Bool(b) => Value::Bool(*b),
            Raw::Number(n) => Value::Number(n.clone()),
            Raw::Text(text) => Value::String(text.clone()),
            Raw::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Raw::Map(entries) => Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_value())).collect::<Map<_, _>>()),
        }
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.raw {
            Raw::Map(entries) => entries,
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) | Raw::List(_) => &[],
        }
    }

    /// The entry of that key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of that key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The text of a text.
    pub fn text(&self) -> Option<&str> {
        match &self.raw {
            Raw::Text(text) => Some(text),
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::List(_) | Raw::Map(_) => None,
        }
    }

    /// How many nodes it has, itself included, and how deep it is.
    pub fn size(&self) -> (usize, usize) {
        let children: Vec<&Node> = match &self.raw {
            Raw::List(items) => items.iter().collect(),
            Raw::Map(entries) => entries.iter().map(|entry| &entry.value).collect(),
            Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => Vec::new(),
        };
        let (count, depth) = children.iter().map(|c| c.size()).fold((0, 0), |(n, d), (count, depth)| (n + count, d.max(depth)));
        (count + 1, depth + 1)
    }

    /// The node that a JSON pointer names, or the nearest above it.
    pub fn find(&self, pointer: &str) -> Found<'_> {
        let mut found = Found { node: self, key: None, parts: 0, exact: true, alias: self.defined.as_ref().map(|_| &self.place) };
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &found.node.raw {
                Raw::Map(entries) => entries.iter().find(|e| e.key == part).map(|e| (&e.value, Some(&e.place))),
                Raw::List(items) => part.parse::<usize>().ok().and_then(|i| items.get(i)).map(|node| (node, None)),
                Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => None,
            };
            let Some((node, key)) = next else {
                found.exact = false;
                return found;
            };
            found.node = node;
            found.key = key;
            found.parts += 1;
            if node.defined.is_some() {
                found.alias = Some(&node.place);
            }
        }
        found
    }
}

impl Found<'_> {
    /// What to underline in `source`: the value when it stands on one line, else its key, else its first line.
    pub fn underline(&self, source: &str, on_key: bool) -> Place {
        let whole = &self.node.place;
        let text = source.get(whole.clone()).unwrap_or_default();
        let one_line = !text.trim_end().is_empty() && !text.trim_end().contains('\n');
        match self.key {
            Some(key) if on_key || !self.exact || !one_line => key.clone(),
            _ if !self.exact || (self.parts == 0 && matches!(self.node.raw, Raw::Map(_))) => {
                self.node.entries().first().map_or_else(|| first_line(source, whole), |entry| entry.place.clone())
            }
            _ => first_line(source, whole),
        }
    }
}

/// The part of a place that is on its first line, without line end and trailing blanks.
pub fn first_line(source: &str, place: &Place) -> Place {
    let text = source.get(place.clone()).unwrap_or_default();
    let line = text.split('\n').next().unwrap_or_default().trim_end();
    place.start..place.start + line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_the_nearest_node() {
        let text = |t: &str, place: Place| Node::new(Raw::Text(t.into()), place);
        let inner = Node::new(Raw::Map(vec![Entry { key: "b/c".into(), place: 3..6, value: text("x", 8..9) }]), 3..10);
        let root = Node::new(Raw::Map(vec![Entry { key: "a".into(), place: 0..1, value: inner }]), 0..10);
        let found = root.find("/a/b~1c");
        assert!(found.exact);
        assert_eq!((found.node.place.clone(), found.key, found.parts), (8..9, Some(&(3..6)), 2));
        let near = root.find("/a/nope/deeper");
        assert!(!near.exact);
        assert_eq!(near.underline("a: b/c: x ", false), 0..1);
        assert_eq!(root.size(), (3, 3));
        assert_eq!(root.to_value(), serde_json::json!({"a": {"b/c": "x"}}));
    }
}
