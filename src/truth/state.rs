//! In which ways the truth server can be down. Pure.

use std::fmt;
use std::str::FromStr;

use crate::base::Span;

/// What the server does with whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It answers.
    Up,
    /// Nobody listens, and live connections are reset.
    Refuse,
    /// Connections are accepted and reset at once.
    Reset,
    /// Requests are read and never answered, also not later.
    Hang,
    /// Requests are read and answered when this state ends, as by a process that stood still.
    Stall,
    /// Connections are neither accepted nor refused.
    Blackhole,
    /// Requests are answered with this status.
    Status(u16),
    /// Requests are answered after this time.
    Slow(Span),
    /// So many of a thousand requests are answered with 503, evenly spread.
    Ratio(u16),
    /// As `Refuse`, and the last so many acknowledged writes are gone.
    Lose(usize),
    /// Writes are kept and never acknowledged; everything else is answered.
    Late,
    /// Writes are kept twice; everything is answered.
    Twice,
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state: up, refuse, reset, hang, stall, blackhole, status:CODE, slow:MS, ratio:PERMILLE, lose:N, late or twice")]
pub struct BadState(String);

impl State {
    /// Whether a client that comes now is certain to fail: only then does an outage have edges to be found.
    pub fn is_down(self) -> bool {
        !matches!(self, State::Up | State::Ratio(_) | State::Late | State::Twice)
    }

    /// Whether somebody listens.
    pub fn listens(self) -> bool {
        !matches!(self, State::Refuse | State::Lose(_))
    }

    /// Whether a client is told at once that it failed, and need not wait for its time-out.
    pub fn fails_fast(self) -> bool {
        matches!(self, State::Refuse | State::Reset | State::Status(_) | State::Lose(_))
    }
}

impl FromStr for State {
    type Err = BadState;

    fn from_str(text: &str) -> Result<State, BadState> {
        let bad = || BadState(text.to_owned());
        let (word, number) = text.split_once(':').map_or((text, None), |(word, number)| (word, Some(number)));
        let number = number.map(|number| number.parse::<u32>().map_err(|_| bad())).transpose()?;
        match (word, number) {
            ("up", None) => Ok(State::Up),
            ("refuse", None) => Ok(State::Refuse),
            ("reset", None) => Ok(State::Reset),
            ("hang", None) => Ok(State::Hang),
            ("stall", None) => Ok(State::Stall),
            ("blackhole", None) => Ok(State::Blackhole),
            ("late", None) => Ok(State::Late),
            ("twice", None) => Ok(State::Twice),
            ("status", Some(code @ 100..=599)) => Ok(State::Status(u16::try_from(code).map_err(|_| bad())?)),
            ("slow", Some(ms)) => Ok(State::Slow(Span::millis(u64::from(ms)))),
            ("ratio", Some(permille @ 0..=1000)) => Ok(State::Ratio(u16::try_from(permille).map_err(|_| bad())?)),
            ("lose", Some(writes)) => Ok(State::Lose(writes as usize)),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Up => f.write_str("up"),
            State::Refuse => f.write_str("refuse"),
            State::Reset => f.write_str("reset"),
            State::Hang => f.write_str("hang"),
            State::Stall => f.write_str("stall"),
            State::Blackhole => f.write_str("blackhole"),
            State::Status(code) => write!(f, "status:{code}"),
            State::Slow(span) => write!(f, "slow:{}", span.0 / 1_000_000),
            State::Ratio(permille) => write!(f, "ratio:{permille}"),
            State::Lose(writes) => write!(f, "lose:{writes}"),
            State::Late => f.write_str("late"),
            State::Twice => f.write_str("twice"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_are_written() {
        for word in
            ["up", "refuse", "reset", "hang", "stall", "blackhole", "status:503", "slow:200", "ratio:300", "lose:3", "late", "twice"]
        {
            assert_eq!(word.parse::<State>().unwrap().to_string(), word);
        }
        for word in ["", "down", "status", "status:99", "status:x", "ratio:1001", "up:1", "lose:", "slow:-1"] {
            assert!(word.parse::<State>().is_err(), "{word}");
        }
    }
}
