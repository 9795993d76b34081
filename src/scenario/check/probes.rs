//! What is watched from outside, and the one definition of normal.

use super::super::defaults::{MOST_PER_SECOND, MOST_TOGETHER, MOST_WRITES_PER_SECOND, probe_rate, probe_timeout, steady_over};
use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{Environment, MaxSpan, ProbeDecl, Scenario, ServedBy, SteadyBounds};
use super::places::texts;
use super::{PROBE, at, matchers, names, unknown};
use crate::base::{Id, Span};

/// Fewest samples that say anything of a share or a median.
pub(super) const FEW: f64 = 5.0;

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, probe) in &s.probes {
        out.extend(pace(id, probe, is_ledger(probe, known)));
        out.extend(ledger(s, id, probe, known));
        out.extend(expected_of_ledger(id, probe, known));
        out.extend(left_behind(s, id, probe, known));
        out.extend(served_by(id, probe, known));
    }
    out.extend(steady(s, known));
    out
}

pub(super) fn is_ledger(probe: &ProbeDecl, known: &Known) -> bool {
    known.probe(&probe.what.kind).is_some_and(|kind| kind.ledger)
}

fn pace(id: &Id, probe: &ProbeDecl, writes: bool) -> Vec<Finding> {
    let mut out = Vec::new();
    let rate = probe_rate(probe);
    let most = if writes { MOST_WRITES_PER_SECOND } else { MOST_PER_SECOND };
    if rate.hz() > most {
        out.push(
            Finding::error(at(&["probes", id.as_str(), "rate"]), format!("{rate} is more than can be planned"), "too often")
                .help(format!("at most {most}/s{}; 100/s resolves an outage to 10 ms", if writes { " for a ledger" } else { "" })),
        );
    }
    if probe.how.timeout == Some(Span::ZERO) {
        out.push(Finding::error(at(&["probes", id.as_str(), "timeout"]), "a time-out must be above zero", "no time at all"));
    }
    if let Some(together) = probe.how.together {
        let place = at(&["probes", id.as_str(), "together"]);
        if together > MOST_TOGETHER {
            let words = format!("each sample of `{id}` may be late by {}", together.human());
            out.push(Finding::error(place, words, "too coarse").help(format!("at most {}", MOST_TOGETHER.human())));
        } else if together < rate.interval().times(2) {
            let words = format!("at {rate} no two samples of `{id}` are due within {}", together.human());
            out.push(Finding::error(place, words, "nothing leaves together").help("leave it out, or ask more often"));
        }
    }
    let in_flight = rate.hz() * probe_timeout(probe).as_secs_f64() * 1.2;
    if in_flight > 4096.0 && rate.hz() <= most {
        out.push(
            Finding::warning(
                at(&["probes", id.as_str(), "timeout"]),
                format!("up to {in_flight:.0} samples of `{id}` may be in flight"),
                "long for this rate",
            )
            .help("when nothing answers, each holds a connection until it times out: lower the rate or the time-out"),
        );
    }
    out
}

fn ledger(s: &Scenario, id: &Id, probe: &ProbeDecl, known: &Known) -> Option<Finding> {
    // Where a write is a request, its text must name the key; where it is an entry, the kind adds it.
    if !is_ledger(probe, known) || probe.what.spec.pointer("/write/url").is_none() {
        return None;
    }
    let write = at(&["probes", id.as_str(), &probe.what.kind, "write"]);
    let keyed = texts(s).iter().any(|text| text.at.starts_with(&write) && text.text.contains("${key}"));
    (!keyed).then(|| {
        Finding::error(write, format!("the ledger `{id}` has no unique keys"), "does not name `${key}`")
            .help("put `${key}` into the URL or the body: without a key of its own, a lost write cannot be told from another")
    })
}

/// A ledger counts what was acknowledged. Expecting more of an acknowledgement would make those that lack it unknown, and unknown writes are never lost.
fn expected_of_ledger(id: &Id, probe: &ProbeDecl, known: &Known) -> Option<Finding> {
    (is_ledger(probe, known) && !probe.how.expect.is_empty()).then(|| {
        Finding::error(at(&["probes", id.as_str(), "expect"]), format!("the ledger `{id}` cannot expect more than an acknowledgement"), "may hide a loss")
            .help("say what an acknowledgement is under `acknowledged_when`, where the kind has it, and expect the rest of a probe that is no ledger")
    })
}

fn served_by(id: &Id, probe: &ProbeDecl, known: &Known) -> Vec<Finding> {
    let (key, field, path) = match &probe.how.served_by {
        None => return Vec::new(),
        Some(ServedBy::Header(_)) => ("header", "header", None),
        Some(ServedBy::Json(path)) => ("json", "json", Some(path)),
    };
    let place = at(&["probes", id.as_str(), "served_by", key]);
    let mut out: Vec<Finding> = path.and_then(|path| matchers::json_path(&place, path)).into_iter().collect();
    if let Some(kind) = known.probe(&probe.what.kind)
        && !kind.fields.is_empty()
        && !kind.fields.iter().any(|offered| offered.starts_with(field))
    {
        out.push(
            Finding::error(place, format!("an answer to `{}` has no {key}", kind.name), "cannot say who answered")
                .on_key()
                .help("use a probe kind whose answers name the instance, for example `http`"),
        );
    }
    out
}

