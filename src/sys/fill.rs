//! `${…}` at the moment of use. What is not secret is filled once, early; secrets are read when the value is handed to the world and never
//! stand in a plan, an undo record, a journal or a message.

use serde_json::Value;

use super::{Cx, Secret, env};

/// A `${…}` that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// No such name.
    #[error("fill `${{{0}}}`: nothing has that name")]
    Unknown(String),
    /// The secret's source has nothing.
    #[error("read secret `{name}`: {why}")]
    Secret {
        /// Its id.
        name: String,
        /// What is missing, never the value.
        why: String,
    },
}

fn replace(text: &str, mut of: impl FnMut(&str) -> Result<Option<String>, FillError>) -> Result<String, FillError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let name = &rest[start + 2..start + length];
        out.push_str(&rest[..start]);
        match of(name)? {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

impl Cx {
    /// Fills `${run.dir}`, `${run.id}` and `${firedrill}`; leaves `${secret:…}` and `${key}` as they are.
    pub fn fill(&self, text: &str) -> String {
        replace(text, |name| {
            Ok(match name {
                "run.dir" => Some(self.run_dir.display().to_string()),
                "run.id" => Some(self.run.to_string()),
                "firedrill" => Some(self.exe.display().to_string()),
                _ => None,
            })
        })
        .unwrap_or_else(|_| text.to_owned())
    }

    /// [`Cx::fill`] on every string of a value.
    pub fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill_value(item)).collect()),
            Value::Object(map) => Value::Object(map.iter().map(|(key, item)| (key.clone(), self.fill_value(item))).collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Everything filled, secrets as well: only for handing to the world at once. `key` stands for `${key}`.
    ///
    /// # Errors
    /// A name that is unknown or a secret whose source has nothing.
    pub fn reveal(&self, text: &str, key: Option<&str>) -> Result<String, FillError> {
        replace(&self.fill(text), |name| match (name, name.strip_prefix("secret:")) {
            ("key", _) if key.is_some() => Ok(key.map(str::to_owned)),
            (_, Some(secret)) => self.secret(secret).map(Some),
            _ => Err(FillError::Unknown(name.to_owned())),
        })
    }

    /// The value of a secret, read now.
    ///
    /// # Errors
    /// The secret is not declared, or its source has nothing.
    pub fn secret(&self, name: &str) -> Result<String, FillError> {
        let missing = |why: String| FillError::Secret { name: name.to_owned(), why };
        match self.secrets.get(name) {
            None => Err(FillError::Unknown(format!("secret:{name}"))),
            Some(Secret::Env(variable)) => env::var(variable).ok_or_else(|| missing(format!("the environment has no {variable}"))),
            Some(Secret::File(path)) => std::fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|error| missing(format!("{}: {error}", path.display()))),
            Some(Secret::Other(what)) => Err(missing(format!("this version cannot fetch {what}"))),
        }
    }
}
