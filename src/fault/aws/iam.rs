//! The least that AWS must allow: a policy for whoever runs the drill, and for each experiment that a drill makes a policy and a trust for the role in
//! which AWS acts. Derived from the plan alone; what is not known of an action is said, and never guessed. Pure.
//!
//! Sources: the Service Authorization Reference for `fis`, `tag` and `cloudwatch` (resource types and condition keys), the actions reference of the
//! Fault Injection Service (permissions by action), and its page on the experiment role (trust).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::spec::{Spec, Target};
use super::{RUN, actions, ssm};
use crate::base::Span;
use crate::plan::{AwsPlan, FaultPlan, Plan};

/// Version of the policy language.
const VERSION: &str = "2012-10-17";

/// Sending a command.
const SEND: &str = "ssm:SendCommand";

/// The longest session that a role gives where nobody set it.
const USUAL_SESSION: Span = Span::secs(3600);

/// What must be allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Policies {
    /// For whoever calls, where the drill acts in another role: to take that role.
    pub caller: Option<Value>,
    /// Who may take that role, where it is only given with a code.
    pub trust: Option<Value>,
    /// For whoever acts, which is that role where there is one.
    pub runner: Value,
    /// For the role of each experiment that is made.
    pub experiments: BTreeMap<String, Experiment>,
    /// What cannot be known from the plan, in sentences.
    pub unknown: Vec<String>,
}

/// What the role of an experiment must be allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// The role.
    pub role: Option<String>,
    /// Who may take it.
    pub trust: Value,
    /// What it may do.
    pub policy: Value,
}

impl Policies {
    /// For programs, and to be pasted.
    pub fn json(&self) -> Value {
        let one = |experiment: &Experiment| json!({ "role": experiment.role, "trust": experiment.trust, "policy": experiment.policy });
        let experiments: serde_json::Map<String, Value> = self.experiments.iter().map(|(id, it)| (id.clone(), one(it))).collect();
        let mut value = json!({ "schema": "firedrill.iam/1", "runner": self.runner, "experiments": experiments, "unknown": self.unknown });
        if let Some(caller) = &self.caller {
            value["caller"] = caller.clone();
        }
        if let Some(trust) = &self.trust {
            value["trust"] = trust.clone();
        }
        value
    }
}

/// One thing that is allowed.
#[derive(Default)]
struct Statement {
    actions: BTreeSet<String>,
    resources: BTreeSet<String>,
    condition: Option<Value>,
}

impl Statement {
    fn of(actions: &[&str], resources: impl IntoIterator<Item = String>) -> Statement {
        Statement {
            actions: actions.iter().map(|one| (*one).to_owned()).collect(),
            resources: resources.into_iter().collect(),
            condition: None,
        }
    }

    fn when(self, condition: Value) -> Statement {
        Statement { condition: Some(condition), ..self }
    }
}

/// Statements of the same condition and actions, or of the same condition and resources, are one.
fn policy(statements: Vec<Statement>) -> Value {
    let mut all: Vec<Statement> = Vec::new();
    for one in statements.into_iter().filter(|one| !one.resources.is_empty()) {
        let same =
            |other: &&mut Statement| other.condition == one.condition && (other.resources == one.resources || other.actions == one.actions);
        match all.iter_mut().find(same) {
            Some(other) => {
                other.actions.extend(one.actions);
                other.resources.extend(one.resources);
            }
            None => all.push(one),
        }
    }
    let said = |one: &Statement| {
        let mut value = json!({ "Effect": "Allow", "Action": one.actions, "Resource": one.resources });
        if let Some(condition) = &one.condition {
            value["Condition"] = condition.clone();
        }
        value
    };
    json!({ "Version": VERSION, "Statement": all.iter().map(said).collect::<Vec<_>>() })
}

/// Names of resources in the account of a plan.
struct Names<'a> {
    aws: &'a AwsPlan,
}

impl Names<'_> {
    fn partition(&self) -> &'static str {
        match self.aws.place.region.as_str() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.aws.place.region, self.aws.place.account)
    }
}

