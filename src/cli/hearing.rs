//! What a drill hears while it runs: people at their socket and over HTTP, and senders of alerts.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::runbook;
use crate::engine::drive::Command;
use crate::engine::people::{self, Room};
use crate::event::{Event, TeamEvent};
use crate::journal::Registry;
use crate::plan::{Plan, TeamPlan};
use crate::serve;
use crate::sys::Cx;

/// Who listens; over when closed.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    people: Option<JoinHandle<()>>,
    calls: Option<JoinHandle<()>>,
}

/// Starts to listen, where the scenario speaks of anybody; says who is heard, and who is not and why. Calls are taken on the runtime of `work`: a flood of
/// them holds up no loop.
pub(super) fn start(plan: &Plan, registry: &Registry, cx: &Cx, ask: &mpsc::Sender<Command>, work: &Handle) -> (Hearing, Vec<Event>) {
    let Some(team) = &plan.team else { return (Hearing::default(), Vec::new()) };
    let room = (!team.unattended).then(|| Arc::new(Room::new(&cx.run, team, runbook::steps(plan), cx.clock, ask.clone())));
    let (people, mut said) = match &room {
        Some(room) => hear_people(registry, &cx.run, Arc::clone(room)),
        None => (None, Vec::new()),
    };
    let (calls, more) = hear_calls(team, room, cx, ask, work);
    said.extend(more);
    (Hearing { people, calls }, said)
}

impl Hearing {
    /// Nobody is heard any more.
    pub(super) fn close(self, registry: &Registry, run: &str) {
        if let Some(calls) = self.calls {
            calls.abort();
        }
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

/// Listens at the address of the scenario; says of each receiver that it is there, or why it is not.
fn hear_calls(
    team: &TeamPlan,
    room: Option<Arc<Room>>,
    cx: &Cx,
    ask: &mpsc::Sender<Command>,
    work: &Handle,
) -> (Option<JoinHandle<()>>, Vec<Event>) {
    let Some(listen) = &team.listen else { return (None, Vec::new()) };
    let bound = serve::bind(&listen.address);
    let why_not = bound.as_ref().err().cloned();
    let now = cx.clock.now();
    let mut said: Vec<Event> = team.receive.keys().map(|id| serve::opened(id.as_str(), now, why_not.as_deref())).collect();
    if let Some(why) = why_not.filter(|_| !listen.tokens.is_empty()) {
        said.push(Event::Note { text: format!("marks over HTTP are not heard: failed to {why}") });
    }
    let task = bound.ok().map(|bound| {
        let setup = serve::Setup { team: team.clone(), cx: cx.clone(), ask: ask.clone(), room, amazon: Arc::new(serve::TheInternet) };
        work.spawn(serve::serve(bound, setup))
    });
    (task, said)
}
