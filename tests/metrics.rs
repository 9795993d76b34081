//! Metrics of runs: the same from the journal as live, only rising where they must, bounded whatever comes in, and served without ever delaying a drill.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drill::{Place, Stranger, free_ports, wait};
use firedrill::base::Id;
use firedrill::event::{Entry, Event};
use firedrill::plan::Plan;
use firedrill::telemetry::names::{ALL, Kind};
use firedrill::telemetry::{MOST, OTHER, Options, Telemetry};
use firedrill::{measure, score};

/// Every sample of a page: name with labels, and value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(value.is_finite(), "{line}");
        assert!(out.insert(name.to_owned(), value).is_none(), "twice: {line}");
    }
    out
}

fn final_text(plan: &Plan, entries: &[Entry], options: Options) -> String {
    let facts = measure::facts(plan, entries);
    let score = score::score(plan, &facts);
    Telemetry::of(Arc::new(plan.clone()), entries, facts, score, options).text(None)
}

/// Names of series that only rise.
fn rises(series: &str) -> bool {
    let name = series.split('{').next().unwrap();
    ALL.iter().any(|metric| match metric.kind {
        Kind::Counter => metric.name == name,
        Kind::Histogram => name.strip_prefix(metric.name).is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end)),
        Kind::Gauge | Kind::States => false,
    })
}

#[test]
fn what_only_rises_never_falls_and_states_are_one_at_a_time() {
    for (name, _) in golden::ALL {
        let (plan, entries) = golden::load(&golden::dir(name));
        let mut telemetry = Telemetry::new(Arc::new(plan.clone()), Options::default());
        let mut before: BTreeMap<String, f64> = BTreeMap::new();
        let step = entries.len().div_ceil(60);
        let facts = measure::facts(&plan, &entries);
        let score = score::score(&plan, &facts);
        for (n, entry) in entries.iter().enumerate() {
            telemetry.entry(entry);
            let last = n + 1 == entries.len();
            if n % step != 0 && !last {
                continue;
            }
            if last {
                telemetry.judged(facts.clone(), score.clone());
            }
            let now = samples(&telemetry.text(Some(0)));
            for (series, value) in before.iter().filter(|(series, _)| rises(series)) {
                assert!(now[series] >= *value, "{name}, entry {n}: {series} falls from {value} to {}", now[series]);
            }
            for metric in ALL.iter().filter(|metric| metric.kind == Kind::States) {
                let of: Vec<(&String, &f64)> = now.iter().filter(|(series, _)| series.starts_with(&format!("{}{{", metric.name))).collect();
                // The state is one of several labels: those that have all others in common sum up to one.
                let mut sums: BTreeMap<String, f64> = BTreeMap::new();
                for (series, value) in of {
                    let state =
                        |label: &&str| ["phase", "outcome", "state", "verdict"].iter().any(|name| label.starts_with(&format!("{name}=")));
                    let rest: Vec<&str> = series.split(['{', ',', '}']).filter(|label| !state(label)).collect();
                    *sums.entry(rest.join(",")).or_default() += value;
                }
                assert!(sums.values().all(|sum| (sum - 1.0).abs() < 1e-9), "{name}, entry {n}: {} {sums:?}", metric.name);
            }
            before = now;
        }
    }
}

#[test]
fn the_final_state_is_the_judgement() {
    for (name, code) in golden::ALL {
        let (plan, entries) = golden::load(&golden::dir(name));
        let text = final_text(&plan, &entries, Options::default());
        let now = samples(&text);
        let scenario = &plan.name;
        assert_eq!(now[&format!("firedrill_run_exit_code{{scenario=\"{scenario}\"}}")], f64::from(code), "{name}");
        let owed: f64 = now.iter().filter(|(series, _)| series.starts_with("firedrill_undo_owed{")).map(|(_, value)| value).sum();
        assert_eq!(owed > 0.0, code == 50, "{name}: {owed} owed");
        let facts = measure::facts(&plan, &entries);
        for (id, probe) in &facts.probes {
            let told: f64 = now
                .iter()
                .filter(|(series, _)| series.starts_with("firedrill_probe_samples_total{") && series.contains(&format!("probe=\"{id}\"")))
                .map(|(_, value)| value)
                .sum();
            // Numbers without a record are counted by the judgement only.
            assert!(told <= probe.samples.planned as f64, "{name}: {id}: {told} of {}", probe.samples.planned);
            let answered = now[&format!("firedrill_probe_response_seconds_count{{probe=\"{id}\",scenario=\"{scenario}\"}}")];
            assert_eq!(answered, (probe.samples.ok + probe.samples.bad) as f64, "{name}: {id}");
        }
        for line in text.lines().filter(|line| line.starts_with("# HELP ")) {
            let metric = line.split(' ').nth(2).unwrap();
            assert!(ALL.iter().any(|known| known.name == metric), "{metric} is in no list");
        }
    }
}

