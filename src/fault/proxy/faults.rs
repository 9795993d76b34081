//! The faults that a proxy can hold. They differ in what they ask for; arming, undoing and looking are the same for all.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::control::{self, Request};
use super::item::ProxyItem;
use super::toxic::{Direction, Toxic};
use super::{ASK_LIMIT, fault_file, no_answer, record_of};
use crate::base::{Id, Problem, Span};
use crate::fault::{Fault, FaultError, Permit, Prepared, Privilege, Resource, Scene, Seen, shell};
use crate::sys::{Cx, clock, exec};

/// What a proxy holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyUndo {
    /// The proxy.
    pub proxy: String,
    /// The mark that its process carries.
    pub owner: String,
    /// Its directory.
    pub dir: PathBuf,
    /// The fault's name there, never used twice.
    pub token: String,
    /// What it does.
    pub toxic: Toxic,
}

impl ProxyUndo {
    /// A proxy that is gone holds nothing.
    fn is_gone(&self) -> bool {
        exec::members(&self.owner, &record_of(&self.dir)).is_empty()
    }

    async fn ask(&self, request: Request) -> Result<control::Reply, FaultError> {
        control::ask(&self.dir, &request, ASK_LIMIT).await.map_err(|error| no_answer(&self.proxy, error))
    }

    fn by_hand(&self) -> String {
        format!("rm -f {}", shell::path(&fault_file(&self.dir, &self.token)))
    }

    async fn inject(&self) -> Result<(), FaultError> {
        self.ask(Request::Set { token: self.token.clone(), toxic: self.toxic.clone() }).await.map(drop)
    }

    async fn observe(&self) -> Result<Seen, FaultError> {
        let reply = self.ask(Request::List {}).await?;
        let open = format!("proxy {}, connections: {}", self.proxy, reply.connections);
        Ok(match reply.faults.get(&self.token) {
            Some(toxic) => Seen::Biting(format!("{toxic} at {open}")),
            None => Seen::NotBiting(format!("no such fault at {open}")),
        })
    }

    async fn undo(&self) -> Result<(), FaultError> {
        // Removing the file is enough for a proxy that lives, even for one that cannot answer now; asking makes it immediate. The disk may hang, and
        // then asking is enough.
        let file = fault_file(&self.dir, &self.token);
        tokio::task::spawn_blocking(move || drop(std::fs::remove_file(file)));
        match self.ask(Request::Clear { token: self.token.clone() }).await {
            Err(_) if self.is_gone() => Ok(()),
            asked => asked.map(drop),
        }
    }

