//! `aws.cloudwatch.metric`: the newest datapoint of a metric, or of an expression over several, by `GetMetricData`. What is not there is no data, and
//! never 0; how old the newest datapoint is, is part of the answer, because CloudWatch's own delay is part of what one sees.

use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Fields, Told, age, asked, moment};
use crate::base::{Problem, Span, one_line};
use crate::plan::{Expect, Matcher};
use crate::probe::error::Why;
use crate::probe::kind::{Ask, Asked, Probe, expect_one};
use crate::sys::aws::failed;
use crate::sys::{Cx, clock};

/// The id of the answer, where one metric is asked for.
const ONLY: &str = "firedrill";
/// The most metrics of one expression.
const MOST: usize = 50;
/// The most dimensions of one metric: CloudWatch's own limit.
const MOST_DIMENSIONS: usize = 30;
/// How far back is looked, in periods, and at least.
const BACK: (u64, Span) = (10, Span::secs(600));
/// The most datapoints that are kept as `values`.
const KEPT: usize = 20;

/// The kind.
pub(in crate::probe) struct Metric;

/// What a scenario writes under `aws.cloudwatch.metric:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::probe) struct MetricSpec {
    /// The metric's namespace, for example `AWS/ApplicationELB`.
    #[serde(default)]
    namespace: Option<String>,
    /// The metric's name.
    #[serde(default)]
    metric: Option<String>,
    /// Its dimensions, all of them.
    #[serde(default)]
    dimensions: IndexMap<String, String>,
    /// What is made of a period: `Average` (default), `Sum`, `Minimum`, `Maximum`, `SampleCount`, `p99` and the others of CloudWatch.
    #[serde(default)]
    statistic: Option<String>,
    /// In the place of one metric: an expression over several, in CloudWatch's metric maths: `100 * errors / requests`.
    #[serde(default)]
    expression: Option<String>,
    /// The metrics that the expression names, each by a name that begins with a small letter.
    #[serde(default)]
    metrics: IndexMap<String, One>,
    /// The length of a datapoint. Default 60s; 1s, 5s, 10s, 20s, 30s or whole minutes, as fine as the metric is kept.
    #[serde(default = "minute")]
    period: Span,
    /// A newest datapoint that ended longer ago is no data. Default: three periods, and two minutes.
    #[serde(default)]
    max_age: Option<Span>,
}

/// One metric of an expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct One {
    /// The metric's namespace.
    namespace: String,
    /// The metric's name.
    metric: String,
    /// Its dimensions, all of them.
    #[serde(default)]
    dimensions: IndexMap<String, String>,
    /// What is made of a period. Default `Average`.
    #[serde(default)]
    statistic: Option<String>,
}

fn minute() -> Span {
    Span::secs(60)
}

impl Probe for Metric {
    const KIND: &'static str = "aws.cloudwatch.metric";
    const ABOUT: &'static str = "Asks CloudWatch for the newest datapoint of a metric or of an expression over several.";
    const EXAMPLE: &'static str = concat!(
        "aws.cloudwatch.metric: { namespace: AWS/ApplicationELB, metric: HTTPCode_Target_5XX_Count, statistic: Sum,\n",
        "  dimensions: { LoadBalancer: app/shop/50dc6c495c0c9188 } }\n",
        "rate: 1/s\ntimeout: 3s\n",
        "expect: { value: { max: 5 } }\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("outcome", "ok; what AWS refuses or does not answer is no data"),
        ("value", "the newest datapoint; no data where there is none, or only one that is older than `max_age`"),
        ("age", "seconds since the newest datapoint's period ended: the metric's own delay"),
        ("at", "when that period began, by AWS's clock: RFC 3339"),
        ("datapoints", "how many there are in ten periods (at least ten minutes)"),
        ("values", "the newest of them, newest first, as a list of numbers"),
        ("duration", "seconds that the look took"),
    ];
    const RATE_HZ: f64 = 1.0;
    const IN_ACCOUNT: bool = true;
    type Spec = MetricSpec;

    fn check(&self, spec: &MetricSpec) -> Vec<Problem> {
        spec.problems()
    }

    fn good(&self, _: &MetricSpec) -> Expect {
        // A number at all; it says nothing of which.
        expect_one("value", Matcher::default())
    }

    fn open(&self, spec: MetricSpec, _: &Cx) -> Result<Box<dyn Ask>, Why> {
        if let Some(problem) = spec.problems().first() {
            return Err(Why::Spec(problem.text.clone()));
        }
        let (queries, id) = spec.queries().map_err(Why::Spec)?;
        Ok(Box::new(Newest { queries, id, period: spec.period, max_age: spec.max_age() }))
    }
}

