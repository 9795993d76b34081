//! What stands beside the system or is started for the drill: secrets, processes, proxies, late targets, subjects, resets.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::probe::ConditionDecl;
use super::{Argv, Kinded};
use crate::base::{Id, Span};

/// Where a secret comes from; the value itself is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; trailing line ends are removed.
    File(String),
    /// An AWS Systems Manager parameter.
    SsmParameter(String),
}

/// A process that firedrill starts, watches and stops.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemDecl {
    /// The language's own keys.
    pub how: SystemHow,
    /// Asked until it holds, before the next process starts.
    pub ready: Option<ConditionDecl>,
}

/// The plain keys of a `system:` process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemHow {
    /// Commands run to completion before the process starts, each at most a minute.
    #[serde(default)]
    pub setup: Vec<Argv>,
    /// The process itself.
    pub run: Argv,
    /// The account it runs as; needs the right to change user.
    #[serde(default)]
    pub user: Option<String>,
    /// Environment variables added to firedrill's own.
    #[serde(default)]
    pub env: IndexMap<String, String>,
    /// Working directory.
    #[serde(default)]
    pub cwd: Option<String>,
    /// How it is asked to stop before it is killed.
    #[serde(default)]
    pub stop: StopHow,
    /// Whether firedrill starts it again when it ends by itself.
    #[serde(default)]
    pub restart: Restart,
    /// The process may be restarted while a fault owns it.
    #[serde(default)]
    pub supervised: bool,
}

/// How a process is asked to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopHow {
    /// The signal that asks.
    #[serde(default = "Signal::term")]
    pub signal: Signal,
    /// How long it may take before SIGKILL.
    #[serde(default = "five_seconds")]
    pub within: Span,
}

impl Default for StopHow {
    fn default() -> StopHow {
        StopHow { signal: Signal::Term, within: five_seconds() }
    }
}

fn five_seconds() -> Span {
    Span::secs(5)
}

/// A signal by its short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "POSIX names")]
pub enum Signal {
    Hup,
    Int,
    Quit,
    Kill,
    Term,
    Usr1,
    Usr2,
    Stop,
    Abrt,
}

impl Signal {
    fn term() -> Signal {
        Signal::Term
    }

    /// The name as `kill -s` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Hup => "HUP",
            Signal::Int => "INT",
            Signal::Quit => "QUIT",
            Signal::Kill => "KILL",
            Signal::Term => "TERM",
            Signal::Usr1 => "USR1",
            Signal::Usr2 => "USR2",
            Signal::Stop => "STOP",
            Signal::Abrt => "ABRT",
        }
    }
}

/// Whether an ended process is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It stays ended.
    #[default]
    Never,
    /// When it ended with an error or by a signal.
    OnFailure,
    /// Whenever it ended.
    Always,
}

/// A TCP proxy in the path from baseline on; `proxy.*` faults name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyDecl {
    /// Where clients connect: `HOST:PORT`.
    pub listen: String,
    /// Where the proxy connects to: `HOST:PORT`.
    pub upstream: String,
}

/// Something that is only known when the fault is armed.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetDecl {
    /// The observation that names it.
    pub what: Kinded,
    /// The language's own keys.
    pub how: TargetHow,
}

/// The plain keys of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetHow {
    /// An RFC 9535 path into what was observed (JSON), or absent for the trimmed text.
    #[serde(default)]
    pub pick: Option<String>,
    /// Every candidate: the blast radius covers all of them.
    pub among: Vec<Id>,
    /// How many must be found; anything else refuses.
    #[serde(default = "one")]
    pub exactly: usize,
    /// How long the observation may take.
    #[serde(default = "five_seconds")]
    pub within: Span,
}

fn one() -> usize {
    1
}

/// What exactly was tested; captured before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct SubjectDecl {
    /// The observation.
    pub what: Kinded,
    /// An RFC 9535 path into it; absent for the trimmed text.
    pub pick: Option<String>,
}

/// How the system is brought back between repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct ResetDecl {
    /// The command.
    pub run: Argv,
    /// How one sees that it worked.
    pub done_when: Option<ConditionDecl>,
}
