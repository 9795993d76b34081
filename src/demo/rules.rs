//! Rules over metrics, as Prometheus has them: a metric, a comparison and for how long it must hold; pending, firing, resolved. Pure: it is given
//! samples and the time, and reads neither clock nor socket.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::{At, Span};

/// Labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// One number of a page of metrics.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// The metric.
    pub(super) name: String,
    /// Its labels.
    pub(super) labels: Labels,
    /// The number.
    pub(super) value: f64,
}

/// A rule as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    hold: Span,
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    /// The name of its alert.
    pub(super) alert: String,
    /// Which series it looks at.
    metric: String,
    /// Labels that a series must have.
    matching: Labels,
    compare: Compare,
    threshold: f64,
    /// How long it must hold until the alert fires.
    hold: Span,
    /// Labels that the alert gets.
    pub(super) labels: Labels,
    /// What is said with it.
    pub(super) annotations: Labels,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    Unequal,
}

impl Compare {
    fn of(word: &str) -> Option<Compare> {
        Some(match word {
            ">" => Compare::Above,
            ">=" => Compare::AtLeast,
            "<" => Compare::Below,
            "<=" => Compare::AtMost,
            "==" => Compare::Equal,
            "!=" => Compare::Unequal,
            _ => return None,
        })
    }

    /// No number compares with anything.
    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Compare::Above => value > threshold,
            Compare::AtLeast => value >= threshold,
            Compare::Below => value < threshold,
            Compare::AtMost => value <= threshold,
            Compare::Equal => value == threshold,
            Compare::Unequal => !value.is_nan() && value != threshold,
        }
    }
}

/// Reads rules: a YAML list of `alert`, `expr`, `for`, `labels`, `annotations`, as Prometheus writes them; `expr` is `metric{label="value"} > 0.2`.
pub(super) fn read(text: &str) -> Result<Vec<Rule>, String> {
    let written: Vec<Written> = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    written.into_iter().map(rule).collect()
}

fn rule(written: Written) -> Result<Rule, String> {
    let wrong = || format!("{}: `{}` is not `metric > number`", written.alert, written.expr);
    let (series, rest) = match written.expr.find('}') {
        Some(end) => written.expr.split_at(end + 1),
        None => written.expr.split_once(' ').ok_or_else(wrong)?,
    };
    let mut words = rest.split_whitespace();
    let (compare, threshold) = (words.next().and_then(Compare::of), words.next().and_then(|number| number.parse().ok()));
    let ((Some(compare), Some(threshold)), None) = ((compare, threshold), words.next()) else { return Err(wrong()) };
    let Sample { name, labels, .. } = sample(&format!("{} 0", series.trim())).ok_or_else(wrong)?;
    let Written { alert, hold, labels: given, annotations, .. } = written;
    Ok(Rule { alert, metric: name, matching: labels, compare, threshold, hold, labels: given, annotations })
}

/// Reads a page of metrics; what is no sample is left out.
pub(super) fn exposition(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let (name, labels, value) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, value) = rest.rsplit_once('}')?;
            (name, labels, value)
        }
        None => {
            let (name, value) = line.trim().split_once(' ')?;
            (name, "", value)
        }
    };
    let mut found = Labels::new();
    for pair in labels.split("\",").filter(|pair| !pair.trim().is_empty()) {
        let (label, value) = pair.split_once("=\"")?;
        found.insert(label.trim().to_owned(), value.trim_end_matches('"').to_owned());
    }
    let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    Some(Sample { name: named.then(|| name.to_owned())?, labels: found, value: value.split_whitespace().next()?.parse().ok()? })
}

/// Where a rule stands with one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// All is well.
    #[default]
    Resolved,
    /// It holds, and has not for long enough.
    Pending {
        /// Since when.
        since: At,
    },
    /// The alert fires.
    Firing {
        /// Since when.
        since: At,
    },
}

impl Phase {
    /// After one more look; nothing is known where there was no sample, and then nothing changes.
    pub(super) fn next(self, holds: Option<bool>, hold: Span, now: At) -> Phase {
        let long_enough = |since: At| now.since(since) >= hold;
        match (self, holds) {
            (phase, None) => phase,
            (_, Some(false)) => Phase::Resolved,
            (Phase::Resolved, Some(true)) if hold == Span::ZERO => Phase::Firing { since: now },
            (Phase::Resolved, Some(true)) => Phase::Pending { since: now },
            (Phase::Pending { since }, Some(true)) if long_enough(since) => Phase::Firing { since: now },
            (phase @ (Phase::Pending { .. } | Phase::Firing { .. }), Some(true)) => phase,
        }
    }
}

/// An alert that fires.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    /// The rule's place in the list.
    pub(super) rule: usize,
    /// Its labels, those of the series included.
    pub(super) labels: Labels,
    /// Since when.
    pub(super) since: At,
}

/// All rules, and where each stands.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub(super) rules: Vec<Rule>,
    phases: BTreeMap<(usize, Labels), Phase>,
}

