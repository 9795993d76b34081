//! A double of an AWS account: STS, the register of tags, Fault Injection Service with its real state machines, CloudWatch, and Systems Manager whose
//! commands really run, behind one endpoint. It can
//! throttle, lose answers, break connections, lag behind itself and refuse credentials. Its wire format is held against AWS's own service
//! models by `peer.py`.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may break off anywhere and waits on real processes; every file uses another part"
)]

pub mod actions;
pub mod cloudwatch;
pub mod fis;
pub mod ssm;
pub mod sts;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::drill::{Done, Place, wait};
use fis::Fis;

/// The account.
pub const ACCOUNT: &str = "111122223333";
/// Credentials that it knows.
pub const KEY: &str = "AKIADRILL0000000DRILL";
/// A role that these may assume, with the right external id, and the credentials of it.
pub const ROLE: &str = "arn:aws:iam::111122223333:role/drill";
pub const EXTERNAL: &str = "shop-7";
const OF_ROLE: &str = "ASIAROLE00000000DRILL";
/// Credentials that it knew once.
pub const EXPIRED: &str = "AKIAEXPIRED00000DRILL";
/// A region that is not enabled.
pub const OFF: &str = "ap-east-2";

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is not done: too many calls.
    Throttle,
    /// It is done, and its answer is lost on the way.
    LoseAnswer,
    /// It is not done, and the connection breaks.
    Break,
    /// It is not done: the credentials are of yesterday.
    Expire,
}

/// A call as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation, for example `StartExperiment`.
    pub operation: String,
    /// What went wrong with it.
    pub trouble: Option<Trouble>,
    /// When, since the double was started.
    pub at: Duration,
}

type Hook = Box<dyn Fn(usize, &str) + Send>;

/// What the double knows.
pub struct World {
    pub fis: Fis,
    pub cloudwatch: cloudwatch::CloudWatch,
    pub ssm: ssm::Ssm,
    pub sts: sts::Sts,
    pub calls: Vec<Call>,
    /// What goes wrong with the next calls of an operation; `*` is any.
    pub troubles: BTreeMap<String, Vec<Trouble>>,
    /// The call of an operation that goes wrong, counted from here on.
    pub nth: Option<(&'static str, usize, Trouble)>,
    /// Throttles every call but those that stop something, to this many a second.
    pub limit: Option<usize>,
    /// Whether the callers' clocks are an hour off.
    pub skewed: bool,
    hook: Option<Hook>,
    born: std::time::Instant,
}

/// A running double. It ends with its runtime.
pub struct Double {
    pub url: String,
    world: Arc<Mutex<World>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Double {
    /// Starts one on a free port. A minute of an action takes this long.
    pub fn start(minute: Duration) -> Double {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World {
            fis: Fis::new(minute),
            cloudwatch: cloudwatch::CloudWatch::default(),
            ssm: ssm::Ssm::default(),
            sts: sts::Sts::default(),
            calls: Vec::new(),
            troubles: BTreeMap::new(),
            nth: None,
            limit: None,
            skewed: false,
            hook: None,
            born: std::time::Instant::now(),
        }));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&world));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
        let ticking = Arc::clone(&world);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                ticking.lock().unwrap().tick();
            }
        });
        Double { url, world, runtime: Some(runtime) }
    }

    /// Looks at the world, or changes it.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap())
    }

    /// The next calls of an operation go wrong like this.
    pub fn trouble(&self, operation: &str, troubles: &[Trouble]) {
        self.with(|world| world.troubles.entry(operation.to_owned()).or_default().extend(troubles));
    }

    /// Is told of every call once it is done, before it is answered: its number from 1, and its operation.
    pub fn on_call(&self, hook: impl Fn(usize, &str) + Send + 'static) {
        self.with(|world| world.hook = Some(Box::new(hook)));
    }

    /// The operations that were asked for, in order.
    pub fn operations(&self) -> Vec<String> {
        self.with(|world| world.calls.iter().map(|call| call.operation.clone()).collect())
    }

    /// The environment in which this account is the one that is found.
    pub fn environment(&self) -> [(&'static str, String); 9] {
        [
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ACCESS_KEY_ID", KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", "not-a-real-secret".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("AWS_CONFIG_FILE", "/dev/null".into()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
            ("AWS_REGION", "eu-west-1".into()),
            ("AWS_DEFAULT_REGION", "eu-west-1".into()),
            ("NO_PROXY", "127.0.0.1".into()),
        ]
    }
}

/// A command of the binary in a place of its own, for which this account is the one that is found.
pub fn in_account(place: &Place, double: &Double, args: &[&str]) -> Command {
    let mut command = place.command(args);
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "FIREDRILL_MFA_CODE", "FIREDRILL_MFA_DEVICE"] {
        command.env_remove(name);
    }
    command.envs(double.environment()).env("HOME", place.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub fn run(place: &Place, double: &Double, args: &[&str]) -> Done {
    wait(in_account(place, double, args).spawn().unwrap(), 120)
}

/// What an operation answers: a document, or a refusal.
pub type Answer = Result<Value, Refusal>;

/// An error as AWS says it.
#[derive(Debug, Clone)]
pub struct Refusal(pub u16, pub &'static str, pub String);

/// A request, as far as operations need it.
pub struct Asked<'a> {
    pub path: Vec<&'a str>,
    pub query: BTreeMap<String, String>,
    pub body: Value,
}

enum Protocol {
    Query,
    Json,
    Cbor,
    Rest,
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.replace("%2F", "/").replace("%3A", ":")));
    text.split('&').filter_map(pair).collect()
}

