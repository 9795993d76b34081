//! Systems Manager: managed instances that are directories of this machine, and commands that are really run there, each in a process group of its own.
//! It goes through AWS's own states, runs on so many hosts at one time, gives up after so many errors and after its time, and lags behind itself.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may break off anywhere and waits on real time")]

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Answer, Refusal};

/// A managed instance.
pub struct Host {
    pub id: String,
    pub tags: BTreeMap<String, String>,
    pub online: bool,
    pub platform: &'static str,
    /// Where its commands run, and what they find as `$TMPDIR`. Their home is `home` in it, programs are found in `bin` first, and a firedrill there keeps its
    /// registry in `registry`.
    pub dir: PathBuf,
}

struct Invocation {
    host: String,
    status: &'static str,
    details: &'static str,
    child: Option<Child>,
    born: Instant,
    started: Option<Instant>,
    code: i32,
    ended: Option<Instant>,
    /// Whether its processes were told to end.
    told: Option<Instant>,
}

struct Sent {
    id: String,
    body: Value,
    at: f64,
    born: Instant,
    cancelled: bool,
    on: Vec<Invocation>,
}

/// The service.
pub struct Ssm {
    dir: tempfile::TempDir,
    pub hosts: Vec<Host>,
    sent: Vec<Sent>,
    /// How long lists and results lag behind.
    pub lag: Duration,
    /// How long an agent needs to take a command.
    pub pending: Duration,
    /// How long AWS waits for an agent, in place of what is asked for.
    pub delivery: Option<Duration>,
    /// Whether cancelling is heard and does nothing.
    pub deaf: bool,
    /// How many characters of what is printed are kept.
    pub kept: usize,
}

/// What AWS writes behind what it cut.
const CUT: &str = "--output truncated--";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn refuse(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal(400, code, message.into())
}

