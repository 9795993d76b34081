//! Fault Injection Service: templates, and experiments that go through AWS's own states, on instances that are tagged and may stand for real
//! processes.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may break off anywhere and waits on real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{ACCOUNT, Answer, Asked, Refusal, actions};

/// How long an experiment is in each state before its actions run, and while it is being stopped.
const STEP: Duration = Duration::from_millis(150);

/// Whoever is told what an action does: its id, the resource, and whether it begins or ends.
pub type Effect = Box<dyn FnMut(&str, &str, bool) + Send>;

/// An EC2 instance, or any other resource.
pub struct Instance {
    pub arn: String,
    /// Its type, as FIS calls it.
    pub of: String,
    pub zone: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub stopped: bool,
    /// The process that it stands for.
    pub pid: Option<u32>,
}

struct Template {
    document: Value,
    born: Instant,
}

struct Running {
    document: Value,
    template: Value,
    born: Instant,
    entered: Instant,
    started: BTreeMap<String, Instant>,
    hit: BTreeMap<String, Vec<String>>,
    why: Option<&'static str>,
}

/// The service.
pub struct Fis {
    minute: Duration,
    templates: BTreeMap<String, Template>,
    experiments: BTreeMap<String, Running>,
    tokens: BTreeMap<String, String>,
    pub instances: Vec<Instance>,
    /// Alarms that are in ALARM.
    pub alarms: BTreeSet<String>,
    /// What actions do to the world outside.
    pub effect: Option<Effect>,
    pub lever: bool,
    /// Whether everything that a target selects is gone when an experiment looks for it.
    pub vanished: bool,
    /// How long lists lag behind.
    pub lag: Duration,
    /// How long stopping takes.
    pub stopping: Duration,
    next: u64,
}

fn missing(what: &str, id: &str) -> Refusal {
    Refusal(404, "ResourceNotFoundException", format!("{what} {id} does not exist"))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal(400, "ValidationException", message.into())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn strings(value: &Value) -> Vec<(String, String)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn state(document: &Value) -> &str {
    document["state"]["status"].as_str().unwrap()
}

pub fn has_ended(status: &str) -> bool {
    matches!(status, "completed" | "stopped" | "failed" | "cancelled")
}

/// `PT1M30S`, in minutes of this world.
fn duration(text: &str, minute: Duration) -> Option<Duration> {
    let mut rest = text.strip_prefix("PT")?;
    let mut minutes = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: f64 = rest[..end].parse().ok()?;
        minutes += match &rest[end..=end] {
            "H" => number * 60.0,
            "M" => number,
            "S" => number / 60.0,
            _ => return None,
        };
        rest = &rest[end + 1..];
    }
    Some(minute.mul_f64(minutes))
}

impl Fis {
    pub fn new(minute: Duration) -> Fis {
        let mut fis = Fis {
            minute,
            templates: BTreeMap::new(),
            experiments: BTreeMap::new(),
            tokens: BTreeMap::new(),
            instances: Vec::new(),
            alarms: BTreeSet::new(),
            effect: None,
            lever: false,
            vanished: false,
            lag: Duration::ZERO,
            stopping: STEP,
            next: 0,
        };
        for n in 1..=3 {
            fis.instance(&format!("i-{n}"), &[("app", "shop"), ("firedrill", "allowed")]);
        }
        fis.instance("i-9", &[("app", "shop")]);
        fis
    }

    /// Adds an instance.
    pub fn instance(&mut self, id: &str, tags: &[(&str, &str)]) {
        self.resource("aws:ec2:instance", &format!("arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/{id}"), None, tags);
    }

    /// Adds a resource of any type.
    pub fn resource(&mut self, of: &str, arn: &str, zone: Option<&str>, tags: &[(&str, &str)]) {
        self.instances.push(Instance {
            arn: arn.to_owned(),
            of: of.to_owned(),
            zone: zone.map(str::to_owned),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            stopped: false,
            pid: None,
        });
    }

    /// The states of all experiments, by id.
    pub fn states(&self) -> BTreeMap<String, String> {
        self.experiments.iter().map(|(id, one)| (id.clone(), state(&one.document).to_owned())).collect()
    }

