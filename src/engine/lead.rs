//! What is asked over the participant socket beside what is said there: cues of those who lead, a stop by anybody, and a look. One line of JSON, as
//! what people say.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::cues::{self, Ask};
use super::drive::Engine;
use super::look::{Look, look};
use super::people::{self, Heard, Saying};
use crate::base::{At, Span};
use crate::plan::TeamPlan;
use crate::sys::clock;

/// Whoever looks waits so long: a thousand who look again and again cost the drill nothing.
const LOOKING: Span = Span::millis(100);

/// What somebody asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// As which role; absent: one that leads, if they have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What.
    pub ask: Ask,
}

/// A line that can be heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// Somebody asks for something.
    Asking(Asking),
    /// Somebody says what they did.
    Saying(Saying),
}

/// What was asked, by somebody who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub ask: Ask,
    /// Who, for people.
    pub by: String,
    /// They lead the drill.
    pub leads: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// When, on the run's clock.
    pub at: At,
    /// What there is to see, where somebody looked.
    pub look: Option<Look>,
}

/// Where the answer goes.
#[derive(Debug, Clone)]
pub struct AnswerTo(pub mpsc::Sender<Result<Done, String>>);

impl PartialEq for AnswerTo {
    fn eq(&self, other: &AnswerTo) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Eq for AnswerTo {}

/// Whether an account may ask that, and as whom. `who` is its name and how it is shown; `own`: it runs the drill, or is root.
///
/// # Errors
/// It may not; who may, for people.
pub(super) fn admit(team: &TeamPlan, who: (&str, &str), own: bool, asking: Asking) -> Result<Asked, String> {
    let Asking { role, ask } = asking;
    let Some(word) = ask.of_leaders() else {
        // Whoever sees something real may say so, with whatever role or none.
        let role = role.and_then(|role| people::role_of(team, who.0, Some(role)).ok());
        let leads = cues::leads(team, who.0, own, role.as_deref(), "look").is_ok();
        let by = role.map_or_else(|| who.1.to_owned(), |role| format!("{}, as {role}", who.1));
        return Ok(Asked { ask, by, leads });
    };
    let role = cues::leads(team, who.0, own, role.as_deref(), word)?;
    Ok(Asked { ask, by: format!("{}, as {role}", who.1), leads: true })
}

/// Waits where that keeps a drill from being looked at without end.
pub(super) async fn pace(ask: &Ask) {
    if matches!(ask, Ask::Look {}) {
        clock::sleep(LOOKING).await;
    }
}

/// Asks the run that listens in a directory.
///
/// # Errors
/// Nobody listens there, or they do not answer in time.
pub async fn ask(dir: &Path, asking: &Asking, limit: Span) -> std::io::Result<Heard> {
    people::talk(dir, asking, limit).await
}

impl Engine {
    /// Does what was asked, or says why not.
    pub(super) fn lead(&mut self, asked: &Asked, answer: &AnswerTo) {
        let now = self.cx.clock.now();
        let done = match &asked.ask {
            Ask::Look {} => Ok(Done { at: now, look: Some(look(&self.plan, &self.state, asked.leads)) }),
            ask => cues::order(&self.plan, &self.state, ask, &asked.by, now).map(|events| {
                events.into_iter().for_each(|event| self.record(event));
                self.tell_of_the_team();
                Done { at: now, look: None }
            }),
        };
        // They may be gone.
        let _ = answer.0.try_send(done);
    }
}
