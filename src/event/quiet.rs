//! Good samples that nobody needs one by one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Leg, Sample};

/// Consecutive good samples of a fast probe, with nothing near them that could be an edge: each was ok. The first and the last stand as they
/// were, so that whatever lies beside them keeps its exact bounds; of the others only their distribution is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// The first.
    pub first: Sample,
    /// The last; the same where it is one.
    pub last: Sample,
    /// How many: without a gap, `last.n − first.n + 1`.
    pub count: u64,
    /// Who answered how often, by first answer; fewer than all where an answer did not say.
    pub by: Vec<(String, u64)>,
    /// `response_all`, which is that of good ones here.
    pub response: Packed,
    /// `service_ok`.
    pub service: Packed,
    /// Woken − planned.
    pub lag: Packed,
    /// Sent − woken.
    pub wait: Packed,
    /// What each part of the way took that was gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<(Leg, Packed)>,
}

/// A histogram of nanoseconds: HdrHistogram's V2 encoding, deflated; in a journal as base64. One that is damaged there is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(pub Box<[u8]>);

impl Serialize for Packed {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        STANDARD.encode(&self.0).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Packed, D::Error> {
        let text = String::deserialize(d)?;
        Ok(Packed(STANDARD.decode(text).unwrap_or_default().into()))
    }
}
