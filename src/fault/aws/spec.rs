//! What a scenario writes of an experiment, and what is wrong with it.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Problem;

/// The most actions, and the most targets, of one experiment: AWS's own limit of actions.
const MOST: usize = 20;
/// The most stop conditions of one experiment.
const MOST_STOPS: usize = 5;
/// The longest text that AWS takes as a name.
const LONGEST: usize = 64;

/// An experiment: a template that is there, or everything of one that is made for this fault and removed with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// An experiment template of the account, by its id. In place of all the following.
    #[serde(default)]
    pub template: Option<String>,
    /// What is done: AWS's actions, each by a name.
    #[serde(default)]
    pub actions: IndexMap<String, Action>,
    /// What it is done to, each by the name that actions use.
    #[serde(default)]
    pub targets: IndexMap<String, Target>,
    /// CloudWatch alarms that stop the experiment by themselves, also when firedrill is dead: ARNs, or `{ guard: ID }` for the alarm of a guard.
    #[serde(default)]
    pub stop_conditions: Vec<Stop>,
    /// Why it may run without a stop condition; outside `laptop` and `test` there must be one of the two.
    #[serde(default)]
    pub without_stop_condition: Option<String>,
    /// The role in which AWS acts, by its ARN.
    #[serde(default)]
    pub role: Option<String>,
    /// Where AWS writes what the experiment did.
    #[serde(default)]
    pub log: Option<Log>,
    /// The report that AWS makes of it.
    #[serde(default)]
    pub report: Option<Report>,
}

/// An alarm that stops an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Stop {
    /// The alarm's ARN.
    Arn(String),
    /// The alarm of a guard of this scenario; in a plan its ARN stands here.
    Guard(OfGuard),
}

/// A guard, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfGuard {
    /// A guard of kind `aws.cloudwatch.alarm`.
    pub guard: String,
}

/// One action of an experiment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Which: AWS's id, for example `aws:ec2:stop-instances`.
    pub action: String,
    /// Its parameters, as AWS documents them: `{ duration: PT5M }`.
    #[serde(default)]
    pub parameters: IndexMap<String, String>,
    /// What it acts on: AWS's word for it, and the name of a target: `{ Instances: shop }`.
    #[serde(default)]
    pub targets: IndexMap<String, String>,
    /// The actions that must be over before; without, it starts at once.
    #[serde(default)]
    pub after: Vec<String>,
}

/// What actions act on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The type of resource: AWS's id, for example `aws:ec2:instance`.
    #[serde(rename = "type")]
    pub of: String,
    /// These resources. Each must carry the opt-in tag.
    #[serde(default)]
    pub arns: Vec<String>,
    /// The resources that carry all of these tags. The opt-in tag must be among them.
    #[serde(default)]
    pub tags: IndexMap<String, String>,
    /// Of those, the ones that also have these attributes.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// How many of them: `ALL` (default), `COUNT(n)` or `PERCENT(n)`, at random.
    #[serde(default = "all")]
    pub select: String,
    /// Parameters of the type, as AWS documents them.
    #[serde(default)]
    pub parameters: IndexMap<String, String>,
}

/// An attribute that a resource must have.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Which, for example `State.Name`.
    pub path: String,
    /// One of these values.
    pub values: Vec<String>,
}

/// Where AWS writes what the experiment did; one or both.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A log group of CloudWatch Logs, by its ARN.
    #[serde(default)]
    pub cloudwatch: Option<String>,
    /// A bucket.
    #[serde(default)]
    pub s3: Option<Bucket>,
}

/// The report that AWS makes of an experiment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Where it is put.
    pub s3: Bucket,
    /// CloudWatch dashboards, by ARN, whose pictures are in it.
    #[serde(default)]
    pub dashboards: Vec<String>,
    /// How much is shown from before the experiment, as ISO 8601 says it: `PT20M`.
    #[serde(default)]
    pub before: Option<String>,
    /// How much is shown from after it.
    #[serde(default)]
    pub after: Option<String>,
}

