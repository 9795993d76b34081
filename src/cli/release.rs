//! `firedrill release`: lets go of a fault that is held until somebody does.

use std::path::Path;

use super::args::Release;
use super::asking::{Refusal, ask, choose, id, not_running};
use super::exit::Exit;
use super::out::{Voice, say};
use super::{runtime, store};
use crate::base::Id;
use crate::engine::control::Request;
use crate::journal::RunLock;
use crate::plan::Hold;
use crate::state::{ItemPhase, RunState};

/// Asks the one drill that is meant.
pub fn release(args: &Release, voice: Voice) -> Exit {
    let meant = choose(&args.runs.dir, args.run.as_deref(), false);
    let dir = match meant.map(|dirs| dirs.into_iter().next()) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Exit::CouldNotStart,
        // What ends every drill is no help to whoever wants one to go on.
        Err(refusal) => {
            return Refusal { help: "`firedrill runs` lists the runs; name one after the fault".to_owned(), ..refusal }.say(&voice);
        }
    };
    if !RunLock::is_held(&dir) {
        return not_running(&dir).say(&voice);
    }
    if let Err(refusal) = may_be_released(&dir, &args.fault) {
        return refusal.say(&voice);
    }
    let Ok(runtime) = runtime() else { return Exit::Bug };
    match runtime.block_on(ask(&dir, &Request::Release { fault: args.fault.clone() })) {
        Ok(()) => {
            say(&format!("{}: {} is let go, and undone now", id(&dir), args.fault));
            Exit::Ok
        }
        Err(refusal) => refusal.say(&voice),
    }
}

/// Whether there is something to let go of.
fn may_be_released(dir: &Path, fault: &str) -> Result<(), Refusal> {
    let run = id(dir);
    let refuse = |why: String, help: &str| Err(Refusal { why, help: help.to_owned() });
    let (plan, entries) = match store::read(dir) {
        Ok(found) => found,
        Err(error) => return refuse(format!("failed to {error}"), "`firedrill abort` ends the drill"),
    };
    let Some(planned) = fault.parse::<Id>().ok().and_then(|id| plan.faults.get(&id)) else {
        let names: Vec<&str> = plan.faults.keys().map(Id::as_str).collect();
        return refuse(format!("no fault of {run} is called `{fault}`"), &format!("its faults are: {}", names.join(", ")));
    };
    if !matches!(planned.hold, Hold::UntilReleased(_)) {
        let help = "only `for: { until: released, … }` waits for somebody; `firedrill abort` ends the drill and undoes everything";
        return refuse(format!("{fault} is not held until released"), help);
    }
    let state = RunState::of(&entries).unwrap_or_default();
    match state.items.get(fault).map(|item| item.phase) {
        Some(ItemPhase::Active) => Ok(()),
        Some(phase) if !phase.owes() => refuse(format!("{fault} is undone already"), "there is nothing to let go of"),
        _ => refuse(format!("{fault} does not bite yet"), "ask again when it does: `firedrill runs` and the run's own view tell"),
    }
}