impl MetricSpec {
    fn max_age(&self) -> Span {
        self.max_age.unwrap_or(self.period.times(3) + Span::secs(120))
    }

    fn problems(&self) -> Vec<Problem> {
        let mut out = Vec::new();
        match &self.expression {
            None => self.one_metric(&mut out),
            Some(expression) => self.several(expression, &mut out),
        }
        let seconds = self.period.0 / 1_000_000_000;
        let whole = self.period.0.is_multiple_of(1_000_000_000)
            && ([1, 5, 10, 20, 30].contains(&seconds) || seconds > 0 && seconds.is_multiple_of(60));
        if !whole || seconds > 86_400 {
            out.push(
                Problem::new("/period", "CloudWatch has no such period").help("write 1s, 5s, 10s, 20s, 30s or whole minutes, up to a day"),
            );
        }
        if self.max_age.is_some_and(|most| most < self.period) {
            out.push(
                Problem::new("/max_age", "this is less than one period: there would hardly ever be data")
                    .help("leave it out for the default"),
            );
        }
        out
    }

    fn one_metric(&self, out: &mut Vec<Problem>) {
        if !self.metrics.is_empty() {
            out.push(
                Problem::new("/metrics", "these belong to an expression").help("add `expression:`, or write `namespace:` and `metric:`"),
            );
        }
        for (at, text) in [("/namespace", &self.namespace), ("/metric", &self.metric)] {
            if text.as_ref().is_none_or(|text| text.trim().is_empty()) {
                let help = "write `namespace:` and `metric:` as `aws cloudwatch list-metrics` shows them, or an `expression:`";
                out.push(Problem::new(if text.is_some() { at } else { "" }, format!("no {} is named", &at[1..])).help(help));
            }
        }
        statistic("/statistic", self.statistic.as_ref(), out);
        dimensions("/dimensions", &self.dimensions, out);
    }

    fn several(&self, expression: &str, out: &mut Vec<Problem>) {
        if expression.trim().is_empty() || expression.len() > 2_048 {
            out.push(Problem::new("/expression", "an expression has between 1 and 2048 bytes"));
        }
        let own = [
            ("/namespace", self.namespace.is_some()),
            ("/metric", self.metric.is_some()),
            ("/dimensions", !self.dimensions.is_empty()),
            ("/statistic", self.statistic.is_some()),
        ];
        let beside = "this stands beside an expression";
        out.extend(
            own.into_iter().filter(|(_, there)| *there).map(|(at, _)| Problem::new(at, beside).help("move it to an entry of `metrics:`")),
        );
        if self.metrics.len() > MOST {
            out.push(Problem::new("/metrics", format!("an expression has at most {MOST} metrics")));
        }
        for (name, one) in &self.metrics {
            let at = format!("/metrics/{name}");
            let good = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !good || name == ONLY {
                out.push(
                    Problem::new(at.clone(), format!("`{name}` is no name of a metric in an expression"))
                        .help("it begins with a small letter and has letters, digits and `_`"),
                );
            } else if !expression.contains(name.as_str()) && !expression.contains("METRICS(") {
                out.push(Problem::new(at.clone(), format!("the expression does not name `{name}`")).help("remove it, or use it"));
            }
            statistic(&format!("{at}/statistic"), one.statistic.as_ref(), out);
            dimensions(&format!("{at}/dimensions"), &one.dimensions, out);
        }
    }

    /// What is asked, and under which id the answer comes.
    fn queries(&self) -> Result<(Vec<MetricDataQuery>, &'static str), String> {
        let period = i32::try_from(self.period.0 / 1_000_000_000).map_err(|_| "the period is too long".to_owned())?;
        let query = MetricDataQuery::builder().id(ONLY).return_data(true);
        let Some(expression) = &self.expression else {
            let one = One {
                namespace: self.namespace.clone().unwrap_or_default(),
                metric: self.metric.clone().unwrap_or_default(),
                dimensions: self.dimensions.clone(),
                statistic: self.statistic.clone(),
            };
            return Ok((vec![query.metric_stat(stat(&one, period)).build()], ONLY));
        };
        let mut all = vec![query.expression(expression).period(period).build()];
        for (name, one) in &self.metrics {
            all.push(MetricDataQuery::builder().id(name).return_data(false).metric_stat(stat(one, period)).build());
        }
        Ok((all, ONLY))
    }
}

