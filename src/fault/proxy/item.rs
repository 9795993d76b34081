//! The kind `system.proxy`: a proxy of the scenario as an item of the journal, started before baseline and owed like a fault.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::control::{self, Request};
use super::{ASK_LIMIT, dir_of, record_of};
use crate::base::{Problem, Span};
use crate::fault::system::SystemSpec;
use crate::fault::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen, shell};
use crate::sys::exec::{self, Detached, Exec};
use crate::sys::process::{self, Signal};
use crate::sys::{Cx, clock, title};

/// How long a proxy may take to answer after its start.
const START_LIMIT: Span = Span::secs(5);
/// How long it may take to drain and end before it is killed; more than it takes to drain.
const STOP_LIMIT: Span = Span::secs(4);

/// Starts a proxy.
#[derive(Debug)]
pub struct SystemProxy;

/// What a fresh process needs to find and stop a proxy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyItem {
    /// Its id in the scenario.
    pub id: String,
    /// The mark it carries.
    pub owner: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Where clients connect.
    pub listen: String,
    /// Where it connects to.
    pub upstream: String,
}

impl ProxyItem {
    /// The proxy of that id in the plan.
    pub fn of(id: &str, scene: &Scene<'_>) -> Result<ProxyItem, FaultError> {
        let plan = scene.plan.proxies.get(id).ok_or_else(|| FaultError::Target(format!("the scenario has no proxy `{id}`")))?;
        Ok(ProxyItem {
            id: id.to_owned(),
            owner: format!("{}/proxy/{id}", scene.cx.run),
            dir: dir_of(&scene.cx.run_dir, id),
            listen: scene.cx.fill(&plan.listen),
            upstream: scene.cx.fill(&plan.upstream),
        })
    }

    /// Its processes that live.
    pub fn members(&self) -> Vec<process::ProcessId> {
        exec::members(&self.owner, &record_of(&self.dir))
    }

    /// Whether its address can be had; names who has it.
    fn refuse_taken(&self) -> Result<(), FaultError> {
        if !self.members().is_empty() {
            return Ok(());
        }
        match std::net::TcpListener::bind(&self.listen) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(FaultError::Target(self.taken())),
            Err(source) => Err(FaultError::Os { doing: format!("listen on {} for proxy {}", self.listen, self.id), source }),
        }
    }

    fn taken(&self) -> String {
        let port = self.listen.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
        let holders: Vec<String> = process::listening_on(port).iter().map(process::describe).collect();
        let by = if holders.is_empty() { "a process that we may not see".to_owned() } else { holders.join(", ") };
        format!("{} for proxy {} is in use by {by}", self.listen, self.id)
    }
}

impl Fault for SystemProxy {
    const KIND: &'static str = "system.proxy";
    const ABOUT: &'static str = "starts a proxy of the scenario";
    const EXAMPLE: &'static str = "system.proxy: { id: db }\nfor: 10s\n";
    const UNDO: &'static str = "the proxy stops accepting, lets its connections drain and ends";
    const READS_BACK: bool = true;
    type Spec = SystemSpec;
    type Undo = ProxyItem;

    fn check(&self, _: &SystemSpec) -> Vec<Problem> {
        Vec::new()
    }

    fn claims(&self, spec: &SystemSpec) -> Vec<Resource> {
        vec![Resource::Proxy(spec.id.to_string())]
    }

    fn by_hand(&self, undo: &ProxyItem) -> String {
        shell::stop(&undo.owner, &record_of(&undo.dir), "TERM", STOP_LIMIT.as_millis() / 1000)
    }

    async fn prepare(&self, spec: &SystemSpec, scene: &Scene<'_>) -> Result<Prepared<ProxyItem>, FaultError> {
        let item = ProxyItem::of(spec.id.as_str(), scene)?;
        item.refuse_taken()?;
        Ok(Prepared {
            targets: vec![format!("proxy {}", item.id)],
            summary: format!("start proxy {}: {} → {}", item.id, item.listen, item.upstream),
            population: Some(scene.plan.proxies.len()),
            claims: self.claims(spec),
            undo: item,
        })
    }

    async fn inject(&self, _: &SystemSpec, undo: &ProxyItem, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        exec::stop_marked(&undo.owner, &record_of(&undo.dir), Signal::TERM, STOP_LIMIT).await?;
        let dir = undo.dir.display().to_string();
        let exe = cx.exe.display().to_string();
        let arguments = ["--dir", &dir, "--listen", &undo.listen, "--upstream", &undo.upstream].map(str::to_owned);
        let argv = vec![exe, "__proxy".to_owned()];
        // What it stands between is read by its owner alone.
        let env = title::packed(&arguments).map(|packed| (title::HELPER.to_owned(), packed)).into_iter().collect();
        let exec = Exec { argv, env, limit: START_LIMIT, owner: Some(undo.owner.clone()), ..Exec::default() };
        let log = undo.dir.join("log");
        exec::spawn_system(Detached { exec, log: log.clone(), record: record_of(&undo.dir) }, cx).await?;
        let start = clock::mono_ns();
        loop {
            match control::ask(&undo.dir, &Request::Renew {}, ASK_LIMIT).await {
                Ok(_) => return Ok(()),
                Err(_) if undo.members().is_empty() => {
                    let text = std::fs::read_to_string(&log).unwrap_or_default();
                    let last = text.lines().last().unwrap_or("it wrote nothing");
                    let why = if last.contains("Address already in use") { undo.taken() } else { last.to_owned() };
                    return Err(FaultError::Other(format!("start proxy {}: {why}", undo.id)));
                }
                Err(_) if clock::mono_ns().saturating_sub(start) > START_LIMIT.0 => return Err(FaultError::Late(START_LIMIT)),
                Err(_) => clock::sleep(Span::millis(5)).await,
            }
        }
    }

    async fn observe(&self, undo: &ProxyItem, _: &Cx) -> Result<Seen, FaultError> {
        Ok(match control::ask(&undo.dir, &Request::List {}, ASK_LIMIT).await {
            Ok(reply) => {
                Seen::Biting(format!("proxy {} forwards {} → {}, connections: {}", undo.id, undo.listen, undo.upstream, reply.connections))
            }
            Err(error) => Seen::NotBiting(format!("proxy {} does not answer: {error}", undo.id)),
        })
    }

    async fn undo(&self, undo: &ProxyItem, _: &Cx) -> Result<(), FaultError> {
        Ok(exec::stop_marked(&undo.owner, &record_of(&undo.dir), Signal::TERM, STOP_LIMIT).await?)
    }

    async fn verify(&self, undo: &ProxyItem, _: &Cx) -> Result<bool, FaultError> {
        Ok(undo.members().is_empty())
    }
}
