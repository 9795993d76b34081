//! YAML text to a tree of spanned nodes. The limits live here: size, nodes after aliases, depth. Everything is a string, a number, a
//! boolean or nothing by the YAML core schema; `yes` and `on` are text.

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde_json::Number;
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Tag};

use super::node::{Entry, Node, Place, Raw};
use super::syntax;

/// Most bytes of one file.
pub const MOST_BYTES: usize = 1 << 20;
/// Most nodes of one file after aliases.
pub const MOST_NODES: usize = 20_000;
/// Deepest nesting.
pub const MOST_DEPTH: usize = 64;

/// A problem at a place of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// The message.
    pub title: String,
    /// Where; nothing for the file as a whole.
    pub place: Option<Place>,
    /// The text under the carets.
    pub label: String,
    /// Other places that explain it.
    pub also: Vec<(Place, String)>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Slip {
    /// A problem of a place.
    pub fn at(place: Place, title: impl Into<String>, label: impl Into<String>) -> Slip {
        Slip { title: title.into(), place: Some(place), label: label.into(), also: Vec::new(), help: None }
    }

    /// A problem of the file as a whole.
    pub fn whole(title: impl Into<String>) -> Slip {
        Slip { title: title.into(), place: None, label: String::new(), also: Vec::new(), help: None }
    }

    /// The same with a help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Slip {
        self.help = Some(help.into());
        self
    }

    /// The same with another place.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Slip {
        self.also.push((place, label.into()));
        self
    }
}

/// The text of a file, or why it is none. The text to show is given back in either case.
pub fn text_of(bytes: &[u8]) -> Result<String, Box<(String, Slip)>> {
    if bytes.len() > MOST_BYTES {
        return Err(Box::new((String::new(), Slip::whole("the file is larger than 1 MiB"))));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Box::new((String::new(), Slip::whole("the file is UTF-16, not UTF-8").help("save it as UTF-8"))));
    }
    if bytes.contains(&0) {
        return Err(Box::new((String::new(), Slip::whole("this is a binary file, not YAML").help("give a text file in UTF-8"))));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let at = error.valid_up_to();
            let slip = Slip::at(at..at + 3, "the file is not UTF-8", "this byte begins no UTF-8 character").help("save it as UTF-8");
            Err(Box::new((String::from_utf8_lossy(bytes).into_owned(), slip)))
        }
    }
}

/// The tree of a text. A tree with slips is whole enough to look for more of them; without a tree nothing more can be said.
pub fn parse(text: &str) -> (Option<Node>, Vec<Slip>) {
    let mut builder = Builder { text, ..Builder::default() };
    let options = granit_parser::options! { emit_comments: false };
    for next in Parser::new_from_str_with_options(text, options) {
        let step = match next {
            Ok((event, span)) => {
                let tag = span.tag_span().and_then(|tag| tag.byte_range());
                let place = span.byte_range().unwrap_or(0..0);
                builder.tag(&event, &tag.unwrap_or_else(|| place.clone()));
                builder.take(event, place)
            }
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
                let open = builder.stack.iter().rev().find(|frame| frame.flow).map(|frame| frame.start.clone());
                builder.slips.push(syntax::explain(error.kind(), at, text, open));
                ControlFlow::Break(())
            }
        };
        if step.is_break() {
            return (None, builder.slips);
        }
    }
    match builder.root {
        Some(root) if root.raw != Raw::Null => (Some(root), builder.slips),
        _ => {
            builder.slips.push(Slip::whole("the file is empty").help("a scenario begins with `firedrill: 1`"));
            (None, builder.slips)
        }
    }
}

/// A mapping or sequence that is not complete yet.
#[derive(Debug)]
struct Frame {
    start: Place,
    anchor: usize,
    flow: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, index: HashMap<String, usize>, key: Option<Key>, merged: Vec<Entry> },
}

#[derive(Debug)]
struct Key {
    text: String,
    place: Place,
    merge: bool,
}

#[derive(Debug, Default)]
struct Builder<'a> {
    text: &'a str,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
    slips: Vec<Slip>,
}