fn statistic(at: &str, given: Option<&String>, out: &mut Vec<Problem>) {
    let named = |text: &str| ["Average", "Sum", "Minimum", "Maximum", "SampleCount", "IQM"].contains(&text);
    // `p99.9`, `tm90`, `TM(10%:90%)`: what CloudWatch makes of these it says itself.
    let of_ranks = |text: &str| {
        let plain = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        plain.len() < text.len() && plain.starts_with(|c: char| c.is_ascii_digit() || c == '(') && text.len() <= 64
    };
    if let Some(text) = given.filter(|text| !named(text) && !of_ranks(text)) {
        out.push(Problem::new(at, format!("`{text}` is no statistic")).help("write for example `Average`, `Sum`, `Maximum` or `p99`"));
    }
}

fn dimensions(at: &str, given: &IndexMap<String, String>, out: &mut Vec<Problem>) {
    if given.len() > MOST_DIMENSIONS {
        out.push(Problem::new(at, format!("a metric has at most {MOST_DIMENSIONS} dimensions")));
    }
}

fn stat(one: &One, period: i32) -> MetricStat {
    let dimensions = one.dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect();
    let metric = aws_sdk_cloudwatch::types::Metric::builder().namespace(&one.namespace).metric_name(&one.metric);
    let metric = metric.set_dimensions(Some(dimensions)).build();
    MetricStat::builder().metric(metric).period(period).stat(one.statistic.as_deref().unwrap_or("Average")).build()
}

struct Newest {
    queries: Vec<MetricDataQuery>,
    id: &'static str,
    period: Span,
    max_age: Span,
}

impl Ask for Newest {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(asked(limit, cx, async move |account| {
            let now = clock::now().as_second();
            let back = i64::try_from(self.period.times(BACK.0).max(BACK.1).0 / 1_000_000_000).unwrap_or(i64::MAX);
            // The end lies ahead, so that a period that has just ended is in, whatever the two clocks say.
            let request = account.cloudwatch.get_metric_data().set_metric_data_queries(Some(self.queries.clone()));
            let request = request.start_time(DateTime::from_secs(now.saturating_sub(back))).end_time(DateTime::from_secs(now + 60));
            let answer = request.scan_by(ScanBy::TimestampDescending).send().await;
            let answer = answer.map_err(|error| failed("ask for the metric", &account.place, error).to_string())?;
            read(self.id, self.period, self.max_age, &answer)
        }))
    }
}

