//! `firedrill mark`, `answer`, `reply`, `note`, `step` and `handoff`: what people who respond say to the drill that runs, from any account of the machine.

use std::path::PathBuf;

use super::args::{Answer, Handoff, Mark, Note, People, Reply, Step};
use super::asking::Refusal;
use super::exit::Exit;
use super::out::{Voice, say};
use super::{gameday, runtime};
use crate::base::{At, Span};
use crate::engine::people::{self, LONGEST, Saying};
use crate::event::Deed;
use crate::journal::Registry;
use crate::sys::clock;

/// How long a drill may take to answer.
const ANSWER: Span = Span::secs(5);

/// `firedrill mark`.
pub fn mark(args: &Mark, voice: Voice) -> Exit {
    let deed = Deed::Mark { mark: args.mark.clone(), text: args.text.clone().unwrap_or_default() };
    tell(&args.people, deed, voice)
}

/// `firedrill answer`.
pub fn answer(args: &Answer, voice: Voice) -> Exit {
    tell(&args.people, Deed::Answer { of: args.of.clone(), text: args.text.clone() }, voice)
}

/// `firedrill reply`.
pub fn reply(args: &Reply, voice: Voice) -> Exit {
    tell(&args.people, Deed::Reply { of: args.of.clone(), text: args.text.clone() }, voice)
}

/// `firedrill note`.
pub fn note(args: &Note, voice: Voice) -> Exit {
    let text = args.text.clone();
    let deed = match &args.to {
        Some(to) => Deed::Message { to: to.clone(), text },
        None if args.ran => Deed::Command { line: text },
        None => Deed::Note { text },
    };
    tell(&args.people, deed, voice)
}

/// `firedrill step`.
pub fn step(args: &Step, voice: Voice) -> Exit {
    tell(&args.people, Deed::Step { step: args.step.clone(), back_out: args.back_out }, voice)
}

/// `firedrill handoff`.
pub fn handoff(args: &Handoff, voice: Voice) -> Exit {
    let deed = args.to.as_ref().map_or(Deed::Accept {}, |to| Deed::Handoff { to: to.clone() });
    tell(&args.people, deed, voice)
}

/// Says it, and what came of it.
fn tell(args: &People, deed: Deed, voice: Voice) -> Exit {
    let ago = match args.at.as_deref().map(clock::long_ago).transpose() {
        Ok(ago) => ago,
        Err(why) => {
            voice.error(
                &why,
                Some("say when as a duration ago, for example --at 90s, or as RFC 3339, for example --at 2026-12-03T10:02:11Z"),
            );
            return Exit::Usage;
        }
    };
    let saying = Saying { role: args.role.clone(), ago, deed };
    // It would only be cut off on its way.
    if serde_json::to_string(&saying).map_or(0, |line| line.chars().count()) > 8 * LONGEST {
        voice.error(
            &format!("that is far too long: a text has at most {LONGEST} characters"),
            Some("put it into a file, and note where it is"),
        );
        return Exit::Usage;
    }
    let (run, dir) = match listening(args.run.as_deref()) {
        Ok(found) => found,
        Err(refusal) => return refusal.say(&voice),
    };
    let Ok(runtime) = runtime() else { return Exit::Bug };
    match runtime.block_on(people::say(&dir, &saying, ANSWER)) {
        Ok(heard) => match heard.error {
            None => {
                let claimed = if ago.is_some() { ", for the time that you say" } else { "" };
                say(&format!("{run}: heard at {} as {}{claimed}", on_clock(heard.at.unwrap_or_default()), heard.role.unwrap_or_default()));
                Exit::Ok
            }
            Some(why) => {
                voice.error(&why, Some("nothing was written down; the drill goes on"));
                Exit::Refused
            }
        },
        Err(error) => {
            let help = "it may have ended: `firedrill runs` lists the runs";
            Refusal { why: format!("{run} does not listen: {error}"), help: help.to_owned() }.say(&voice)
        }
    }
}

/// Every drill that listens. Game days listen as well, to other words.
pub(super) fn drills() -> Vec<(String, PathBuf)> {
    Registry::here().listening().into_iter().filter(|(id, _)| !id.starts_with(gameday::gate::MARK)).collect()
}

/// The one drill that listens, or the one that is named by its id or the beginning of it.
pub(super) fn listening(run: Option<&str>) -> Result<(String, PathBuf), Refusal> {
    let all = drills();
    let refuse = |why: String, help: &str| Err(Refusal { why, help: help.to_owned() });
    let names = |of: &[(String, PathBuf)]| of.iter().map(|(run, _)| run.as_str()).collect::<Vec<_>>().join(", ");
    let there = if all.is_empty() { "none does".to_owned() } else { format!("these do: {}", names(&all)) };
    let fits = |found: &&(String, PathBuf)| run.is_none_or(|run| found.0.starts_with(&run.to_ascii_uppercase()));
    let found: Vec<(String, PathBuf)> = all.iter().filter(fits).cloned().collect();
    match (found.as_slice(), run) {
        ([one], _) => Ok(one.clone()),
        ([], None) => {
            refuse("no drill on this machine listens to people".to_owned(), "a drill does while it runs, if its scenario has a `team`")
        }
        ([], Some(run)) => {
            let run = crate::base::one_line(run, 64);
            refuse(format!("no drill {run} listens to people: {there}"), "a drill listens only while it runs; what is over stays as it was")
        }
        (several, _) => refuse(format!("several drills listen: {}", names(several)), "name one of them by the beginning of its id"),
    }
}

/// An instant on the run's clock.
pub(super) fn on_clock(at: At) -> String {
    let s = at.0 / 1_000_000_000;
    format!("{:02}:{:02}", s / 60, s % 60)
}
