//! Where the time of one question went.

use serde::{Deserialize, Serialize};

use crate::base::Span;

/// A part of a question's way, in order. Their sum and the rest of the answer are the question's service time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// Finding the address of a name.
    Dns,
    /// Making the connection.
    Connect,
    /// Agreeing on TLS.
    Tls,
    /// From when the request could be sent to the head of the answer.
    FirstByte,
}

impl Leg {
    /// All of them, in order.
    pub const ALL: [Leg; 4] = [Leg::Dns, Leg::Connect, Leg::Tls, Leg::FirstByte];

    /// As it stands in reports and scenarios.
    pub fn word(self) -> &'static str {
        match self {
            Leg::Dns => "dns",
            Leg::Connect => "connect",
            Leg::Tls => "tls",
            Leg::FirstByte => "first_byte",
        }
    }
}

/// What is not known, or was not gone.
const NONE: u32 = u32::MAX;

/// How long each part took, in whole microseconds, rounded up to the next, at most 71 minutes; a part that was not gone, or not to its end, has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[Option<u32>; 4]", into = "[Option<u32>; 4]")]
pub struct Legs([u32; 4]);

impl Default for Legs {
    fn default() -> Legs {
        Legs([NONE; 4])
    }
}

impl From<[Option<u32>; 4]> for Legs {
    fn from(micros: [Option<u32>; 4]) -> Legs {
        Legs(micros.map(|one| one.unwrap_or(NONE)))
    }
}

impl From<Legs> for [Option<u32>; 4] {
    fn from(legs: Legs) -> [Option<u32>; 4] {
        legs.0.map(|one| (one != NONE).then_some(one))
    }
}

impl Legs {
    /// From what each part took.
    pub fn of(took: [Option<Span>; 4]) -> Legs {
        let micros = |span: Span| u32::try_from(span.0.div_ceil(1_000)).unwrap_or(NONE).min(NONE - 1);
        Legs(took.map(|one| one.map_or(NONE, micros)))
    }

    /// Whether nothing is known of any.
    pub fn is_empty(&self) -> bool {
        self.0 == [NONE; 4]
    }

    /// Those that were gone.
    pub fn iter(&self) -> impl Iterator<Item = (Leg, Span)> {
        Leg::ALL.into_iter().zip(self.0).filter(|(_, micros)| *micros != NONE).map(|(leg, micros)| (leg, Span::micros(u64::from(micros))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_stand_as_four_numbers_of_microseconds() {
        let legs = Legs::of([None, Some(Span(83_001)), None, Some(Span::millis(4))]);
        let text = serde_json::to_string(&legs).unwrap();
        assert_eq!(text, "[null,84,null,4000]");
        assert_eq!(serde_json::from_str::<Legs>(&text).unwrap(), legs);
        assert_eq!(legs.iter().collect::<Vec<_>>(), [(Leg::Connect, Span::micros(84)), (Leg::FirstByte, Span::millis(4))]);
    }

    #[test]
    fn what_is_longer_than_can_be_said_is_not_lost() {
        let legs = Legs::of([Some(Span::secs(86_400)), None, None, None]);
        assert!(!legs.is_empty());
        assert!(legs.iter().all(|(_, took)| took > Span::secs(4_000)));
    }
}