fn steady(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    let over = steady_over(s);
    if s.steady_state.probes.is_empty() {
        out.push(
            Finding::error("/steady_state/probes", "nothing says what normal is", "names no probe")
                .help("write for example `probes: { checkout: { success: { min: 99.5% } } }`"),
        );
    }
    if over == Span::ZERO {
        out.push(Finding::error("/steady_state/over", "the steady-state window must be above zero", "no time at all"));
    }
    for (id, bounds) in &s.steady_state.probes {
        let place = at(&["steady_state", "probes", id.as_str()]);
        let Some(probe) = s.probes.get(id) else {
            out.push(unknown(place, &PROBE, id.as_str(), &names(&s.probes)).on_key());
            continue;
        };
        if is_ledger(probe, known) {
            out.push(
                Finding::error(place, format!("the ledger `{id}` cannot say what normal is"), "a ledger")
                    .on_key()
                    .also(at(&["probes", id.as_str()]), "is declared here")
                    .help("it is read back only after recovery; use a probe that answers at once"),
            );
            continue;
        }
        if probe.how.control {
            out.push(
                Finding::warning(&place, format!("the control probe `{id}` is part of steady state"), "the fault cannot touch it")
                    .on_key()
                    .also(at(&["probes", id.as_str(), "control"]), "is a control")
                    .help("a control probe already taints the seconds in which it fails; steady state is about the system"),
            );
        }
        if over > Span::ZERO {
            out.extend(window(&place, probe, bounds, over));
        }
    }
    out
}

