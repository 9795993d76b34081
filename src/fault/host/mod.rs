//! Faults on other machines (`on:`): any kind that needs nothing of this one, run there by a firedrill of the same version, with a journal, a registry and a
//! watchdog of its own. What is recorded here is how to get there and what was told; what undoes stands there, and does so by itself when this runner falls
//! silent. How machines are reached is one trait (`reach`) with `ssh` and Systems Manager behind it. The other side is `engine/agent`.

mod reach;
mod ssh;
#[cfg(feature = "aws")]
mod ssm;
pub mod words;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::reach::{Executor, Trouble};
pub use self::reach::{Managed, Reach};
use self::words::{Answer, Ask, Bites, Order, Stands, Told};
use super::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen};
use crate::base::{Id, Problem, Span};
use crate::plan::{FaultPlan, HostDecl, Mode, Plan};
use crate::sys::{Cx, clock};

/// The kind's name in the journal.
pub const KIND: &str = OnHost::KIND;
/// How long an undo waits for a machine that cannot be reached.
const PATIENCE: Span = Span::secs(22);
const BETWEEN: Span = Span::secs(1);
/// More than this between two clocks is an error of one of them: times of the two journals could not be laid side by side.
const CLOCKS_APART: Span = Span::secs(60);
/// What was seen to be undone, by its directory: it stays so, because nothing begins again under that name. Whoever wants to know need not ask twice.
static UNDONE: Mutex<BTreeMap<String, Stands>> = Mutex::new(BTreeMap::new());

/// A fault on another machine.
#[derive(Debug)]
pub struct OnHost;

/// Which fault, and where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// The machine's name in the scenario.
    host: Id,
    /// How it is reached.
    how: HostDecl,
    /// The fault.
    item: Id,
    /// A plan with this fault alone.
    plan: Value,
    /// Whether something else than the kind itself shows that it bites.
    confirmed: bool,
}

/// How to undo it: where it is, and what was told there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct There {
    /// The machine's name in the scenario.
    pub host: Id,
    /// How it is reached.
    #[serde(alias = "login")]
    pub reach: Reach,
    /// The firedrill there.
    pub exe: String,
    /// How long it waits for a word before it undoes by itself.
    pub lease: Span,
    /// What was told.
    pub told: Told,
    /// How far its clock is ahead of this one: at least and at most, in nanoseconds.
    pub clock_ahead_ns: (i64, i64),
}

/// When a fault was asked for, and its undo, by the clock of this very process.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    from: u64,
    to: Option<u64>,
}

/// The faults of this very process, by their directories there.
static WANTED: Mutex<BTreeMap<String, Wanted>> = Mutex::new(BTreeMap::new());

fn wanted() -> MutexGuard<'static, BTreeMap<String, Wanted>> {
    WANTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a fault that ended by itself had surely lasted until its undo was asked for. It began after it was asked for, by any clock.
fn lasted_long_enough(wanted: Option<Wanted>, lasted: Option<Span>) -> bool {
    let asked_for = wanted.and_then(|wanted| Some(wanted.to?.saturating_sub(wanted.from)));
    lasted.zip(asked_for).is_some_and(|(lasted, asked_for)| lasted.0 >= asked_for)
}

/// The spec of [`OnHost`] for a fault that acts on another machine; nothing for one that acts here.
pub fn spec_of(id: &Id, fault: &FaultPlan, plan: &Plan) -> Option<Value> {
    let on = fault.on.as_ref()?;
    let spec = Elsewhere {
        host: on.host.clone(),
        how: on.how.clone(),
        item: id.clone(),
        plan: serde_json::to_value(alone(id, fault, plan)).ok()?,
        confirmed: fault.confirm.is_some(),
    };
    serde_json::to_value(spec).ok()
}

/// The plan of the other machine: this fault as a local one, and nothing of what only this machine has.
fn alone(id: &Id, fault: &FaultPlan, plan: &Plan) -> Plan {
    let mut alone = plan.clone();
    alone.faults = IndexMap::from([(id.clone(), FaultPlan { on: None, confirm: None, recovered_by: Vec::new(), ..fault.clone() })]);
    alone.secrets.clear();
    alone.system.clear();
    alone.proxies.clear();
    alone.targets.clear();
    alone.probes.clear();
    alone.steady.probes.clear();
    alone.guards.clear();
    alone.restore.clear();
    alone.claims.clear();
    alone.subject.clear();
    alone.notify.clear();
    alone.carried.clear();
    alone.not_judged.clear();
    Plan { aws: None, reset: None, team: None, policy: None, pins: None, mode: Mode::Normal, ..alone }
}

/// How long undoing there usually takes, as far as one can say before.
pub fn undo_takes(how: &HostDecl) -> Span {
    if how.ssm.is_some() { Span::secs(5) } else { OnHost::UNDO_TAKES }
}

impl There {
    /// ` on db1`.
    fn place(&self) -> String {
        format!(" on {}", self.host)
    }

