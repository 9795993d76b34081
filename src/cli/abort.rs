//! `firedrill abort`: asks running drills to end, and waits until they have.

use std::path::Path;

use super::args::Abort;
use super::asking::{Refusal, ask, choose, ending, id, not_running};
use super::exit::Exit;
use super::out::{Voice, say};
use super::{runtime, store};
use crate::base::Span;
use crate::engine::control::Request;
use crate::journal::RunLock;
use crate::sys::clock;

/// How long a run may be in nobody's hands before it counts as dead: its watchdog takes it over.
const NOBODY: Span = Span::secs(10);
const LOOK: Span = Span::millis(50);

/// Asks, and waits.
pub fn abort(args: &Abort, voice: Voice) -> Exit {
    let dirs = match choose(&args.runs.dir, args.run.as_deref(), args.all) {
        Ok(dirs) => dirs,
        Err(refusal) => return refusal.say(&voice),
    };
    let request = Request::Abort { reason: args.reason.clone() };
    let Ok(runtime) = runtime() else { return Exit::Bug };
    runtime.block_on(async {
        let mut worst = Exit::Ok;
        let mut asked = Vec::new();
        // All are asked before one is waited for.
        for dir in dirs {
            match ask(&dir, &request).await {
                Ok(()) => asked.push(dir),
                Err(refusal) => worst = refusal.say(&voice),
            }
        }
        let until = clock::mono_ns().saturating_add(args.wait.0);
        for dir in asked {
            let exit = see_it_end(&dir, until, args.wait, voice).await;
            if exit != Exit::Ok && worst != Exit::Stuck {
                worst = exit;
            }
        }
        worst
    })
}

/// Waits until a run has ended, in whosever hands it is, and says how.
async fn see_it_end(dir: &Path, until: u64, wait: Span, voice: Voice) -> Exit {
    let run = id(dir);
    let mut alone: Option<u64> = None;
    loop {
        let now = clock::mono_ns();
        if RunLock::is_held(dir) {
            alone = None;
        } else if let Some(outcome) = store::outcome(dir) {
            let owed = store::owed(dir);
            for (item, by_hand) in &owed {
                voice.error(&format!("{run}: {item} could not be undone"), Some(&format!("by hand: {by_hand}")));
            }
            if owed.is_empty() {
                say(&format!("{run}: {}", ending(outcome)));
            }
            return if owed.is_empty() { Exit::Ok } else { Exit::Stuck };
        } else if now.saturating_sub(*alone.get_or_insert(now)) > NOBODY.0 {
            let Refusal { why, help } = not_running(dir);
            voice.error(&why, Some(&help));
            return Exit::Stuck;
        }
        if now > until {
            voice.error(
                &format!("{run} is still undoing after {}", wait.human()),
                Some("`firedrill runs` shows how it ends; nothing skips the undo"),
            );
            return Exit::Stuck;
        }
        clock::sleep(LOOK).await;
    }
}
