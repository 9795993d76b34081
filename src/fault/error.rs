//! What can go wrong with a fault.

/// An error of a fault's step: a lower-case fragment that reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// Data of another version or a damaged record.
    #[error("read the {what} of {kind}: {source}")]
    Decode {
        /// The kind.
        kind: &'static str,
        /// Spec or undo data.
        what: &'static str,
        /// What serde says.
        source: serde_json::Error,
    },
    /// The target is not there, or not what was meant.
    #[error("find the target: {0}")]
    Target(String),
    /// The machine lacks something that the fault needs.
    #[error("{what} (help: {help})")]
    Missing {
        /// What was being done when it was missed.
        what: String,
        /// How it can be had.
        help: String,
    },
    /// The machine refused.
    #[error("{doing}: {source}")]
    Os {
        /// What was being done.
        doing: String,
        /// What the machine said.
        source: std::io::Error,
    },
    /// A command ended badly.
    #[error("run {command}: {how}")]
    Command {
        /// The command.
        command: String,
        /// How it ended, with the end of its output.
        how: String,
    },
    /// It took too long.
    #[error("finish within {0}")]
    Late(crate::base::Span),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl From<crate::sys::exec::ExecError> for FaultError {
    /// Its texts read after "failed to" as well.
    fn from(error: crate::sys::exec::ExecError) -> FaultError {
        FaultError::Other(error.to_string())
    }
}
