//! Other machines on which faults act.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Span;

/// A machine that is reached with the system's own `ssh`: its configuration, agent and known hosts are used as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostDecl {
    /// Where it is, as one would type it after `ssh`: `user@db1`, or a name of the ssh configuration.
    pub ssh: String,
    /// The port, where the ssh configuration does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A file of ssh configuration in the place of the user's own (`ssh -F`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The private key (`ssh -i`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// A firedrill of the same version that is there already, by its absolute path. Default: this binary is copied there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firedrill: Option<String>,
    /// How long the machine waits for a word of the runner before it undoes everything by itself: from 5s to 10m.
    #[serde(default = "fifteen_seconds")]
    pub lease: Span,
}

fn fifteen_seconds() -> Span {
    Span::secs(15)
}