impl Names<'_> {
    /// A document of Systems Manager, by its name or ARN. AWS's own belong to no account.
    fn document(&self, name: &str) -> String {
        match name {
            arn if arn.starts_with("arn:") => arn.to_owned(),
            own if own.starts_with("AWS") => format!("arn:{}:ssm:{}::document/{own}", self.partition(), self.aws.place.region),
            _ => self.arn("ssm", &format!("document/{name}")),
        }
    }

    /// What Systems Manager manages.
    fn host(&self, id: &str) -> String {
        let (service, of) = if id.starts_with("mi-") { ("ssm", "managed-instance") } else { ("ec2", "instance") };
        self.arn(service, &format!("{of}/{id}"))
    }
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

/// Only what carries the mark of a drill.
fn marked(key: &str) -> Value {
    json!({ "StringLike": { format!("aws:{key}/{RUN}"): "*" } })
}

/// What a plan needs; nothing where it names no account.
pub fn policies(plan: &Plan) -> Option<Policies> {
    let names = Names { aws: plan.aws.as_ref()? };
    let mut runner = watching(plan);
    let mut unknown = Vec::new();
    let mut experiments = BTreeMap::new();
    for (id, fault) in plan.faults.iter().filter(|(_, fault)| fault.kind == "aws.fis.experiment") {
        let Ok(spec) = serde_json::from_value::<Spec>(fault.spec.clone()) else { continue };
        runner.extend(running(&spec, &names));
        match &spec.template {
            Some(template) => unknown
                .push(format!("{id}: template {template} is the account's own; the role that it names must allow what its actions do")),
            None => drop(experiments.insert(id.to_string(), role(id.as_str(), &spec, &names, &mut unknown))),
        }
    }
    for fault in plan.faults.values().filter(|fault| fault.kind == "aws.ssm.command") {
        runner.extend(commanding(&fault.spec, &names));
    }
    let hosts: BTreeSet<&str> = plan.faults.values().filter_map(|fault| fault.on.as_ref()?.how.ssm.as_deref()).collect();
    runner.extend(hosts.into_iter().flat_map(|host| reaching(host, &names)));
    unknown.extend(others(&plan.faults.values().collect::<Vec<_>>()));
    let literal = names.aws.place.external_id.as_ref().filter(|id| !id.contains('$'));
    let taken = names.aws.place.role.iter().map(|role| {
        let assume = Statement::of(&["sts:AssumeRole"], [role.clone()]);
        match literal {
            Some(id) => assume.when(json!({ "StringEquals": { "sts:ExternalId": id } })),
            None => assume,
        }
    });
    let taken: Vec<Statement> = taken.collect();
    let caller = (!taken.is_empty()).then(|| policy(taken));
    let at = &names.aws.place;
    if let Some(lasts) = at.session.filter(|lasts| *lasts > USUAL_SESSION) {
        unknown.push(format!(
            "the role that is taken: its maximum session duration must be {} or more; it is an hour where nobody set it",
            lasts.human()
        ));
    }
    let trust = at.mfa.as_ref().map(|device| with_code(device, literal, &names));
    Some(Policies { caller, trust, runner: policy(runner), experiments, unknown })
}

/// The trust of a role that is only given with a code: to the account that the device belongs to, whose own policies say who. That a session has a code
/// behind it is asked here, since it is for the role to say.
fn with_code(device: &str, external: Option<&String>, names: &Names<'_>) -> Value {
    // The serial number of a hardware device names no account.
    let account = device.split(':').nth(4).unwrap_or(&names.aws.place.account);
    let mut condition = json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" } });
    if let Some(id) = external {
        condition["StringEquals"] = json!({ "sts:ExternalId": id });
    }
    json!({ "Version": VERSION, "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": format!("arn:{}:iam::{account}:root", names.partition()) }, "Action": "sts:AssumeRole", "Condition": condition,
    }] })
}

/// Kinds whose calls are listed here.
const KNOWN: [&str; 2] = ["aws.fis.experiment", "aws.ssm.command"];