/// Name, type, default; what each document takes, and what it is.
type Parameter = (&'static str, &'static str, Option<&'static str>);
const SECONDS: Parameter = ("DurationSeconds", "String", None);
const INSTALL: Parameter = ("InstallDependencies", "String", Some("True"));

fn document(name: &str) -> Option<(&'static str, Vec<Parameter>)> {
    let fis = |mut parameters: Vec<Parameter>| {
        parameters.push(INSTALL);
        Some(("Command", parameters))
    };
    match name.rsplit('/').next()? {
        "AWS-RunShellScript" => Some((
            "Command",
            vec![("commands", "StringList", None), ("workingDirectory", "String", Some("")), ("executionTimeout", "String", Some("3600"))],
        )),
        "Own-Break" => Some(("Command", vec![("Level", "String", None), ("Names", "StringList", Some("[]"))])),
        "Own-Automation" => Some(("Automation", vec![])),
        "AWSFIS-Run-CPU-Stress" => fis(vec![SECONDS, ("CPU", "String", Some("0")), ("LoadPercent", "String", Some("100"))]),
        "AWSFIS-Run-Memory-Stress" => fis(vec![SECONDS, ("Percent", "String", None), ("Workers", "String", Some("1"))]),
        "AWSFIS-Run-IO-Stress" => fis(vec![SECONDS, ("Percent", "String", Some("80")), ("Workers", "String", Some("1"))]),
        "AWSFIS-Run-Disk-Fill" => fis(vec![SECONDS, ("Percent", "String", Some("95"))]),
        "AWSFIS-Run-Network-Latency" => {
            fis(vec![SECONDS, ("Interface", "String", Some("eth0")), ("DelayMilliseconds", "String", Some("200"))])
        }
        "AWSFIS-Run-Network-Packet-Loss" => fis(vec![SECONDS, ("Interface", "String", Some("eth0")), ("LossPercent", "String", Some("7"))]),
        "AWSFIS-Run-Network-Blackhole-Port" => {
            fis(vec![SECONDS, ("Port", "String", None), ("Protocol", "String", None), ("TrafficType", "String", Some("ingress"))])
        }
        "AWSFIS-Run-Kill-Process" => fis(vec![("ProcessName", "String", None), ("Signal", "String", Some("SIGTERM"))]),
        _ => None,
    }
}

/// What a document does here.
fn script(name: &str, parameters: &Value) -> String {
    let one = |key: &str| parameters[key][0].as_str().unwrap_or_default().to_owned();
    match name.rsplit('/').next().unwrap() {
        "AWS-RunShellScript" => {
            let lines: Vec<&str> = parameters["commands"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
            lines.join("\n")
        }
        "Own-Break" => format!("echo {} >broken", one("Level")),
        "AWSFIS-Run-Kill-Process" => format!("kill -s {} $(cat {}.pid)", one("Signal").trim_start_matches("SIG"), one("ProcessName")),
        // They put everything back when their time is over and when they are cancelled.
        _ => format!("trap 'rm -f stressed; exit 143' TERM; touch stressed; sleep {} & wait; rm -f stressed", one("DurationSeconds")),
    }
}

fn share(value: &Value, of: usize, otherwise: usize) -> usize {
    match value.as_str() {
        None => otherwise,
        Some(text) => match text.strip_suffix('%') {
            Some(percent) => (of * percent.parse::<usize>().unwrap() / 100).max(usize::from(otherwise > 0)),
            None => text.parse().unwrap(),
        },
    }
}

impl Default for Ssm {
    fn default() -> Ssm {
        let mut ssm = Ssm {
            dir: tempfile::tempdir().unwrap(),
            hosts: Vec::new(),
            sent: Vec::new(),
            lag: Duration::ZERO,
            pending: Duration::from_millis(50),
            delivery: None,
            deaf: false,
            kept: 24_000,
        };
        for n in 1..=3 {
            ssm.host(&format!("i-0000a00{n}"), &[("app", "shop"), ("firedrill", "allowed")]);
        }
        ssm.host("i-0000a009", &[("app", "shop")]);
        ssm
    }
}

impl Drop for Ssm {
    fn drop(&mut self) {
        for one in self.sent.iter_mut().flat_map(|sent| &mut sent.on) {
            one.end("KILL");
            if let Some(child) = &mut one.child {
                let _ = child.wait();
            }
        }
        // Timers that nobody took away, and faults that somebody holds.
        for host in &self.hosts {
            for pid in host.holders() {
                let _ = Command::new("kill").args(["-s", "TERM", &pid.to_string()]).stderr(Stdio::null()).status();
            }
            for entry in std::fs::read_dir(&host.dir).into_iter().flatten().flatten() {
                let waiter = std::fs::read_to_string(entry.path().join("waiter")).unwrap_or_default();
                if let Some(pid) = waiter.split(' ').next().filter(|pid| !pid.is_empty()) {
                    let _ = Command::new("kill").args(["-s", "KILL", "--", &format!("-{pid}")]).stderr(Stdio::null()).status();
                }
            }
        }
    }
}

impl Host {
    /// Whether its agent reaches AWS: what acts on the host may cut it off, by the file `offline`.
    pub fn is_connected(&self) -> bool {
        self.online && !self.dir.join("offline").exists()
    }

    /// Directories of faults that runners have ordered there.
    pub fn faults(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.join("home/.local/state/firedrill/hosts")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// The processes that have held them.
    pub fn holders(&self) -> Vec<u32> {
        let pid = |dir: PathBuf| {
            let text = std::fs::read_to_string(dir.join("holder.json")).ok()?;
            serde_json::from_str::<Value>(&text).ok()?["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
        };
        self.faults().into_iter().filter_map(pid).collect()
    }

    /// The runs that are named in the registry of the firedrill there.
    pub fn registered(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("registry/runs")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Invocation {
    fn end(&mut self, signal: &str) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").args(["-s", signal, "--", &format!("-{}", child.id())]).stderr(Stdio::null()).status();
        }
        self.told.get_or_insert(Instant::now());
    }

    fn open(&self) -> bool {
        matches!(self.status, "Pending" | "InProgress" | "Delayed" | "Cancelling")
    }

    fn over(&mut self, status: &'static str, details: &'static str) {
        (self.status, self.details, self.ended) = (status, details, Some(Instant::now()));
    }
}

impl Ssm {
    /// Adds a managed instance.
    pub fn host(&mut self, id: &str, tags: &[(&str, &str)]) {
        let dir = self.dir.path().join(id);
        std::fs::create_dir_all(dir.join("home")).unwrap();
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.hosts.push(Host { id: id.into(), tags, online: true, platform: "Linux", dir });
    }

    /// Where an instance's commands run.
    pub fn dir(&self, id: &str) -> PathBuf {
        self.hosts.iter().find(|host| host.id == id).unwrap().dir.clone()
    }

    /// Every command with its comment, and each host with its state.
    pub fn states(&self) -> Vec<(String, String, BTreeMap<String, String>)> {
        let on = |sent: &Sent| sent.on.iter().map(|one| (one.host.clone(), one.status.to_owned())).collect();
        self.sent.iter().map(|sent| (sent.id.clone(), sent.body["Comment"].as_str().unwrap_or_default().to_owned(), on(sent))).collect()
    }

    pub fn act(&mut self, operation: &str, body: &Value) -> Answer {
        match operation {
            "DescribeDocument" => describe(body),
            "DescribeInstanceInformation" => Ok(self.managed(body)),
            "SendCommand" => self.send(body),
            "CancelCommand" => self.cancel(body),
            "ListCommands" => Ok(self.commands(body)),
            "ListCommandInvocations" => Ok(self.invocations(body)),
            "GetCommandInvocation" => self.result(body),
            other => Err(Refusal(404, "UnknownOperationException", format!("{other} is not known here"))),
        }
    }

    fn managed(&self, body: &Value) -> Value {
        let filters = body["Filters"].as_array().cloned().unwrap_or_default();
        let fits = |host: &&Host| {
            filters.iter().all(|filter| {
                let key = filter["Key"].as_str().unwrap();
                let is = match key.strip_prefix("tag:") {
                    Some(tag) => host.tags.get(tag).map(String::as_str),
                    None => (key == "InstanceIds").then_some(host.id.as_str()),
                };
                filter["Values"].as_array().unwrap().iter().any(|value| value.as_str() == is)
            })
        };
        let told = |host: &Host| {
            json!({
                "InstanceId": host.id, "PingStatus": if host.is_connected() { "Online" } else { "ConnectionLost" }, "LastPingDateTime": now(),
                "PlatformType": host.platform, "PlatformName": "Amazon Linux", "ComputerName": format!("web-{}", &host.id[7..]), "ResourceType": "EC2Instance",
            })
        };
        page("InstanceInformationList", self.hosts.iter().filter(fits).map(told).collect(), body)
    }

    fn send(&mut self, body: &Value) -> Answer {
        let name = body["DocumentName"].as_str().unwrap_or_default();
        let Some(("Command", takes)) = document(name) else {
            return Err(refuse("InvalidDocument", format!("Document {name} does not exist")));
        };
        let given: Vec<&String> = body["Parameters"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
        if let Some(key) = given.iter().find(|key| !takes.iter().any(|(name, ..)| name == **key)) {
            return Err(refuse("InvalidParameters", format!("{key} is not a parameter of {name}")));
        }
        if let Some((key, ..)) = takes.iter().find(|(key, _, default)| default.is_none() && !given.iter().any(|one| *one == key)) {
            return Err(refuse("InvalidParameters", format!("{key} is required")));
        }
        if body["Comment"].as_str().is_some_and(|text| text.len() > 100) || body["TimeoutSeconds"].as_i64().is_some_and(|n| n < 30) {
            return Err(refuse("ValidationException", "Comment or TimeoutSeconds is out of bounds"));
        }
        let ids: Vec<String> = body["InstanceIds"].as_array().into_iter().flatten().map(|id| id.as_str().unwrap().to_owned()).collect();
        if ids.is_empty() || ids.iter().any(|id| !self.hosts.iter().any(|host| host.id == *id)) {
            return Err(refuse("InvalidInstanceId", format!("Instances {ids:?} not in a valid state for account")));
        }
        let pending = |id: String| Invocation {
            host: id,
            status: "Pending",
            details: "Pending",
            child: None,
            born: Instant::now(),
            started: None,
            code: -1,
            ended: None,
            told: None,
        };
        let id = format!("00000000-0000-4000-8000-{:012}", self.sent.len() + 1);
        let on = ids.into_iter().map(pending).collect();
        self.sent.push(Sent { id, body: body.clone(), at: now(), born: Instant::now(), cancelled: false, on });
        Ok(json!({ "Command": told(self.sent.last().unwrap()) }))
    }

    fn cancel(&mut self, body: &Value) -> Answer {
        let deaf = self.deaf;
        let id = body["CommandId"].as_str().unwrap_or_default();
        let sent = self.sent.iter_mut().find(|sent| sent.id == id).ok_or_else(|| refuse("InvalidCommandId", id))?;
        if deaf || !sent.on.iter().any(Invocation::open) {
            return Ok(json!({}));
        }
        sent.cancelled = true;
        for one in &mut sent.on {
            match one.status {
                "Pending" => one.over("Cancelled", "Cancelled"),
                "InProgress" => {
                    (one.status, one.details) = ("Cancelling", "Cancelling");
                    one.end("TERM");
                }
                _ => {}
            }
        }
        Ok(json!({}))
    }

    fn shown(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| sent.born.elapsed() >= self.lag)
    }

    fn commands(&self, body: &Value) -> Value {
        let filters = body["Filters"].as_array().cloned().unwrap_or_default();
        let fits = |sent: &&Sent| {
            filters.iter().all(|filter| match filter["key"].as_str().unwrap() {
                "InvokedAfter" => filter["value"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second() as f64 <= sent.at,
                "DocumentName" => sent.body["DocumentName"] == filter["value"],
                _ => true,
            }) && body["CommandId"].as_str().is_none_or(|id| id == sent.id)
        };
        let mut found: Vec<Value> = self.shown().filter(fits).map(told).collect();
        found.reverse();
        page("Commands", found, body)
    }

    fn invocations(&self, body: &Value) -> Value {
        let id = body["CommandId"].as_str();
        let told = |sent: &Sent| {
            let on = |one: &Invocation| {
                json!({
                    "CommandId": sent.id, "InstanceId": one.host, "InstanceName": "", "Comment": sent.body["Comment"].as_str().unwrap_or_default(),
                    "DocumentName": sent.body["DocumentName"], "DocumentVersion": "$DEFAULT", "RequestedDateTime": sent.at,
                    "Status": one.status, "StatusDetails": one.details, "StandardOutputUrl": "", "StandardErrorUrl": "", "CommandPlugins": [],
                })
            };
            sent.on.iter().map(on).collect::<Vec<_>>()
        };
        page("CommandInvocations", self.shown().filter(|sent| id.is_none_or(|id| id == sent.id)).flat_map(told).collect(), body)
    }

    fn result(&self, body: &Value) -> Answer {
        let (id, host) = (body["CommandId"].as_str().unwrap_or_default(), body["InstanceId"].as_str().unwrap_or_default());
        let gone = || refuse("InvocationDoesNotExist", "");
        let sent = self.shown().find(|sent| sent.id == id).ok_or_else(gone)?;
        let one = sent.on.iter().find(|one| one.host == host).ok_or_else(gone)?;
        let read = |what: &str| {
            let text = std::fs::read_to_string(self.dir(host).join(format!(".agent/{id}.{what}"))).unwrap_or_default();
            if text.chars().count() <= self.kept {
                return text;
            }
            text.chars().take(self.kept - CUT.len()).collect::<String>() + CUT
        };
        let place = sent.body["OutputS3BucketName"]
            .as_str()
            .map(|bucket| format!("https://s3.eu-west-1.amazonaws.com/{bucket}/{id}/{host}/stdout"));
        Ok(json!({
            "CommandId": id, "InstanceId": host, "Comment": sent.body["Comment"].as_str().unwrap_or_default(), "DocumentName": sent.body["DocumentName"],
            "DocumentVersion": "$DEFAULT", "PluginName": "aws:runShellScript", "ResponseCode": one.code,
            "ExecutionStartDateTime": if one.started.is_some() { "2026-11-27T01:00:00.000Z" } else { "" },
            "ExecutionElapsedTime": "", "ExecutionEndDateTime": "", "Status": one.status, "StatusDetails": one.details,
            "StandardOutputContent": read("out"), "StandardErrorContent": read("err"), "StandardOutputUrl": place.unwrap_or_default(), "StandardErrorUrl": "",
        }))
    }

    /// Time passes.
    pub fn tick(&mut self) {
        let (pending, delivery) = (self.pending, self.delivery);
        for sent in &mut self.sent {
            let total = sent.on.len();
            let at_once = share(&sent.body["MaxConcurrency"], total, 50);
            let may_fail = share(&sent.body["MaxErrors"], total, 0);
            let failed = sent.on.iter().filter(|one| !one.open() && !["Success", "Cancelled"].contains(&one.status)).count();
            let mut busy = sent.on.iter().filter(|one| matches!(one.status, "InProgress" | "Cancelling")).count();
            let limit: u64 = sent.body["Parameters"]["executionTimeout"][0].as_str().and_then(|text| text.parse().ok()).unwrap_or(3600);
            let patience = delivery.unwrap_or(Duration::from_secs(sent.body["TimeoutSeconds"].as_u64().unwrap_or(3600)));
            for one in &mut sent.on {
                let host = self.hosts.iter().find(|host| host.id == one.host).unwrap();
                match one.status {
                    "Pending" if failed > may_fail => one.over("Cancelled", "Terminated"),
                    "Pending" if one.born.elapsed() >= patience => one.over("TimedOut", "DeliveryTimedOut"),
                    "Pending" if host.is_connected() && busy < at_once && one.born.elapsed() >= pending => {
                        busy += 1;
                        one.child =
                            Some(begin(host, &sent.id, &script(sent.body["DocumentName"].as_str().unwrap(), &sent.body["Parameters"])));
                        (one.status, one.details, one.started) = ("InProgress", "InProgress", Some(Instant::now()));
                    }
                    // What a host that is cut off does is not known.
                    "InProgress" | "Cancelling" if host.is_connected() => one.look(limit),
                    _ => {}
                }
            }
        }
    }
}

impl Invocation {
    fn look(&mut self, limit: u64) {
        if self.status == "InProgress" && self.told.is_none() && self.started.unwrap().elapsed() >= Duration::from_secs(limit) {
            self.end("TERM");
        }
        if self.told.is_some_and(|at| at.elapsed() >= Duration::from_secs(1)) {
            self.end("KILL");
        }
        let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() else { return };
        self.code = status.code().unwrap_or(137);
        let (cancelling, told) = (self.status == "Cancelling", self.told.is_some());
        match (cancelling, told, status.success()) {
            (true, ..) => self.over("Cancelled", "Cancelled"),
            (_, true, _) => self.over("TimedOut", "ExecutionTimedOut"),
            (_, _, true) => self.over("Success", "Success"),
            _ => self.over("Failed", "Failed"),
        }
    }
}

/// Runs a script as an agent does: from a file, in a process group of its own.
fn begin(host: &Host, id: &str, script: &str) -> Child {
    let agent = host.dir.join(".agent");
    std::fs::create_dir_all(&agent).unwrap();
    let at = |what: &str| -> PathBuf { agent.join(format!("{id}.{what}")) };
    std::fs::write(at("sh"), script).unwrap();
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut command = Command::new("sh");
    let path = format!("{}:{}", host.dir.join("bin").display(), std::env::var("PATH").unwrap());
    command.arg(at("sh")).current_dir(&host.dir).env_clear().env("PATH", path).env("TMPDIR", &host.dir);
    command.env("HOME", host.dir.join("home")).env("FIREDRILL_REGISTRY", host.dir.join("registry"));
    command.stdin(Stdio::null()).stdout(file(&at("out"))).stderr(file(&at("err"))).process_group(0).spawn().unwrap()
}

fn describe(body: &Value) -> Answer {
    let name = body["Name"].as_str().unwrap_or_default();
    let (of, parameters) = document(name).ok_or_else(|| refuse("InvalidDocument", format!("Document with name {name} does not exist.")))?;
    if body["DocumentVersion"].as_str().is_some_and(|version| !["1", "$DEFAULT", "$LATEST"].contains(&version)) {
        return Err(refuse("InvalidDocumentVersion", format!("The version of {name} does not exist")));
    }
    let parameter = |(name, of, default): &Parameter| {
        let mut told = json!({ "Name": name, "Type": of, "Description": name });
        if let Some(default) = default {
            told["DefaultValue"] = json!(default);
        }
        told
    };
    Ok(json!({ "Document": {
        "Name": name, "Owner": "Amazon", "CreatedDate": 1_600_000_000.0, "Status": "Active", "DocumentVersion": "1", "Description": name,
        "Parameters": parameters.iter().map(parameter).collect::<Vec<_>>(), "PlatformTypes": ["Linux"], "DocumentType": of, "SchemaVersion": "2.2",
        "LatestVersion": "1", "DefaultVersion": "1", "DocumentFormat": "JSON", "Tags": [],
    } }))
}

fn told(sent: &Sent) -> Value {
    let count = |holds: &dyn Fn(&Invocation) -> bool| sent.on.iter().filter(|one| holds(one)).count();
    let failed = count(&|one| matches!(one.status, "Failed" | "TimedOut"));
    let status = match (count(&Invocation::open), count(&|one| one.started.is_some())) {
        (1.., _) if sent.cancelled => "Cancelling",
        (1.., 0) => "Pending",
        (1.., _) => "InProgress",
        _ if sent.cancelled => "Cancelled",
        _ if failed > share(&sent.body["MaxErrors"], sent.on.len(), 0) => "Failed",
        _ => "Success",
    };
    let mut told = json!({
        "CommandId": sent.id, "DocumentName": sent.body["DocumentName"], "DocumentVersion": "$DEFAULT", "Comment": sent.body["Comment"].as_str().unwrap_or_default(),
        "ExpiresAfter": sent.at + 3600.0, "Parameters": sent.body["Parameters"], "InstanceIds": sent.body["InstanceIds"], "Targets": [],
        "RequestedDateTime": sent.at, "Status": status, "StatusDetails": status, "MaxConcurrency": sent.body["MaxConcurrency"].as_str().unwrap_or("50"),
        "MaxErrors": sent.body["MaxErrors"].as_str().unwrap_or("0"), "TargetCount": sent.on.len(), "CompletedCount": count(&|one| !one.open()),
        "ErrorCount": failed, "DeliveryTimedOutCount": count(&|one| one.details == "DeliveryTimedOut"), "TimeoutSeconds": sent.body["TimeoutSeconds"].as_i64().unwrap_or(3600),
    });
    if told["Parameters"].is_null() {
        told["Parameters"] = json!({});
    }
    told
}

/// A page of a list, as large as is asked for.
fn page(name: &str, items: Vec<Value>, body: &Value) -> Value {
    let from: usize = body["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
    let size = body["MaxResults"].as_u64().unwrap_or(50) as usize;
    let mut answer = json!({ name: items.iter().skip(from).take(size).collect::<Vec<_>>() });
    if from + size < items.len() {
        answer["NextToken"] = json!((from + size).to_string());
    }
    answer
}
