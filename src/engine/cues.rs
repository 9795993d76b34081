//! What those who lead a drill may ask of it, and what may still be said by those who respond: pure, from the plan and where things are.

use serde::{Deserialize, Serialize};

use super::moments::{hint_event, prompt_event};
use crate::base::{At, Id, one_line};
use crate::event::{Deed, Event, Said, TeamEvent};
use crate::plan::{Expected, LEADING, Map, Plan, TeamPlan};
use crate::response::Cues;
use crate::response::cues::PAUSED_AT_MOST;
use crate::state::RunState;

/// How often the clock of people may be stopped in one drill.
const PAUSES: usize = 50;
/// Longest reason, in characters.
const REASON: usize = 500;

/// What is asked of a drill by those who lead it; the last three by anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Say this prompt now.
    Prompt {
        /// The prompt.
        id: String,
    },
    /// Give this hint now.
    Hint {
        /// The hint.
        id: String,
    },
    /// Let the clock of people stand still.
    Pause {},
    /// Let it go on.
    Resume {},
    /// Tell those who respond what it is.
    Reveal {},
    /// Something real has happened: end now, undo everything, tell everybody.
    Stop {
        /// What.
        reason: String,
    },
    /// What may everybody know?
    Look {},
}

impl Ask {
    /// The word of the command line, where only those who lead may ask it.
    pub fn of_leaders(&self) -> Option<&'static str> {
        match self {
            Ask::Prompt { .. } => Some("prompt"),
            Ask::Hint { .. } => Some("hint"),
            Ask::Pause {} => Some("pause"),
            Ask::Resume {} => Some("resume"),
            Ask::Reveal {} => Some("reveal"),
            Ask::Stop { .. } | Ask::Look {} => None,
        }
    }
}

/// Who speaks for the drill itself: as which role, for the journal. `own` is the account that runs it, or root.
///
/// # Errors
/// They do not lead it; who does, for people.
pub fn leads(team: &TeamPlan, who: &str, own: bool, wanted: Option<&str>, word: &str) -> Result<String, String> {
    let has = |role: &str| team.roles.get(role).is_some_and(|people| people.iter().any(|person| person == who));
    let those = format!("{word} is for {}, and for the account that runs the drill", LEADING.join(" and "));
    match wanted {
        Some(role) if LEADING.contains(&role) && (has(role) || own) => Ok(role.to_owned()),
        Some(role) if LEADING.contains(&role) => Err(format!("{those}; {who} has not the role `{role}`")),
        Some(role) => Err(format!("{those}, not for {}", one_line(role, 64))),
        None => match LEADING.into_iter().find(|role| has(role)) {
            Some(role) => Ok(role.to_owned()),
            None if own => Ok(LEADING[0].to_owned()),
            None => Err(format!("{those}; {who} has neither role")),
        },
    }
}

/// The events that an order leads to. `by` is who asks, for people.
///
/// # Errors
/// It cannot be done; why, and what could be, for people. To somebody who may know everything.
pub fn order(plan: &Plan, state: &RunState, ask: &Ask, by: &str, now: At) -> Result<Vec<Event>, String> {
    let Some(team) = &plan.team else { return Err("this drill expects nothing of people".to_owned()) };
    if state.outcome.is_some() {
        return Err("the drill is over".to_owned());
    }
    let cues = Cues::of(&state.team);
    let one = |event: TeamEvent| Ok(vec![Event::Team(event)]);
    let by = by.to_owned();
    match ask {
        Ask::Prompt { id } => {
            let (id, prompt) = find("prompt", &team.prompts, id)?;
            match cues.prompts.get(id.as_str()) {
                Some(given) => Err(format!("the prompt `{id}` was given at {}, and is given once", clock(given.at))),
                None => one(prompt_event(id, prompt, Some(by))),
            }
        }
        Ask::Hint { id } => {
            let (id, hint) = find("hint", &team.hints, id)?;
            match cues.hints.get(id.as_str()) {
                Some(at) => Err(format!("the hint `{id}` was given at {}, and is given once", clock(*at))),
                None => one(hint_event(id, hint, Some(by))),
            }
        }
        Ask::Pause {} => match cues.clock.paused() {
            Some(since) => Err(format!("the clock of people stands still since {}", clock(since))),
            None if cues.clock.pauses() >= PAUSES => {
                Err(format!("the clock of people was stopped {PAUSES} times, which is enough for one drill"))
            }
            None if cues.clock.in_all(now) >= PAUSED_AT_MOST => {
                Err(format!("the clock of people has stood still for {}, which is the most in one drill", PAUSED_AT_MOST.human()))
            }
            None => one(TeamEvent::Paused { by }),
        },
        Ask::Resume {} if cues.clock.paused().is_none() => Err("the clock of people is running".to_owned()),
        Ask::Resume {} => one(TeamEvent::Resumed { by }),
        Ask::Reveal {} => match (&cues.blind, &cues.revealed) {
            (None, _) => Err("this drill is announced: there is nothing to reveal".to_owned()),
            (Some(_), Some((at, who))) => Err(format!("it was revealed at {} by {who}", clock(*at))),
            (Some(_), None) => one(TeamEvent::Revealed { by }),
        },
        Ask::Stop { reason } => stop(&cues, by, reason),
        Ask::Look {} => Ok(Vec::new()),
    }
}

