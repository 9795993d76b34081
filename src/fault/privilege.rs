//! What a kind needs from the machine, and whether it is there: said by `plan` before anything is asked of anybody.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::sys::{env, exec};

/// Something that must be there before a fault can be injected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// To signal a process of this user, or to be root for others.
    SignalProcess,
    /// To change user.
    Root,
    /// To run a program of this name.
    Program(String),
    /// To change the packet filter (CAP_NET_ADMIN).
    NetAdmin,
    /// A network namespace of this name.
    Namespace(String),
}

/// CAP_NET_ADMIN, `capabilities(7)`.
const NET_ADMIN: u32 = 12;

impl Privilege {
    /// Whether this process has it, as far as that can be known before there is a target.
    pub fn is_here(&self) -> bool {
        match self {
            // Whose process it is shows in `prepare`.
            Privilege::SignalProcess => true,
            Privilege::Root => rustix::process::geteuid().is_root(),
            Privilege::Program(name) => exec::locate(name, Path::new("/"), &env::var("PATH").unwrap_or_default()).is_ok(),
            Privilege::NetAdmin => may(NET_ADMIN),
            Privilege::Namespace(name) => Path::new("/run/netns").join(name).exists(),
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Privilege::SignalProcess => write!(f, "to signal the process: its own user, or root"),
            Privilege::Root => write!(f, "to be root"),
            Privilege::Program(name) => write!(f, "the program {name}"),
            Privilege::NetAdmin => write!(f, "to change the packet filter: root, or CAP_NET_ADMIN"),
            Privilege::Namespace(name) => write!(f, "the network namespace {name}"),
        }
    }
}

/// Whether a capability is effective in this process.
pub(super) fn may(capability: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << capability) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_told_from_what_is_not() {
        assert!(Privilege::Program("sh".into()).is_here());
        assert!(!Privilege::Program("no-such-program-here".into()).is_here());
        assert!(!Privilege::Namespace("no-such-namespace-here".into()).is_here());
        assert_eq!(Privilege::Program("nft".into()).to_string(), "the program nft");
    }
}