    async fn verify(&self) -> Result<bool, FaultError> {
        match self.ask(Request::List {}).await {
            Ok(reply) => Ok(!reply.faults.contains_key(&self.token)),
            Err(_) if self.is_gone() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

async fn prepare(id: &Id, name: &str, toxic: Toxic, scene: &Scene<'_>) -> Result<Prepared<ProxyUndo>, FaultError> {
    let item = ProxyItem::of(id.as_str(), scene)?;
    control::ask(&item.dir, &Request::List {}, ASK_LIMIT).await.map_err(|error| no_answer(id.as_str(), error))?;
    Ok(Prepared {
        targets: vec![format!("proxy {id} ({} → {})", item.listen, item.upstream)],
        summary: format!("{toxic} at proxy {id}"),
        population: Some(scene.plan.proxies.len()),
        claims: vec![Resource::Proxy(id.to_string())],
        undo: ProxyUndo { proxy: item.id, owner: item.owner, dir: item.dir, token: format!("{name}-{}", clock::mono_ns()), toxic },
    })
}

/// Delays what flows through a proxy.
#[derive(Debug)]
pub struct ProxyLatency;

/// Where and how much.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencySpec {
    /// A proxy under `proxies:`.
    pub proxy: Id,
    /// How much later bytes arrive.
    pub delay: Span,
    /// More or less, evenly spread. Default `0s`.
    #[serde(default)]
    pub jitter: Span,
    /// `down` (answers; default), `up` (requests) or `both`.
    #[serde(default)]
    pub direction: Direction,
}

/// Resets the connections of a proxy.
#[derive(Debug)]
pub struct ProxyReset;

/// Swallows what flows through a proxy.
#[derive(Debug)]
pub struct ProxyBlackhole;

/// Where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhereSpec {
    /// A proxy under `proxies:`.
    pub proxy: Id,
}

/// The longest delay: what is held back longer is a black hole.
const LONGEST: Span = Span::secs(60);

fn check_latency(spec: &LatencySpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    if spec.delay == Span::ZERO || spec.delay > LONGEST {
        let text = format!("{} is no delay", spec.delay);
        problems.push(
            Problem::new("/delay", text).help(format!("more than 0s and at most {LONGEST}; for nothing at all use `proxy.blackhole`")),
        );
    }
    if spec.jitter > spec.delay && problems.is_empty() {
        problems.push(Problem::new("/jitter", "the jitter is larger than the delay").help(format!("at most {}", spec.delay)));
    }
    problems
}

/// The steps that are the same for every kind of this room.
macro_rules! held_by_a_proxy {
    () => {
        type Undo = ProxyUndo;
        const UNDO: &'static str = "the proxy forwards as before; it also does so by itself 10 s after the runner's last sign of life";
        const READS_BACK: bool = true;

        fn needs_declared_undo(&self, _: &Self::Spec) -> bool {
            false
        }

        fn needs(&self, _: &Self::Spec) -> Vec<Privilege> {
            Vec::new()
        }

        fn claims(&self, spec: &Self::Spec) -> Vec<Resource> {
            vec![Resource::Proxy(spec.proxy.to_string())]
        }

        fn by_hand(&self, undo: &ProxyUndo) -> String {
            undo.by_hand()
        }

        async fn inject(&self, _: &Self::Spec, undo: &ProxyUndo, _: Permit<'_>, _: &Cx) -> Result<(), FaultError> {
            undo.inject().await
        }

        async fn observe(&self, undo: &ProxyUndo, _: &Cx) -> Result<Seen, FaultError> {
            undo.observe().await
        }

        async fn undo(&self, undo: &ProxyUndo, _: &Cx) -> Result<(), FaultError> {
            undo.undo().await
        }

        async fn verify(&self, undo: &ProxyUndo, _: &Cx) -> Result<bool, FaultError> {
            undo.verify().await
        }
    };
}

impl Fault for ProxyLatency {
    const KIND: &'static str = "proxy.latency";
    const ABOUT: &'static str = "delays what flows through a proxy, on live connections as well";
    const EXAMPLE: &'static str = "proxy.latency: { proxy: db, delay: 200ms, jitter: 20ms, direction: down }\nfor: 30s\n";
    type Spec = LatencySpec;
    held_by_a_proxy!();

    fn check(&self, spec: &LatencySpec) -> Vec<Problem> {
        check_latency(spec)
    }

    async fn prepare(&self, spec: &LatencySpec, scene: &Scene<'_>) -> Result<Prepared<ProxyUndo>, FaultError> {
        let toxic = Toxic::Latency { delay: spec.delay, jitter: spec.jitter, direction: spec.direction };
        prepare(&spec.proxy, "latency", toxic, scene).await
    }
}

impl Fault for ProxyReset {
    const KIND: &'static str = "proxy.reset";
    const ABOUT: &'static str = "resets every connection of a proxy, open and new";
    const EXAMPLE: &'static str = "proxy.reset: { proxy: db }\nfor: 10s\n";
    type Spec = WhereSpec;
    held_by_a_proxy!();

    fn check(&self, _: &WhereSpec) -> Vec<Problem> {
        Vec::new()
    }

    async fn prepare(&self, spec: &WhereSpec, scene: &Scene<'_>) -> Result<Prepared<ProxyUndo>, FaultError> {
        prepare(&spec.proxy, "reset", Toxic::Reset {}, scene).await
    }
}

impl Fault for ProxyBlackhole {
    const KIND: &'static str = "proxy.blackhole";
    const ABOUT: &'static str = "swallows everything that flows through a proxy; nothing is closed, new connections hang";
    const EXAMPLE: &'static str = "proxy.blackhole: { proxy: db }\nfor: 30s\n";
    type Spec = WhereSpec;
    held_by_a_proxy!();

    fn check(&self, _: &WhereSpec) -> Vec<Problem> {
        Vec::new()
    }

    async fn prepare(&self, spec: &WhereSpec, scene: &Scene<'_>) -> Result<Prepared<ProxyUndo>, FaultError> {
        prepare(&spec.proxy, "blackhole", Toxic::Blackhole {}, scene).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_bounded_and_its_jitter_smaller() {
        let at = |delay, jitter| {
            let spec = LatencySpec { proxy: "db".parse().unwrap(), delay, jitter, direction: Direction::Down };
            check_latency(&spec).into_iter().map(|problem| problem.at).collect::<Vec<_>>()
        };
        assert!(at(Span::millis(200), Span::millis(200)).is_empty());
        assert_eq!(at(Span::millis(200), Span::millis(201)), ["/jitter"]);
        assert_eq!(at(Span::ZERO, Span::millis(1)), ["/delay"]);
        assert_eq!(at(Span::secs(61), Span::ZERO), ["/delay"]);
    }
}