impl Builder<'_> {
    fn fail(&mut self, slip: Slip) -> ControlFlow<()> {
        self.slips.push(slip);
        ControlFlow::Break(())
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> ControlFlow<()> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.fail(
                        Slip::at(place, "a file holds one document", "a second one begins here").help("put it into a file of its own"),
                    );
                }
                ControlFlow::Continue(())
            }
            Event::Scalar(value, style, anchor, tag) => {
                let raw = if style == ScalarStyle::Plain && !tag.is_some_and(|tag| is_text_tag(&tag)) {
                    plain(&value)
                } else {
                    Raw::Text(value.into_owned())
                };
                let plain = style == ScalarStyle::Plain;
                self.node(Node::new(raw, place), anchor, plain)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(place, anchor, style == granit_parser::StructureStyle::Flow, Body::List(Vec::new()))
            }
            Event::MappingStart(style, anchor, _) => {
                let body = Body::Map { entries: Vec::new(), index: HashMap::new(), key: None, merged: Vec::new() };
                self.open(place, anchor, style == granit_parser::StructureStyle::Flow, body)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&place),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => ControlFlow::Continue(()),
        }
    }

    fn tag(&mut self, event: &Event<'_>, place: &Place) {
        if let Some(tag) = event.tag()
            && !tag.is_yaml_core_schema()
            && tag.original() != "!"
        {
            let title = format!("`{}`: tags are not part of the language", tag.original());
            self.slips.push(Slip::at(place.clone(), title, "has a tag").help("remove the tag"));
        }
    }

    fn open(&mut self, start: Place, anchor: usize, flow: bool, body: Body) -> ControlFlow<()> {
        if self.stack.len() >= MOST_DEPTH {
            return self.fail(Slip::at(start, too_deep(), "one level too many"));
        }
        self.stack.push(Frame { start, anchor, flow, body });
        ControlFlow::Continue(())
    }

    fn close(&mut self, end: &Place) -> ControlFlow<()> {
        let Some(frame) = self.stack.pop() else { return ControlFlow::Continue(()) };
        let raw = match frame.body {
            Body::List(items) => Raw::List(items),
            Body::Map { mut entries, index, merged, .. } => {
                for entry in merged {
                    if !index.contains_key(&entry.key) && !entries.iter().any(|e| e.key == entry.key) {
                        entries.push(entry);
                    }
                }
                Raw::Map(entries)
            }
        };
        let end = if frame.flow { end.end } else { end.start };
        let place = frame.start.start..end.max(frame.start.end);
        self.node(Node::new(raw, place), frame.anchor, false)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> ControlFlow<()> {
        let Some(target) = self.anchors.get(&anchor) else {
            return self.fail(Slip::at(place, "an alias cannot stand inside its own anchor", "refers to what contains it"));
        };
        let (count, depth) = target.size();
        if self.stack.len() + depth > MOST_DEPTH {
            return self.fail(Slip::at(place, too_deep(), "with what this alias stands for"));
        }
        if self.nodes + count > MOST_NODES {
            return self.fail(Slip::at(place, too_many(), "with what this alias stands for"));
        }
        // The node itself is counted by `node`.
        self.nodes += count - 1;
        let node = Node { raw: target.raw.clone(), defined: Some(target.place.clone()), place, filled: false };
        self.node(node, 0, false)
    }

    /// Puts a complete node where it belongs: a key, a value, an item or the root.
    fn node(&mut self, node: Node, anchor: usize, plain: bool) -> ControlFlow<()> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return self.fail(Slip::at(node.place, too_many(), "one too many"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return ControlFlow::Continue(());
        };
        match &mut frame.body {
            Body::List(items) => items.push(node),
            Body::Map { entries, index, key, merged } => match key.take() {
                None => match key_of(&node, self.text, plain) {
                    Ok(found) => *key = Some(found),
                    Err(slip) => return self.fail(slip),
                },
                Some(found) if found.merge => match merge_entries(node) {
                    Ok(more) => merged.extend(more),
                    Err(slip) => self.slips.push(slip),
                },
                Some(found) => {
                    if let Some(first) = index.get(&found.text) {
                        let first = entries[*first].place.clone();
                        self.slips.push(
                            Slip::at(found.place, format!("duplicate key `{}`", found.text), "is here again")
                                .also(first, "first written here"),
                        );
                    } else {
                        index.insert(found.text.clone(), entries.len());
                        entries.push(Entry { key: found.text, place: found.place, value: node });
                    }
                }
            },
        }
        ControlFlow::Continue(())
    }
}

/// What is said of a text that is nested too deep.
pub fn too_deep() -> String {
    format!("deeper than {MOST_DEPTH} levels")
}

fn too_many() -> String {
    format!("more than {MOST_NODES} values after aliases")
}

fn is_text_tag(tag: &Tag) -> bool {
    tag.is_yaml_core_schema_tag("str") || tag.original() == "!"
}

fn key_of(node: &Node, text: &str, plain: bool) -> Result<Key, Slip> {
    let written = text.get(node.place.clone()).unwrap_or_default();
    let key = match &node.raw {
        Raw::Text(key) => key.clone(),
        Raw::Bool(_) | Raw::Number(_) => written.to_owned(),
        Raw::Null if !written.is_empty() => written.to_owned(),
        Raw::Null | Raw::List(_) | Raw::Map(_) => {
            let place = super::node::first_line(text, &node.place);
            return Err(
                Slip::at(place, "a key must be plain text", "is used as a key").help("put text that begins with `{` or `[` in quotes")
            );
        }
    };
    Ok(Key { merge: plain && key == "<<", text: key, place: node.place.clone() })
}

