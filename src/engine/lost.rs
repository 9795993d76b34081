//! How to undo what was touched when the line that said so is damaged: the plan still knows what it starts, and what the scenario declares. What
//! neither tells is owed all the same, and a person has to do it.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::act::Act;
use super::ledgers;
use crate::event::{Entry, Event, Role, UndoRecord};
use crate::plan::Plan;
use crate::sys::Cx;

/// The entry that stands for the lost one.
pub(super) async fn armed(id: &str, entries: &[Entry], plan: &Arc<Plan>, cx: &Cx) -> Event {
    // Only asked, never acts: it has nobody to tell.
    let (tell, _) = mpsc::unbounded_channel();
    let act = Act { plan: Arc::clone(plan), cx: cx.clone(), tell, attempts: 0, claims: None };
    let (targets, by_hand) = previewed(id, entries);
    let summary = "the line that says how to undo it is damaged".to_owned();
    if let Some((family, name)) = id.split_once('/') {
        let kind = match family {
            "proxy" => "system.proxy",
            "ledger" => ledgers::KIND,
            _ => "system.process",
        };
        if let Ok((fault, found)) = act.prepare(kind, &json!({ "id": name })).await {
            let by_hand = fault.by_hand(&found.undo).unwrap_or(by_hand);
            let undo = Box::new(UndoRecord { kind: kind.into(), detail: found.undo, by_hand, declared: None });
            return Event::Armed { id: id.into(), role: Role::Support, undo, targets: found.targets, summary };
        }
    }
    let fault = plan.faults.get(id);
    let declared = fault.and_then(|fault| fault.undo.as_ref()).map(|undo| act.record(undo));
    let kind = fault.filter(|_| declared.is_some()).map_or("lost", |fault| fault.kind.as_str());
    let by_hand = format!("{by_hand} # then remove {}: nothing here can show that it is undone", cx.run_dir.display());
    let undo = Box::new(UndoRecord { kind: kind.into(), detail: Value::Null, by_hand, declared });
    let role = if id.contains('/') { Role::Support } else { Role::Fault };
    Event::Armed { id: id.into(), role, undo, targets, summary }
}

/// What the preview said, when that can still be read.
fn previewed(id: &str, entries: &[Entry]) -> (Vec<String>, String) {
    let found = entries.iter().find_map(|entry| match &entry.event {
        Event::Previewed { id: of, targets, by_hand, .. } if of == id => Some((targets.clone(), by_hand.clone())),
        _ => None,
    });
    found.unwrap_or_else(|| (Vec::new(), format!("echo 'look what {id} did, and undo it'")))
}
