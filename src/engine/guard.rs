//! Guards: what may never fail. Each is asked on its own; a breach ends the drill.

use crate::base::Span;
use crate::event::Event;
use crate::plan::GuardPlan;
use crate::probe::{self, Holds};
use crate::sys::clock;

use super::act::Act;

/// Asks a guard every so often until cancelled; reports changes and the breach.
pub async fn watch(act: Act, id: String, guard: GuardPlan) {
    let mut bad = 0u32;
    let mut last_data = act.cx.clock.now();
    let mut state = "";
    let mut due = act.cx.clock.now();
    let mut first = None;
    while !act.cx.cancel.is_cancelled() {
        let looked = probe::look(&guard.look, first.as_ref(), &act.cx).await;
        first.get_or_insert_with(|| looked.fields.clone());
        let (now_state, breach) = match looked.holds {
            Holds::Yes => {
                bad = 0;
                last_data = looked.ended;
                ("ok", None)
            }
            Holds::No(_) => {
                bad += 1;
                last_data = looked.ended;
                ("bad", (bad >= guard.breaches).then(|| format!("{}, {bad} times in a row", looked.seen)))
            }
            Holds::NoData(_) => {
                let silent = looked.ended.since(last_data);
                ("no_data", (silent >= guard.grace).then(|| format!("no data for {}: {}", silent.human(), looked.seen)))
            }
        };
        if act.cx.cancel.is_cancelled() {
            return;
        }
        if now_state != state || breach.is_some() {
            state = now_state;
            act.happened(Event::Guard { id: id.clone(), state: state.into(), seen: looked.seen.clone(), looked: looked.began });
        }
        if let Some(why) = breach {
            return act.happened(Event::GuardBreached { id, why });
        }
        due = due + guard.look.every;
        let now = act.cx.clock.now();
        if due < now {
            due = now;
        }
        tokio::select! {
            () = clock::sleep(due.since(now).max(Span::millis(1))) => {}
            () = act.cx.cancel.cancelled() => return,
        }
    }
}