/// Nothing about an exercise is worth a secret once something real has happened.
fn stop(cues: &Cues, by: String, reason: &str) -> Result<Vec<Event>, String> {
    if cues.real.is_some() {
        // It ends already, whoever says so again.
        return Ok(Vec::new());
    }
    let reason = one_line(reason, REASON);
    let reason = if reason.is_empty() { "no words were given".to_owned() } else { reason };
    let mut events = vec![Event::Team(TeamEvent::Real { by: by.clone(), reason: reason.clone() })];
    if cues.hidden() {
        events.push(Event::Team(TeamEvent::Revealed { by: by.clone() }));
    }
    events.push(Event::AbortRequested { by, reason: format!("this is real: {reason}") });
    Ok(events)
}

fn find<'a, T>(what: &str, all: &'a Map<T>, id: &str) -> Result<(&'a Id, &'a T), String> {
    if let Some((found, value)) = all.get_key_value(id) {
        return Ok((found, value));
    }
    let names: Vec<&str> = all.keys().map(Id::as_str).collect();
    let there = if names.is_empty() { format!("this drill has no {what}s") } else { format!("there are {}", names.join(", ")) };
    Err(format!("no {what} is called `{}`: {there}", one_line(id, 64)))
}

/// What was admitted, as it is written down: a role that is out says nothing more, and a reply is one to a prompt that was given.
///
/// # Errors
/// It is not taken; why, for people. Nothing that is not due yet is named.
pub fn hear(plan: &Plan, state: &RunState, mut said: Said, now: At) -> Result<Said, String> {
    let cues = Cues::of(&state.team);
    let at = said.claimed.unwrap_or(now);
    if let Some(gone) = cues.gone.get(&said.role).filter(|gone| at >= **gone) {
        return Err(format!(
            "{} is unavailable in this drill from {} on: somebody else has to do it, as another role",
            said.role,
            clock(*gone)
        ));
    }
    let Deed::Reply { of, .. } = &mut said.deed else { return Ok(said) };
    let asks = |id: &str| plan.team.as_ref().and_then(|team| team.expect.get(id)).is_some_and(|e| matches!(e.what, Expected::Reply { .. }));
    let open = cues.prompts.iter().filter(|(id, given)| asks(id) && given.at <= at);
    let theirs = |to: &str| to == said.role || cues.gone.contains_key(to);
    let chosen = match of.as_deref() {
        Some(of) => open.into_iter().find(|(id, _)| id.as_str() == of).map(|(id, _)| id),
        // The one that was given last, of those that nobody has replied to.
        None => open.filter(|(_, given)| !given.replied && theirs(&given.to)).max_by_key(|(_, given)| given.at).map(|(id, _)| id),
    };
    match (chosen, of.as_deref()) {
        (Some(id), _) => *of = Some(id.clone()),
        (None, Some(of)) => return Err(format!("no prompt `{}` that asks for a reply was given", one_line(of, 64))),
        (None, None) => return Err(format!("no prompt waits for a reply of {}: `firedrill note` writes it down all the same", said.role)),
    }
    Ok(said)
}

