//! Cues: what is said to those who respond, on time or when somebody who leads releases it; and whether they know what will happen.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::team::{expectation, moment, read};
use super::{ExpectationPlan, Expected, Map, Moment, Plan, Point, TeamPlan};
use crate::base::{Id, Span};
use crate::scenario::model::Scenario;

/// The roles that lead a drill: they know everything, and may say so. Nobody who responds has one of them.
pub const LEADING: [&str; 2] = ["facilitator", "safety"];
/// What stands in the place of a title that is hidden, where the scenario names nothing else.
pub const UNNAMED: &str = "An exercise";

/// What a facilitator says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptPlan {
    /// When it is said; absent: when somebody who leads releases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// To which role.
    pub to: String,
    /// What is said.
    pub say: String,
    /// The role that is out from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// Help for those who are stuck.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HintPlan {
    /// When it is given; absent: when somebody who leads releases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Not when this was met by then; and whoever meets it later was hinted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Id>,
    /// What is said.
    pub say: String,
}

impl Plan {
    /// Whether those who respond are not told what will happen.
    pub fn is_blind(&self) -> bool {
        self.team.as_ref().is_some_and(|team| team.blind)
    }

    /// What stands in the place of the title wherever participants look: the title itself, where the drill is announced.
    pub fn shown(&self) -> &str {
        match &self.team {
            Some(team) if team.blind => team.shown_as.as_deref().unwrap_or(UNNAMED),
            _ => &self.title,
        }
    }
}

impl TeamPlan {
    /// The accounts of those who respond: whoever has a role that does not lead.
    pub fn participants(&self) -> impl Iterator<Item = &str> {
        let respond = self.roles.iter().filter(|(role, _)| !LEADING.contains(&role.as_str()));
        respond.flat_map(|(_, people)| people).map(String::as_str)
    }
}

/// How a blind drill is meant, for the preview.
pub(super) fn preview(team: &TeamPlan) -> Vec<String> {
    let mut out = Vec::new();
    if team.blind {
        out.push(format!("  blind: shown as “{}” until it is over, or `firedrill reveal`", team.shown_as.as_deref().unwrap_or(UNNAMED)));
        out.push("  hidden from other accounts; whoever shares the account that runs it is blind by convention".to_owned());
    }
    for (id, prompt) in &team.prompts {
        let out_of = prompt.unavailable.as_ref().map_or_else(String::new, |role| format!("; {role} is unavailable from then on"));
        out.push(format!("  prompt {id}  to {} {}{out_of}", prompt.to, when(prompt.at.as_ref())));
    }
    for (id, hint) in &team.hints {
        let unless = hint.unless.as_ref().map_or_else(String::new, |id| format!(", unless {id}"));
        out.push(format!("  hint {id}  {}{unless}", when(hint.at.as_ref())));
    }
    out
}

fn when(at: Option<&Moment>) -> String {
    match at {
        None => "when it is released".to_owned(),
        Some(at) if at.plus == Span::ZERO => format!("after {}", super::team::from(at)),
        Some(at) => format!("{} after {}", at.plus.human(), super::team::from(at)),
    }
}

pub(super) fn prompt(scenario: &Scenario, value: &Value) -> Option<PromptPlan> {
    let at = read(value, "at").map(|at| moment(scenario, &at));
    Some(PromptPlan { at, to: read(value, "to")?, say: read(value, "say")?, unavailable: read(value, "unavailable") })
}

pub(super) fn hint(scenario: &Scenario, value: &Value) -> Option<HintPlan> {
    let at = read(value, "at").map(|at| moment(scenario, &at));
    Some(HintPlan { at, unless: read(value, "unless"), say: read(value, "say")? })
}

/// What prompts ask for: expectations of their own, under the prompt's id, by the role that is asked and counted from the prompt.
pub(super) fn asked(scenario: &Scenario, team: &Value) -> Map<ExpectationPlan> {
    let prompts = team.get("prompts").and_then(Value::as_object).into_iter().flatten();
    prompts.filter_map(|(id, prompt)| one_asked(scenario, id.parse().ok()?, prompt)).collect()
}

fn one_asked(scenario: &Scenario, id: Id, prompt: &Value) -> Option<(Id, ExpectationPlan)> {
    let value = prompt.get("expect")?;
    let reply = value.get("reply").map(|spec| Expected::Reply { to: id.clone(), matches: read(spec, "matches") });
    let given = Moment { after: Point::Prompt(id.clone()), plus: Span::ZERO };
    let mut planned = expectation(scenario, value, reply, given)?;
    planned.by = planned.by.or_else(|| read(prompt, "to"));
    Some((id, planned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build::tests::of;
    use crate::scenario::check::sample::{self, id};
    use serde_json::json;

    #[test]
    fn prompts_ask_for_expectations_of_their_own() {
        let mut s = sample::scenario();
        s.team = Some(json!({
            "mode": "blind", "shown_as": "Thursday exercise",
            "roles": { "facilitator": ["alice"], "comms": ["erin"], "commander": ["carol"] },
            "expect": { "acked": { "ack": {}, "within": "5m" } },
            "prompts": {
                "customer": { "at": { "after": "acked", "plus": "2m" }, "to": "comms", "say": "?", "expect": { "reply": {}, "within": "5m" } },
                "plane": { "to": "facilitator", "say": "The commander is on a plane.", "unavailable": "commander" },
            },
            "hints": { "look": { "unless": "acked", "say": "look" } },
        }));
        let plan = of(&s);
        let team = plan.team.as_ref().unwrap();
        let asked = &team.expect["customer"];
        assert_eq!(asked.what, Expected::Reply { to: id("customer"), matches: None });
        assert_eq!((asked.by.as_deref(), &asked.from.after), (Some("comms"), &Point::Prompt(id("customer"))));
        assert_eq!(team.prompts["customer"].at, Some(Moment { after: Point::Expectation(id("acked")), plus: Span::secs(120) }));
        assert_eq!((team.prompts["plane"].at.as_ref(), team.hints["look"].at.as_ref()), (None, None));
        assert_eq!((plan.shown(), plan.is_blind()), ("Thursday exercise", true));
        assert_eq!(team.participants().collect::<Vec<_>>(), ["erin", "carol"]);
        assert_eq!(plan.not_judged, Vec::<String>::new());
        let shown = crate::plan::preview::text(&plan, &[]);
        for part in [
            "blind: shown as “Thursday exercise”",
            "prompt customer  to comms 2 min after acked",
            "prompt plane  to facilitator when it is released; commander is unavailable from then on",
            "hint look  when it is released, unless acked",
        ] {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
        let (text, _) = plan.to_text().unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn an_announced_drill_shows_its_title() {
        let mut s = sample::scenario();
        s.team = Some(json!({ "mode": "announced", "shown_as": "x" }));
        let plan = of(&s);
        assert_eq!((plan.shown(), plan.is_blind()), (plan.title.as_str(), false));
        s.team = Some(json!({ "mode": "blind" }));
        assert_eq!(of(&s).shown(), UNNAMED);
    }
}