fn operation_of(method: &Method, path: &[&str], headers: &HeaderMap, body: &[u8]) -> (Protocol, String) {
    if let Some(target) = headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        return (Protocol::Json, target.rsplit('.').next().unwrap().to_owned());
    }
    if headers.get("smithy-protocol").is_some_and(|protocol| protocol == "rpc-v2-cbor") {
        return (Protocol::Cbor, path.last().copied().unwrap_or_default().to_owned());
    }
    let rest = |name: &str| (Protocol::Rest, name.to_owned());
    match (method.as_str(), path) {
        ("POST", ["experimentTemplates"]) => rest("CreateExperimentTemplate"),
        ("GET", ["experimentTemplates"]) => rest("ListExperimentTemplates"),
        ("GET", ["experimentTemplates", _]) => rest("GetExperimentTemplate"),
        ("DELETE", ["experimentTemplates", _]) => rest("DeleteExperimentTemplate"),
        ("POST", ["experiments"]) => rest("StartExperiment"),
        ("GET", ["experiments"]) => rest("ListExperiments"),
        ("GET", ["experiments", _]) => rest("GetExperiment"),
        ("DELETE", ["experiments", _]) => rest("StopExperiment"),
        ("GET", ["experiments", _, "resolvedTargets"]) => rest("ListExperimentResolvedTargets"),
        ("GET", ["safetyLevers", _]) => rest("GetSafetyLever"),
        ("GET", ["federation", "credentials"]) => rest("GetRoleCredentials"),
        _ => {
            let form = pairs(&String::from_utf8_lossy(body));
            (Protocol::Query, form.get("Action").cloned().unwrap_or_else(|| format!("{method} {}", path.join("/"))))
        }
    }
}

/// The key and the region that a request was signed for.
fn signer(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get("authorization")?.to_str().ok()?;
    let scope = text.split("Credential=").nth(1)?.split(',').next()?;
    let mut parts = scope.split('/');
    Some((parts.next()?.to_owned(), parts.nth(1)?.to_owned()))
}

fn admitted(world: &World, headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |code, text: &str| Err(Refusal(403, code, text.to_owned()));
    if let Some(said) = signer(headers).and_then(|(key, _)| world.sts.refuses(&key, headers)) {
        return said;
    }
    match signer(headers) {
        None => refuse("MissingAuthenticationTokenException", "Missing Authentication Token"),
        Some((key, _)) if key == EXPIRED => refuse("ExpiredTokenException", "The security token included in the request is expired"),
        Some((key, region)) if ![KEY, OF_ROLE].contains(&key.as_str()) || region == OFF => {
            refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
        }
        Some(_) if world.skewed => refuse(
            "InvalidSignatureException",
            "Signature expired: 20261127T010000Z is now earlier than 20261127T015500Z (20261127T020000Z - 5 min.) x-amz-security-token:SECRET",
        ),
        Some(_) => Ok(()),
    }
}

impl World {
    /// Time passes; what CloudWatch says stops experiments.
    fn tick(&mut self) {
        self.fis.alarms.extend(self.cloudwatch.firing());
        self.fis.tick();
        self.ssm.tick();
    }

    fn next_trouble(&mut self, operation: &str) -> Option<Trouble> {
        let now = self.born.elapsed();
        let lately = self.calls.iter().filter(|call| call.trouble.is_none() && call.at + Duration::from_secs(1) > now).count();
        if self.limit.is_some_and(|limit| lately >= limit) && operation != "GetCallerIdentity" {
            return Some(Trouble::Throttle);
        }
        if let Some((name, left, trouble)) = &mut self.nth
            && *name == operation
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let trouble = *trouble;
                self.nth = None;
                return Some(trouble);
            }
        }
        for name in [operation, "*"] {
            if let Some(list) = self.troubles.get_mut(name).filter(|list| !list.is_empty()) {
                return Some(list.remove(0));
            }
        }
        None
    }

    fn act(&mut self, operation: &str, caller: &str, asked: &Asked<'_>) -> Answer {
        match operation {
            "GetCallerIdentity" => {
                let own = if caller == OF_ROLE { "drill/firedrill" } else { "drills/alice" };
                let of_session = self.sts.role_of(caller);
                let who = of_session.as_ref().and_then(Value::as_str).unwrap_or(own);
                Ok(json!({ "Arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{who}"), "Account": ACCOUNT, "UserId": "AROA:alice" }))
            }
            "AssumeRole"
                if asked.query.get("RoleArn").is_some_and(|role| role == ROLE)
                    && asked.query.get("ExternalId").is_some_and(|id| id == EXTERNAL) =>
            {
                let keys = json!({ "AccessKeyId": OF_ROLE, "SecretAccessKey": "not-a-real-secret", "SessionToken": "not-a-real-token", "Expiration": "2099-01-01T00:00:00Z" });
                let user =
                    json!({ "AssumedRoleId": "AROA:firedrill", "Arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/drill/firedrill") });
                Ok(json!({ "Credentials": keys, "AssumedRoleUser": user }))
            }
            "AssumeRole" if asked.query.get("RoleArn").is_some_and(|role| role == sts::ROLE) => self.sts.assume(&asked.query),
            "AssumeRole" => Err(Refusal(403, "AccessDenied", "alice is not authorized to perform: sts:AssumeRole".into())),
            "GetResources" => self.fis.resources(&asked.body),
            "DescribeAlarms" | "GetMetricData" => self.cloudwatch.act(operation, &asked.body),
            "SendCommand"
            | "CancelCommand"
            | "ListCommands"
            | "ListCommandInvocations"
            | "GetCommandInvocation"
            | "DescribeInstanceInformation"
            | "DescribeDocument" => self.ssm.act(operation, &asked.body),
            _ => self.fis.act(operation, asked),
        }
    }
}

