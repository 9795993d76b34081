//! Real systems that nobody here wrote: Debian's Prometheus and Alertmanager. The fault breaks a target, the rule fires, and what is measured agrees
//! with what Alertmanager says itself, asked and of its own accord; without the rule it is missed, and with source or receiver off nobody can say.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drill::{Done, Place, case, free_ports, has_program, side_by_side, until_it_says_something};

/// Seconds between two scrapes, and between two evaluations.
const EVERY: f64 = 1.0;

/// A server of the test, not of the drill.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(place: &Place, program: &str, args: &[String], port: u16) -> Server {
    let mut command = Command::new(has_program(program).unwrap());
    command.args(args).current_dir(place.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(command.spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "{program} does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// A drill whose service is a second Alertmanager, which tells Prometheus of itself; nothing where something is not installed.
fn run(name: &str, rule: bool, source_is_there: bool, kind: &str) -> Option<((), Done)> {
    for (program, package) in [("prometheus", "prometheus"), ("prometheus-alertmanager", "prometheus-alertmanager")] {
        if has_program(program).is_none() {
            println!("SKIPPED {name}: {program} is not installed (apt-get install {package}); nothing was shown");
            return None;
        }
    }
    let place = Place::new();
    let [service, alerts, metrics, closed, calls]: [u16; 5] = free_ports();
    place.file("token", "am-token\n");
    place.file(
        "alertmanager.yml",
        format!(
            "route: {{ receiver: drill, group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}\nreceivers: [ {{ name: drill, webhook_configs: [ {{ \
             url: 'http://127.0.0.1:{calls}/v1/signals/hook', http_config: {{ authorization: {{ credentials: am-token }} }} }} ] }} ]\n"
        ),
    );
    let expr = if rule { "up{job=\"service\"} == 0" } else { "absent(up) == 5" };
    place.file(
        "rules.yml",
        format!(
            "groups:\n- name: all\n  interval: 1s\n  rules:\n  - alert: ServiceDown\n    expr: '{expr}'\n    labels: {{ severity: page }}\n"
        ),
    );
    place.file(
        "prometheus.yml",
        format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }}\nrule_files: [ rules.yml ]\n\
             alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: [ '127.0.0.1:{alerts}' ] }} ] }} ] }}\n\
             scrape_configs: [ {{ job_name: service, static_configs: [ {{ targets: [ '127.0.0.1:{service}' ] }} ] }} ]\n"
        ),
    );
    let manager = |port: u16, store: &str| {
        [
            "--config.file=alertmanager.yml".to_owned(),
            format!("--storage.path={store}"),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ]
    };
    let _alerts = serve(&place, "prometheus-alertmanager", &manager(alerts, "alerts"), alerts);
    let args = [
        "--config.file=prometheus.yml".to_owned(),
        "--storage.tsdb.path=tsdb".to_owned(),
        format!("--web.listen-address=127.0.0.1:{metrics}"),
    ];
    let _metrics = serve(&place, "prometheus", &args, metrics);
    let asked = match (source_is_there, kind) {
        (false, "alertmanager") => closed,
        (true, "prometheus") => metrics,
        _ => alerts,
    };
    // With "both" it is the receiver that is off: somebody else has its port.
    let _taken = (kind == "both" && !source_is_there).then(|| TcpListener::bind(("127.0.0.1", calls)).unwrap());
    let (kind, hook, called) = match kind {
        "both" => (
            "alertmanager",
            "    hook: { receive.alertmanager: { token: \"${secret:am}\" } }\n",
            "    called: { alert: { labels: { alertname: ServiceDown, severity: page }, source: hook }, within: 12s }\n",
        ),
        other => (other, "", ""),
    };
    let listen = if hook.is_empty() { String::new() } else { format!("  listen: {{ address: \"127.0.0.1:{calls}\" }}\n") };
    let program = has_program("prometheus-alertmanager").unwrap();
    let config = place.path().join("alertmanager.yml");
    place.file(
        "scenario.yaml",
        format!(
            r#"firedrill: 1
title: The service is lost
environment: test
{secrets}system:
  service:
    run: [{program}, "--config.file={config}", "--storage.path=${{run.dir}}/s", "--web.listen-address=127.0.0.1:{service}", "--cluster.listen-address="]
    ready: {{ http: {{ url: "http://127.0.0.1:{service}/-/healthy" }}, expect: {{ status: {{ equals: 200 }} }}, within: 30s }}
probes:
  web: {{ http: {{ url: "http://127.0.0.1:{service}/-/healthy" }}, rate: 20/s, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 3s, probes: {{ web: {{ success: {{ min: 50% }} }} }} }}
faults:
  lose-service: {{ process.kill: {{ system: service }}, for: 6s }}
recovery: {{ within: 40s, stable_for: 1s }}
team:
{listen}  signals:
    paging: {{ {kind}: {{ url: "http://127.0.0.1:{asked}" }}, every: 200ms }}
{hook}  expect:
    detected: {{ alert: {{ labels: {{ alertname: ServiceDown, severity: page }}, source: paging }}, within: 12s }}
{called}"#,
            secrets = if hook.is_empty() { "" } else { "secrets: { am: { file: token } }\n" },
            program = program.display(),
            config = config.display(),
        ),
    );
    // It must have been seen to be up: what was never scraped is no outage.
    let done = place.run(&["run", "scenario.yaml", "--yes", "--output", "json"], 120);
    place.assert_nobody_survives(10);
    Some(((), done))
}