pub(super) fn quantiles(bounds: &SteadyBounds) -> [(&'static str, Option<MaxSpan>, f64); 4] {
    [("p50", bounds.p50, FEW), ("p90", bounds.p90, 10.0), ("p95", bounds.p95, 20.0), ("p99", bounds.p99, 100.0)]
}

/// Can a window of this length decide these bounds?
fn window(place: &str, probe: &ProbeDecl, bounds: &SteadyBounds, over: Span) -> Vec<Finding> {
    let mut out = Vec::new();
    let rate = probe_rate(probe);
    let samples = rate.hz() * over.as_secs_f64();
    let tell = format!("{samples:.0} samples in {}", over.human());
    if bounds.success.is_none() && quantiles(bounds).iter().all(|(_, bound, _)| bound.is_none()) {
        out.push(
            Finding::error(place, "a probe in steady state needs a bound", "has no bound")
                .help("add for example `success: { min: 99.5% }`"),
        );
    } else if samples < FEW {
        out.push(
            Finding::error(place, "the steady-state window is too short for the probe's rate", tell).on_key().help(format!(
                "at {rate}, look over at least {}; or raise the rate",
                Span((FEW * rate.interval().0 as f64) as u64).human()
            )),
        );
        return out;
    }
    for (key, bound, needed) in quantiles(bounds) {
        let Some(bound) = bound else { continue };
        if samples < needed {
            out.push(
                Finding::warning(format!("{place}/{key}"), format!("{key} needs at least {needed:.0} samples in the window"), &tell).help(
                    format!(
                        "raise the rate to {:.0}/s or look over a longer time: until then one slow answer decides",
                        needed / over.as_secs_f64()
                    ),
                ),
            );
        }
        if bound.max >= probe_timeout(probe) {
            out.push(
                Finding::warning(
                    format!("{place}/{key}/max"),
                    format!("{key} is never above this: every sample ends after {}", probe_timeout(probe).human()),
                    "not below the probe's time-out",
                )
                .help("set the time-out above the bound, or leave the bound out"),
            );
        }
    }
    out
}

/// What is written into a store that others use should not stay there unasked.
fn left_behind(s: &Scenario, id: &Id, probe: &ProbeDecl, known: &Known) -> Option<Finding> {
    let spec = &probe.what.spec;
    let shared = matches!(s.environment, Environment::Staging | Environment::Production);
    let program = spec.pointer("/write/run").is_some();
    let removable = (program || spec.pointer("/write/url").is_some()) && spec.get("keep") != Some(&true.into());
    if !shared || !removable || known.probe(&probe.what.kind).is_none_or(|kind| !kind.ledger || (kind.cleans_up)(spec)) {
        return None;
    }
    let place = at(&["probes", id.as_str(), &probe.what.kind]);
    let how = if program { "run: [./remove.sh, \"${key.prefix}\"]" } else { "method: DELETE, url: \"…${key.prefix}\"" };
    let help = format!("add `clean_up: {{ {how} }}`, or `keep: true` when it is meant to stay");
    Some(Finding::warning(place, format!("what `{id}` writes stays in its store"), "is never removed").on_key().help(help))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, id, refuses, scenario, warns};
    use crate::base::Span;
    use crate::scenario::model::{MaxSpan, ServedBy, SteadyBounds};
    use serde_json::json;

    #[test]
    fn rates_have_a_limit() {
        let mut s = scenario();
        s.probes[0].how.rate = Some("10001/s".parse().unwrap());
        assert!(refuses(&s, "/probes/checkout/rate", "more than can be planned").help.unwrap().contains("10000/s"));
        s.probes[0].how.rate = Some("2000/s".parse().unwrap());
        assert_eq!(found(&s), vec![]);
        let ledger = s.probes.iter().find(|(_, probe)| probe.what.kind.starts_with("ledger.")).map(|(id, _)| id.clone()).unwrap();
        s.probes[&ledger].how.rate = Some("2001/s".parse().unwrap());
        let help = refuses(&s, &format!("/probes/{ledger}/rate"), "more than can be planned").help.unwrap();
        assert!(help.starts_with("at most 2000/s for a ledger"), "{help}");
        s.probes[&ledger].how.rate = None;
        s.probes[3].how.rate = Some("1000/s".parse().unwrap());
        s.probes[3].how.timeout = Some(Span::secs(5));
        warns(&s, "/probes/write-old/timeout", "6000 samples");
        s.probes[3].how.timeout = Some(Span::ZERO);
        refuses(&s, "/probes/write-old/timeout", "above zero");
    }

    #[test]
    fn what_is_written_does_not_stay_in_a_store_of_others_unasked() {
        let mut s = scenario();
        s.environment = crate::scenario::model::Environment::Staging;
        assert!(warns(&s, "/probes/orders/ledger.http", "stays in its store").help.unwrap().contains("${key.prefix}"));
        s.probes[1].what.spec["keep"] = json!(true);
        assert!(found(&s).is_empty());
        s.probes[1].what.spec["keep"] = json!(false);
        s.environment = crate::scenario::model::Environment::Test;
        assert!(found(&s).is_empty());
    }

    #[test]
    fn a_ledger_expects_no_more_than_an_acknowledgement() {
        let mut s = scenario();
        let expect = serde_json::from_value(json!({ "duration": { "max": 0.05 } })).unwrap();
        s.probes[1].how.expect = expect;
        assert!(refuses(&s, "/probes/orders/expect", "cannot expect more").help.unwrap().contains("acknowledged_when"));
    }

    #[test]
    fn a_ledger_has_unique_keys() {
        let mut s = scenario();
        s.probes[1].what.spec = json!({ "write": { "url": "http://h/l" }, "readers": [] });
        refuses(&s, "/probes/orders/ledger.http/write", "no unique keys");
        s.probes[1].what.spec = json!({ "write": { "url": "http://h/l", "json": { "deep": ["x-${key}"] } }, "readers": [] });
        assert_eq!(found(&s), vec![]);
    }

    #[test]
    fn only_some_answers_say_who_answered() {
        let mut s = scenario();
        s.probes[3].what.kind = "tcp".into();
        s.probes[3].how.served_by = Some(ServedBy::Header("x".into()));
        refuses(&s, "/probes/write-old/served_by/header", "has no header");
        let mut s = scenario();
        s.probes[0].how.served_by = Some(ServedBy::Json("node".into()));
        refuses(&s, "/probes/checkout/served_by/json", "not a JSON path");
    }

    #[test]
    fn steady_state_is_about_probes_that_can_say() {
        let mut s = scenario();
        let bounds = s.steady_state.probes[0];
        s.steady_state.probes.insert(id("chekout"), bounds);
        let finding = refuses(&s, "/steady_state/probes/chekout", "no probe is called `chekout`");
        assert_eq!((finding.on_key, finding.label.as_str()), (true, "unknown probe"));
        assert_eq!(finding.also, vec![("/probes/checkout".into(), "probes are declared here".into())]);
        let mut s = scenario();
        s.steady_state.probes.insert(id("orders"), bounds);
        refuses(&s, "/steady_state/probes/orders", "cannot say what normal is");
        let mut s = scenario();
        s.steady_state.probes.insert(id("internet"), bounds);
        warns(&s, "/steady_state/probes/internet", "control probe");
        let mut s = scenario();
        s.steady_state.probes.clear();
        refuses(&s, "/steady_state/probes", "what normal is");
    }

    #[test]
    fn a_window_holds_enough_samples() {
        let mut s = scenario();
        s.steady_state.probes[0].p99 = Some(MaxSpan { max: Span::millis(300) });
        assert_eq!(found(&s), vec![]);
        s.steady_state.over = Some(Span::secs(4));
        let finding = warns(&s, "/steady_state/probes/checkout/p99", "at least 100 samples");
        assert_eq!(finding.label, "80 samples in 4 s");
        s.steady_state.over = Some(Span::millis(200));
        refuses(&s, "/steady_state/probes/checkout", "too short");
        s.steady_state.over = None;
        s.steady_state.probes[0].p99 = Some(MaxSpan { max: Span::secs(1) });
        warns(&s, "/steady_state/probes/checkout/p99/max", "never above");
        s.steady_state.probes[0] = SteadyBounds::default();
        refuses(&s, "/steady_state/probes/checkout", "needs a bound");
    }
}
