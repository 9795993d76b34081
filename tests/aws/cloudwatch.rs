//! CloudWatch: alarms with their states, composite ones too, and metrics whose datapoints are seen only after a delay. It speaks the protocol of today's
//! clients, RPC v2 over CBOR, which the SDK for Rust speaks, and JSON, which the one for Python does.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may break off anywhere and uses real time")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{ACCOUNT, Answer, Refusal};

/// An alarm.
pub struct Alarm {
    pub name: String,
    pub state: &'static str,
    pub reason: String,
    pub since: f64,
    /// Of a composite alarm, those of which any makes it fire.
    pub any_of: Vec<String>,
}

/// A datapoint: metric, when its period began, value, and when it was put.
struct Point(String, f64, f64, f64);

/// The service.
#[derive(Default)]
pub struct CloudWatch {
    alarms: Vec<Alarm>,
    points: Vec<Point>,
    /// How long a datapoint is not seen after it was put.
    pub delay: Duration,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A moment, as [`encode`] writes it.
fn moment(at: f64) -> Value {
    json!({ "$time": at })
}

pub fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:{name}")
}

impl CloudWatch {
    /// Adds an alarm in a state.
    pub fn alarm(&mut self, name: &str, state: &'static str) {
        self.alarms.push(Alarm { name: name.into(), state, reason: "as it began".into(), since: now(), any_of: vec![] });
    }

    /// Adds a composite alarm.
    pub fn composite(&mut self, name: &str, any_of: &[&str]) {
        let any_of = any_of.iter().map(|name| (*name).to_owned()).collect();
        self.alarms.push(Alarm { name: name.into(), state: "OK", reason: "as it began".into(), since: now(), any_of });
    }

    /// `SetAlarmState`, and what follows for composite ones.
    pub fn set(&mut self, name: &str, state: &'static str, reason: &str) {
        for one in self.alarms.iter_mut().filter(|one| one.name == name && one.state != state) {
            (one.state, one.reason, one.since) = (state, reason.to_owned(), now());
        }
        let firing: Vec<String> = self.alarms.iter().filter(|one| one.state == "ALARM").map(|one| one.name.clone()).collect();
        for one in self.alarms.iter_mut().filter(|one| !one.any_of.is_empty()) {
            let state = if one.any_of.iter().any(|name| firing.contains(name)) { "ALARM" } else { "OK" };
            if one.state != state {
                (one.state, one.reason, one.since) = (state, format!("{name} is {state}"), now());
            }
        }
    }

    /// The ARNs of those that fire: what stops experiments.
    pub fn firing(&self) -> Vec<String> {
        self.alarms.iter().filter(|one| one.state == "ALARM").map(|one| arn(&one.name)).collect()
    }

    /// `PutMetricData`: a datapoint whose period began so long ago.
    pub fn put(&mut self, metric: &str, ago: f64, value: f64) {
        self.points.push(Point(metric.into(), now() - ago, value, now()));
    }

    pub fn act(&mut self, operation: &str, body: &Value) -> Answer {
        match operation {
            "DescribeAlarms" => Ok(self.describe(body)),
            "GetMetricData" => self.data(body),
            other => Err(Refusal(404, "UnknownOperationException", format!("{other} is not known here"))),
        }
    }