impl Evaluator {
    /// Nothing seen yet.
    pub(super) fn new(rules: Vec<Rule>) -> Evaluator {
        Evaluator { rules, phases: BTreeMap::new() }
    }

    /// Takes what was scraped at one moment.
    pub(super) fn look(&mut self, samples: &[Sample], now: At) {
        for (n, rule) in self.rules.iter().enumerate() {
            let fits = |sample: &&Sample| {
                sample.name == rule.metric && rule.matching.iter().all(|(label, value)| sample.labels.get(label) == Some(value))
            };
            for sample in samples.iter().filter(fits) {
                let holds = Some(rule.compare.holds(sample.value, rule.threshold));
                let phase = self.phases.entry((n, sample.labels.clone())).or_default();
                *phase = phase.next(holds, rule.hold, now);
            }
        }
    }

    /// What fires.
    pub(super) fn firing(&self) -> Vec<Alert> {
        let one = |((n, series), phase): (&(usize, Labels), &Phase)| {
            let Phase::Firing { since } = phase else { return None };
            let rule = self.rules.get(*n)?;
            let mut labels = series.clone();
            labels.extend(rule.labels.clone());
            labels.insert("alertname".to_owned(), rule.alert.clone());
            Some(Alert { rule: *n, labels, since: *since })
        };
        self.phases.iter().filter_map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(s: u64) -> At {
        At(s * 1_000_000_000)
    }

    #[test]
    fn rules_and_samples_are_read() {
        let rules =
            read("- { alert: Down, expr: 'up{job=\"shop\"} == 0', for: 8s, labels: { severity: page } }\n- { alert: Slow, expr: p90 > 0.4, for: 0s }")
                .unwrap();
        assert_eq!((rules[0].metric.as_str(), rules[0].matching["job"].as_str(), rules[0].hold), ("up", "shop", Span::secs(8)));
        assert_eq!((rules[1].compare, rules[1].threshold), (Compare::Above, 0.4));
        for bad in ["up", "up > x", "up ~ 1", "up > 1 2", "u-p > 1", "{} > 1"] {
            assert!(read(&format!("- {{ alert: X, expr: '{bad}', for: 1s }}")).is_err(), "{bad}");
        }
        let samples = exposition("# HELP x\nx 1\ny{a=\"b\",c=\"d e\"} NaN 17\nrubbish\nz{ 1\n\n");
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[1].labels["c"], "d e");
    }

    #[test]
    fn an_alert_has_the_labels_of_series_and_rule_and_goes_when_all_is_well() {
        let mut evaluator = Evaluator::new(read("- { alert: Down, expr: up == 0, for: 2s, labels: { severity: page } }").unwrap());
        let up = |value: &str| exposition(&format!("up{{instance=\"a\"}} {value}\nup{{instance=\"b\"}} 1"));
        for (second, value, fires) in [(0, "0", 0), (1, "0", 0), (2, "0", 1), (3, "0", 1), (4, "1", 0), (5, "0", 0)] {
            evaluator.look(&up(value), at(second));
            assert_eq!(evaluator.firing().len(), fires, "at {second}");
        }
        evaluator.look(&up("0"), at(7));
        let alert = &evaluator.firing()[0];
        assert_eq!(
            alert.labels,
            BTreeMap::from([("alertname", "Down"), ("instance", "a"), ("severity", "page")].map(|(k, v)| (k.into(), v.into())))
        );
        evaluator.look(&[], at(8));
        assert_eq!(evaluator.firing().len(), 1, "a series that is not there says nothing");
    }

    proptest! {
        /// Compared with the definition: it fires exactly when every sample since `hold` ago, and one that old, was bad.
        #[test]
        fn it_fires_exactly_when_it_held_for_long_enough(hold in 0u64..5, looks in prop::collection::vec((1u64..3, prop::option::of(any::<bool>())), 0..40)) {
            let mut phase = Phase::default();
            let mut now = 0;
            // Since when every sample was bad.
            let mut bad_since: Option<u64> = None;
            // Whether a sample was bad long enough after that.
            let mut ought = false;
            for (gap, holds) in looks {
                now += gap;
                let before = phase;
                phase = phase.next(holds, Span::secs(hold), at(now));
                match holds {
                    None => prop_assert_eq!(phase, before),
                    Some(false) => (bad_since, ought) = (None, false),
                    Some(true) => {
                        let since = *bad_since.get_or_insert(now);
                        ought |= now - since >= hold;
                    }
                }
                prop_assert_eq!(matches!(phase, Phase::Firing { .. }), ought);
                prop_assert_eq!(phase == Phase::Resolved, bad_since.is_none());
                if hold > 0 && before == Phase::Resolved {
                    prop_assert!(!matches!(phase, Phase::Firing { .. }), "it is pending first");
                }
            }
        }

        #[test]
        fn no_page_is_too_strange_to_read(text in ".{0,200}") {
            exposition(&text);
        }
    }
}
