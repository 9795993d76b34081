//! What a proxy does to the bytes that flow through it, as data.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Span;

/// Which way bytes flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both ways: each is delayed once, so a round trip takes twice the delay.
    Both,
    /// From the client to the upstream.
    Up,
    /// From the upstream to the client.
    #[default]
    Down,
}

/// What is done to the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Toxic {
    /// They arrive later.
    Latency {
        /// By how much.
        delay: Span,
        /// More or less, evenly spread.
        jitter: Span,
        /// Which way.
        direction: Direction,
    },
    /// Connections are reset, those that are open and those that come.
    Reset {},
    /// They are swallowed both ways; nothing is closed.
    Blackhole {},
}

impl fmt::Display for Toxic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toxic::Latency { delay, jitter, direction } => {
                write!(f, "{} later", delay.human())?;
                if *jitter > Span::ZERO {
                    write!(f, " (± {})", jitter.human())?;
                }
                f.write_str(match direction {
                    Direction::Both => " each way",
                    Direction::Up => " towards the upstream",
                    Direction::Down => " towards the client",
                })
            }
            Toxic::Reset {} => f.write_str("connections reset"),
            Toxic::Blackhole {} => f.write_str("bytes swallowed both ways"),
        }
    }
}

/// A delay of one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delay {
    /// By how much.
    pub by: Span,
    /// More or less.
    pub jitter: Span,
}

impl Delay {
    /// The delay of one piece, by a number that is spread evenly over all of `u64`.
    pub fn of_piece(self, random: u64) -> Span {
        if self.jitter == Span::ZERO {
            return self.by;
        }
        let width = self.jitter.0.saturating_mul(2).saturating_add(1);
        Span(self.by.0.saturating_add(random % width).saturating_sub(self.jitter.0))
    }
}

/// What all toxics together do now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Active {
    /// From client to upstream.
    pub up: Delay,
    /// From upstream to client.
    pub down: Delay,
    /// Nothing gets through.
    pub blackhole: bool,
    /// Nothing stays connected.
    pub reset: bool,
}

impl Active {
    /// The sum of some toxics.
    pub fn sum(toxics: &BTreeMap<String, Toxic>) -> Active {
        let mut sum = Active::default();
        for toxic in toxics.values() {
            match toxic {
                Toxic::Latency { delay, jitter, direction } => {
                    let add = |to: &mut Delay| *to = Delay { by: to.by + *delay, jitter: to.jitter + *jitter };
                    if *direction != Direction::Down {
                        add(&mut sum.up);
                    }
                    if *direction != Direction::Up {
                        add(&mut sum.down);
                    }
                }
                Toxic::Reset {} => sum.reset = true,
                Toxic::Blackhole {} => sum.blackhole = true,
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toxics_add_up_by_direction() {
        let latency = |ms, direction| Toxic::Latency { delay: Span::millis(ms), jitter: Span::millis(1), direction };
        let toxics = [("a", latency(10, Direction::Both)), ("b", latency(5, Direction::Up)), ("c", Toxic::Reset {})];
        let sum = Active::sum(&toxics.into_iter().map(|(id, toxic)| (id.to_owned(), toxic)).collect());
        assert_eq!(sum.up, Delay { by: Span::millis(15), jitter: Span::millis(2) });
        assert_eq!(sum.down, Delay { by: Span::millis(10), jitter: Span::millis(1) });
        assert!(sum.reset && !sum.blackhole);
        assert_eq!(Active::sum(&BTreeMap::new()), Active::default());
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let delay = Delay { by: Span(100), jitter: Span(20) };
        let all: Vec<u64> = (0..41).map(|random| delay.of_piece(random).0).collect();
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&80), Some(&120)));
        assert_eq!(Delay { by: Span(0), jitter: Span(20) }.of_piece(0), Span::ZERO);
        assert_eq!(Delay { by: Span(7), jitter: Span::ZERO }.of_piece(u64::MAX), Span(7));
    }
}
