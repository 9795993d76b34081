//! What the tests with real processes share: a door to the world with a directory of its own, that takes everything it started with it.
#![allow(dead_code, reason = "each test program uses a part of it, another part each")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use firedrill::base::{At, Span};
use firedrill::event::{Event, Role, UndoRecord};
use firedrill::fault::{ErasedFault, Prepared, Scene};
use firedrill::journal::{Armed, Journal, RunLock};
use firedrill::plan::{Plan, SystemPlan};
use firedrill::sys::{Clock, Cx, clock, process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A temporary world.
pub struct World {
    /// The door.
    pub cx: Cx,
    /// The plan of its run.
    pub plan: Plan,
    journal: Mutex<Journal>,
    dir: TempDir,
}

impl World {
    /// A new one.
    pub fn new() -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let run = format!("test-{}-{}", std::process::id(), clock::mono_ns());
        let cx = Cx {
            clock: Clock::start(),
            run: run.into(),
            run_dir: Arc::new(dir.path().to_owned()),
            base_dir: Arc::new(dir.path().to_owned()),
            exe: Arc::new(assert_cmd::cargo::cargo_bin!("firedrill").to_owned()),
            secrets: Arc::default(),
            account: None,
            cancel: tokio_util::sync::CancellationToken::new(),
        };
        let journal = Journal::create(dir.path(), RunLock::take(dir.path()).expect("the lock")).expect("a journal");
        World { cx, plan: empty_plan(), journal: Mutex::new(journal), dir }
    }

    /// The same with a `system:` process, not started yet.
    #[must_use]
    pub fn with_system(mut self, id: &str, how: Value) -> World {
        let how = serde_json::from_value(how).expect("a recipe");
        self.plan.system.insert(id.parse().expect("an id"), SystemPlan { how, ready: None });
        self
    }

    /// The same with a proxy, not started yet.
    #[must_use]
    pub fn with_proxy(mut self, id: &str, listen: &str, upstream: &str) -> World {
        let decl = serde_json::from_value(json!({ "listen": listen, "upstream": upstream })).expect("a proxy");
        self.plan.proxies.insert(id.parse().expect("an id"), decl);
        self
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The mark of one of its items.
    pub fn owner(&self, item: &str) -> String {
        format!("{}/{item}", self.cx.run)
    }

    /// What a fault is prepared with.
    pub fn scene(&self) -> Scene<'_> {
        Scene { cx: &self.cx, plan: &self.plan }
    }

    /// Makes an undo durable in the world's real journal.
    pub async fn arm(&self, id: &str, fault: &dyn ErasedFault, prepared: &Prepared<Value>) -> Armed {
        let by_hand = fault.by_hand(&prepared.undo).expect("a line");
        let undo = Box::new(UndoRecord { kind: fault.kind().to_owned(), detail: prepared.undo.clone(), by_hand, declared: None });
        let (targets, summary) = (prepared.targets.clone(), prepared.summary.clone());
        let event = Event::Armed { id: id.to_owned(), role: Role::Fault, undo, targets, summary };
        let (_, ack) = self.journal.lock().expect("the journal").append_durable(At(0), event);
        ack.durable().await.expect("a durable undo")
    }

    /// Prepares, arms and injects; gives back the undo data.
    pub async fn inject(&self, fault: &dyn ErasedFault, spec: &Value) -> Value {
        let prepared = fault.prepare(spec, self.scene()).await.expect("prepared");
        let armed = self.arm("example", fault, &prepared).await;
        fault.inject(spec, &armed, &self.cx).await.expect("injected");
        prepared.undo
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let ours = format!("{}/", self.cx.run);
        for pid in process::all().into_keys() {
            let marked = process::started_with(pid, process::OWNER).is_some_and(|owner| owner.starts_with(&ours));
            if let Some(id) = process::find(pid).filter(|_| marked) {
                let _ = process::signal(&id, process::Signal::KILL);
            }
        }
    }
}

fn empty_plan() -> Plan {
    serde_json::from_value(json!({
        "schema": 1, "name": "test", "base_dir": "/", "title": "test", "why": null, "owner": null, "environment": "laptop",
        "test": "recovery", "mode": "normal", "scenario_digest": "sha256:0", "workload_digest": null, "secrets": {}, "system": {},
        "proxies": {}, "targets": {}, "probes": {}, "steady": { "over": "10s", "probes": {} }, "guards": {}, "faults": {}, "restore": {},
        "claims": {}, "subject": {}, "baseline_within": "60s", "settle_within": "60s", "reset": null, "not_judged": [], "carried": {}
    }))
    .expect("a plan")
}

/// Waits until something is so; fails the test when it never is.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = clock::mono_ns();
    while !so() {
        assert!(clock::mono_ns() - start < Span::secs(10).0, "never: {what}");
        clock::sleep(Span::millis(5)).await;
    }
}

/// A server that sends back what it gets; its address.
pub async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// An address that nobody has now, and that no other test of this process is given: what a drill announces to hold, another could not.
pub fn free_address() -> String {
    let [port] = firedrill::sys::ports::free().expect("a port");
    format!("127.0.0.1:{port}")
}

/// Runs a line as a person would.
#[expect(clippy::disallowed_methods, reason = "a person's shell")]
pub async fn paste(line: &str) {
    let status = tokio::process::Command::new("sh").args(["-c", line]).stdin(std::process::Stdio::null()).status().await.expect("sh");
    assert!(status.success(), "{status}: {line}");
}
