//! What a runner and the firedrill on another machine say to each other: one JSON value a line, behind a word that no login script writes.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::super::{Privilege, Resource};
use crate::base::{Id, Span};
use crate::plan::Plan;

/// What every line begins with: what a login script writes is no answer.
const MARK: &str = "firedrill: ";
/// What the runner says while it lives.
pub const RENEW: &str = "renew";

/// A fault for another machine: a plan with this one fault, which is a local one there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The runner's run.
    pub run: String,
    /// The fault.
    pub item: Id,
    /// The plan.
    pub plan: Plan,
}

/// What the runner asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Find and count the targets; only reads.
    Prepare(Box<Order>),
    /// Break it, and hold it for as long as the runner says that it lives.
    Inject {
        /// What.
        order: Box<Order>,
        /// As it was prepared.
        told: Box<Told>,
        /// How long a silence of the runner may be.
        lease: Span,
    },
    /// Whether it bites.
    Observe {
        /// Its directory there.
        dir: String,
    },
    /// Whether it is undone.
    Look {
        /// Its directory there.
        dir: String,
    },
    /// Undo it.
    Undo {
        /// Its directory there.
        dir: String,
    },
}

/// What the other machine answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It listens.
    Ready {
        /// Its version.
        version: String,
    },
    /// What it found.
    Prepared(Box<Told>),
    /// The undo is durable there, and now it is being broken; where that will cut the connection, once the runner has said that it heard this.
    Injecting,
    /// It is broken.
    Injected,
    /// Whether it bites, and what was seen; nothing where it cannot tell.
    Seen {
        /// It does, it does not, it never will.
        biting: Option<Bites>,
        /// For people.
        seen: String,
    },
    /// Where it stands.
    Stands(Stands),
    /// It failed: reads after "failed to".
    Failed {
        /// Why.
        why: String,
    },
}

/// Whether a fault bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bites {
    /// It does.
    Yes,
    /// Not yet.
    No,
    /// It never will.
    Never,
}

/// What the other machine says of a fault before anything is touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The fault's own directory there, which does not exist yet.
    pub dir: String,
    /// How the kind undoes it there.
    pub undo: Value,
    /// What is hit.
    pub targets: Vec<String>,
    /// What will be done.
    pub summary: String,
    /// How many there are of that sort.
    pub population: Option<usize>,
    /// What it touches there.
    pub claims: Vec<Resource>,
    /// The line that undoes it there without firedrill.
    pub by_hand: String,
    /// The account that acts there.
    pub user: String,
    /// The clock there, in nanoseconds since 1970.
    pub wall_ns: i64,
    /// In which boot.
    pub boot_id: String,
    /// What it needs there and has.
    pub needs: Vec<Privilege>,
    /// It would cut the very connection over which this is told.
    pub cuts: bool,
}

/// Where a fault on another machine stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// Somebody looked there, and it is undone.
    pub undone: bool,
    /// It was undone because the runner asked.
    pub asked: bool,
    /// Who undid it, why and when, for people.
    pub how: String,
    /// For how long it surely lasted, by the clock there; nothing where that is not known.
    pub lasted: Option<Span>,
    /// Lines for whoever has to undo it there by hand.
    pub owed: Vec<String>,
}

/// A line of the protocol, with its end.
pub fn line(value: &impl Serialize) -> String {
    // Values of this room always can be written.
    format!("{MARK}{}\n", serde_json::to_string(value).unwrap_or_default())
}

/// What a line says; nothing where it is none of the protocol.
pub fn read<T: DeserializeOwned>(line: &str) -> Option<Result<T, serde_json::Error>> {
    line.trim_end().strip_prefix(MARK).map(serde_json::from_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_noise_is_not() {
        let text = line(&Answer::Ready { version: "1".into() });
        assert!(matches!(read::<Answer>(&text), Some(Ok(Answer::Ready { version })) if version == "1"));
        assert!(read::<Answer>("Welcome to db1!").is_none());
        assert!(matches!(read::<Answer>("firedrill: {"), Some(Err(_))));
        let ask = line(&Ask::Look { dir: "/x".into() });
        assert!(matches!(read::<Ask>(&ask), Some(Ok(Ask::Look { dir })) if dir == "/x"));
    }
}