#[test]
fn a_journal_of_distributions_tells_what_its_samples_would() {
    use firedrill::fold::thin::{Kept, Thinner};
    let (plan, entries) = golden::load(&golden::dir("passed"));
    let (id, probe) = plan.probes.iter().find(|(_, probe)| !probe.ledger && !probe.control).unwrap();
    // The same samples at a rate from which on they are kept as distributions.
    let interval = firedrill::base::Span::millis(1);
    let Some(mut thinner) = Thinner::new(interval, probe.timeout) else { panic!("a probe of a thousand a second is thinned") };
    let template = entries.iter().find_map(|entry| match &entry.event {
        Event::Samples { probe, rows } if probe == id.as_str() => {
            rows.iter().find(|row| row.verdict == firedrill::event::Verdict::Ok).cloned()
        }
        _ => None,
    });
    let template = template.unwrap();
    let rows: Vec<_> = (0..120_000u64)
        .map(|n| {
            let planned = firedrill::base::At(0) + interval.times(n);
            let at = |us: u64| planned + firedrill::base::Span::micros(us);
            firedrill::event::Sample { n, planned, woken: at(40), sent: at(60), done: at(400 + 7 * (n % 300)), ..template.clone() }
        })
        .collect();
    let mut kept: Vec<Kept> = rows.chunks(100).flat_map(|chunk| thinner.push(chunk.to_vec())).collect();
    kept.extend(thinner.end());
    assert!(kept.iter().any(|one| matches!(one, Kept::Run(_))), "nothing became a distribution");
    let (mut live, mut recorded) =
        (Telemetry::new(Arc::new(plan.clone()), Options::default()), Telemetry::new(Arc::new(plan.clone()), Options::default()));
    let entry = |event: Event| Entry { seq: 0, at: firedrill::base::At(1), event };
    live.entry(&entry(Event::Samples { probe: id.to_string(), rows }));
    for one in kept {
        recorded.entry(&entry(match one {
            Kept::Each(rows) => Event::Samples { probe: id.to_string(), rows },
            Kept::Run(run) => Event::Quiet { probe: id.to_string(), run },
        }));
    }
    let (live, recorded) = (samples(&live.text(None)), samples(&recorded.text(None)));
    for (series, value) in live.iter().filter(|(series, _)| series.contains(&format!("probe=\"{id}\""))) {
        let other = recorded[series];
        // The prober's own delays are kept to two digits, and their sum is taken from the middles of cells.
        let near = (value - other).abs() <= 0.03 * value.abs().max(other.abs());
        assert!(near, "{series}: {value} live, {other} recorded");
    }
}

/// A plan with so many probes.
fn crowded(count: usize) -> Plan {
    let (mut plan, _) = golden::load(&golden::dir("passed"));
    let probe = plan.probes.values().next().unwrap().clone();
    for n in 0..count {
        let id: Id = serde_json::from_value(format!("probe-{n:04}").into()).unwrap();
        plan.probes.insert(id, probe.clone());
    }
    plan
}

#[test]
fn labels_are_bounded_whatever_a_scenario_or_a_journal_brings() {
    let plan = crowded(500);
    let (_, entries) = golden::load(&golden::dir("passed"));
    let mut telemetry = Telemetry::new(Arc::new(plan), Options::default());
    for entry in &entries {
        telemetry.entry(entry);
    }
    for n in 0..500 {
        // What the plan does not know is nobody's: no series of its own.
        telemetry.entry(&Entry {
            seq: 0,
            at: entries[0].at,
            event: Event::GuardBreached { id: format!("stranger\"}} {n}\n"), why: String::new() },
        });
    }
    let text = telemetry.text(None);
    let now = samples(&text);
    let probes: std::collections::BTreeSet<&str> =
        now.keys().filter(|series| series.starts_with("firedrill_probe_interval_seconds")).map(String::as_str).collect();
    assert_eq!(probes.len(), MOST + 1);
    assert!(probes.iter().any(|series| series.contains(&format!("probe=\"{OTHER}\""))));
    assert!(!text.contains("stranger"), "a journal cannot make labels");
    assert!(text.len() < 1 << 20, "{}", text.len());
}

#[test]
fn hidden_metrics_say_nothing_of_what_is_drilled() {
    for (name, _) in golden::ALL {
        let (plan, entries) = golden::load(&golden::dir(name));
        let text = final_text(&plan, &entries, Options { hide: true });
        let open = samples(&final_text(&plan, &entries, Options::default()));
        assert_eq!(samples(&text).len(), open.len(), "{name}: the same series under other names");
        let labels: Vec<&str> =
            text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split('"').skip(1).step_by(2)).collect();
        let ids = plan.faults.keys().chain(plan.probes.keys()).chain(plan.claims.keys()).chain(plan.guards.keys()).map(Id::as_str);
        let words = ids.chain(plan.faults.values().map(|fault| fault.kind.as_str())).chain([plan.name.as_str()]);
        for word in words {
            assert!(!labels.iter().any(|label| label.contains(word)), "{name}: a label tells `{word}`");
        }
    }
}

