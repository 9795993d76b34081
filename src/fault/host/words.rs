//! What a runner and the firedrill on another machine say to each other: one JSON value a line, behind a word that no login script writes. Where there is no
//! connection, each ask is a letter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::super::{Privilege, Resource};
use crate::base::{Id, Span};
use crate::plan::Plan;

/// What every line begins with: what a login script writes is no answer.
const MARK: &str = "firedrill: ";
/// What a letter begins with.
const LETTER: &str = "firedrill-letter: ";
/// What the runner says while it lives, over a connection.
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
    /// The runner lives; for who has no connection. It answers where the fault stands.
    Renew {
        /// Its directory there.
        dir: String,
        /// When this was said, by the clock there, in nanoseconds since 1970: at the latest. What is long under way renews less.
        said_ns: i64,
    },
}

impl Ask {
    /// What is asked, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Ask::Prepare(_) => "prepare",
            Ask::Inject { .. } => "inject",
            Ask::Observe { .. } => "observe",
            Ask::Look { .. } => "look",
            Ask::Undo { .. } => "undo",
            Ask::Renew { .. } => "renew",
        }
    }
}

/// An ask for a firedrill that is not there yet when it is written, and may be another one by the time that it arrives.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Letter {
    version: String,
    ask: Value,
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

/// A letter with this ask: one line of letters and digits, so that no shell reads anything into it, nor AWS, which fills in what stands in `{{…}}`.
pub fn letter(ask: &Ask) -> String {
    let letter = Letter { version: env!("CARGO_PKG_VERSION").to_owned(), ask: serde_json::to_value(ask).unwrap_or_default() };
    format!("{LETTER}{}", STANDARD.encode(serde_json::to_vec(&letter).unwrap_or_default()))
}

/// The ask of a letter; nothing where the line is none.
///
/// # Errors
/// It is damaged, or for another version: reads after "failed to".
pub fn opened(line: &str) -> Option<Result<Ask, String>> {
    let text = line.trim().strip_prefix(LETTER)?;
    let read = || {
        let bytes = STANDARD.decode(text).map_err(|error| format!("read the runner's letter: {error}"))?;
        let letter: Letter = serde_json::from_slice(&bytes).map_err(|error| format!("read the runner's letter: {error}"))?;
        if letter.version != env!("CARGO_PKG_VERSION") {
            return Err(format!("understand firedrill {}: this is {}", letter.version, env!("CARGO_PKG_VERSION")));
        }
        serde_json::from_value(letter.ask).map_err(|error| format!("understand the runner: {error}"))
    };
    Some(read())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_one_harmless_word_and_is_for_one_version() {
        let text = letter(&Ask::Look { dir: "/x/it's {{here}}".into() });
        let word = text.strip_prefix(LETTER).unwrap();
        assert!(word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)), "{text}");
        assert!(matches!(opened(&format!("{text}\n")), Some(Ok(Ask::Look { dir })) if dir == "/x/it's {{here}}"));
        assert!(opened(&line(&Ask::Look { dir: "/x".into() })).is_none());
        assert!(opened(&text[..text.len() - 5]).unwrap().unwrap_err().starts_with("read the runner's letter"));
        let other = serde_json::to_vec(&serde_json::json!({ "version": "0.0.0", "ask": { "ask": "dance" } })).unwrap();
        let why = opened(&format!("{LETTER}{}", STANDARD.encode(other))).unwrap().unwrap_err();
        assert!(why.starts_with("understand firedrill 0.0.0: this is "), "{why}");
    }

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