/// The fields of the newest datapoint.
fn read(id: &str, period: Span, max_age: Span, answer: &GetMetricDataOutput) -> Told {
    let all: Vec<_> = answer.metric_data_results().iter().filter(|result| result.id() == Some(id)).collect();
    let [result] = all[..] else {
        return Err(match all.len() {
            0 => "CloudWatch does not answer for the metric".to_owned(),
            several => format!("the expression gives {several} series, not one: aggregate them, for example by `SUM(…)`"),
        });
    };
    let said: Vec<&str> = answer.messages().iter().chain(result.messages()).filter_map(|message| message.value()).collect();
    if matches!(result.status_code(), Some(StatusCode::Forbidden | StatusCode::InternalError)) {
        return Err(format!("CloudWatch gives no data: {}", one_line(&said.join("; "), 200)));
    }
    // Sorted here: nothing rests on the order in which they came.
    let mut points: Vec<(f64, f64)> = result.timestamps().iter().map(DateTime::as_secs_f64).zip(result.values().iter().copied()).collect();
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut seen = Fields::default();
    seen.fields.insert("datapoints".into(), json!(points.len()));
    seen.fields.insert("values".into(), json!(points.iter().take(KEPT).map(|(_, value)| *value).collect::<Vec<_>>()));
    let Some((began, value)) = points.first().copied() else {
        seen.note = Some("there is no datapoint".to_owned());
        return Ok(seen);
    };
    let late = age(began) - period.as_secs_f64();
    seen.fields.insert("age".into(), json!(late.max(0.0)));
    if let Some(at) = moment(began) {
        seen.fields.insert("at".into(), json!(at));
    }
    if late > max_age.as_secs_f64() {
        seen.note = Some(format!("the newest datapoint is {late:.0} s old"));
    } else if value.is_finite() {
        seen.fields.insert("value".into(), json!(value));
    } else {
        seen.note = Some("the newest datapoint is no finite number".to_owned());
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use aws_sdk_cloudwatch::types::{MessageData, MetricDataResult};

    fn spec(value: serde_json::Value) -> MetricSpec {
        serde_json::from_value(value).unwrap()
    }

    fn problems(value: serde_json::Value) -> BTreeMap<String, String> {
        spec(value).problems().into_iter().map(|problem| (problem.at, problem.text)).collect()
    }

    fn result(points: &[(i64, f64)]) -> GetMetricDataOutput {
        let mut made = MetricDataResult::builder().id(ONLY).status_code(StatusCode::Complete);
        for (ago, value) in points {
            made = made.timestamps(DateTime::from_secs(clock::now().as_second() - ago)).values(*value);
        }
        GetMetricDataOutput::builder().metric_data_results(made.build()).build()
    }

    fn told(answer: &GetMetricDataOutput) -> Fields {
        read(ONLY, Span::secs(60), Span::secs(300), answer).unwrap()
    }

    #[test]
    fn the_newest_datapoint_counts_and_its_delay_is_told() {
        let seen = told(&result(&[(180, 1.0), (120, 7.5)]));
        assert_eq!(
            (&seen.fields["value"], &seen.fields["datapoints"], &seen.fields["values"]),
            (&json!(7.5), &json!(2), &json!([7.5, 1.0]))
        );
        let late = seen.fields["age"].as_f64().unwrap();
        assert!((59.0..75.0).contains(&late), "{late}");
    }

    #[test]
    fn what_is_not_there_is_no_data() {
        let seen = told(&result(&[]));
        assert!(!seen.fields.contains_key("value") && seen.note.unwrap().contains("no datapoint"));
        let seen = told(&result(&[(600, 0.0)]));
        assert!(!seen.fields.contains_key("value") && seen.note.unwrap().ends_with("s old"));
        assert!(!told(&result(&[(60, f64::NAN)])).fields.contains_key("value"));
        assert!(read("other", Span::secs(60), Span::secs(60), &result(&[])).unwrap_err().contains("does not answer"));
        let refused = MetricDataResult::builder().id(ONLY).status_code(StatusCode::Forbidden);
        let refused = refused.messages(MessageData::builder().value("no\u{7}").build()).build();
        let refused = GetMetricDataOutput::builder().metric_data_results(refused).build();
        assert_eq!(read(ONLY, Span::secs(60), Span::secs(60), &refused).unwrap_err(), "CloudWatch gives no data: no");
    }

    #[test]
    fn each_fault_of_a_spec_is_named() {
        let one = json!({ "namespace": "Shop", "metric": "Errors" });
        assert!(problems(one.clone()).is_empty());
        let with = |key: &str, value: serde_json::Value| {
            let mut spec = one.clone();
            spec[key] = value;
            problems(spec)
        };
        assert!(with("period", json!("7s")).contains_key("/period") && with("period", json!("10s")).is_empty());
        assert!(with("statistic", json!("Mean")).contains_key("/statistic"));
        for good in ["p99.9", "tm90", "TM(10%:90%)", "SampleCount"] {
            assert!(with("statistic", json!(good)).is_empty(), "{good}");
        }
        assert!(with("max_age", json!("5s")).contains_key("/max_age"));
        assert!(with("expression", json!("a / b")).contains_key("/metric"));
        assert!(problems(json!({}))[""].contains("is named"));
        let maths = json!({ "expression": "100 * errors / requests", "metrics": {
            "errors": { "namespace": "Shop", "metric": "Errors", "statistic": "Sum" }, "requests": { "namespace": "Shop", "metric": "Requests", "statistic": "Sum" } } });
        assert!(problems(maths.clone()).is_empty());
        let (queries, id) = spec(maths.clone()).queries().unwrap();
        assert_eq!((queries.len(), id, queries[1].return_data()), (3, ONLY, Some(false)));
        let mut unused = maths;
        unused["expression"] = json!("requests");
        assert!(problems(unused)["/metrics/errors"].contains("does not name"));
    }
}
