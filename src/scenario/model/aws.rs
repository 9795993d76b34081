//! The AWS account in which faults act.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Span;

/// The account, and who acts in it. Credentials come from where the AWS command line takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsDecl {
    /// The account's number, twelve digits, in quotes. Whoever is found to act in another one is refused.
    pub account: String,
    /// The region, for example `eu-west-1`.
    pub region: String,
    /// The profile of the AWS configuration whose credentials are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The role that is assumed with them, by its ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What the role's trust policy asks for as external id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The MFA device whose code the role asks for: its ARN, or the serial number of a hardware device. Whoever starts a drill is asked for the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa: Option<String>,
    /// How long a session of the role lasts, from `15m` to `12h`. Default: AWS's, `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Span>,
}
