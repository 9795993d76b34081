//! What can be broken, and how each breakage is undone. Authors write [`Fault`] with their own types; one blanket implementation makes it
//! the [`ErasedFault`] that the engine drives. This room must never know the engine or the probes.

#[cfg(feature = "aws")]
pub mod aws;
mod claims;
mod command;
pub mod dead_man;
pub mod disk;
mod error;
pub mod host;
mod kinds;
pub mod network;
mod privilege;
pub mod process;
pub mod proxy;
mod rehearse;
pub mod resource;
pub mod shell;
pub mod system;

use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use claims::{ClaimError, Claims, Holder, Resource};
pub use error::FaultError;
pub use kinds::{KINDS, LEFT_OUT, by_kind, why_unknown};
pub use privilege::Privilege;
pub use proxy::{proxy_main, renew as renew_proxy};
pub use resource::load_main;

use crate::base::{Problem, Span};
use crate::journal::Armed;
use crate::plan::Plan;
use crate::sys::Cx;

/// A breakage with its undo. Every step must be safe to repeat; `undo` and `verify` work from the undo data alone, in a fresh process, from
/// any phase: before the injection, half-way through it, after it, and twice.
pub trait Fault: Send + Sync + 'static {
    /// The name in scenarios, `family.name`.
    const KIND: &'static str;
    /// One sentence for `firedrill kinds`.
    const ABOUT: &'static str;
    /// A complete fault as YAML, as it would stand under `faults: { example: … }`.
    const EXAMPLE: &'static str;
    /// What undoing means, in one sentence.
    const UNDO: &'static str;
    /// How long undoing and looking usually take, on a machine that is not busy; `benches/undo.py` holds it to what it measures. Not a limit.
    const UNDO_TAKES: Span = Span::millis(10);
    /// How often [`Fault::observe`] is asked, and for how long, until it bites.
    const CONFIRM: (Span, Span) = (Span::millis(50), Span::secs(5));
    /// How long [`Fault::prepare`] may take.
    const PREPARE_WITHIN: Span = STEP_LIMIT;
    /// Whether it acts in the AWS account that the scenario names.
    const IN_ACCOUNT: bool = false;
    /// Whether it can act on another machine (`on:`): all that it needs is there, or goes there with the binary.
    const ELSEWHERE: bool = false;
    /// Whether [`Fault::observe`] can tell; a kind that cannot must be given `confirm:`.
    const READS_BACK: bool;
    /// What a scenario writes under the kind's key.
    type Spec: DeserializeOwned + Serialize + JsonSchema + Send + Sync + 'static;
    /// Enough to undo in a fresh process.
    type Undo: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// What is wrong with a spec that decoded. Pure.
    fn check(&self, spec: &Self::Spec) -> Vec<Problem>;
    /// Whether this spec has no undo of its own, so that the scenario must declare one. Pure. Most kinds bring theirs.
    fn needs_declared_undo(&self, _: &Self::Spec) -> bool {
        false
    }
    /// What it needs from the machine. Pure. Many kinds need nothing.
    fn needs(&self, _: &Self::Spec) -> Vec<Privilege> {
        Vec::new()
    }
    /// What it will touch, as far as the spec tells. Pure; [`Prepared::claims`] decides.
    fn claims(&self, spec: &Self::Spec) -> Vec<Resource>;
    /// Whether it would cut off a TCP connection of the machine on which it acts: with that address, and that port of its own. Pure; most kinds cut nothing.
    fn cuts(&self, _: &Self::Spec, _: IpAddr, _: u16) -> bool {
        false
    }
    /// What a person types if firedrill is dead: one line for `sh`. Pure.
    fn by_hand(&self, undo: &Self::Undo) -> String;
    /// The commands that inject it, as `sh` would take them, for people. Pure; kinds that act by themselves run none.
    fn runs(&self, _: &Self::Spec, _: &Self::Undo) -> Vec<String> {
        Vec::new()
    }
    /// Finds and counts the targets and captures prior state. Only reads.
    fn prepare(&self, spec: &Self::Spec, scene: &Scene<'_>) -> impl Future<Output = Result<Prepared<Self::Undo>, FaultError>> + Send;
    /// Breaks it. The permit shows that the undo is durable.
    fn inject(
        &self,
        spec: &Self::Spec,
        undo: &Self::Undo,
        permit: Permit<'_>,
        cx: &Cx,
    ) -> impl Future<Output = Result<(), FaultError>> + Send;
    /// Whether it bites now: the kind's own read-back.
    fn observe(&self, undo: &Self::Undo, cx: &Cx) -> impl Future<Output = Result<Seen, FaultError>> + Send;
    /// Undoes it.
    fn undo(&self, undo: &Self::Undo, cx: &Cx) -> impl Future<Output = Result<(), FaultError>> + Send;
    /// Whether the world is as it was.
    fn verify(&self, undo: &Self::Undo, cx: &Cx) -> impl Future<Output = Result<bool, FaultError>> + Send;
    /// Why it was over before anybody undid it, once [`Fault::verify`] has agreed; nothing where it lasted as planned. Most kinds end with their undo.
    fn cut_short(&self, _: &Self::Undo, _: &Cx) -> impl Future<Output = Option<String>> + Send {
        std::future::ready(None)
    }
    /// How it ended, for people, once [`Fault::verify`] has agreed. Most kinds have nothing to add.
    fn ended(&self, _: &Self::Undo, _: &Cx) -> impl Future<Output = Option<String>> + Send {
        std::future::ready(None)
    }
}