    fn describe(&self, body: &Value) -> Value {
        let texts = |key: &str| -> Vec<&str> { body[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect() };
        let (names, types, state) = (texts("AlarmNames"), texts("AlarmTypes"), body["StateValue"].as_str());
        let fits = |one: &&Alarm| {
            let of = if one.any_of.is_empty() { "MetricAlarm" } else { "CompositeAlarm" };
            // Without types only alarms of metrics are told.
            (if types.is_empty() { of == "MetricAlarm" } else { types.contains(&of) })
                && (names.is_empty() || names.contains(&one.name.as_str()))
                && state.is_none_or(|state| state == one.state)
        };
        let told = |one: &Alarm| {
            let mut told = json!({
                "AlarmName": one.name, "AlarmArn": arn(&one.name), "ActionsEnabled": true, "StateValue": one.state,
                "StateReason": one.reason, "StateUpdatedTimestamp": moment(one.since), "StateTransitionedTimestamp": moment(one.since),
            });
            if one.any_of.is_empty() {
                (told["Namespace"], told["MetricName"]) = (json!("Shop"), json!("Errors"));
            } else {
                told["AlarmRule"] = json!(one.any_of.iter().map(|name| format!("ALARM({name})")).collect::<Vec<_>>().join(" OR "));
            }
            told
        };
        let seen: Vec<&Alarm> = self.alarms.iter().filter(fits).collect();
        let of = |composite: bool| seen.iter().filter(|one| one.any_of.is_empty() != composite).map(|one| told(one)).collect::<Vec<_>>();
        json!({ "MetricAlarms": of(false), "CompositeAlarms": of(true) })
    }

    /// One metric each, and of maths only `a / b` of the newest datapoints.
    fn data(&self, body: &Value) -> Answer {
        let queries = body["MetricDataQueries"].as_array().cloned().unwrap_or_default();
        let seconds = |key: &str| body[key]["$time"].as_f64().or_else(|| body[key].as_f64());
        let (Some(from), Some(to)) = (seconds("StartTime"), seconds("EndTime")) else {
            return Err(Refusal(400, "MissingParameter", "StartTime and EndTime are required".into()));
        };
        let newest = |metric: &str| -> Vec<(f64, f64)> {
            let visible = |p: &&Point| p.0 == metric && p.1 >= from && p.1 < to && now() - p.3 >= self.delay.as_secs_f64();
            let mut found: Vec<(f64, f64)> = self.points.iter().filter(visible).map(|p| (p.1, p.2)).collect();
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            found
        };
        let metric_of = |id: &str| {
            let query = queries.iter().find(|query| query["Id"] == id)?;
            query["MetricStat"]["Metric"]["MetricName"].as_str()
        };
        let mut results = Vec::new();
        for query in queries.iter().filter(|query| query["ReturnData"] != false) {
            let found = match (query["MetricStat"]["Metric"]["MetricName"].as_str(), query["Expression"].as_str()) {
                (Some(metric), None) => newest(metric),
                (None, Some(maths)) => {
                    let side = |id: &str| newest(metric_of(id.trim()).unwrap_or_default());
                    let (above, below) = maths.split_once('/').ok_or(Refusal(400, "ValidationError", "only a / b is known here".into()))?;
                    side(above).into_iter().zip(side(below)).map(|(a, b)| (a.0, a.1 / b.1)).collect()
                }
                _ => return Err(Refusal(400, "ValidationError", "a query is a metric or an expression".into())),
            };
            let (times, values): (Vec<Value>, Vec<f64>) = found.into_iter().map(|(at, value)| (moment(at), value)).unzip();
            // A number without a fraction would be written as a whole one.
            let values: Vec<Value> = values.into_iter().map(|value| json!({ "$double": value })).collect();
            results
                .push(json!({ "Id": query["Id"], "Label": query["Id"], "StatusCode": "Complete", "Timestamps": times, "Values": values }));
        }
        Ok(json!({ "MetricDataResults": results, "Messages": [] }))
    }
}

/// A document for a protocol in which moments and doubles are numbers.
pub fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(map) => match map.get("$time").or(map.get("$double")) {
            Some(number) => number.clone(),
            None => Value::Object(map.into_iter().map(|(key, value)| (key, plain(value))).collect()),
        },
        other => other,
    }
}

/// JSON as CBOR (RFC 8949), as much of it as the protocol needs: `{"$time": s}` is a moment, `{"$double": x}` a double.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    let head = |major: u8, count: usize, out: &mut Vec<u8>| {
        out.push(major << 5 | 26);
        out.extend(u32::try_from(count).unwrap().to_be_bytes());
    };
    let double = |number: f64, out: &mut Vec<u8>| {
        out.push(0xfb);
        out.extend(number.to_be_bytes());
    };
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(yes) => out.push(if *yes { 0xf5 } else { 0xf4 }),
        Value::Number(number) => match number.as_u64() {
            Some(whole) => head(0, usize::try_from(whole).unwrap(), out),
            None => double(number.as_f64().unwrap(), out),
        },
        Value::String(text) => {
            head(3, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Object(map) => {
            if let Some(at) = map.get("$time").and_then(Value::as_f64) {
                out.push(0xc1);
                return double(at, out);
            }
            if let Some(number) = map.get("$double").and_then(Value::as_f64) {
                return double(number, out);
            }
            head(5, map.len(), out);
            for (key, item) in map {
                encode(&Value::String(key.clone()), out);
                encode(item, out);
            }
        }
    }
}

/// CBOR as JSON, the other way round; nothing where it is none.
pub fn decode(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes;
    item(&mut rest)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

/// The end of something of unknown length.
const BREAK: u8 = 0xff;

fn item(rest: &mut &[u8]) -> Option<Value> {
    let first = *take(rest, 1)?.first()?;
    let (major, minor) = (first >> 5, first & 31);
    if major == 7 {
        return match minor {
            20 | 21 => Some(json!(minor == 21)),
            22 | 23 => Some(Value::Null),
            26 => Some(json!(f32::from_be_bytes(take(rest, 4)?.try_into().ok()?))),
            27 => Some(json!(f64::from_be_bytes(take(rest, 8)?.try_into().ok()?))),
            _ => None,
        };
    }
    let count = match minor {
        0..=23 => Some(u64::from(minor)),
        24..=27 => Some(take(rest, 1 << (minor - 24))?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))),
        31 => None,
        _ => return None,
    };
    let done = |rest: &mut &[u8], n: u64| match count {
        Some(count) => n >= count,
        None => rest.first() == Some(&BREAK) && take(rest, 1).is_some(),
    };
    match major {
        0 => Some(json!(count?)),
        1 => Some(json!(-1 - i64::try_from(count?).ok()?)),
        2 | 3 => String::from_utf8(take(rest, usize::try_from(count?).ok()?)?.to_vec()).ok().map(Value::String),
        4 => {
            let mut items = Vec::new();
            while !done(rest, items.len() as u64) {
                items.push(item(rest)?);
            }
            Some(Value::Array(items))
        }
        5 => {
            let mut map = serde_json::Map::new();
            let mut n = 0;
            while !done(rest, n) {
                map.insert(item(rest)?.as_str()?.to_owned(), item(rest)?);
                n += 1;
            }
            Some(Value::Object(map))
        }
        _ => item(rest).map(|inner| if count == Some(1) { json!({ "$time": inner }) } else { inner }),
    }
}