/// An instant on the run's clock.
fn clock(at: At) -> String {
    let s = at.0 / 1_000_000_000;
    format!("{:02}:{:02}", s / 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest_of;
    use crate::event::{Entry, Outcome};
    use crate::plan::{Mode, Origin, build};
    use crate::scenario::check::sample;
    use serde_json::json;

    fn plan() -> Plan {
        let mut scenario = sample::scenario();
        scenario.team = Some(json!({
            "mode": "blind", "shown_as": "Exercise",
            "roles": { "facilitator": ["alice"], "ops": ["dan"], "comms": ["erin"], "commander": ["carol"] },
            "expect": { "acked": { "ack": {}, "within": "5m" } },
            "prompts": {
                "customer": { "to": "comms", "say": "Are orders lost?", "expect": { "reply": {}, "within": "5m" } },
                "press": { "to": "comms", "say": "And now?", "expect": { "reply": {}, "within": "5m" } },
                "plane": { "to": "facilitator", "say": "On a plane.", "unavailable": "commander" },
            },
            "hints": { "look": { "say": "Look." } },
        }));
        let origin =
            Origin { name: "x".into(), base_dir: "/".into(), scenario_digest: digest_of(b"x"), workload_digest: None, mode: Mode::Normal };
        build(&scenario, &sample::known(), origin)
    }

    /// A drill to which things happen, a second after each other.
    struct Drill(Plan, RunState, u64);

    impl Drill {
        fn new() -> Drill {
            let mut drill = Drill(plan(), RunState::default(), 0);
            drill.write(Event::Team(TeamEvent::Blind { shown_as: "Exercise".into(), apart: true, doubts: Vec::new() }));
            drill
        }

        fn now(&self) -> At {
            At(self.2 * 1_000_000_000)
        }

        fn write(&mut self, event: Event) {
            self.2 += 1;
            let entry = Entry { seq: self.2, at: self.now(), event };
            self.1.apply(&entry).unwrap();
        }

        fn ask(&mut self, ask: Ask) -> Result<usize, String> {
            let events = order(&self.0, &self.1, &ask, "alice, as facilitator", self.now())?;
            let n = events.len();
            events.into_iter().for_each(|event| self.write(event));
            Ok(n)
        }

        fn says(&mut self, role: &str, deed: Deed) -> Result<Said, String> {
            let said = hear(&self.0, &self.1, Said { role: role.into(), by: role.into(), claimed: None, deed }, self.now())?;
            self.write(Event::Team(TeamEvent::Said(said.clone())));
            Ok(said)
        }
    }

    fn prompt(id: &str) -> Ask {
        Ask::Prompt { id: id.into() }
    }

    fn reply(of: Option<&str>) -> Deed {
        Deed::Reply { of: of.map(str::to_owned), text: "none".into() }
    }

    #[test]
    fn each_thing_is_said_once_and_what_is_not_there_is_told_with_what_is() {
        let mut drill = Drill::new();
        assert_eq!(drill.ask(prompt("customer")), Ok(1));
        assert_eq!(drill.ask(prompt("customer")).unwrap_err(), "the prompt `customer` was given at 00:02, and is given once");
        assert_eq!(drill.ask(prompt("x\u{1b}[2J")).unwrap_err(), "no prompt is called `x [2J`: there are customer, press, plane");
        assert_eq!(drill.ask(Ask::Hint { id: "see".into() }).unwrap_err(), "no hint is called `see`: there are look");
        assert_eq!(drill.ask(Ask::Hint { id: "look".into() }), Ok(1));
        assert!(drill.ask(Ask::Hint { id: "look".into() }).unwrap_err().contains("was given at 00:03"));
        assert_eq!(drill.ask(Ask::Resume {}).unwrap_err(), "the clock of people is running");
        assert_eq!(drill.ask(Ask::Pause {}), Ok(1));
        assert_eq!(drill.ask(Ask::Pause {}).unwrap_err(), "the clock of people stands still since 00:04");
        assert_eq!(drill.ask(Ask::Resume {}), Ok(1));
        assert_eq!(drill.ask(Ask::Reveal {}), Ok(1));
        assert_eq!(drill.ask(Ask::Reveal {}).unwrap_err(), "it was revealed at 00:06 by alice, as facilitator");
        assert_eq!(drill.ask(Ask::Stop { reason: "the\nshop burns".into() }), Ok(2), "it was revealed already");
        assert_eq!(drill.1.abort, Some(("alice, as facilitator".into(), "this is real: the shop burns".into())));
        drill.write(Event::RunFinished { outcome: Outcome::Aborted });
        assert_eq!(drill.ask(Ask::Pause {}).unwrap_err(), "the drill is over");
    }

    #[test]
    fn what_is_real_is_told_to_everybody() {
        let mut drill = Drill::new();
        assert_eq!(drill.ask(Ask::Stop { reason: " ".into() }), Ok(3));
        let cues = Cues::of(&drill.1.team);
        assert!(cues.real.is_some() && !cues.hidden());
        assert_eq!(drill.ask(Ask::Stop { reason: "again".into() }), Ok(0));
    }

    #[test]
    fn a_reply_belongs_to_a_prompt_that_was_given() {
        let mut drill = Drill::new();
        // Whether there is such a prompt cannot be found out before it is due.
        assert_eq!(drill.says("comms", reply(Some("customer"))).unwrap_err(), "no prompt `customer` that asks for a reply was given");
        assert_eq!(drill.says("comms", reply(Some("nothing"))).unwrap_err(), "no prompt `nothing` that asks for a reply was given");
        assert!(drill.says("comms", reply(None)).unwrap_err().starts_with("no prompt waits for a reply of comms"));
        drill.ask(prompt("customer")).unwrap();
        drill.ask(prompt("press")).unwrap();
        assert_eq!(drill.says("comms", reply(None)).unwrap().deed, reply(Some("press")), "the last one");
        assert!(drill.says("ops", reply(None)).is_err(), "it was asked of comms");
        assert_eq!(drill.says("comms", reply(None)).unwrap().deed, reply(Some("customer")));
        assert!(drill.says("comms", reply(None)).is_err(), "all are replied to");
        assert_eq!(drill.says("comms", reply(Some("press"))).unwrap().deed, reply(Some("press")), "again");
        assert!(drill.says("comms", reply(Some("plane"))).is_err(), "it was not given, and asks nothing");
    }

    #[test]
    fn a_role_that_is_out_says_nothing_more() {
        let mut drill = Drill::new();
        let mark = || Deed::Mark { mark: "ack".into(), text: String::new() };
        assert!(drill.says("commander", mark()).is_ok());
        drill.ask(prompt("plane")).unwrap();
        assert!(drill.says("commander", mark()).unwrap_err().starts_with("commander is unavailable in this drill from 00:03 on"));
        let before = Said { role: "commander".into(), by: "carol".into(), claimed: Some(At(2_000_000_000)), deed: mark() };
        assert!(hear(&drill.0, &drill.1, before, drill.now()).is_ok(), "of the time before");
    }

    #[test]
    fn who_leads_is_told_by_account_and_role() {
        let team = plan().team.unwrap();
        let leads = |who: &str, own: bool, wanted: Option<&str>| leads(&team, who, own, wanted, "reveal");
        assert_eq!(leads("alice", false, None), Ok("facilitator".into()));
        assert_eq!(leads("root", true, None), Ok("facilitator".into()));
        assert_eq!(leads("root", true, Some("safety")), Ok("safety".into()));
        let those = "reveal is for facilitator and safety, and for the account that runs the drill";
        assert_eq!(leads("dan", false, None).unwrap_err(), format!("{those}; dan has neither role"));
        assert_eq!(leads("dan", false, Some("safety")).unwrap_err(), format!("{those}; dan has not the role `safety`"));
        assert_eq!(leads("root", true, Some("ops")).unwrap_err(), format!("{those}, not for ops"));
        let nobody = TeamPlan { roles: Map::default(), ..team.clone() };
        assert!(super::leads(&nobody, "dan", false, Some("facilitator"), "reveal").is_err(), "without roles nobody can say they lead");
    }
}