    async fn stands(&self, ask: &Ask) -> Result<Stands, Trouble> {
        match self.reach.ask(&self.exe, ask).await? {
            Answer::Stands(stands) => {
                if stands.undone {
                    UNDONE.lock().unwrap_or_else(PoisonError::into_inner).insert(self.told.dir.clone(), stands.clone());
                }
                Ok(stands)
            }
            Answer::Failed { why } => Err(Trouble::Fault(FaultError::Other(why))),
            other => Err(Trouble::Fault(self.puzzled(&other))),
        }
    }

    /// What was seen of it once it was undone.
    fn known(&self) -> Option<Stands> {
        UNDONE.lock().unwrap_or_else(PoisonError::into_inner).get(&self.told.dir).cloned()
    }

    /// Notes that it is to end now.
    fn ends_now(&self) {
        if let Some(wanted) = wanted().get_mut(&self.told.dir) {
            wanted.to.get_or_insert_with(clock::mono_ns);
        }
    }

    async fn look(&self) -> Result<Stands, Trouble> {
        match self.known() {
            Some(stands) => Ok(stands),
            None => self.stands(&Ask::Look { dir: self.told.dir.clone() }).await,
        }
    }

    fn puzzled(&self, answer: &Answer) -> FaultError {
        FaultError::Other(format!("understand {}: it answers {answer:?}", self.host))
    }

    /// It was broken, or why not.
    fn broken(&self, answer: Answer) -> Result<(), FaultError> {
        match answer {
            Answer::Injected => Ok(()),
            Answer::Failed { why } => Err(FaultError::Other(format!("break it{}: failed to {why}", self.place()))),
            other => Err(self.puzzled(&other)),
        }
    }

    /// Whoever was to break it was told to stop.
    fn called_off(&self) -> FaultError {
        FaultError::Other(format!("break it{}: it was called off", self.place()))
    }

    /// Nobody here knows whether it was broken.
    fn unheard(&self, trouble: Trouble) -> FaultError {
        let (lease, why) = (self.lease.human(), FaultError::from(trouble));
        FaultError::Other(format!("hear how it went{}: failed to {why}; it undoes by itself within {lease}", self.place()))
    }
}

impl Fault for OnHost {
    const KIND: &'static str = "on.host";
    const ABOUT: &'static str = "a fault on another machine";
    const EXAMPLE: &'static str = "on.host: {}\nfor: 10s\n";
    const UNDO: &'static str = "the machine undoes it itself: when it is told to, and when its runner falls silent";
    const UNDO_TAKES: Span = Span::secs(2);
    const PREPARE_WITHIN: Span = Span::secs(300);
    const READS_BACK: bool = true;
    type Spec = Elsewhere;
    type Undo = There;

    fn check(&self, _: &Elsewhere) -> Vec<Problem> {
        Vec::new()
    }

    fn claims(&self, spec: &Elsewhere) -> Vec<Resource> {
        vec![Resource::Elsewhere(spec.host.to_string(), Box::new(Resource::Nothing))]
    }

    fn by_hand(&self, undo: &There) -> String {
        undo.reach.by_hand(&undo.exe, &undo.told.dir)
    }

    async fn prepare(&self, spec: &Elsewhere, scene: &Scene<'_>) -> Result<Prepared<There>, FaultError> {
        let cx = scene.cx;
        let reach = Reach::of(&spec.how, cx)?;
        let exe = reach.settle(spec.how.firedrill.as_deref(), scene).await?;
        let ask = Ask::Prepare(ordered(spec, cx)?);
        let before = now_ns();
        let answer = reach.ask(&exe, &ask).await?;
        let after = now_ns();
        let told = match answer {
            Answer::Prepared(told) => *told,
            Answer::Failed { why } => return Err(FaultError::Other(format!("prepare it on {}: failed to {why}", spec.host))),
            other => return Err(FaultError::Other(format!("understand {}: it answers {other:?}", spec.host))),
        };
        let clock_ahead_ns = (told.wall_ns.saturating_sub(after), told.wall_ns.saturating_sub(before));
        clocks_agree(&spec.host, clock_ahead_ns)?;
        if told.cuts && !spec.confirmed {
            return Err(FaultError::Missing {
                what: format!(
                    "break it on {}: {} would cut the connection from here, and nobody would hear from there that it bites",
                    spec.host, told.summary
                ),
                help: "write a `confirm:` that shows it from here, for example that a connection to it times out".to_owned(),
            });
        }
        let undo = There { host: spec.host.clone(), reach, exe, lease: spec.how.lease(), told, clock_ahead_ns };
        let place = undo.place();
        Ok(Prepared {
            targets: undo.told.targets.iter().map(|target| format!("{target}{place}")).collect(),
            summary: format!("{}{place} ({}, as {})", undo.told.summary, undo.reach, undo.told.user),
            population: undo.told.population,
            claims: undo.told.claims.iter().map(|claim| Resource::Elsewhere(spec.host.to_string(), Box::new(claim.clone()))).collect(),
            undo,
        })
    }

    async fn inject(&self, spec: &Elsewhere, undo: &There, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        wanted().insert(undo.told.dir.clone(), Wanted { from: clock::mono_ns(), to: None });
        undo.reach.inject(undo, ordered(spec, cx)?, spec.confirmed, cx).await
    }