/// What a fault may read while it prepares.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The door to the world.
    pub cx: &'a Cx,
    /// The plan: recipes of `system:` processes, addresses of proxies.
    pub plan: &'a Plan,
}

/// What `prepare` found.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared<U> {
    /// How to undo.
    pub undo: U,
    /// What exactly is hit, for people: `primary, pid 4121`. Empty refuses the run.
    pub targets: Vec<String>,
    /// What will be done, for people: `SIGKILL to primary, pid 4121`.
    pub summary: String,
    /// How many there are of that sort, when it is known: the population that `targets` is a part of.
    pub population: Option<usize>,
    /// What it touches.
    pub claims: Vec<Resource>,
}

/// What the kind's own read-back saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It bites; what was seen, for people.
    Biting(String),
    /// It does not (yet); what was seen.
    NotBiting(String),
    /// It does not, and never will: what was seen.
    Failed(String),
    /// This kind cannot be read back.
    CannotTell,
}

/// The right to inject: made only from a durable undo.
#[derive(Debug)]
pub struct Permit<'a> {
    id: &'a str,
    seal: PhantomData<&'a Armed>,
}

impl Permit<'_> {
    /// The item it was given for.
    pub fn id(&self) -> &str {
        self.id
    }
}

type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T, FaultError>> + Send + 'a>>;

/// A fault whose types are erased: what the engine and the command line drive. Specs are values whose `${…}` are filled already.
pub trait ErasedFault: Send + Sync {
    /// See [`Fault::KIND`].
    fn kind(&self) -> &'static str;
    /// See [`Fault::ABOUT`].
    fn about(&self) -> &'static str;
    /// See [`Fault::EXAMPLE`].
    fn example(&self) -> &'static str;
    /// See [`Fault::UNDO`].
    fn undo_means(&self) -> &'static str;
    /// See [`Fault::UNDO_TAKES`].
    fn undo_takes(&self) -> Span;
    /// See [`Fault::READS_BACK`].
    fn reads_back(&self) -> bool;
    /// See [`Fault::CONFIRM`].
    fn confirm(&self) -> (Span, Span);
    /// See [`Fault::IN_ACCOUNT`].
    fn in_account(&self) -> bool;
    /// See [`Fault::PREPARE_WITHIN`].
    fn prepare_within(&self) -> Span;
    /// See [`Fault::ELSEWHERE`].
    fn elsewhere(&self) -> bool;
    /// JSON Schema of the spec.
    fn schema(&self) -> schemars::Schema;
    /// See [`Fault::check`]; a spec that does not decode is one problem.
    fn check(&self, spec: &Value) -> Vec<Problem>;
    /// See [`Fault::needs_declared_undo`]; false for a spec that does not decode.
    fn needs_declared_undo(&self, spec: &Value) -> bool;
    /// See [`Fault::needs`].
    fn needs(&self, spec: &Value) -> Vec<Privilege>;
    /// See [`Fault::claims`].
    fn claims(&self, spec: &Value) -> Vec<Resource>;
    /// See [`Fault::cuts`]; false for a spec that does not decode.
    fn cuts(&self, spec: &Value, client: IpAddr, port: u16) -> bool;
    /// See [`Fault::by_hand`].
    fn by_hand(&self, undo: &Value) -> Result<String, FaultError>;
    /// See [`Fault::runs`]; none for what does not decode.
    fn runs(&self, spec: &Value, undo: &Value) -> Vec<String>;
    /// See [`Fault::prepare`].
    fn prepare<'a>(&'a self, spec: &'a Value, scene: Scene<'a>) -> Step<'a, Prepared<Value>>;
    /// See [`Fault::inject`].
    fn inject<'a>(&'a self, spec: &'a Value, armed: &'a Armed, cx: &'a Cx) -> Step<'a, ()>;
    /// See [`Fault::observe`].
    fn observe<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, Seen>;
    /// See [`Fault::undo`].
    fn undo<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, ()>;
    /// See [`Fault::verify`].
    fn verify<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, bool>;
    /// See [`Fault::cut_short`].
    fn cut_short<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, Option<String>>;
    /// See [`Fault::ended`].
    fn ended<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, Option<String>>;
}

