//! What a probe kind is. Authors write [`Probe`] with their own spec; one blanket implementation makes it the [`ErasedProbe`] that the rest of
//! the house uses.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Why;
use super::judge::{Answer, Wanted};
use super::pace::Due;
use crate::base::{Problem, Span};
use crate::event::{Class, Legs, Sample};
use crate::plan::{Expect, Matcher, ServedBy};
use crate::sys::Cx;

/// A way to look at something from outside.
pub trait Probe: Send + Sync + 'static {
    /// The name in scenarios.
    const KIND: &'static str;
    /// One sentence for `firedrill kinds`.
    const ABOUT: &'static str;
    /// A complete probe as YAML, as it would stand under `probes: { example: … }`.
    const EXAMPLE: &'static str;
    /// What can be expected of an answer: name and meaning. `json` is read from the answer's text.
    const FIELDS: &'static [(&'static str, &'static str)];
    /// Whether its samples are numbered writes.
    const LEDGER: bool = false;
    /// Whether it asks in the AWS account that the scenario names.
    const IN_ACCOUNT: bool = false;
    /// How often it asks when nobody says: times a second.
    const RATE_HZ: f64 = 20.0;
    /// What a scenario writes under the kind's key.
    type Spec: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// What is wrong with a spec that decoded. Pure; `${…}` that are filled late may still stand in it.
    fn check(&self, spec: &Self::Spec) -> Vec<Problem>;
    /// What a good answer looks like when nobody says. Pure.
    fn good(&self, spec: &Self::Spec) -> Expect;
    /// What must hold of a good answer, whatever else is said. Pure.
    fn required(&self, _: &Self::Spec) -> Expect {
        Expect::new()
    }
    /// Makes it ready to ask. Reveals secrets; touches no network.
    ///
    /// # Errors
    /// A secret or a trust store that cannot be read.
    fn open(&self, spec: Self::Spec, cx: &Cx) -> Result<Box<dyn Ask>, Why>;
    /// How what it wrote is read back; only a ledger's can be.
    fn read_back(&self, _: Self::Spec) -> Option<ReadBack> {
        None
    }
    /// How what it wrote is removed at the end; none where it stays. Touches no network.
    fn clean_up(&self, _: Self::Spec) -> Option<CleanUp> {
        None
    }
}

/// How what a ledger wrote is removed.
pub struct CleanUp {
    /// The writer's name within the keys.
    pub writer: String,
    /// Where it is removed, and what that place is called. Each is tried: after a fail-over one of them may take no writes.
    pub removers: Vec<(String, Arc<dyn Remove>)>,
    /// Where none may be left, and what that place is called.
    pub sources: Vec<(String, Arc<dyn Source>)>,
}

/// A removal on its way, or why there was none.
pub type Removed<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Something that removes the keys of one writer of one run, and nothing else.
pub trait Remove: Send + Sync {
    /// Removes every key that begins with `keys`; done within `limit`. Safe to repeat.
    fn remove<'a>(&'a self, keys: &'a str, limit: Span, cx: &'a Cx) -> Removed<'a>;
    /// What a person types in its place.
    fn by_hand(&self, keys: &str, cx: &Cx) -> Typed;
}

/// A command for a person. `${secret:…}` may stand in every word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// Variables set for it alone.
    pub env: Vec<(String, String)>,
    /// Program and arguments.
    pub argv: Vec<String>,
}

/// How a ledger is read back.
pub struct ReadBack {
    /// The writer's name within the keys.
    pub writer: String,
    /// Where, in the scenario's order.
    pub readers: Vec<Reader>,
}

/// One place where a ledger is read back.
pub struct Reader {
    /// What it is called.
    pub name: String,
    /// Whether loss is judged here.
    pub judges: bool,
    /// Reads.
    pub source: Arc<dyn Source>,
}

/// Every key that a reader lists, with how often; or why it could not be read.
pub type Keys<'a> = Pin<Box<dyn Future<Output = Result<BTreeMap<String, u64>, String>> + Send + 'a>>;

/// Something that lists the keys of a ledger.
pub trait Source: Send + Sync {
    /// One full read, done within `limit`.
    fn keys<'a>(&'a self, limit: Span, cx: &'a Cx) -> Keys<'a>;
}

impl ReadBack {
    /// From readers that say of themselves whether they are the authority: a single one always is.
    pub(super) fn of(writer: String, readers: impl ExactSizeIterator<Item = (String, bool, Arc<dyn Source>)>) -> ReadBack {
        let single = readers.len() == 1;
        let readers = readers.map(|(name, authority, source)| Reader { name, judges: single || authority, source }).collect();
        ReadBack { writer, readers }
    }
}

/// An answer on its way.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Something that can be asked again and again, also while earlier questions are still open.
pub trait Ask: Send + Sync {
    /// Asks question number `n`; done within `limit` of having been sent. Dropping it gives up and frees what it holds.
    fn ask<'a>(&'a self, n: u64, limit: Span, cx: &'a Cx) -> Asked<'a>;
}

/// A probe that is ready to ask, with what its answers are held against.
#[derive(Clone)]
pub struct Opened {
    /// Asks.
    pub ask: Arc<dyn Ask>,
    /// Judges.
    pub wanted: Arc<Wanted>,
}