async fn answer(State(world): State<Arc<Mutex<World>>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let (protocol, operation) = operation_of(&method, &path, &headers, &body);
    let form = if matches!(protocol, Protocol::Query) { String::from_utf8_lossy(&body).into_owned() } else { String::new() };
    let caller = signer(&headers).map(|(key, _)| key).unwrap_or_default();
    let document = match protocol {
        Protocol::Cbor => cloudwatch::decode(&body).unwrap_or_default(),
        _ => serde_json::from_slice(&body).unwrap_or_default(),
    };
    let asked = Asked { path, query: pairs(uri.query().unwrap_or(&form)), body: document };
    let mut world = world.lock().unwrap();
    let trouble = world.next_trouble(&operation);
    let at = world.born.elapsed();
    world.calls.push(Call { operation: operation.clone(), trouble, at });
    let mut done = match trouble {
        Some(Trouble::Throttle) => Err(Refusal(429, "ThrottlingException", "Rate exceeded".into())),
        Some(Trouble::Expire) => Err(Refusal(403, "ExpiredTokenException", "The security token included in the request is expired".into())),
        Some(Trouble::Break) => return broken(),
        None | Some(Trouble::LoseAnswer) if operation == "GetRoleCredentials" => world.sts.portal(&headers, &asked),
        None | Some(Trouble::LoseAnswer) => match admitted(&world, &headers) {
            Ok(()) => world.act(&operation, &caller, &asked),
            Err(refusal) => Err(refusal),
        },
    };
    let count = world.calls.len();
    if let Some(hook) = &world.hook {
        hook(count, &operation);
    }
    if trouble == Some(Trouble::LoseAnswer) {
        return broken();
    }
    if let (Protocol::Query, Ok(document)) = (&protocol, &mut done) {
        return text(200, "text/xml", None, xml(&operation, document));
    }
    match (protocol, done) {
        (Protocol::Query, Err(Refusal(status, code, message))) => {
            let error = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
            );
            text(status, "text/xml", None, error)
        }
        (Protocol::Cbor, done) => cbor(done),
        (Protocol::Json, Ok(document)) => text(200, "application/x-amz-json-1.1", None, cloudwatch::plain(document).to_string()),
        (_, Ok(document)) => text(200, "application/json", None, document.to_string()),
        (_, Err(Refusal(status, code, message))) => {
            text(status, "application/json", Some(code), json!({ "__type": code, "message": message }).to_string())
        }
    }
}

/// An answer of which nothing arrives.
fn broken() -> Response<Body> {
    let stream = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("the connection is broken")) });
    Response::builder().header("content-length", "100").body(Body::from_stream(stream)).unwrap()
}

fn cbor(done: Answer) -> Response<Body> {
    let (status, document) = match done {
        Ok(document) => (200, document),
        Err(Refusal(status, code, message)) => (status, json!({ "__type": code, "message": message })),
    };
    let mut body = Vec::new();
    cloudwatch::encode(&document, &mut body);
    let response = Response::builder().status(status).header("content-type", "application/cbor").header("smithy-protocol", "rpc-v2-cbor");
    response.header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000").body(Body::from(body)).unwrap()
}

fn text(status: u16, kind: &str, error: Option<&str>, body: String) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap()).header("content-type", kind);
    response = response.header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000");
    if let Some(code) = error {
        response = response.header("x-amzn-errortype", code);
    }
    response.body(Body::from(body)).unwrap()
}

fn xml(operation: &str, document: &Value) -> String {
    fn fields(document: &Value) -> String {
        let field = |(key, value): (&String, &Value)| {
            let inner = value.as_str().map_or_else(|| fields(value), str::to_owned);
            format!("<{key}>{inner}</{key}>")
        };
        document.as_object().unwrap().iter().map(field).collect()
    }
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{}</{operation}Result>\
         <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>",
        fields(document)
    )
}
