//! Notices: who is told what, while a drill runs and when it ends. Told beside the drill and never waited for by it; what cannot be delivered is said,
//! and changes nothing. This room must never know how the drill is driven, nor what a verdict is.

mod change;
mod deliver;
mod grafana;
mod message;
mod slack;
mod veil;

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
    /// Between the drill and those who respond to it.
    veil: veil::Veil,
    receivers: Vec<Receiver>,
    /// What is news; everything else was told by somebody else.
    news: fn(NoticeOf) -> bool,
}

#[derive(Debug)]
struct Receiver {
    on: Vec<NoticeOf>,
    /// Those who respond hear it as well: of a blind drill they are told nothing that is hidden.
    to_all: bool,
    queue: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl Notifier {
    /// Somebody for each notice of the plan, on that runtime. What became of each message is said to `told`, in a sentence.
    pub fn start(plan: &Arc<Plan>, cx: &Cx, work: &Handle, told: &mpsc::UnboundedSender<String>) -> Notifier {
        let one = |(id, notice): (&Id, &NoticePlan)| {
            let (queue, messages) = mpsc::channel(WAITING);
            let task = work.spawn(deliver::all(id.to_string(), notice.to.clone(), cx.clone(), messages, told.clone()));
            Receiver { on: wanted(notice), to_all: notice.audience == Audience::All, queue, task }
        };
        Notifier {
            teller: message::Teller::of(plan, &cx.run, &cx.run_dir.display().to_string()),
            veil: veil::Veil::of(plan),
            receivers: plan.notify.iter().map(one).collect(),
            news: |_| true,
        }
    }

    /// For whoever goes on with a run after others: what they told is absorbed, not told again.
    pub fn after(mut self, entries: &[Entry]) -> Notifier {
        for entry in entries {
            let message = self.teller.entry(entry);
            let _ = self.veil.entry(entry);
            // What was withheld was told to nobody.
            message.iter().for_each(|message| drop(self.veil.shown(message)));
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
        for message in self.veil.entry(entry) {
            self.send(&message, |receiver| receiver.to_all);
        }
        if let Some(message) = self.teller.entry(entry) {
            self.tell(&message);
        }
    }

    /// The drill has ended and was judged; `how` is a sentence about it.
    pub fn finished(&mut self, how: &str, exit_code: u8) {
        self.tell(&self.teller.finished(how, exit_code));
    }

    /// Tells those who lead all of it, and everybody else what they may know now.
    fn tell(&mut self, message: &Message) {
        if let Some(shown) = self.veil.shown(message) {
            self.send(&shown, |receiver| receiver.to_all);
        }
        self.send(message, |receiver| !receiver.to_all);
    }

    fn send(&self, message: &Message, to: impl Fn(&Receiver) -> bool) {
        let wants = |receiver: &&Receiver| to(receiver) && (self.news)(message.of) && receiver.on.contains(&message.of);
        for receiver in self.receivers.iter().filter(wants) {
            let _ = receiver.queue.try_send(message.clone());
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
