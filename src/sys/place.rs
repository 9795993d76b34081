//! Where an AWS account is, and who acts in it: enough for a fresh process to go there again. Known to every build, also to one that cannot go there.

use serde::{Deserialize, Serialize};

use crate::base::Span;

/// An account, and who acts in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The account's number.
    pub account: String,
    /// The region.
    pub region: String,
    /// The profile whose credentials are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The role that is assumed with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What the role's trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The device whose code the role asks for: its ARN, or its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa: Option<String>,
    /// How long a session of the role lasts, in whole seconds; AWS's own default where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Span>,
}