fn detected_by_alertmanager() {
    let Some(((), done)) = until_it_says_something(|| run("detected_by_alertmanager", true, true, "alertmanager")) else { return };
    let report = done.expect(0).json();
    let detected = &report["team"]["expectations"]["detected"];
    assert_eq!(
        (&detected["verdict"], &detected["source"], &detected["machine"]),
        (&"on_time".into(), &"alertmanager".into(), &true.into())
    );
    let effect = report["faults"]["lose-service"]["effective"]["lo_mono_ns"].as_i64().unwrap();
    let starts = detected["starts_mono_ns"].as_i64().unwrap();
    let by_its_own_clock = (starts - effect) as f64 / 1e9;
    let (lo, hi) = (detected["took_lo_us"].as_f64().unwrap() / 1e6, detected["took_us"].as_f64().unwrap() / 1e6);
    // A scrape and an evaluation may pass before the rule knows; sending, and our own look, come after.
    assert!(by_its_own_clock > -0.1 && by_its_own_clock < 2.0 * EVERY + 1.5, "{detected:#}");
    assert!(
        hi >= by_its_own_clock && hi - by_its_own_clock < 2.0 * EVERY + 1.0,
        "{lo} – {hi} s, {by_its_own_clock} s by Alertmanager: {detected:#}"
    );
    assert!(hi - lo < 1.5, "one look in 200 ms: {detected:#}");
    assert_eq!(report["team"]["stamps"]["machine_observed"], 1);
}

fn detected_by_prometheus() {
    let Some(((), done)) = until_it_says_something(|| run("detected_by_prometheus", true, true, "prometheus")) else { return };
    let report = done.expect(0).json();
    let detected = &report["team"]["expectations"]["detected"];
    assert_eq!((&detected["verdict"], &detected["source"]), (&"on_time".into(), &"prometheus".into()), "{detected:#}");
    assert!(detected["took_us"].as_f64().unwrap() / 1e6 < 2.0 * EVERY + 1.5, "{detected:#}");
}

fn missed_without_a_rule() {
    let Some(((), done)) = until_it_says_something(|| run("missed_without_a_rule", false, true, "alertmanager")) else { return };
    let report = done.expect(32).json();
    assert_eq!((&report["run"]["system"], &report["run"]["team"]), (&"passed".into(), &"failed".into()));
    assert_eq!(report["team"]["expectations"]["detected"]["verdict"], "missed");
    let findings = report["score"]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["id"] == "team.detected"), "{findings:#?}");
}

fn not_observed_without_a_source() {
    let Some(((), done)) = run("not_observed_without_a_source", true, false, "alertmanager") else { return };
    let report = done.expect(31).json();
    let detected = &report["team"]["expectations"]["detected"];
    assert_eq!(detected["verdict"], "not_observed");
    assert!(detected["why"].as_str().unwrap().starts_with("paging could not be asked all the time: "), "{detected:#}");
}

/// Asked, and told of its own accord: one alert, and both agree with Alertmanager's own clock.
fn called_by_alertmanager() {
    let Some(((), done)) = until_it_says_something(|| run("called_by_alertmanager", true, true, "both")) else { return };
    let report = done.expect(0).json();
    let effect = report["faults"]["lose-service"]["effective"]["lo_mono_ns"].as_i64().unwrap();
    for id in ["detected", "called"] {
        let seen = &report["team"]["expectations"][id];
        assert_eq!(
            (&seen["verdict"], &seen["source"], &seen["machine"]),
            (&"on_time".into(), &"alertmanager".into(), &true.into()),
            "{id}"
        );
        let by_its_own_clock = (seen["starts_mono_ns"].as_i64().unwrap() - effect) as f64 / 1e9;
        let hi = seen["took_us"].as_f64().unwrap() / 1e6;
        assert!(by_its_own_clock > -0.1 && by_its_own_clock < 2.0 * EVERY + 1.5, "{id}: {seen:#}");
        // Sending, grouping for a second, and our own look come after.
        assert!(
            hi >= by_its_own_clock && hi - by_its_own_clock < 2.0 * EVERY + 2.0,
            "{id}: {hi} s, {by_its_own_clock} s by Alertmanager: {seen:#}"
        );
    }
    let starts = |id: &str| report["team"]["expectations"][id]["starts_mono_ns"].as_i64().unwrap();
    assert!((starts("detected") - starts("called")).abs() < 100_000_000, "the same alert");
    assert_eq!(report["team"]["unrelated_alerts"].as_array().map_or(0, Vec::len), 0, "{:#}", report["team"]["unrelated_alerts"]);
}

fn not_called_without_a_rule() {
    let Some(((), done)) = until_it_says_something(|| run("not_called_without_a_rule", false, true, "both")) else { return };
    let report = done.expect(32).json();
    for id in ["detected", "called"] {
        assert_eq!(report["team"]["expectations"][id]["verdict"], "missed", "{id}");
    }
}

fn not_observed_without_a_receiver() {
    let Some(((), done)) = run("not_observed_without_a_receiver", true, false, "both") else { return };
    let report = done.expect(31).json();
    let verdict = |id: &str| report["team"]["expectations"][id]["verdict"].clone();
    assert_eq!((verdict("detected"), verdict("called")), ("on_time".into(), "not_observed".into()), "{:#}", report["team"]);
}

#[test]
fn alerts_of_real_systems_are_seen() {
    side_by_side(vec![
        case("detected_by_alertmanager", detected_by_alertmanager),
        case("detected_by_prometheus", detected_by_prometheus),
        case("called_by_alertmanager", called_by_alertmanager),
        case("not_called_without_a_rule", not_called_without_a_rule),
        case("not_observed_without_a_receiver", not_observed_without_a_receiver),
        case("missed_without_a_rule", missed_without_a_rule),
        case("not_observed_without_a_source", not_observed_without_a_source),
    ]);
}