/// Kinds of this account whose calls are not listed here yet.
fn others(faults: &[&FaultPlan]) -> Vec<String> {
    let kinds: BTreeSet<&str> =
        faults.iter().map(|fault| fault.kind.as_str()).filter(|kind| kind.starts_with("aws.") && !KNOWN.contains(kind)).collect();
    kinds.into_iter().map(|kind| format!("what `{kind}` calls is not listed")).collect()
}

/// What probes, guards, conditions and signals ask of CloudWatch. Alarms for which a permission is narrowed are told without composite ones, so
/// that it is for all alarms; metrics know no narrower permission.
fn watching(plan: &Plan) -> Vec<Statement> {
    let whole = serde_json::to_value(plan).unwrap_or_default();
    let (mut alarms, mut metrics) = (false, false);
    looks(&whole, &mut |kind| match kind {
        "aws.cloudwatch.alarm" => alarms = true,
        "aws.cloudwatch.metric" => metrics = true,
        _ => {}
    });
    alarms |= plan.team.iter().flat_map(|team| team.signals.values()).any(|signal| signal.kind == "cloudwatch");
    let asked = [(alarms, "cloudwatch:DescribeAlarms"), (metrics, "cloudwatch:GetMetricData")];
    asked.into_iter().filter(|(asked, _)| *asked).map(|(_, action)| Statement::of(&[action], any())).collect()
}

