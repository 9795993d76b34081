//! Named quantities that rules speak of, each in one of its states, with the journal entries that prove it.

use indexmap::IndexMap;

/// What was measured. Numbers are in the unit that the catalogue names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A number within bounds.
    Number {
        /// At least.
        lo: f64,
        /// At most; absent when it had not ended.
        hi: Option<f64>,
    },
}

impl Value {
    /// A number that is known exactly.
    pub fn exactly(n: f64) -> Value {
        Value::Number { lo: n, hi: Some(n) }
    }
}

/// What is known of a signal.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It was measured.
    Value(Value),
    /// Somebody looked all the time, and it did not come.
    Absent,
    /// Nobody looked; why.
    NotInstrumented(String),
    /// Somebody looked, and it cannot be told; why.
    Undecided(String),
}

/// A signal with its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// What is known.
    pub state: State,
    /// Sequence numbers of the journal entries that show it.
    pub entries: Vec<u64>,
}

impl Signal {
    /// A value and the entries that show it.
    pub fn of(value: Value, entries: Vec<u64>) -> Signal {
        Signal { state: State::Value(value), entries }
    }

    /// Measured absent: whoever would have seen it was listening, as these entries show.
    pub fn absent(entries: Vec<u64>) -> Signal {
        Signal { state: State::Absent, entries }
    }

    /// Nobody looked.
    pub fn not_instrumented(why: impl Into<String>) -> Signal {
        Signal { state: State::NotInstrumented(why.into()), entries: Vec::new() }
    }

    /// Somebody looked, and it cannot be told.
    pub fn undecided(why: impl Into<String>, entries: Vec<u64>) -> Signal {
        Signal { state: State::Undecided(why.into()), entries }
    }
}

/// What a rule compares with, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// In the unit of its name: `_s`, `_ms`, `_days`, else a plain number.
    pub value: f64,
    /// `default`, `score.targets.detect`, `claims.checkout.rto`.
    pub from: String,
}

/// Everything that a rule may ask.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// By name; what is not there was not instrumented.
    pub signals: IndexMap<String, Signal>,
    /// By name without `target.`; what is not there was not declared.
    pub targets: IndexMap<String, Target>,
}

static NOBODY: State = State::NotInstrumented(String::new());

impl Readings {
    /// What is known of a signal.
    pub fn state(&self, name: &str) -> &State {
        self.signals.get(name).map_or(&NOBODY, |signal| &signal.state)
    }
}

/// What others saw of a run beside measurement: receivers of alerts, people's marks, a provider's audit log. Whoever connects one fills in what it
/// saw, also that nothing came ([`Signal::absent`]); what is not here counts as not instrumented and never as support.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Per fault, by the catalogue's name. A measured signal is never replaced.
    pub signals: IndexMap<String, IndexMap<String, Signal>>,
    /// What people say of a practice, by choice id.
    pub attested: IndexMap<String, Attested>,
}

/// A person's word for a practice that no drill has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The role that says so; never a name.
    pub by: String,
    /// What is said.
    pub text: String,
    /// The entry that holds it.
    pub entry: u64,
}
