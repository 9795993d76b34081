//! A small scenario without problems, to be broken by tests.

use serde_json::{Value, json};

use super::super::finding::{Finding, Severity};
use super::super::known::{Known, KnownKind};
use super::super::matcher::Matcher;
use super::super::model::*;
use crate::base::{Id, Percent, Span};

pub(crate) fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn probe_kind(name: &str, fields: &[&str], ledger: bool) -> KnownKind {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    let cleans_up: super::super::known::AskSpec = Box::new(|spec: &Value| spec.get("clean_up").is_some());
    KnownKind { fields, ledger, cleans_up, ..KnownKind::plain(name, "observes", json!({})) }
}

pub(crate) fn known() -> Known {
    let needs: super::super::known::AskSpec = Box::new(|spec: &Value| spec.get("pid_file").is_some());
    Known {
        faults: vec![
            KnownKind { needs_declared_undo: needs, ..KnownKind::plain("process.kill", "kills", json!({})) },
            KnownKind { needs_declared_undo: Box::new(|_| true), reads_back: false, ..KnownKind::plain("command", "runs", json!({})) },
            KnownKind::plain("proxy.latency", "delays", json!({})),
        ],
        probes: vec![
            probe_kind("http", &["outcome", "status", "headers", "body", "json", "duration"], false),
            probe_kind("tcp", &["outcome", "duration"], false),
            probe_kind("command", &["exit", "stdout", "stderr", "json", "duration"], false),
            probe_kind("ledger.http", &[], true),
        ],
        left_out: Vec::new(),
        schemas: Default::default(),
    }
}

pub(crate) fn probe(kind: &str, spec: Value) -> ProbeDecl {
    ProbeDecl { what: Kinded { kind: kind.into(), spec }, how: ProbeHow::default() }
}

pub(crate) fn condition(kind: &str, spec: Value, field: &str, matcher: Matcher) -> ConditionDecl {
    ConditionDecl {
        what: Observed::Kind(Kinded { kind: kind.into(), spec }),
        how: ConditionHow { expect: [(field.to_owned(), matcher)].into_iter().collect(), every: None, within: None },
    }
}

pub(crate) fn fault(kind: &str, spec: Value, at: Span, hold: HoldDecl) -> FaultDecl {
    FaultDecl {
        what: Kinded { kind: kind.into(), spec },
        how: FaultHow { at: Some(When::AfterSteady(at)), hold, recovery: None, on: None },
        confirm: None,
        undo: None,
    }
}

pub(crate) fn claim(how: Value) -> ClaimDecl {
    ClaimDecl { how: serde_json::from_value(how).unwrap(), holds: Map::new() }
}

pub(crate) fn scenario() -> Scenario {
    let how = |run: &str| SystemDecl { how: serde_json::from_value(json!({ "run": [run] })).unwrap(), ready: None };
    let mut checkout = probe("http", json!({ "url": "http://127.0.0.1:8080/orders" }));
    checkout.how.served_by = Some(ServedBy::Header("x-node".into()));
    let mut internet = probe("http", json!({ "url": "http://127.0.0.1:9999/" }));
    internet.how.control = true;
    let ledger = json!({ "write": { "method": "POST", "url": "http://h/l/${key}" }, "readers": [{ "url": "http://h/l", "ids": "$[*]" }] });
    let bounds = SteadyBounds { success: Some(MinShare { min: Percent::of_fraction(0.995).unwrap() }), ..SteadyBounds::default() };
    let mut ready = condition("tcp", json!({ "address": "127.0.0.1:6001" }), "outcome", Matcher::equals("ok"));
    ready.how.within = Some(Span::secs(10));
    let mut primary = how("a");
    primary.ready = Some(ready);
    Scenario {
        title: "The primary is lost".into(),
        owner: Some("payments".into()),
        system: [(id("primary"), primary), (id("standby"), how("b"))].into_iter().collect(),
        proxies: [(id("db"), ProxyDecl { listen: "127.0.0.1:6432".into(), upstream: "127.0.0.1:6001".into() })].into_iter().collect(),
        probes: [
            (id("checkout"), checkout),
            (id("orders"), probe("ledger.http", ledger)),
            (id("internet"), internet),
            (id("write-old"), probe("http", json!({ "url": "http://127.0.0.1:8081/" }))),
        ]
        .into_iter()
        .collect(),
        steady_state: SteadyDecl { over: None, probes: [(id("checkout"), bounds)].into_iter().collect() },
        guards: [(
            id("neighbours"),
            GuardDecl {
                what: Observed::Kind(Kinded { kind: "http".into(), spec: json!({ "url": "http://127.0.0.1:9090" }) }),
                how: GuardHow { expect: [("status".to_owned(), Matcher::equals(200))].into_iter().collect(), ..GuardHow::default() },
            },
        )]
        .into_iter()
        .collect(),
        faults: [(
            id("lose-primary"),
            fault("process.kill", json!({ "system": "primary" }), Span::secs(20), HoldDecl::Once(OnceWord::Once)),
        )]
        .into_iter()
        .collect(),
        recovery: Some(RecoveryDecl { within: Span::secs(60), stable_for: Span::secs(10) }),
        claims: [(
            id("node-loss"),
            claim(json!({
                "measured_by": ["checkout"], "rto": { "max": "10s" }, "rpo": { "max": "0s", "ledger": "orders" },
                "availability": { "min": "99%", "over": "15m" }, "by": "another-instance",
            })),
        )]
        .into_iter()
        .collect(),
        ..Scenario::default()
    }
}

/// Adds a fault `slow-link` 2 min after the first has recovered, and a claim on each.
pub(crate) fn second_fault(scenario: &mut Scenario) {
    let mut second = fault("proxy.latency", json!({ "proxy": "db" }), Span::ZERO, HoldDecl::Time(Span::secs(30)));
    second.how.at = Some(When::After(AfterMoment { after: "lose-primary.recovered".into(), plus: Span::secs(900) }));
    scenario.faults.insert(id("slow-link"), second);
    scenario.claims[0].how.fault = Some(id("lose-primary"));
    scenario.claims.insert(id("slow"), claim(json!({ "fault": "slow-link", "measured_by": ["checkout"], "rto": { "max": "10s" } })));
}

/// What `check` finds, as pointer and title.
pub(crate) fn found(scenario: &Scenario) -> Vec<(String, String)> {
    super::check(scenario, &known()).into_iter().map(|finding| (finding.at, finding.title)).collect()
}

/// The only finding.
pub(crate) fn only(scenario: &Scenario) -> Finding {
    let mut all = super::check(scenario, &known());
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// The only finding is an error at this place whose title holds this text.
#[track_caller]
pub(crate) fn refuses(scenario: &Scenario, at: &str, title: &str) -> Finding {
    let all = super::check(scenario, &known());
    let Some(finding) = all.iter().find(|finding| finding.at == at && finding.title.contains(title)) else {
        panic!("nothing at {at} says `{title}`: {all:#?}")
    };
    assert_eq!(finding.severity, Severity::Error, "{finding:?}");
    finding.clone()
}

/// There is a warning at this place whose title holds this text, and no error anywhere.
#[track_caller]
pub(crate) fn warns(scenario: &Scenario, at: &str, title: &str) -> Finding {
    let all = super::check(scenario, &known());
    let Some(finding) = all.iter().find(|finding| finding.at == at && finding.title.contains(title)) else {
        panic!("nothing at {at} says `{title}`: {all:#?}")
    };
    assert!(all.iter().all(|finding| finding.severity == Severity::Warning), "{all:#?}");
    finding.clone()
}
