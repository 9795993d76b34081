//! `${…}` at the moment of use. What is not secret is filled once, early; secrets are read when the value is handed to the world and never
//! stand in a plan, an undo record, a journal or a message.
//!
//! What a scenario escapes (`$${run.dir}`) arrives here as `${$}{run.dir}`: a template of its own, which stands for the dollar sign and is
//! filled last, so that nothing in between can take it for another. Names that nobody knows are left as they are: the scenario's parser
//! has refused those that were not meant so.

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
        let known = of(name)?;
        // Inside of what is only text something may stand that is not: `${HOME:-${run.dir}}`.
        let after = if known.is_some() { start + length + 1 } else { start + 2 };
        out.push_str(known.as_deref().unwrap_or("${"));
        rest = &rest[after..];
    }
    out.push_str(rest);
    Ok(out)
}

/// A text that is already filled, as a program would get it, but for secrets: escapes are undone.
pub fn plain(text: &str) -> String {
    text.replace(DOLLAR, "$")
}

/// The template that stands for the dollar sign.
const DOLLAR: &str = "${$}";

impl Cx {
    /// Fills `${run.dir}`, `${run.id}` and `${firedrill}`; leaves everything else as it is.
    pub fn fill(&self, text: &str) -> String {
        replace(text, |name| Ok(self.early(name))).unwrap_or_else(|_| text.to_owned())
    }

    fn early(&self, name: &str) -> Option<String> {
        match name {
            "run.dir" => Some(self.run_dir.display().to_string()),
            "run.id" => Some(self.run.to_string()),
            "firedrill" => Some(self.exe.display().to_string()),
            _ => None,
        }
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

    /// Everything filled, secrets as well: only for handing to the world at once. `key` stands for `${key}`. What has no meaning here is
    /// text, such as the `${HOME}` of a shell script.
    ///
    /// # Errors
    /// A secret that is unknown, or whose source has nothing.
    pub fn reveal(&self, text: &str, key: Option<&str>) -> Result<String, FillError> {
        replace(text, |name| match (name, name.strip_prefix("secret:")) {
            ("key", _) if key.is_some() => Ok(key.map(str::to_owned)),
            ("$", _) => Ok(Some("$".to_owned())),
            (_, Some(secret)) => self.secret(secret).map(Some),
            _ => Ok(self.early(name)),
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use indexmap::IndexMap;
    use tokio_util::sync::CancellationToken;

    use super::super::Clock;
    use super::*;

    fn cx() -> Cx {
        Cx {
            run: "01RUN".into(),
            run_dir: Arc::new(PathBuf::from("/runs/01")),
            base_dir: Arc::new(PathBuf::from("/")),
            exe: Arc::new(PathBuf::from("/bin/firedrill")),
            secrets: Arc::new(IndexMap::from([("path".to_owned(), Secret::Env("PATH".into()))])),
            clock: Clock::start(),
            account: None,
            cancel: CancellationToken::new(),
        }
    }

    #[test]
    fn what_is_early_is_filled_and_the_rest_stays() {
        let text = "${run.dir}/${run.id} ${firedrill} ${secret:path} ${key} ${HOME} ${$}{run.dir} ${";
        let filled = cx().fill(text);
        assert_eq!(filled, "/runs/01/01RUN /bin/firedrill ${secret:path} ${key} ${HOME} ${$}{run.dir} ${");
        assert_eq!(cx().fill(&filled), filled, "filling again changes nothing");
    }

    #[test]
    fn a_shells_own_names_are_text() {
        let reveal = |text: &str| cx().reveal(text, None).unwrap();
        assert_eq!(reveal("${HOME:-${run.dir}} ${#x} ${key} $x ${}"), "${HOME:-/runs/01} ${#x} ${key} $x ${}");
        assert_eq!(cx().reveal("${key}", Some("7")).unwrap(), "7");
    }

    #[test]
    fn what_is_escaped_is_never_filled() {
        let reveal = |text: &str| cx().reveal(&cx().fill(text), Some("7")).unwrap();
        assert_eq!(reveal("${$}{run.dir} ${$}{secret:path} ${$}{key} ${run.id}"), "${run.dir} ${secret:path} ${key} 01RUN");
        assert_eq!(plain("${$}{run.dir} ${secret:path}"), "${run.dir} ${secret:path}");
    }

    #[test]
    fn a_secret_is_there_or_named() {
        assert_eq!(cx().reveal("${secret:path}", None).ok(), env::var("PATH"));
        assert_eq!(cx().reveal("${secret:gone}", None), Err(FillError::Unknown("secret:gone".into())));
    }
}
