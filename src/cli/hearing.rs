//! What a drill hears while it runs: people at their socket and over HTTP, and senders of alerts.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::runbook;
use crate::engine::drive::Command;
use crate::engine::people::{self, Room};
use crate::event::{Event, TeamEvent};
use crate::journal::Registry;
use crate::plan::{ListenPlan, Plan, TeamPlan};
use crate::serve;
use crate::sys::Cx;

/// Who listens; over when closed.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    people: Option<JoinHandle<()>>,
    calls: Option<Calls>,
}

/// Calls are taken on a runtime and a thread of their own: a flood of them stands before no sample and no tick.
#[derive(Debug)]
struct Calls(Option<Runtime>);

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts to listen, where the scenario speaks of anybody; says who is heard, and who is not and why.
pub(super) fn start(plan: &Plan, registry: &Registry, cx: &Cx, ask: &mpsc::Sender<Command>) -> (Hearing, Vec<Event>) {
    let Some(team) = &plan.team else { return (Hearing::default(), Vec::new()) };
    let room = (!team.unattended).then(|| Arc::new(Room::new(&cx.run, team, runbook::steps(plan), cx.clock, ask.clone())));
    let (people, mut said) = match &room {
        Some(room) => hear_people(registry, &cx.run, Arc::clone(room)),
        None => (None, Vec::new()),
    };
    let calls = team.listen.as_ref().map(|listen| hear_calls(listen, team, room, cx, ask));
    let why_not = calls.as_ref().and_then(|calls| calls.as_ref().err()).cloned();
    if let Some(listen) = &team.listen {
        let now = cx.clock.now();
        said.extend(team.receive.keys().map(|id| serve::opened(id.as_str(), now, why_not.as_deref())));
        if let Some(why) = why_not.filter(|_| !listen.tokens.is_empty()) {
            said.push(Event::Note { text: format!("marks over HTTP are not heard: failed to {why}") });
        }
    }
    (Hearing { people, calls: calls.and_then(Result::ok) }, said)
}

impl Hearing {
    /// Nobody is heard any more.
    pub(super) fn close(self, registry: &Registry, run: &str) {
        drop(self.calls);
        if let Some(people) = self.people {
            people.abort();
            registry.close_to_people(run);
        }
    }
}

/// Opens a socket for those who respond; says where it is, or why there is none.
fn hear_people(registry: &Registry, run: &str, room: Arc<Room>) -> (Option<JoinHandle<()>>, Vec<Event>) {
    let opened = registry.room_for_people(run).map_err(|error| format!("failed to {error}")).and_then(|dir| {
        let listening = people::listen(&dir, room);
        listening.map(|task| (task, dir)).map_err(|error| format!("failed to open a socket: {error}"))
    });
    match opened {
        Ok((task, dir)) => {
            let place = dir.join(people::NAME).display().to_string();
            (Some(task), vec![Event::Team(TeamEvent::Listening { place })])
        }
        Err(why) => (None, vec![Event::Team(TeamEvent::Deaf { why })]),
    }
}

/// Listens at the address of the scenario; an error is for people.
fn hear_calls(
    listen: &ListenPlan,
    team: &TeamPlan,
    room: Option<Arc<Room>>,
    cx: &Cx,
    ask: &mpsc::Sender<Command>,
) -> Result<Calls, String> {
    let bound = serve::bind(&listen.address)?;
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("calls").enable_all().build();
    let runtime = runtime.map_err(|error| format!("start a thread: {error}"))?;
    let setup = serve::Setup { team: team.clone(), cx: cx.clone(), ask: ask.clone(), room, amazon: Arc::new(serve::TheInternet) };
    runtime.spawn(serve::serve(bound, setup));
    Ok(Calls(Some(runtime)))
}
