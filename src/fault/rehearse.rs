//! Breaks nothing, so that a drill's timing, people and plumbing can be rehearsed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen};
use crate::base::Problem;
use crate::sys::Cx;

/// Breaks nothing.
#[derive(Debug)]
pub struct RehearseNothing;

/// No keys.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

impl Fault for RehearseNothing {
    const KIND: &'static str = "rehearse.nothing";
    const ABOUT: &'static str = "breaks nothing: rehearses a drill's timing, people and plumbing";
    const EXAMPLE: &'static str = "rehearse.nothing: {}\nfor: 10s\n";
    const UNDO: &'static str = "there is nothing to undo";
    const READS_BACK: bool = true;
    type Spec = Empty;
    type Undo = Empty;

    fn check(&self, _: &Empty) -> Vec<Problem> {
        Vec::new()
    }

    fn claims(&self, _: &Empty) -> Vec<Resource> {
        vec![Resource::Nothing]
    }

    fn by_hand(&self, _: &Empty) -> String {
        "true # nothing was broken".to_owned()
    }

    async fn prepare(&self, _: &Empty, _: &Scene<'_>) -> Result<Prepared<Empty>, FaultError> {
        Ok(Prepared {
            undo: Empty {},
            targets: vec!["nothing".to_owned()],
            summary: "nothing, as a rehearsal".to_owned(),
            population: Some(1),
            claims: vec![Resource::Nothing],
        })
    }

    async fn inject(&self, _: &Empty, _: &Empty, _: Permit<'_>, _: &Cx) -> Result<(), FaultError> {
        Ok(())
    }

    async fn observe(&self, _: &Empty, _: &Cx) -> Result<Seen, FaultError> {
        Ok(Seen::Biting("nothing, as rehearsed".to_owned()))
    }

    async fn undo(&self, _: &Empty, _: &Cx) -> Result<(), FaultError> {
        Ok(())
    }

    async fn verify(&self, _: &Empty, _: &Cx) -> Result<bool, FaultError> {
        Ok(true)
    }
}
