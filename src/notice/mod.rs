//! Notices: who is told what, while a drill runs and when it ends. Told beside the drill and never waited for by it; what cannot be delivered is said,
//! and changes nothing. This room must never know how the drill is driven, nor what a verdict is.

mod audience;
mod change;
mod deliver;
mod grafana;
mod message;
mod slack;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use message::{Message, SCHEMA};

use crate::base::{Id, Span};
use crate::event::Entry;
use crate::plan::{Audience, ChannelPlan, NoticeOf, NoticePlan, Plan};
use crate::sys::Cx;

/// How it is said that a message did not arrive.
pub const NOT_TOLD: &str = "could not be told";
/// Messages that may wait for one receiver: whoever is further behind would hear it too late anyway.
const WAITING: usize = 64;

/// Tells everybody who wants to know.
#[derive(Debug)]
pub struct Notifier {
    teller: message::Teller,
    receivers: Vec<Receiver>,
    /// What is news; everything else was told by somebody else.
    news: fn(NoticeOf) -> bool,
}

#[derive(Debug)]
struct Receiver {
    on: Vec<NoticeOf>,
    /// What may not be told yet, where it is withheld.
    withheld: Option<Vec<Message>>,
    queue: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl Notifier {
    /// Somebody for each notice of the plan, on that runtime. What became of each message is said to `told`, in a sentence.
    pub fn start(plan: &Arc<Plan>, cx: &Cx, work: &Handle, told: &mpsc::UnboundedSender<String>) -> Notifier {
        let withholds = audience::withholds(plan);
        let one = |(id, notice): (&Id, &NoticePlan)| {
            let (queue, messages) = mpsc::channel(WAITING);
            let task = work.spawn(deliver::all(id.to_string(), notice.to.clone(), cx.clone(), messages, told.clone()));
            let withheld = (withholds && notice.audience == Audience::All).then(Vec::new);
            Receiver { on: wanted(notice), withheld, queue, task }
        };
        Notifier {
            teller: message::Teller::of(plan, &cx.run, &cx.run_dir.display().to_string()),
            receivers: plan.notify.iter().map(one).collect(),
            news: |_| true,
        }
    }

    /// For whoever goes on with a run after others: what they told is absorbed, not told again.
    pub fn after(mut self, entries: &[Entry]) -> Notifier {
        for entry in entries {
            let message = self.teller.entry(entry);
            // What was withheld was told to nobody.
            for receiver in self.receivers.iter_mut().filter(|receiver| receiver.withheld.is_some()) {
                message.iter().for_each(|message| receiver.tell(message));
            }
            if audience::reveals(entry) {
                self.receivers.iter_mut().for_each(|receiver| receiver.withheld = None);
            }
        }
        self
    }

    /// For whoever tries on where everybody knows already that something is stuck.
    pub fn only_undone(self) -> Notifier {
        Notifier { news: |of| of == NoticeOf::Undone, ..self }
    }

    /// Something happened: whoever wants to know is told.
    pub fn entry(&mut self, entry: &Entry) {
        if self.receivers.is_empty() {
            return;
        }
        if let Some(message) = self.teller.entry(entry) {
            self.tell(&message);
        }
        if audience::reveals(entry) {
            self.receivers.iter_mut().for_each(Receiver::reveal);
        }
    }

    /// The drill has ended and was judged; `how` is a sentence about it.
    pub fn finished(&mut self, how: &str, exit_code: u8) {
        self.receivers.iter_mut().for_each(Receiver::reveal);
        let message = self.teller.finished(how, exit_code);
        self.tell(&message);
    }

    fn tell(&mut self, message: &Message) {
        if (self.news)(message.of) {
            self.receivers.iter_mut().for_each(|receiver| receiver.tell(message));
        }
    }

    /// Waits until everybody was told, at most so long.
    pub async fn close(self, limit: Span) {
        let all = async {
            for Receiver { queue, task, .. } in self.receivers {
                drop(queue);
                let _ = task.await;
            }
        };
        let _ = tokio::time::timeout(limit.std(), all).await;
    }
}

/// What somebody is told of. Whoever draws the beginning of a region draws its end.
fn wanted(notice: &NoticePlan) -> Vec<NoticeOf> {
    let mut on = notice.on.clone();
    if matches!(notice.to, ChannelPlan::Grafana(_)) {
        for (begin, end) in [(NoticeOf::Started, NoticeOf::Finished), (NoticeOf::Injected, NoticeOf::Undone)] {
            if on.contains(&begin) && !on.contains(&end) {
                on.push(end);
            }
        }
    }
    on
}

impl Receiver {
    /// Tells, or keeps for the reveal, what is wanted here.
    fn tell(&mut self, message: &Message) {
        if !self.on.contains(&message.of) {
            return;
        }
        match &mut self.withheld {
            Some(withheld) if withheld.len() < WAITING => withheld.push(message.clone()),
            Some(_) => {}
            // Whoever is that far behind would hear it too late anyway.
            None => drop(self.queue.try_send(message.clone())),
        }
    }

    /// From here on everybody may know.
    fn reveal(&mut self) {
        for message in self.withheld.take().unwrap_or_default() {
            let _ = self.queue.try_send(message);
        }
    }
}
