//! Other machines on which faults act.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::defaults;
use crate::base::Span;

/// A machine that is reached with the system's own `ssh`, as it is set up here; or by AWS Systems Manager, command by command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostDecl {
    /// Where it is, as one would type it after `ssh`: `user@db1`, or a name of the ssh configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
    /// Or its id in AWS Systems Manager, in the account under `aws`: `i-0123456789abcdef0`, or `mi-…`. It is reached by Run Command and needs `firedrill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm: Option<String>,
    /// The port, where the ssh configuration does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A file of ssh configuration in the place of the user's own (`ssh -F`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The private key (`ssh -i`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// A firedrill of the same version that is there already, by its absolute path. Default: this binary is copied there, which only `ssh` can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firedrill: Option<String>,
    /// How long the machine waits for a word before it undoes by itself, up to 10m. `ssh`: from 5s, default 15s; `ssm`: from 30s, default 1m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Span>,
}

impl HostDecl {
    /// Where it is: what stands after `ssh`, or its id.
    pub fn place(&self) -> &str {
        self.ssh.as_deref().or(self.ssm.as_deref()).unwrap_or_default()
    }

    /// How long it waits for a word of the runner.
    pub fn lease(&self) -> Span {
        self.lease.unwrap_or(if self.ssm.is_some() { defaults::LEASE_BY_COMMAND } else { defaults::LEASE })
    }
}