/// A place in S3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// The bucket's name.
    pub bucket: String,
    /// What keys begin with.
    #[serde(default)]
    pub prefix: Option<String>,
}

fn all() -> String {
    "ALL".to_owned()
}

/// How many of the resources that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// All of them.
    All,
    /// So many.
    Count(usize),
    /// So many of a hundred.
    Percent(usize),
}

impl Select {
    /// What AWS calls it.
    pub fn of(text: &str) -> Option<Select> {
        let number = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix(')')?.parse::<usize>().ok();
        if text == "ALL" {
            return Some(Select::All);
        }
        if let Some(count) = number("COUNT(") {
            return (1..=10_000).contains(&count).then_some(Select::Count(count));
        }
        number("PERCENT(").filter(|percent| (1..=100).contains(percent)).map(Select::Percent)
    }

    /// How many of so many: AWS rounds shares down, and refuses what is less than one.
    pub fn how_many(self, found: usize) -> usize {
        match self {
            Select::All => found,
            Select::Count(count) => count.min(found),
            Select::Percent(percent) => found * percent / 100,
        }
    }
}

/// A name of AWS's own sort: `aws:ec2:stop-instances`.
fn is_aws_id(text: &str) -> bool {
    let good = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() <= 128 && text.starts_with("aws:") && text.split(':').count() >= 3 && text.split(':').all(good)
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:aws") && text.len() <= 2048 && text.split(':').count() >= 6 && text.bytes().all(|b| b.is_ascii_graphic())
}

