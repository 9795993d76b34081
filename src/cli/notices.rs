//! Notices beside a run: they are told while it goes on, what became of them goes into its journal, and its end waits for them a little.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::exit::Exit;
use super::out::Voice;
use crate::base::Span;
use crate::engine::drive::Command;
use crate::event::Entry;
use crate::notice::Notifier;
use crate::plan::Plan;
use crate::sys::Cx;

/// How long a run that has ended waits for those who are still to be told.
const LAST_WORDS: Span = Span::secs(20);

/// Those who are told of a run.
#[derive(Debug)]
pub struct Notices {
    notifier: Notifier,
    /// Gathers what could not be told, until nobody tells any more.
    failures: JoinHandle<Vec<String>>,
}

impl Notices {
    /// Starts telling on that runtime; `ask` leads to the journal, while there is one to write.
    pub fn start(plan: &Arc<Plan>, cx: &Cx, work: &Handle, ask: Option<mpsc::Sender<Command>>) -> Notices {
        let (tell, mut told) = mpsc::unbounded_channel::<String>();
        let notifier = Notifier::start(plan, cx, work, &tell);
        drop(tell);
        let failures = work.spawn(async move {
            let mut failures = Vec::new();
            while let Some(said) = told.recv().await {
                if let Some(ask) = &ask {
                    // A drill that has ended writes no more notes.
                    let _ = ask.send(Command::Note { text: said.clone() }).await;
                }
                if said.contains(crate::notice::NOT_TOLD) {
                    failures.push(said);
                }
            }
            failures
        });
        Notices { notifier, failures }
    }

    /// The same, for whoever goes on with a run after others.
    pub fn after(self, entries: &[Entry], only_undone: bool) -> Notices {
        let notifier = self.notifier.after(entries);
        Notices { notifier: if only_undone { notifier.only_undone() } else { notifier }, ..self }
    }

    /// Something happened.
    pub fn entry(&mut self, entry: &Entry) {
        self.notifier.entry(entry);
    }

    /// The drill has ended like this: tells that, waits a little until everybody has heard, and warns of those who could not.
    pub async fn close(mut self, exit: Exit, voice: Voice) {
        self.notifier.finished(&format!("Exit {}: {}.", exit.code(), exit.meaning()), exit.code());
        self.notifier.close(LAST_WORDS).await;
        // Whoever is still trying keeps the task.
        match tokio::time::timeout(Span::millis(100).std(), self.failures).await {
            Ok(failures) => failures.unwrap_or_default().iter().for_each(|failure| voice.warn(&format!("notify: {failure}"))),
            Err(_) => voice.warn(&format!("notify: not everybody could be told within {}", LAST_WORDS.human())),
        }
    }
}
