//! Where a fault acts that does not act here.

use serde::{Deserialize, Serialize};

use super::HostDecl;
use crate::base::Id;

/// Another machine on which a fault acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPlan {
    /// Its name in the scenario.
    pub host: Id,
    /// How it is reached.
    pub how: HostDecl,
}