    /// The ids of all templates.
    pub fn template_ids(&self) -> Vec<String> {
        self.templates.keys().cloned().collect()
    }

    /// A template was made so many seconds ago.
    pub fn made_ago(&mut self, id: &str, seconds: u64) {
        let template = self.templates.get_mut(id).unwrap();
        template.document["creationTime"] = json!(now() - seconds as f64);
    }

    /// One experiment, as it is told.
    pub fn experiment(&self, id: &str) -> Value {
        self.experiments[id].document.clone()
    }

    fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{:010}", self.next)
    }

    pub fn act(&mut self, operation: &str, asked: &Asked<'_>) -> Answer {
        let id = asked.path.get(1).copied().unwrap_or_default();
        match operation {
            "GetSafetyLever" => {
                let status = if self.lever {
                    json!({ "status": "engaged", "reason": "an incident is open" })
                } else {
                    json!({ "status": "disengaged" })
                };
                Ok(
                    json!({ "safetyLever": { "id": id, "arn": format!("arn:aws:fis:eu-west-1:{ACCOUNT}:safety-lever/default"), "state": status } }),
                )
            }
            "CreateExperimentTemplate" => self.create(&asked.body),
            "GetExperimentTemplate" => {
                let found = self.templates.get(id).ok_or_else(|| missing("Experiment template", id))?;
                Ok(json!({ "experimentTemplate": found.document }))
            }
            "DeleteExperimentTemplate" => {
                let found = self.templates.remove(id).ok_or_else(|| missing("Experiment template", id))?;
                Ok(json!({ "experimentTemplate": found.document }))
            }
            "ListExperimentTemplates" => {
                let seen = self.templates.values().filter(|one| one.born.elapsed() >= self.lag).map(|one| {
                    let mut brief = Map::new();
                    for key in ["id", "arn", "description", "creationTime", "lastUpdateTime", "tags"] {
                        brief.insert(key.to_owned(), one.document[key].clone());
                    }
                    Value::Object(brief)
                });
                Ok(page("experimentTemplates", seen.collect(), asked))
            }
            "StartExperiment" => self.start(&asked.body),
            "GetExperiment" => {
                let found = self.experiments.get(id).ok_or_else(|| missing("Experiment", id))?;
                Ok(json!({ "experiment": found.document }))
            }
            "StopExperiment" => self.stop(id),
            "ListExperiments" => {
                let of = asked.query.get("experimentTemplateId");
                let seen = self.experiments.values().filter(|one| one.born.elapsed() >= self.lag);
                let seen = seen.filter(|one| of.is_none_or(|id| one.document["experimentTemplateId"] == id.as_str())).map(|one| {
                    let mut brief = Map::new();
                    for key in ["id", "arn", "experimentTemplateId", "state", "creationTime", "tags", "experimentOptions"] {
                        brief.insert(key.to_owned(), one.document[key].clone());
                    }
                    Value::Object(brief)
                });
                Ok(page("experiments", seen.collect(), asked))
            }
            "ListExperimentResolvedTargets" => {
                let found = self.experiments.get(id).ok_or_else(|| missing("Experiment", id))?;
                let targets = found.hit.iter().flat_map(|(name, arns)| {
                    let of = found.template["targets"][name]["resourceType"].clone();
                    arns.iter().map(move |arn| json!({ "resourceType": of, "targetName": name, "targetInformation": { "arn": arn } }))
                });
                Ok(json!({ "resolvedTargets": targets.collect::<Vec<_>>() }))
            }
            other => Err(Refusal(404, "UnknownOperationException", format!("{other} is not known here"))),
        }
    }

    fn create(&mut self, body: &Value) -> Answer {
        let token = format!("template:{}", body["clientToken"].as_str().ok_or_else(|| invalid("clientToken is required"))?);
        if let Some(id) = self.tokens.get(&token) {
            // AWS remembers a token longer than what it made.
            let Some(found) = self.templates.get(id) else { return Err(Refusal(409, "ConflictException", "The token was used".into())) };
            return Ok(json!({ "experimentTemplate": found.document }));
        }
        for (name, action) in body["actions"].as_object().ok_or_else(|| invalid("actions are required"))? {
            if let Some(problem) = actions::problem(name, action, &body["targets"], |text| duration(text, self.minute).is_some()) {
                return Err(invalid(problem));
            }
        }
        if body["stopConditions"].as_array().is_none_or(Vec::is_empty) || !body["roleArn"].is_string() || !body["description"].is_string() {
            return Err(invalid("stopConditions, roleArn and description are required"));
        }
        let id = self.id("EXT");
        let mut document = body.clone();
        let map = document.as_object_mut().unwrap();
        map.remove("clientToken");
        map.insert("id".into(), json!(id));
        map.insert("arn".into(), json!(format!("arn:aws:fis:eu-west-1:{ACCOUNT}:experiment-template/{id}")));
        map.insert("creationTime".into(), json!(now()));
        map.insert("lastUpdateTime".into(), json!(now()));
        map.insert("targetAccountConfigurationsCount".into(), json!(0));
        self.templates.insert(id.clone(), Template { document: document.clone(), born: Instant::now() });
        self.tokens.insert(token, id);
        Ok(json!({ "experimentTemplate": document }))
    }

    fn start(&mut self, body: &Value) -> Answer {
        let token = format!("start:{}", body["clientToken"].as_str().ok_or_else(|| invalid("clientToken is required"))?);
        if let Some(id) = self.tokens.get(&token) {
            return Ok(json!({ "experiment": self.experiments[id].document }));
        }
        let template = body["experimentTemplateId"].as_str().unwrap_or_default();
        let template = self.templates.get(template).ok_or_else(|| missing("Experiment template", template))?.document.clone();
        if self.lever {
            return Err(Refusal(409, "ConflictException", "The safety lever is engaged".into()));
        }
        let id = self.id("EXP");
        let mode = body["experimentOptions"]["actionsMode"].as_str().unwrap_or("run-all");
        let waiting = json!({ "status": "pending", "reason": "Initial state" });
        let mut actions = template["actions"].clone();
        actions.as_object_mut().unwrap().values_mut().for_each(|action| action["state"] = waiting.clone());
        let document = json!({
            "id": id, "arn": format!("arn:aws:fis:eu-west-1:{ACCOUNT}:experiment/{id}"), "experimentTemplateId": template["id"],
            "roleArn": template["roleArn"], "state": { "status": "pending", "reason": "Experiment is pending." }, "actions": actions,
            "targets": template["targets"], "stopConditions": template["stopConditions"], "creationTime": now(), "startTime": now(),
            "tags": body["tags"], "experimentOptions": { "actionsMode": mode, "emptyTargetResolutionMode": "fail", "accountTargeting": "single-account" },
            "targetAccountConfigurationsCount": 0,
        });
        let at = Instant::now();
        let running = Running {
            document: document.clone(),
            template,
            born: at,
            entered: at,
            started: BTreeMap::new(),
            hit: BTreeMap::new(),
            why: None,
        };
        self.experiments.insert(id.clone(), running);
        self.tokens.insert(token, id);
        Ok(json!({ "experiment": document }))
    }

    fn stop(&mut self, id: &str) -> Answer {
        let found = self.experiments.get_mut(id).ok_or_else(|| missing("Experiment", id))?;
        if has_ended(state(&found.document)) {
            return Err(invalid("The experiment has ended"));
        }
        found.halt("Experiment halted by a request to stop it.");
        Ok(json!({ "experiment": found.document }))
    }

    /// `GetResources` of the register of tags.
    pub fn resources(&self, body: &Value) -> Answer {
        let arns: Vec<&str> = body["ResourceARNList"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let filters = body["TagFilters"].as_array().cloned().unwrap_or_default();
        let types: Vec<&str> = body["ResourceTypeFilters"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let kept = actions::KNOWN.iter().filter_map(|known| actions::registered(known.on?.1));
        let kept: BTreeSet<&str> = kept.collect();
        if let Some(other) = types.iter().find(|of| !kept.contains(**of)) {
            return Err(Refusal(400, "InvalidParameterException", format!("{other} is not supported")));
        }
        let fits = |one: &&Instance| {
            (arns.is_empty() || arns.contains(&one.arn.as_str()))
                && (types.is_empty() || actions::registered(&one.of).is_some_and(|of| types.contains(&of)))
                && filters.iter().all(|filter| {
                    let value = one.tags.get(filter["Key"].as_str().unwrap());
                    value.is_some_and(|value| filter["Values"].as_array().unwrap().iter().any(|wanted| wanted == value.as_str()))
                })
        };
        let mapping = |one: &Instance| {
            let tags: Vec<Value> = one.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
            json!({ "ResourceARN": one.arn, "Tags": tags })
        };
        let list: Vec<Value> = self.instances.iter().filter(fits).map(mapping).collect();
        Ok(json!({ "PaginationToken": "", "ResourceTagMappingList": list }))
    }

    /// Time passes.
    pub fn tick(&mut self) {
        let (minute, stopping) = (self.minute, self.stopping);
        for one in self.experiments.values_mut() {
            let alarmed = |stop: &Value| stop["value"].as_str().is_some_and(|arn| self.alarms.contains(arn));
            if matches!(state(&one.document), "initiating" | "running")
                && one.template["stopConditions"].as_array().unwrap().iter().any(alarmed)
            {
                one.halt("Experiment halted by stop condition.");
            }
            match state(&one.document) {
                "pending" if one.entered.elapsed() >= STEP => one.enter("initiating", "Experiment is initiating."),
                "initiating" if one.entered.elapsed() >= STEP => one.resolve(if self.vanished { &[] } else { &self.instances }),
                "running" => one.run(&mut self.instances, minute, &mut self.effect),
                "stopping" if one.entered.elapsed() >= stopping => one.finish(&mut self.instances, &mut self.effect),
                _ => {}
            }
        }
    }
}

/// A page of a list, as large as is asked for.
fn page(name: &str, items: Vec<Value>, asked: &Asked<'_>) -> Value {
    let from: usize = asked.query.get("nextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let size: usize = asked.query.get("maxResults").and_then(|size| size.parse().ok()).unwrap_or(100);
    let mut answer = json!({ name: items.iter().skip(from).take(size).collect::<Vec<_>>() });
    if from + size < items.len() {
        answer["nextToken"] = json!((from + size).to_string());
    }
    answer
}

impl Running {
    fn enter(&mut self, status: &str, reason: &str) {
        self.document["state"] = json!({ "status": status, "reason": reason });
        self.entered = Instant::now();
        if has_ended(status) {
            self.document["endTime"] = json!(now());
        }
    }

    fn action(&mut self, name: &str, status: &str, reason: &str) {
        self.document["actions"][name]["state"] = json!({ "status": status, "reason": reason });
    }

    fn names(&self) -> Vec<String> {
        self.document["actions"].as_object().unwrap().keys().cloned().collect()
    }

    fn status_of(&self, name: &str) -> String {
        self.document["actions"][name]["state"]["status"].as_str().unwrap().to_owned()
    }

    fn halt(&mut self, why: &'static str) {
        if state(&self.document) == "stopping" {
            return;
        }
        self.why = Some(why);
        for name in self.names() {
            if self.status_of(&name) == "running" {
                self.action(&name, "stopping", "Action is being stopped.");
            }
        }
        self.enter("stopping", why);
    }

    fn resolve(&mut self, instances: &[Instance]) {
        let targets = self.template["targets"].as_object().cloned().unwrap_or_default();
        for (name, target) in &targets {
            let tags = strings(&target["resourceTags"]);
            let arns: Vec<&str> = target["resourceArns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let zones: Vec<String> = strings(&target["parameters"])
                .into_iter()
                .filter(|(key, _)| key.to_lowercase().contains("availabilityzoneidentifier"))
                .map(|(_, zone)| zone)
                .collect();
            let passes = |one: &Instance, filter: &Value| {
                let is = match filter["path"].as_str().unwrap() {
                    "Placement.AvailabilityZone" => one.zone.as_deref().unwrap_or_default(),
                    "State.Name" if one.stopped => "stopped",
                    "State.Name" => "running",
                    other => panic!("{other} is not known here"),
                };
                filter["values"].as_array().unwrap().iter().any(|value| value == is)
            };
            let fits = |one: &&Instance| {
                let named = if arns.is_empty() {
                    tags.iter().all(|(key, value)| one.tags.get(key) == Some(value))
                } else {
                    arns.contains(&one.arn.as_str())
                };
                named
                    && target["resourceType"] == one.of.as_str()
                    && (zones.is_empty() || one.zone.as_ref().is_some_and(|zone| zones.contains(zone)))
                    && target["filters"].as_array().into_iter().flatten().all(|filter| passes(one, filter))
            };
            let mut found: Vec<String> = instances.iter().filter(fits).map(|one| one.arn.clone()).collect();
            if let Some(count) =
                target["selectionMode"].as_str().and_then(|mode| mode.strip_prefix("COUNT(")?.strip_suffix(')')?.parse().ok())
            {
                found.truncate(count);
            }
            if found.is_empty() {
                self.document["state"] = json!({
                    "status": "failed", "reason": "Target resolution returned empty set",
                    "error": { "accountId": ACCOUNT, "code": "TargetsNotFound", "location": format!("targets.{name}") },
                });
                for action in self.names() {
                    self.action(&action, "cancelled", "Action was cancelled.");
                }
                return;
            }
            self.hit.insert(name.clone(), found);
        }
        self.enter("running", "Experiment is running.");
    }

    fn run(&mut self, instances: &mut [Instance], minute: Duration, effect: &mut Option<Effect>) {
        if self.document["experimentOptions"]["actionsMode"] == "skip-all" {
            for name in self.names() {
                self.action(&name, "skipped", "Action was skipped.");
            }
            return self.enter("completed", "Experiment completed.");
        }
        for name in self.names() {
            let action = self.template["actions"][&name].clone();
            let ready =
                action["startAfter"].as_array().into_iter().flatten().all(|before| self.status_of(before.as_str().unwrap()) == "completed");
            match self.status_of(&name).as_str() {
                "pending" if ready => {
                    self.started.insert(name.clone(), Instant::now());
                    self.document["actions"][&name]["startTime"] = json!(now());
                    self.action(&name, "running", "Action is running.");
                    self.affect(&action, instances, true, effect);
                }
                "running" => {
                    let lasts = action["actionId"].as_str().and_then(actions::by_id).and_then(|known| known.lasts);
                    let takes = lasts.and_then(|key| duration(action["parameters"][key].as_str()?, minute)).unwrap_or_default();
                    if self.started[&name].elapsed() >= takes {
                        self.affect(&action, instances, false, effect);
                        self.action(&name, "completed", "Action was completed.");
                    }
                }
                _ => {}
            }
        }
        if self.names().iter().all(|name| self.status_of(name) == "completed") {
            self.enter("completed", "Experiment completed.");
        }
    }

    fn affect(&self, action: &Value, instances: &mut [Instance], begins: bool, effect: &mut Option<Effect>) {
        let id = action["actionId"].as_str().unwrap();
        let hit: Vec<&String> = strings(&action["targets"]).iter().filter_map(|(_, name)| self.hit.get(name)).flatten().collect();
        for one in instances.iter_mut().filter(|one| hit.contains(&&one.arn)) {
            if let Some(effect) = effect {
                effect(id, &one.arn, begins);
            }
            if id != "aws:ec2:stop-instances" {
                continue;
            }
            one.stopped = begins;
            if let Some(pid) = one.pid {
                let signal = if begins { "-STOP" } else { "-CONT" };
                std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
            }
        }
    }

    fn finish(&mut self, instances: &mut [Instance], effect: &mut Option<Effect>) {
        for name in self.names() {
            match self.status_of(&name).as_str() {
                "stopping" => {
                    let action = self.template["actions"][&name].clone();
                    self.affect(&action, instances, false, effect);
                    self.action(&name, "stopped", "Action was stopped.");
                }
                "pending" => self.action(&name, "cancelled", "Action was cancelled."),
                _ => {}
            }
        }
        let why = self.why.unwrap_or("Experiment was stopped.");
        self.enter("stopped", why);
    }
}