    async fn observe(&self, undo: &There, _: &Cx) -> Result<Seen, FaultError> {
        match undo.reach.ask(&undo.exe, &Ask::Observe { dir: undo.told.dir.clone() }).await? {
            Answer::Seen { biting, seen } => {
                let seen = format!("{seen}{}", undo.place());
                Ok(match biting {
                    Some(Bites::Yes) => Seen::Biting(seen),
                    Some(Bites::No) => Seen::NotBiting(seen),
                    Some(Bites::Never) => Seen::Failed(seen),
                    None => Seen::CannotTell,
                })
            }
            Answer::Failed { why } => Err(FaultError::Other(why)),
            other => Err(undo.puzzled(&other)),
        }
    }

    /// A machine that cannot be reached may be cut off by this very fault: it undoes by itself, and then it can.
    async fn undo(&self, undo: &There, _: &Cx) -> Result<(), FaultError> {
        undo.ends_now();
        let end = clock::mono_ns() + PATIENCE.0;
        loop {
            match undo.stands(&Ask::Undo { dir: undo.told.dir.clone() }).await {
                Ok(Stands { undone: true, .. }) => return Ok(()),
                Ok(Stands { owed, how, .. }) => {
                    return Err(FaultError::Other(format!("undo it{}: {how}; by hand there: {}", undo.place(), owed.join("; "))));
                }
                Err(Trouble::Away(_)) if clock::mono_ns() < end => clock::sleep(BETWEEN).await,
                Err(Trouble::Away(why)) => {
                    let (host, lease) = (&undo.host, undo.lease.human());
                    return Err(FaultError::Other(format!("{why} ({host} undoes it by itself {lease} after it last heard of us)")));
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }

    async fn verify(&self, undo: &There, _: &Cx) -> Result<bool, FaultError> {
        undo.ends_now();
        // The ask to undo looks there before it acts: where each ask costs seconds, the undo does not wait for another look.
        if undo.reach.is_costly() && undo.known().is_none() {
            return Ok(false);
        }
        Ok(undo.look().await?.undone)
    }

    async fn cut_short(&self, undo: &There, _: &Cx) -> Option<String> {
        let stands = undo.look().await.ok().filter(|stands| stands.undone && !stands.asked)?;
        let wanted = wanted().get(&undo.told.dir).copied();
        if lasted_long_enough(wanted, stands.lasted) {
            return None;
        }
        Some(format!("{} undid it by itself: {}", undo.host, stands.how))
    }

    async fn ended(&self, undo: &There, _: &Cx) -> Option<String> {
        let stands = undo.look().await.ok()?;
        Some(format!("on {}: {}", undo.host, stands.how))
    }
}

fn clocks_agree(host: &Id, (least, most): (i64, i64)) -> Result<(), FaultError> {
    let limit = i64::try_from(CLOCKS_APART.0).unwrap_or(i64::MAX);
    if least <= limit && most >= -limit {
        return Ok(());
    }
    let nearest = Span(if least > limit { least.unsigned_abs() } else { most.unsigned_abs() });
    let which = if least > limit { "ahead of" } else { "behind" };
    Err(FaultError::Missing {
        what: format!("compare clocks with {host}: its clock is at least {} {which} this one", nearest.human()),
        help: "set the clocks, for example with chrony or NTP: two journals of one drill could not be laid side by side".to_owned(),
    })
}

fn now_ns() -> i64 {
    i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// The fault as the other machine is to break it.
fn ordered(spec: &Elsewhere, cx: &Cx) -> Result<Box<Order>, FaultError> {
    let plan: Plan =
        serde_json::from_value(spec.plan.clone()).map_err(|source| FaultError::Decode { kind: OnHost::KIND, what: "plan", source })?;
    Ok(Box::new(Order { run: cx.run.to_string(), item: spec.item.clone(), plan }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_lasted_until_its_undo_was_not_cut_short() {
        let from = Span::secs(100).0;
        let until = |to: Option<u64>| Some(Wanted { from, to: to.map(|s| from + Span::secs(s).0) });
        assert!(lasted_long_enough(until(Some(20)), Some(Span::secs(20))));
        assert!(!lasted_long_enough(until(Some(20)), Some(Span::millis(19_999))));
        assert!(!lasted_long_enough(until(None), Some(Span::secs(20))), "nobody has asked yet");
        assert!(!lasted_long_enough(None, Some(Span::secs(20))), "another process has asked");
        assert!(!lasted_long_enough(until(Some(20)), None));
    }

    #[test]
    fn clocks_that_lie_far_apart_are_told() {
        let host: Id = "db1".parse().unwrap();
        let s = |n: i64| n * 1_000_000_000;
        assert!(clocks_agree(&host, (s(-1), s(2))).is_ok());
        assert!(clocks_agree(&host, (s(61), s(62))).unwrap_err().to_string().contains("ahead of this one"));
        assert!(clocks_agree(&host, (s(-90), s(-80))).unwrap_err().to_string().contains("behind this one"));
        assert!(clocks_agree(&host, (s(-90), s(90))).is_ok(), "a slow answer proves nothing");
    }
}
