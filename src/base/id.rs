//! Names that a scenario gives to things.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The name of a fault, probe, claim …: lower-case kebab-case, 1 to 64 characters, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Id(String);

/// Text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: lower-case letters, digits and `-`, starting with a letter, at most 64 characters")]
pub struct BadId(String);

impl Id {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest text that would be an id, for "did you mean"; `None` when nothing is left.
    pub fn suggest(text: &str) -> Option<String> {
        let mut out = String::new();
        // A word begins where a capital follows a small letter; capitals in a row are one word.
        let before = std::iter::once(' ').chain(text.chars());
        for (before, c) in before.zip(text.chars()) {
            if c.is_ascii_uppercase() {
                if before.is_ascii_lowercase() {
                    out.push('-');
                }
                out.push(c.to_ascii_lowercase());
            } else if c.is_ascii_lowercase() || c.is_ascii_digit() {
                out.push(c);
            } else if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
        }
        let out = out.trim_matches('-').trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
        out.parse::<Id>().ok().map(|id| id.0)
    }
}

impl FromStr for Id {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Id, BadId> {
        let good = !text.is_empty()
            && text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && !text.contains("--")
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if good { Ok(Id(text.to_owned())) } else { Err(BadId(text.to_owned())) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Id, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Id {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "firedrill-id", "pattern": "^[a-z]([a-z0-9]|-[a-z0-9])*$", "maxLength": 64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kebab_case() {
        for good in ["a", "lose-primary", "etcd-1"] {
            assert!(good.parse::<Id>().is_ok(), "{good}");
        }
        for bad in ["", "1a", "A", "a_b", "-a", "a-", "a--b", "ä"] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
        assert_eq!(Id::suggest("losePrimary_DB").as_deref(), Some("lose-primary-db"));
    }
}
