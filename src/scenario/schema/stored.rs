//! A file's schema as the walk needs it: its root, and definitions that are looked up by name. One that ships with the binary as text is parsed
//! only where a scenario leads to it: most files use a tenth of the language.

use std::sync::OnceLock;

use indexmap::IndexMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A schema taken apart.
#[derive(Debug)]
pub struct FileSchema {
    root: Value,
    defs: IndexMap<String, Definition>,
}

#[derive(Debug)]
struct Definition {
    /// Its JSON, until somebody asks.
    text: &'static str,
    made: OnceLock<Value>,
}

impl FileSchema {
    /// One that was made here.
    pub fn made(mut root: Value) -> FileSchema {
        let defs = root.as_object_mut().and_then(|object| object.remove("$defs"));
        let defs = match defs {
            Some(Value::Object(defs)) => defs,
            _ => Map::new(),
        };
        let defs = defs.into_iter().map(|(name, def)| (name, Definition { text: "null", made: OnceLock::from(def) })).collect();
        FileSchema { root, defs }
    }

    /// One that ships as text; `None` when it is not the JSON of a schema.
    pub fn shipped(text: &'static str) -> Option<FileSchema> {
        let parts: IndexMap<&'static str, &'static RawValue> = serde_json::from_str(text).ok()?;
        let mut root = Map::new();
        let mut defs = IndexMap::new();
        for (word, part) in parts {
            if word == "$defs" {
                let all: IndexMap<String, &'static RawValue> = serde_json::from_str(part.get()).ok()?;
                defs = all.into_iter().map(|(name, raw)| (name, Definition { text: raw.get(), made: OnceLock::new() })).collect();
            } else {
                root.insert(word.to_owned(), serde_json::from_str(part.get()).ok()?);
            }
        }
        Some(FileSchema { root: Value::Object(root), defs })
    }

    /// The schema of the whole file, without its definitions.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// A definition by its name.
    pub fn def(&self, name: &str) -> Option<&Value> {
        let def = self.defs.get(name)?;
        Some(def.made.get_or_init(|| serde_json::from_str(def.text).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_and_value_lead_to_the_same() {
        const TEXT: &str =
            r##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}, "B": true}}"##;
        let shipped = FileSchema::shipped(TEXT).unwrap();
        let made = FileSchema::made(serde_json::from_str(TEXT).unwrap());
        for schema in [&shipped, &made] {
            assert_eq!(schema.root(), &json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}));
            assert_eq!(schema.def("A"), Some(&json!({"type": "string"})));
            assert_eq!(schema.def("B"), Some(&json!(true)));
            assert_eq!(schema.def("C"), None);
        }
        assert!(FileSchema::shipped("[1]").is_none());
    }
}
