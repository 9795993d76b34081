//! Faults in an AWS account, by AWS's own Fault Injection Service and Systems Manager: experiments and commands that are started, followed and stopped.
//! Each carries a mark of its own, by which a fresh process finds what a dead one started, and nothing else.

mod actions;
mod experiment;
mod find;
mod hand;
pub mod iam;
mod look;
pub mod preview;
mod spec;
pub mod ssm;
mod targets;
mod template;

pub use experiment::FisExperiment;
pub use ssm::SsmCommand;

use super::FaultError;
use crate::plan::AwsPlan;
use crate::sys::aws::{AwsError, Place};

/// The tag of everything that a drill makes; its value is of one fault of one run, and never used twice.
const MARK: &str = "firedrill-mark";
/// The tag that names the run.
const RUN: &str = "firedrill-run";

impl From<AwsError> for FaultError {
    /// Its texts read after "failed to" as well.
    fn from(error: AwsError) -> FaultError {
        FaultError::Other(error.to_string())
    }
}

/// Where a plan acts.
fn place_of(plan: &AwsPlan) -> Place {
    let at = &plan.place;
    Place {
        account: at.account.clone(),
        region: at.region.clone(),
        profile: at.profile.clone(),
        role: at.role.clone(),
        external_id: at.external_id.clone(),
        mfa: at.mfa.clone(),
        session: at.session,
    }
}