/// These actions but sending.
fn beside(actions: &[&'static str]) -> Statement {
    let beside: Vec<&str> = actions.iter().copied().filter(|action| *action != SEND).collect();
    Statement::of(&beside, any())
}

/// What whoever sends a command to hosts calls. What is sent must be allowed for the document and for each host.
fn commanding(spec: &Value, names: &Names<'_>) -> Vec<Statement> {
    let list = |key: &str| spec.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut all = vec![
        beside(ssm::ACTIONS),
        Statement::of(&[SEND], ssm::documents(spec).iter().map(|document| names.document(document))),
        Statement::of(&[SEND], list("instances").map(|host| names.host(host))),
    ];
    if let Some(tags) = spec.get("tags").and_then(Value::as_object).filter(|tags| !tags.is_empty()) {
        let tags: serde_json::Map<String, Value> =
            tags.iter().map(|(key, value)| (format!("ssm:resourceTag/{key}"), value.clone())).collect();
        let hosts = [names.arn("ec2", "instance/*"), names.arn("ssm", "managed-instance/*")];
        all.push(Statement::of(&[SEND], hosts).when(json!({ "StringEquals": tags })));
    }
    all
}

/// What whoever has faults act on a host by Run Command calls.
fn reaching(host: &str, names: &Names<'_>) -> [Statement; 3] {
    let to = |resource: String| Statement::of(&[SEND], [resource]);
    [beside(ssm::line::ACTIONS), to(names.document(ssm::line::DOCUMENT)), to(names.host(host))]
}

/// The kind of everything in a plan that is looked at.
fn looks(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            if let (Some(kind), Some(_)) = (map.get("kind").and_then(Value::as_str), map.get("spec")) {
                found(kind);
            }
            map.values().for_each(|value| looks(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| looks(value, found)),
        _ => {}
    }
}

/// What whoever runs an experiment calls, from the safety lever to the removal of the template.
fn running(spec: &Spec, names: &Names<'_>) -> Vec<Statement> {
    let experiments = || [names.arn("fis", "experiment/*")];
    let templates = || [names.arn("fis", "experiment-template/*")];
    let mut all = vec![
        Statement::of(&["fis:GetSafetyLever"], [names.arn("fis", "safety-lever/*")]),
        // These lists are of all or of nothing.
        Statement::of(&["fis:ListExperiments", "tag:GetResources"], any()),
        Statement::of(&["fis:StartExperiment", "fis:TagResource"], experiments()).when(marked("RequestTag")),
        Statement::of(&["fis:GetExperiment", "fis:ListExperimentResolvedTargets", "fis:StopExperiment"], experiments())
            .when(marked("ResourceTag")),
    ];
    if let Some(template) = &spec.template {
        let id = if template.contains('$') { "*" } else { template };
        let template = [names.arn("fis", &format!("experiment-template/{id}"))];
        all.push(Statement::of(&["fis:GetExperimentTemplate", "fis:StartExperiment"], template));
        return all;
    }
    let kinds = spec.actions.values().map(|action| names.arn("fis", &format!("action/{}", action.action)));
    all.push(Statement::of(&["fis:ListExperimentTemplates"], any()));
    all.push(Statement::of(&["fis:CreateExperimentTemplate"], kinds));
    all.push(Statement::of(&["fis:CreateExperimentTemplate", "fis:TagResource"], templates()).when(marked("RequestTag")));
    all.push(Statement::of(&["fis:StartExperiment", "fis:DeleteExperimentTemplate"], templates()).when(marked("ResourceTag")));
    let passed = json!({ "StringEquals": { "iam:PassedToService": "fis.amazonaws.com" } });
    all.extend(spec.role.iter().map(|role| Statement::of(&["iam:PassRole"], [role.clone()]).when(passed.clone())));
    all
}

/// What the role of an experiment must be allowed: what its actions do, to what its targets may be.
fn role(id: &str, spec: &Spec, names: &Names<'_>, unknown: &mut Vec<String>) -> Experiment {
    let account = &names.aws.place.account;
    let trust = json!({ "Version": VERSION, "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "fis.amazonaws.com" }, "Action": "sts:AssumeRole",
        "Condition": { "StringEquals": { "aws:SourceAccount": account }, "ArnLike": { "aws:SourceArn": names.arn("fis", "experiment/*") } },
    }] });
    let mut statements = Vec::new();
    for (name, action) in &spec.actions {
        let Some(needs) = actions::needs(&action.action) else {
            unknown
                .push(format!("{id}: what {name} ({}) needs is not listed here; the actions reference of AWS FIS says it", action.action));
            continue;
        };
        statements.push(Statement::of(needs.beside, any()));
        if let Some(only) = needs.only {
            statements.push(Statement::of(needs.acts, any()).when(json!({ only.operator: { only.key: only.value } })));
            continue;
        }
        let hit: Vec<&Target> = action.targets.values().filter_map(|target| spec.targets.get(target)).collect();
        statements.extend(hit.iter().map(|target| acting(needs.acts, target)));
        if hit.is_empty() {
            statements.push(Statement::of(needs.acts, any()));
        }
    }
    if spec.log.is_some() || spec.report.is_some() {
        unknown.push(format!("{id}: its log or report needs more; the pages on experiment logging and reports of AWS FIS say what"));
    }
    statements.retain(|one| !one.actions.is_empty());
    Experiment { role: spec.role.clone(), trust, policy: policy(statements) }
}