fn decode<T: DeserializeOwned>(kind: &'static str, what: &'static str, value: &Value) -> Result<T, FaultError> {
    serde_json::from_value(value.clone()).map_err(|source| FaultError::Decode { kind, what, source })
}

impl<F: Fault> ErasedFault for F {
    fn kind(&self) -> &'static str {
        F::KIND
    }
    fn about(&self) -> &'static str {
        F::ABOUT
    }
    fn example(&self) -> &'static str {
        F::EXAMPLE
    }
    fn undo_means(&self) -> &'static str {
        F::UNDO
    }
    fn undo_takes(&self) -> Span {
        F::UNDO_TAKES
    }
    fn reads_back(&self) -> bool {
        F::READS_BACK
    }
    fn confirm(&self) -> (Span, Span) {
        F::CONFIRM
    }
    fn in_account(&self) -> bool {
        F::IN_ACCOUNT
    }
    fn prepare_within(&self) -> Span {
        F::PREPARE_WITHIN
    }
    fn elsewhere(&self) -> bool {
        F::ELSEWHERE
    }
    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(F::Spec)
    }
    fn check(&self, spec: &Value) -> Vec<Problem> {
        match decode::<F::Spec>(F::KIND, "spec", spec) {
            Ok(spec) => Fault::check(self, &spec),
            Err(error) => vec![Problem::new("", error.to_string())],
        }
    }
    fn needs_declared_undo(&self, spec: &Value) -> bool {
        decode::<F::Spec>(F::KIND, "spec", spec).is_ok_and(|spec| Fault::needs_declared_undo(self, &spec))
    }
    fn needs(&self, spec: &Value) -> Vec<Privilege> {
        decode::<F::Spec>(F::KIND, "spec", spec).map(|spec| Fault::needs(self, &spec)).unwrap_or_default()
    }
    fn claims(&self, spec: &Value) -> Vec<Resource> {
        decode::<F::Spec>(F::KIND, "spec", spec).map(|spec| Fault::claims(self, &spec)).unwrap_or_default()
    }
    fn cuts(&self, spec: &Value, client: IpAddr, port: u16) -> bool {
        decode::<F::Spec>(F::KIND, "spec", spec).is_ok_and(|spec| Fault::cuts(self, &spec, client, port))
    }
    fn by_hand(&self, undo: &Value) -> Result<String, FaultError> {
        Ok(Fault::by_hand(self, &decode(F::KIND, "undo data", undo)?))
    }
    fn runs(&self, spec: &Value, undo: &Value) -> Vec<String> {
        let both = decode::<F::Spec>(F::KIND, "spec", spec).and_then(|spec| Ok((spec, decode::<F::Undo>(F::KIND, "undo data", undo)?)));
        both.map(|(spec, undo)| Fault::runs(self, &spec, &undo)).unwrap_or_default()
    }
    fn prepare<'a>(&'a self, spec: &'a Value, scene: Scene<'a>) -> Step<'a, Prepared<Value>> {
        Box::pin(async move {
            let spec = decode::<F::Spec>(F::KIND, "spec", spec)?;
            let found = Fault::prepare(self, &spec, &scene).await?;
            let undo =
                serde_json::to_value(&found.undo).map_err(|source| FaultError::Decode { kind: F::KIND, what: "undo data", source })?;
            Ok(Prepared { undo, targets: found.targets, summary: found.summary, population: found.population, claims: found.claims })
        })
    }
    fn inject<'a>(&'a self, spec: &'a Value, armed: &'a Armed, cx: &'a Cx) -> Step<'a, ()> {
        Box::pin(async move {
            let spec = decode::<F::Spec>(F::KIND, "spec", spec)?;
            let undo = decode::<F::Undo>(F::KIND, "undo data", &armed.undo().detail)?;
            Fault::inject(self, &spec, &undo, Permit { id: armed.id(), seal: PhantomData }, cx).await
        })
    }
    fn observe<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, Seen> {
        Box::pin(async move { Fault::observe(self, &decode(F::KIND, "undo data", undo)?, cx).await })
    }
    fn undo<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, ()> {
        Box::pin(async move { Fault::undo(self, &decode(F::KIND, "undo data", undo)?, cx).await })
    }
    fn verify<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, bool> {
        Box::pin(async move { Fault::verify(self, &decode(F::KIND, "undo data", undo)?, cx).await })
    }
    fn cut_short<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, Option<String>> {
        Box::pin(async move { Ok(Fault::cut_short(self, &decode(F::KIND, "undo data", undo)?, cx).await) })
    }
    fn ended<'a>(&'a self, undo: &'a Value, cx: &'a Cx) -> Step<'a, Option<String>> {
        Box::pin(async move { Ok(Fault::ended(self, &decode(F::KIND, "undo data", undo)?, cx).await) })
    }
}

/// How long one step of a fault may take before it counts as failed.
pub const STEP_LIMIT: Span = Span::secs(30);