impl Spec {
    /// What is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let mut out = Vec::new();
        if let Some(template) = &self.template {
            if !is_name(template) {
                out.push(
                    Problem::new("/template", format!("`{template}` is no template's id"))
                        .help("`aws fis list-experiment-templates` shows those that there are"),
                );
            }
            let own = [
                ("/actions", self.actions.is_empty()),
                ("/targets", self.targets.is_empty()),
                ("/stop_conditions", self.stop_conditions.is_empty()),
                ("/role", self.role.is_none()),
                ("/log", self.log.is_none()),
                ("/report", self.report.is_none()),
            ];
            out.extend(own.into_iter().filter(|(_, empty)| !empty).map(|(at, _)| {
                Problem::new(at, "a template says this itself").help("keep `template:` alone, or describe the whole experiment without it")
            }));
        } else if self.actions.is_empty() {
            out.push(Problem::new("", "nothing is done").help("name a template of the account (`template: EXT…`), or describe `actions:`"));
        } else {
            self.described(&mut out);
        }
        if self.without_stop_condition.as_ref().is_some_and(|why| why.trim().is_empty()) {
            out.push(Problem::new("/without_stop_condition", "this says nothing").help("say in words why it may run without one"));
        }
        if self.without_stop_condition.is_some() && !self.stop_conditions.is_empty() {
            out.push(Problem::new("/without_stop_condition", "there is a stop condition").help("remove one of the two"));
        }
        out
    }

    fn described(&self, out: &mut Vec<Problem>) {
        match &self.role {
            None => out.push(
                Problem::new("", "nobody is named in whose role AWS acts")
                    .help("add `role: arn:aws:iam::111122223333:role/NAME`, one that FIS may assume"),
            ),
            Some(role) if !is_arn(role) => out.push(Problem::new("/role", format!("`{role}` is no ARN"))),
            Some(_) => {}
        }
        for (at, many) in [("/actions", self.actions.len()), ("/targets", self.targets.len())] {
            if many > MOST {
                out.push(Problem::new(at, format!("an experiment has at most {MOST} of these")));
            }
        }
        if self.stop_conditions.len() > MOST_STOPS {
            out.push(Problem::new("/stop_conditions", format!("an experiment has at most {MOST_STOPS} of these")));
        }
        for (n, stop) in self.stop_conditions.iter().enumerate() {
            let Stop::Arn(alarm) = stop else { continue };
            if !is_arn(alarm) || !alarm.contains(":alarm:") {
                out.push(
                    Problem::new(format!("/stop_conditions/{n}"), format!("`{alarm}` is no alarm's ARN"))
                        .help("write for example `arn:aws:cloudwatch:eu-west-1:111122223333:alarm:NAME`"),
                );
            }
        }
        for (name, action) in &self.actions {
            self.action(name, action, out);
        }
        let used: BTreeSet<&str> = self.actions.values().flat_map(|action| action.targets.values()).map(String::as_str).collect();
        for (name, target) in &self.targets {
            target.problems(&format!("/targets/{name}"), name, used.contains(name.as_str()), out);
        }
        if let Some(stuck) = self.circle() {
            out.push(Problem::new(format!("/actions/{stuck}/after"), "these actions wait for each other"));
        }
        if self.log.as_ref().is_some_and(|log| log.cloudwatch.is_none() && log.s3.is_none()) {
            out.push(Problem::new("/log", "this says no place").help("add `cloudwatch: ARN` or `s3: { bucket: … }`"));
        }
    }

    fn action(&self, name: &str, action: &Action, out: &mut Vec<Problem>) {
        let at = format!("/actions/{name}");
        if !is_name(name) {
            out.push(
                Problem::new(at.clone(), format!("`{name}` is no name of an action"))
                    .help("it has letters, digits, `-` and `_`, at most 64"),
            );
        }
        if !is_aws_id(&action.action) {
            out.push(
                Problem::new(format!("{at}/action"), format!("`{}` is no action of AWS", action.action))
                    .help("write for example `aws:ec2:stop-instances`; `aws fis list-actions` shows those that there are"),
            );
        }
        for (word, target) in &action.targets {
            if !self.targets.contains_key(target) {
                out.push(
                    Problem::new(format!("{at}/targets/{word}"), format!("no target is called `{target}`"))
                        .help("it must stand under `targets:` of this experiment"),
                );
            }
        }
        for (n, before) in action.after.iter().enumerate() {
            if !self.actions.contains_key(before) {
                out.push(Problem::new(format!("{at}/after/{n}"), format!("no action is called `{before}`")));
            }
        }
    }

    /// An action that could never start: one of those that are left when all that can start have.
    fn circle(&self) -> Option<&str> {
        let mut over: BTreeSet<&str> = BTreeSet::new();
        loop {
            let known = |name: &&String| self.actions.contains_key(*name);
            let ready: Vec<&str> = self
                .actions
                .iter()
                .filter(|(name, action)| {
                    !over.contains(name.as_str()) && action.after.iter().filter(known).all(|n| over.contains(n.as_str()))
                })
                .map(|(name, _)| name.as_str())
                .collect();
            if ready.is_empty() {
                return self.actions.keys().map(String::as_str).find(|name| !over.contains(name));
            }
            over.extend(ready);
        }
    }
}

