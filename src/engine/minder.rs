//! The watchdog as the loop sees it: starting beside whatever is harmless, ready, or lost and started again. Nothing is armed without one.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::drive::Engine;
use super::watchdog::{Guardian, NoWatchdog};
use crate::base::At;
use crate::event::Event;
use crate::fault::Resource;
use crate::journal::Armed;
use crate::sys::Cx;

/// Who undoes when this process dies.
#[derive(Debug)]
pub enum Minder {
    /// Nobody: this process is the one that undoes for another.
    Nobody,
    /// On its way. Probes and previews need not wait for it.
    Starting(JoinHandle<Result<Box<Guardian>, NoWatchdog>>),
    /// It has answered.
    Ready(Box<Guardian>),
}

/// What has changed.
#[derive(Debug)]
pub(super) enum Change {
    /// It has answered.
    Ready(Box<Guardian>),
    /// It cannot be started: why.
    Failed(String),
    /// It is gone: how.
    Lost(String),
}

/// A request to arm that came while no watchdog was ready.
#[derive(Debug)]
pub(super) struct Unarmed {
    pub(super) at: At,
    pub(super) event: Event,
    pub(super) claims: Vec<Resource>,
    pub(super) reply: oneshot::Sender<Result<Arc<Armed>, String>>,
}

impl Minder {
    /// Starts a watchdog over this process: when this returns it is there, and sees our death, though it has not answered yet.
    pub fn start(cx: &Cx, work: &Handle) -> Minder {
        let _in = work.enter();
        let started = Guardian::start(cx);
        Minder::Starting(work.spawn(async move { started?.answer().await.map(Box::new) }))
    }

    /// The next change; never, where there is nobody. May be dropped and called again.
    pub(super) async fn change(&mut self) -> Change {
        match self {
            Minder::Nobody => std::future::pending().await,
            Minder::Starting(starting) => match starting.await {
                Ok(Ok(guardian)) => Change::Ready(guardian),
                Ok(Err(error)) => Change::Failed(error.to_string()),
                Err(error) => Change::Failed(format!("start the watchdog: {error}")),
            },
            Minder::Ready(guardian) => Change::Lost(guardian.lost().await),
        }
    }

    /// We live; what is owed should be undone by `deadline` (raw CLOCK_MONOTONIC).
    pub(super) fn beat(&mut self, deadline: Option<u64>) {
        if let Minder::Ready(guardian) = self {
            guardian.beat(deadline);
        }
    }

    /// There will be no run after all: it may go. Without a word it would take this process for dead, and make sure of it.
    pub async fn dismiss(self) {
        self.release(false).await;
    }

    /// The run is over: it may go, or goes on with what is still owed.
    async fn release(self, owes: bool) {
        let guardian = match self {
            Minder::Nobody => return,
            Minder::Ready(guardian) => guardian,
            Minder::Starting(starting) => match starting.await {
                Ok(Ok(guardian)) => guardian,
                Ok(Err(_)) | Err(_) => return,
            },
        };
        if owes { guardian.hand_over().await } else { guardian.dismiss().await }
    }
}

impl Engine {
    /// Lets go of the run: first of its journal and lock, so that the watchdog can take both over.
    pub(super) async fn leave(mut self) {
        let minder = std::mem::replace(&mut self.minder, Minder::Nobody);
        let owes = self.state.owed().next().is_some();
        drop(self);
        minder.release(owes).await;
    }

    /// Takes in what became of the watchdog: one that dies is replaced at once, and a drill that cannot have one ends.
    pub(super) fn minded(&mut self, change: Change) {
        match change {
            Change::Ready(guardian) => {
                self.record(Event::WatchdogStarted { pid: guardian.pid() });
                self.minder = Minder::Ready(guardian);
                self.heartbeat();
            }
            Change::Failed(why) => {
                self.minder = Minder::Nobody;
                let by = if self.replacing { "watchdog" } else { "start" };
                self.record(Event::AbortRequested { by: by.into(), reason: format!("failed to {why}") });
            }
            Change::Lost(how) => {
                tracing::warn!("the watchdog is gone: {how}");
                self.record(Event::WatchdogLost {});
                self.replacing = true;
                self.minder = Minder::start(&self.cx, &self.work);
                return;
            }
        }
        for Unarmed { at, event, claims, reply } in std::mem::take(&mut self.unarmed) {
            self.arm(at, event, claims, reply);
        }
    }
}
