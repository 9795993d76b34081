//! What is wrong with something that was written, as a value.

/// A problem at a place. Kinds report these about their own specs; the front end turns them into diagnostics with source lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON pointer (`/signal`), relative to what was checked; empty for the whole.
    pub at: String,
    /// What is wrong: a lower-case fragment.
    pub text: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without a help line.
    pub fn new(at: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { at: at.into(), text: text.into(), help: None }
    }

    /// The same with a help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}