impl Target {
    fn problems(&self, at: &str, name: &str, used: bool, out: &mut Vec<Problem>) {
        if !is_name(name) {
            out.push(Problem::new(at, format!("`{name}` is no name of a target")).help("it has letters, digits, `-` and `_`, at most 64"));
        }
        if !used {
            out.push(Problem::new(at, format!("no action acts on `{name}`")).help("remove it, or name it under `targets:` of an action"));
        }
        if !is_aws_id(&self.of) {
            out.push(
                Problem::new(format!("{at}/type"), format!("`{}` is no type of resource", self.of))
                    .help("write for example `aws:ec2:instance`"),
            );
        }
        if Select::of(&self.select).is_none() {
            out.push(
                Problem::new(format!("{at}/select"), format!("`{}` says no number", self.select))
                    .help("write `ALL`, `COUNT(1)` or `PERCENT(25)`"),
            );
        }
        match (self.arns.is_empty(), self.tags.is_empty()) {
            (true, true) => out.push(Problem::new(at, "this could be anything").help("say which: `arns: […]` or `tags: { … }`")),
            (false, false) => out.push(Problem::new(format!("{at}/tags"), "AWS takes ARNs or tags, not both").help("keep one of the two")),
            _ => {}
        }
        if !self.arns.is_empty() && !self.filters.is_empty() {
            out.push(Problem::new(format!("{at}/filters"), "AWS filters what tags select, not ARNs"));
        }
        for (n, arn) in self.arns.iter().enumerate().filter(|(_, arn)| !is_arn(arn)) {
            out.push(Problem::new(format!("{at}/arns/{n}"), format!("`{arn}` is no ARN")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "actions": {
                "stop": { "action": "aws:ec2:stop-instances", "parameters": { "startInstancesAfterDuration": "PT5M" }, "targets": { "Instances": "shop" } },
                "wait": { "action": "aws:fis:wait", "parameters": { "duration": "PT1M" }, "after": ["stop"] },
            },
            "targets": { "shop": { "type": "aws:ec2:instance", "tags": { "firedrill": "allowed" }, "select": "COUNT(1)" } },
            "stop_conditions": ["arn:aws:cloudwatch:eu-west-1:111122223333:alarm:errors"],
            "role": "arn:aws:iam::111122223333:role/fis",
        })
    }

    fn problems(change: impl Fn(&mut Value)) -> Vec<String> {
        let mut spec = good();
        change(&mut spec);
        serde_json::from_value::<Spec>(spec).unwrap().problems().into_iter().map(|problem| problem.at + ": " + &problem.text).collect()
    }

    #[test]
    fn a_good_one_has_no_problem_and_each_fault_of_a_bad_one_is_named() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        let cases: [(&str, Value, &str); 10] = [
            ("/template", json!("EXT1"), "/actions: a template says this itself"),
            ("/role", json!("fis"), "/role: `fis` is no ARN"),
            ("/stop_conditions/0", json!("errors"), "/stop_conditions/0: `errors` is no alarm's ARN"),
            ("/actions/stop/action", json!("stop"), "/actions/stop/action: `stop` is no action of AWS"),
            ("/actions/stop/targets/Instances", json!("shpo"), "/actions/stop/targets/Instances: no target is called `shpo`"),
            ("/actions/wait/after/0", json!("halt"), "/actions/wait/after/0: no action is called `halt`"),
            ("/actions/wait/after/0", json!("wait"), "/actions/wait/after: these actions wait for each other"),
            ("/targets/shop/select", json!("COUNT(0)"), "/targets/shop/select: `COUNT(0)` says no number"),
            ("/targets/shop/tags", json!({}), "/targets/shop: this could be anything"),
            ("/targets/shop/type", json!("instance"), "/targets/shop/type: `instance` is no type of resource"),
        ];
        for (at, value, problem) in cases {
            let found = problems(|spec| match spec.pointer_mut(at) {
                Some(place) => *place = value.clone(),
                None => spec[&at[1..]] = value.clone(),
            });
            assert!(found.iter().any(|one| one == problem), "{problem} in {found:?}");
        }
        assert!(problems(|spec| spec["role"] = Value::Null)[0].contains("nobody is named"));
        assert!(problems(|spec| spec["without_stop_condition"] = json!("x"))[0].contains("there is a stop condition"));
        assert!(Spec::default().problems()[0].text.contains("nothing is done"));
    }

    #[test]
    fn a_selection_is_counted_as_aws_does() {
        assert_eq!(Select::of("PERCENT(50)").unwrap().how_many(5), 2);
        assert_eq!(Select::of("PERCENT(1)").unwrap().how_many(5), 0);
        assert_eq!(Select::of("COUNT(3)").unwrap().how_many(2), 2);
        assert_eq!(Select::of("ALL").unwrap().how_many(4), 4);
        assert!(Select::of("PERCENT(101)").is_none() && Select::of("SOME").is_none() && Select::of("COUNT(").is_none());
    }
}