/// What a page answers; nothing where nobody listens (any more).
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

/// Asks until the page says so, at most so many seconds.
fn until(port: u16, seconds: u64, says: impl Fn(&str) -> bool) -> String {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match get(port, "/metrics") {
            Some(page) if says(&page) => return page,
            last => assert!(Instant::now() < end, "not within {seconds} s; last: {}", last.unwrap_or_default()),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

const PAUSE: &str = "{ freeze: { process.pause: { pid_file: stranger.pid }, for: 2s } }";

#[test]
fn a_drill_is_served_while_hostile_readers_hold_on_and_left_as_a_file() {
    let place = Place::new();
    let _stranger = Stranger::start(&place);
    place.drill_on_a_node("A stranger stands still", PAUSE, "{ within: 20s, stable_for: 1s }");
    let [port] = free_ports();
    std::fs::create_dir(place.path().join("textfile")).unwrap();
    let address = format!("127.0.0.1:{port}");
    let args = ["run", "scenario.yaml", "--yes", "--metrics", &address, "--metrics-hold", "60s", "--metrics-textfile", "textfile"];
    let child = place.start(&args);
    let first = until(port, 30, |page| page.contains("firedrill_run_info{"));
    assert!(first.contains("# TYPE firedrill_probe_response_seconds histogram"), "{first}");
    // Readers that never ask to the end, all the while.
    let held: Vec<TcpStream> = (0..200)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nx: ").ok()?;
            Some(stream)
        })
        .collect();
    until(port, 60, |page| page.contains("firedrill_fault_active{fault=\"freeze\",kind=\"process.pause\",scenario=\"scenario\"} 1"));
    let undone = until(port, 60, |page| page.contains("item=\"freeze\",phase=\"undone\",role=\"fault\",scenario=\"scenario\"} 1"));
    assert!(samples(&undone).iter().any(|(series, value)| series.starts_with("firedrill_journal_queue_entries") && *value < 1_000.0));
    let last = until(port, 60, |page| page.contains("firedrill_run_exit_code"));
    drop(held);
    let done = wait(child, 60);
    let code = done.code.unwrap();
    assert!(done.stderr.contains(&format!("http://{address}/metrics")), "{}", done.stderr);
    assert!(last.contains(&format!("firedrill_run_exit_code{{scenario=\"scenario\"}} {code}")), "exit {code}\n{last}");
    let file = std::fs::read_to_string(place.path().join("textfile/firedrill_scenario.prom")).unwrap();
    let printed = place.run(&["metrics", "last"], 20).expect(0).stdout;
    assert_eq!(samples(&file), samples(&last), "the file holds what was served last");
    // From the journal alone it is the same.
    let (file, printed) = (samples(&file), samples(&printed));
    assert_eq!(file.keys().collect::<Vec<_>>(), printed.keys().collect::<Vec<_>>());
    for (series, value) in &file {
        assert!(
            (value - printed[series]).abs() <= 1e-6 * value.abs().max(1.0),
            "{series}: {value} live, {} from the journal",
            printed[series]
        );
    }
    assert!(get(port, "/metrics").is_none(), "nobody listens any more");
    place.assert_nobody_survives(10);
}

#[test]
fn nothing_is_begun_where_metrics_cannot_go() {
    let place = Place::new();
    let _stranger = Stranger::start(&place);
    place.drill_on_a_node("A stranger stands still", PAUSE, "{ within: 20s, stable_for: 1s }");
    let holder = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = format!("127.0.0.1:{}", holder.local_addr().unwrap().port());
    for (args, code, says) in [
        (vec!["--metrics", "0.0.0.0:9464"], 2, "--metrics-public"),
        (vec!["--metrics", "[::]:9464"], 2, "--metrics-public"),
        (vec!["--metrics", taken.as_str()], 11, "failed to listen"),
        (vec!["--metrics-textfile", "nowhere"], 11, "there is no such directory"),
        (vec!["--metrics-hold", "5s"], 2, "--metrics"),
        (vec!["--metrics", "localhost"], 2, "invalid socket address"),
    ] {
        let mut all = vec!["run", "scenario.yaml", "--yes"];
        all.extend(&args);
        let done = place.run(&all, 20).expect(code);
        assert!(done.stderr.contains(says), "{args:?}: {}", done.stderr);
    }
    assert!(place.runs().is_empty(), "nothing was begun");
}

#[test]
fn a_recorded_run_is_told_and_a_missing_one_is_not() {
    let place = Place::new();
    assert!(place.run(&["metrics", "last"], 20).expect(2).stderr.contains("no run `last`"));
    let dir = golden::dir("stuck");
    let told = place.run(&["metrics", dir.to_str().unwrap()], 20).expect(0).stdout;
    assert!(samples(&told).values().any(|value| *value == 50.0), "the exit code of the run is told, and ours is 0");
    let hidden = place.run(&["metrics", dir.to_str().unwrap(), "--hide"], 20).expect(0).stdout;
    assert!(hidden.contains("scenario=\"hidden\""));
}