impl Opened {
    /// Asks a question and judges the answer; `first` keeps the fields of the first good one, where a matcher compares with it.
    pub(super) async fn question(self: Arc<Self>, due: Due, timeout: Span, first: Arc<OnceLock<Value>>, cx: Arc<Cx>) -> Sample {
        let answer = self.ask.ask(due.n, timeout, &cx).await;
        let first = if self.wanted.compares() {
            if answer.class == Class::Ok { Some(first.get_or_init(|| Value::Object(answer.all_fields()))) } else { first.get() }
        } else {
            None
        };
        let judged = self.wanted.judge(&answer, first);
        Sample {
            n: due.n,
            planned: due.planned,
            woken: due.woken,
            sent: answer.sent,
            done: answer.done,
            verdict: judged.verdict,
            class: judged.class,
            by: judged.by.map(Arc::from),
            note: judged.note.map(Arc::from),
            legs: answer.legs.map_or_else(Legs::default, |reached| Legs::of(reached.took(answer.sent))),
        }
    }
}

/// A probe kind whose types are erased.
pub trait ErasedProbe: Send + Sync {
    /// See [`Probe::KIND`].
    fn kind(&self) -> &'static str;
    /// See [`Probe::ABOUT`].
    fn about(&self) -> &'static str;
    /// See [`Probe::EXAMPLE`].
    fn example(&self) -> &'static str;
    /// See [`Probe::FIELDS`].
    fn fields(&self) -> &'static [(&'static str, &'static str)];
    /// JSON Schema of the spec.
    fn schema(&self) -> schemars::Schema;
    /// See [`Probe::check`]; a spec that does not decode is one problem.
    fn check(&self, spec: &Value) -> Vec<Problem>;
    /// See [`Probe::LEDGER`].
    fn ledger(&self) -> bool;
    /// See [`Probe::IN_ACCOUNT`].
    fn in_account(&self) -> bool;
    /// See [`Probe::read_back`].
    ///
    /// # Errors
    /// The spec does not decode, or nothing of this kind is read back.
    fn read_back(&self, spec: &Value, cx: &Cx) -> Result<ReadBack, String>;
    /// Whether what it writes is removed at the end; false for a spec that does not decode.
    fn cleans_up(&self, spec: &Value) -> bool;
    /// See [`Probe::clean_up`].
    ///
    /// # Errors
    /// The spec does not decode.
    fn clean_up(&self, spec: &Value, cx: &Cx) -> Result<Option<CleanUp>, String>;
    /// See [`Probe::RATE_HZ`].
    fn rate_hz(&self) -> f64;
    /// Makes it ready to ask.
    ///
    /// # Errors
    /// The spec does not decode, or a secret or trust store cannot be read.
    fn open(&self, spec: &Value, expect: &Expect, served_by: Option<&ServedBy>, cx: &Cx) -> Result<Opened, Why>;
}

impl<P: Probe> ErasedProbe for P {
    fn kind(&self) -> &'static str {
        P::KIND
    }
    fn about(&self) -> &'static str {
        P::ABOUT
    }
    fn example(&self) -> &'static str {
        P::EXAMPLE
    }
    fn fields(&self) -> &'static [(&'static str, &'static str)] {
        P::FIELDS
    }
    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(P::Spec)
    }
    fn check(&self, spec: &Value) -> Vec<Problem> {
        match serde_json::from_value::<P::Spec>(spec.clone()) {
            Ok(spec) => Probe::check(self, &spec),
            Err(error) => vec![Problem::new("", error.to_string())],
        }
    }
    fn ledger(&self) -> bool {
        P::LEDGER
    }
    fn in_account(&self) -> bool {
        P::IN_ACCOUNT
    }
    fn read_back(&self, spec: &Value, cx: &Cx) -> Result<ReadBack, String> {
        let spec: P::Spec = serde_json::from_value(cx.fill_value(spec)).map_err(|error| error.to_string())?;
        Probe::read_back(self, spec).ok_or_else(|| format!("{} writes nothing that could be read back", P::KIND))
    }
    fn cleans_up(&self, spec: &Value) -> bool {
        serde_json::from_value(spec.clone()).is_ok_and(|spec| Probe::clean_up(self, spec).is_some())
    }
    fn clean_up(&self, spec: &Value, cx: &Cx) -> Result<Option<CleanUp>, String> {
        let spec: P::Spec = serde_json::from_value(cx.fill_value(spec)).map_err(|error| error.to_string())?;
        Ok(Probe::clean_up(self, spec))
    }
    fn rate_hz(&self) -> f64 {
        P::RATE_HZ
    }
    fn open(&self, spec: &Value, expect: &Expect, served_by: Option<&ServedBy>, cx: &Cx) -> Result<Opened, Why> {
        let filled = cx.fill_value(spec);
        let hidden = secrets_in(&filled.to_string(), cx)?;
        let spec: P::Spec = serde_json::from_value(filled)?;
        let (good, required) = (self.good(&spec), self.required(&spec));
        let held_against = if expect.is_empty() && required.is_empty() { [&good, expect] } else { [&required, expect] };
        let wanted = Wanted::new(&held_against, served_by.cloned(), hidden);
        Ok(Opened { ask: Arc::from(Probe::open(self, spec, cx)?), wanted: Arc::new(wanted) })
    }
}

/// The values of the secrets that a text names, so that they can be struck out of notes.
fn secrets_in(text: &str, cx: &Cx) -> Result<Vec<String>, Why> {
    let mut values = Vec::new();
    for part in text.split("${secret:").skip(1) {
        if let Some((name, _)) = part.split_once('}') {
            values.push(cx.secret(name)?);
        }
    }
    Ok(values)
}

/// An expectation of one field.
pub(super) fn expect_one(field: &str, matcher: Matcher) -> Expect {
    Expect::from([(field.to_owned(), matcher)])
}

/// A text whose late `${…}` are replaced by something harmless, for checking its shape.
pub(super) fn without_templates(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}') {
            Some((_, tail)) => {
                out.push('1');
                rest = tail;
            }
            None => rest = after,
        }
    }
    out + rest
}
