//! What is wrong with a document, as a value: by place in the document, not yet by line.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// It may run, but somebody should look.
    Warning,
}

/// One problem of a document. Places are JSON pointers into the document (`/faults/lose-primary/at`); `Documents::diagnose` turns them
/// into source lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: a JSON pointer in the document; a pointer whose last parts do not exist stands for the nearest part that does.
    pub at: String,
    /// Underline the key rather than the value.
    pub on_key: bool,
    /// The message: a lower-case sentence without a full stop.
    pub title: String,
    /// The text under the carets; may be empty.
    pub label: String,
    /// Other places that explain it: pointer and label. Where it is a key of a map that a label means, the key is underlined.
    pub also: Vec<(String, String)>,
    /// The part of the value's text to underline; the whole value without it.
    pub part: Option<String>,
    /// What to write instead.
    pub help: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

impl Finding {
    /// An error at a value.
    pub fn error(at: impl Into<String>, title: impl Into<String>, label: impl Into<String>) -> Finding {
        Finding {
            at: at.into(),
            on_key: false,
            title: title.into(),
            label: label.into(),
            also: Vec::new(),
            part: None,
            help: None,
            severity: Severity::Error,
        }
    }

    /// A warning at a value.
    pub fn warning(at: impl Into<String>, title: impl Into<String>, label: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(at, title, label) }
    }

    /// The same, underlining the key.
    #[must_use]
    pub fn on_key(mut self) -> Finding {
        self.on_key = true;
        self
    }

    /// The same, underlining only this part of the value's text.
    #[must_use]
    pub fn part(mut self, part: impl Into<String>) -> Finding {
        self.part = Some(part.into());
        self
    }

    /// The same with another place that explains it.
    #[must_use]
    pub fn also(mut self, at: impl Into<String>, label: impl Into<String>) -> Finding {
        self.also.push((at.into(), label.into()));
        self
    }

    /// The same with a help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }
}

/// Most names that are compared for a guess.
const MOST_NAMES: usize = 128;

/// The nearest of some names, near enough to be what was meant.
pub fn did_you_mean<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = text.to_ascii_lowercase().replace('_', "-");
    let length = wanted.chars().count();
    names
        .into_iter()
        .take(MOST_NAMES)
        .filter_map(|name| {
            let own = name.chars().count();
            let most = (own.max(length) / 3).max(1);
            // Different lengths alone make a distance.
            (own.abs_diff(length) <= most).then_some(())?;
            let distance = strsim::osa_distance(&wanted, &name.to_ascii_lowercase().replace('_', "-"));
            (distance <= most).then_some((distance, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A part of a JSON pointer, escaped.
pub fn pointer_part(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["checkout", "orders", "write-old"];
        assert_eq!(did_you_mean("chekout", names), Some("checkout"));
        assert_eq!(did_you_mean("write_old", names), Some("write-old"));
        assert_eq!(did_you_mean("payments", names), None);
        assert_eq!(did_you_mean("x", names), None);
    }

    #[test]
    fn pointers_are_escaped() {
        assert_eq!(pointer_part("a/b~c"), "a~1b~0c");
    }
}