/// What `<<:` brings in.
fn merge_entries(node: Node) -> Result<Vec<Entry>, Slip> {
    let wrong = |place: Place| Slip::at(place, "`<<` merges mappings", "is no mapping").help("write `<<: *anchor` of a mapping");
    match node.raw {
        Raw::Map(entries) => Ok(entries),
        Raw::List(items) => {
            let mut out: Vec<Entry> = Vec::new();
            for item in items {
                let Raw::Map(entries) = item.raw else { return Err(wrong(item.place)) };
                out.extend(entries);
            }
            Ok(out)
        }
        Raw::Null | Raw::Bool(_) | Raw::Number(_) | Raw::Text(_) => Err(wrong(node.place)),
    }
}

/// An unquoted scalar by the YAML core schema. Numbers that JSON cannot hold, or that begin with a needless zero, stay text.
fn plain(text: &str) -> Raw {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Raw::Null,
        "true" | "True" | "TRUE" => return Raw::Bool(true),
        "false" | "False" | "FALSE" => return Raw::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Raw::Text(text.to_owned()), Raw::Number)
}

fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, 16).ok().map(Number::from)).flatten();
    }
    if let Some(digits) = unsigned.strip_prefix("0o") {
        return digits.bytes().all(|b| b.is_ascii_digit()).then(|| u64::from_str_radix(digits, 8).ok().map(Number::from)).flatten();
    }
    let good = unsigned.bytes().any(|b| b.is_ascii_digit())
        && unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if !good || (unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit()) {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        return whole.parse::<u64>().map(Number::from).or_else(|_| whole.parse::<i64>().map(Number::from)).ok();
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> serde_json::Value {
        let (root, slips) = parse(text);
        assert_eq!(slips, [], "{text}");
        root.unwrap().to_value()
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let text = "a: yes\nb: on\nc: true\nd: 10\ne: \"10\"\nf: 1.5\ng: 0755\nh: 1_000\ni: ~\nj: 0x1F\nk: 1e3\nl: .inf\nm: -3\nn: 12345678901234567890123\no: 2026-12-03\np: 1.2.3\n";
        let expected = json!({"a": "yes", "b": "on", "c": true, "d": 10, "e": "10", "f": 1.5, "g": "0755", "h": "1_000", "i": null, "j": 31,
            "k": 1000.0, "l": ".inf", "m": -3, "n": "12345678901234567890123", "o": "2026-12-03", "p": "1.2.3"});
        assert_eq!(value(text), expected);
    }

    #[test]
    fn places_are_bytes_of_the_source() {
        let text = "ä: {b: \"x y\"}\r\nc:\r\n  - 1\r\n";
        let (root, _) = parse(text);
        let root = root.unwrap();
        assert_eq!(&text[root.find("/ä/b").node.place.clone()], "\"x y\"");
        assert_eq!(&text[root.find("/c").key.unwrap().clone()], "c");
        assert_eq!(&text[root.find("/c/0").node.place.clone()], "1");
        assert_eq!(&text[root.find("/ä").node.place.clone()], "{b: \"x y\"}");
    }

    #[test]
    fn aliases_and_merges_know_their_definition() {
        let text = "base: &b {x: 1, y: 2}\nuse: *b\nmore:\n  <<: *b\n  y: 3\n";
        assert_eq!(value(text), json!({"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 2}, "more": {"y": 3, "x": 1}}));
        let (root, _) = parse(text);
        let root = root.unwrap();
        let node = root.find("/use").node;
        assert_eq!((&text[node.place.clone()], &text[node.defined.clone().unwrap()]), ("*b", "{x: 1, y: 2}"));
    }

    #[test]
    fn a_bomb_is_refused_quickly() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let refs = vec![format!("*a{}", n - 1); 9].join(", ");
            text += &format!("a{n}: &a{n} [{refs}]\n");
        }
        let (root, slips) = parse(&text);
        assert!(root.is_none());
        assert!(slips[0].title.contains("20000 values"), "{slips:?}");
        let (root, slips) = parse("a: &a [*a]\n");
        assert!(root.is_none() && slips[0].title.contains("own anchor"), "{slips:?}");
        let (root, slips) = parse(&format!("{}{}", "[".repeat(80), "]".repeat(80)));
        assert!(root.is_none() && slips[0].title.contains("deeper than 64"), "{slips:?}");
        let wide = format!("a: [{}]", "1,".repeat(20_001));
        assert!(parse(&wide).1[0].title.contains("20000"));
    }

    #[test]
    fn what_is_no_text_is_said() {
        for (bytes, part) in [
            (&b"\xff\xfea\0"[..], "UTF-16"),
            (&b"a: \0"[..], "binary"),
            (&b"a: \xe9t\xe9"[..], "not UTF-8"),
            (&vec![b'#'; MOST_BYTES + 1][..], "larger than 1 MiB"),
        ] {
            assert!(text_of(bytes).unwrap_err().1.title.contains(part), "{part}");
        }
        for empty in ["", "\n", "# only a comment\n", "---\n", "~"] {
            assert!(parse(empty).1[0].title.contains("empty"), "{empty:?}");
        }
    }

    #[test]
    fn many_comments_are_fine() {
        assert_eq!(value(&format!("{}a: 1\n", "# c\n".repeat(500))), json!({"a": 1}));
    }
}