/// To these resources and no others, or to those that carry the tags that they are chosen by.
fn acting(acts: &[&str], target: &Target) -> Statement {
    if !target.arns.is_empty() {
        return Statement::of(acts, target.arns.iter().cloned());
    }
    let tags: serde_json::Map<String, Value> =
        target.tags.iter().map(|(key, value)| (format!("aws:ResourceTag/{key}"), json!(value))).collect();
    let statement = Statement::of(acts, any());
    if tags.is_empty() { statement } else { statement.when(json!({ "StringEquals": tags })) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        serde_saphyr::from_str(text).unwrap()
    }

    fn place(region: &str) -> AwsPlan {
        serde_json::from_value(json!({ "place": { "account": "111122223333", "region": region } })).unwrap()
    }

    #[test]
    fn the_role_of_an_experiment_may_do_what_its_actions_do_to_what_they_may_hit() {
        let aws = place("eu-west-1");
        let names = Names { aws: &aws };
        let spec = spec(
            "actions:\n  stop: { action: 'aws:ec2:stop-instances', targets: { Instances: shop } }\n  pause: { action: 'aws:fis:wait' }\n  odd: { action: 'aws:odd:thing' }\n\
             targets:\n  shop: { type: 'aws:ec2:instance', tags: { app: shop, firedrill: allowed } }\nrole: 'arn:aws:iam::111122223333:role/fis'\n",
        );
        let mut unknown = Vec::new();
        let told = role("broken", &spec, &names, &mut unknown);
        let expected = json!([
            { "Effect": "Allow", "Action": ["ec2:DescribeInstances"], "Resource": ["*"] },
            { "Effect": "Allow", "Action": ["ec2:StartInstances", "ec2:StopInstances"], "Resource": ["*"],
              "Condition": { "StringEquals": { "aws:ResourceTag/app": "shop", "aws:ResourceTag/firedrill": "allowed" } } },
        ]);
        assert_eq!(told.policy["Statement"], expected, "{:#}", told.policy);
        assert_eq!(unknown.len(), 1);
        assert!(unknown[0].contains("odd (aws:odd:thing)"), "{unknown:?}");
        assert_eq!(told.trust["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"], "111122223333");
    }

    #[test]
    fn a_command_is_allowed_for_its_documents_and_its_hosts() {
        let aws = place("eu-west-1");
        let names = Names { aws: &aws };
        let spec = json!({ "commands": ["true"], "undo": { "document": "Own" }, "instances": ["i-0123456789abcdef0", "mi-0123456789abcdef0"], "tags": { "firedrill": "allowed" } });
        let told = policy(commanding(&spec, &names)).to_string();
        for words in [
            "arn:aws:ssm:eu-west-1::document/AWS-RunShellScript",
            "arn:aws:ssm:eu-west-1:111122223333:document/Own",
            "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0",
            "arn:aws:ssm:eu-west-1:111122223333:managed-instance/mi-0123456789abcdef0",
            "ssm:resourceTag/firedrill",
            "ssm:CancelCommand",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    #[test]
    fn a_host_is_allowed_by_its_id_and_one_document() {
        let aws = place("eu-west-1");
        let told = policy(reaching("i-0123456789abcdef0", &Names { aws: &aws }).into());
        let sends = json!({ "Effect": "Allow", "Action": ["ssm:SendCommand"], "Resource": [
            "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0", "arn:aws:ssm:eu-west-1::document/AWS-RunShellScript",
        ] });
        assert_eq!(told["Statement"][1], sends, "{told:#}");
        assert!(!told.to_string().contains("CancelCommand") && told.to_string().contains("ssm:GetCommandInvocation"), "{told:#}");
    }

    #[test]
    fn a_role_that_is_given_with_a_code_is_given_to_the_account_of_the_device() {
        let aws = place("eu-west-1");
        let names = Names { aws: &aws };
        let told = with_code("arn:aws:iam::444455556666:mfa/alice", Some(&"shop-7".to_owned()), &names)["Statement"][0].clone();
        assert_eq!(told["Principal"]["AWS"], "arn:aws:iam::444455556666:root");
        assert_eq!(
            told["Condition"],
            json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" }, "StringEquals": { "sts:ExternalId": "shop-7" } })
        );
        assert_eq!(with_code("GAHT12345678", None, &names)["Statement"][0]["Principal"]["AWS"], "arn:aws:iam::111122223333:root");
    }

    #[test]
    fn exact_resources_are_named_and_other_partitions_have_their_own_names() {
        let arn = "arn:aws:rds:eu-west-1:111122223333:cluster:orders";
        let target: Target = serde_json::from_value(json!({ "type": "aws:rds:cluster", "arns": [arn] })).unwrap();
        let one = policy(vec![acting(&["rds:FailoverDBCluster"], &target)]);
        assert_eq!(one["Statement"][0]["Resource"], json!([arn]));
        assert_eq!(Names { aws: &place("cn-north-1") }.arn("fis", "experiment/*"), "arn:aws-cn:fis:cn-north-1:111122223333:experiment/*");
        assert!(Names { aws: &place("us-gov-east-1") }.arn("fis", "x").starts_with("arn:aws-us-gov:"));
    }
}
