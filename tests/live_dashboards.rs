//! Dashboards and rules against what really happens: Debian's Prometheus scrapes a drill of the demonstration system, and every expression of every
//! dashboard and rule is asked of it. None may fail and none may stay without a number for the whole of the run.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drill::{Place, free_ports, has_program, wait};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn dashboards() -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = std::fs::read_dir(root().join("dashboards"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "json"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (name.clone(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found.len(), 3);
    found
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn dashboards_are_whole() {
    let mut uids = BTreeSet::new();
    for (name, board) in dashboards() {
        assert!(uids.insert(text(&board, "uid").to_owned()), "{name}: its uid is another's");
        assert!(text(&board, "title").starts_with("Firedrill: ") && text(&board, "description").ends_with('.'), "{name}");
        let variables: Vec<&str> = board["templating"]["list"].as_array().unwrap().iter().map(|variable| text(variable, "name")).collect();
        assert!(["datasource", "scenario", "run"].iter().all(|wanted| variables.contains(wanted)), "{name}: {variables:?}");
        assert!(!board["annotations"]["list"].as_array().unwrap().is_empty(), "{name} marks no faults");
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in board["panels"].as_array().unwrap() {
            let title = text(panel, "title");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}: its id is another's");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24, "{name}: {title} does not fit");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{name}: {title} lies on another panel");
                }
            }
            if text(panel, "type") == "row" {
                continue;
            }
            assert!(
                text(panel, "description").len() > 30 && text(panel, "description").ends_with('.'),
                "{name}: {title} does not say what it means"
            );
            assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{name}: {title} has no unit");
            assert_eq!(text(&panel["datasource"], "uid"), "${datasource}", "{name}: {title}");
            let targets = panel["targets"].as_array().unwrap();
            let refs: BTreeSet<&str> = targets.iter().map(|target| text(target, "refId")).collect();
            assert!(!targets.is_empty() && refs.len() == targets.len(), "{name}: {title}");
            assert!(
                targets.iter().all(|target| text(target, "expr").contains("$scenario") || title == "Version"),
                "{name}: {title} shows every scenario"
            );
        }
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let found = has_program(name);
    if found.is_none() {
        println!("SKIPPED {name} is not installed (apt-get install prometheus); nothing was shown");
    }
    found
}

fn promtool(args: &[&str], input: Option<&str>) -> (bool, String) {
    let mut command = Command::new(has_program("promtool").unwrap());
    command.args(args).current_dir(root().join("dashboards/rules")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let input = input.unwrap_or_default().to_owned();
    let writer = std::thread::spawn(move || drop(to.write_all(input.as_bytes())));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (done.status.success(), format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)))
}

#[test]
fn rules_pass_their_own_tests() {
    if program("promtool").is_none() {
        return;
    }
    for args in [["check", "rules", "firedrill.rules.yaml"], ["test", "rules", "firedrill.test.yaml"]] {
        let (fine, said) = promtool(&args, None);
        assert!(fine, "promtool {args:?}: {said}");
    }
    let of = |file: &str| std::fs::read_to_string(root().join("dashboards/rules").join(file)).unwrap();
    let tests = of("firedrill.test.yaml");
    for line in of("firedrill.rules.yaml").lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(tests.contains(&format!("alertname: {alert}\n")) && tests.contains(alert), "{alert} is never seen to fire by a test");
        }
    }
}

/// An expression, and where it stands.
struct Asked {
    at: String,
    expr: String,
}

/// What Grafana puts in the place of its variables.
fn filled(expr: &str) -> String {
    let expr = expr.replace("$__rate_interval", "5s");
    let expr = ["$scenario", "$run", "$probe"].iter().fold(expr, |expr, variable| expr.replace(variable, ".*"));
    assert!(!expr.contains('$'), "{expr}");
    expr
}

fn expressions() -> Vec<Asked> {
    let mut all = Vec::new();
    for (name, board) in dashboards() {
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                all.push(Asked {
                    at: format!("{name}, {}, {}", text(panel, "title"), text(target, "refId")),
                    expr: filled(text(target, "expr")),
                });
            }
        }
        for annotation in board["annotations"]["list"].as_array().unwrap() {
            all.push(Asked { at: format!("{name}, annotation {}", text(annotation, "name")), expr: filled(text(annotation, "expr")) });
        }
    }
    let rules = std::fs::read_to_string(root().join("dashboards/rules/firedrill.rules.yaml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&rules).unwrap();
    for rule in rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let expr = text(rule, "expr");
        match rule["alert"].as_str() {
            // An alert is silent while all is well: what it looks at must be there, and the whole must be understood.
            Some(alert) => {
                let (looks_at, _) = expr.rsplit_once(" > ").unwrap_or_else(|| panic!("{alert} compares nothing with a number"));
                all.push(Asked { at: format!("alert {alert}"), expr: looks_at.to_owned() });
            }
            None => all.push(Asked { at: format!("rule {}", text(rule, "record")), expr: expr.to_owned() }),
        }
    }
    all
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Every number that an expression gives over a time; what Prometheus says where it does not understand.
fn numbers(port: u16, expr: &str, from: f64, to: f64) -> Result<Vec<f64>, String> {
    let body = get(port, &format!("/api/v1/query_range?query={}&start={from:.3}&end={to:.3}&step=1", encoded(expr))).ok_or("no answer")?;
    let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
    if answer["status"] != "success" {
        return Err(answer["error"].to_string());
    }
    let series = answer["data"]["result"].as_array().unwrap();
    let values = series.iter().flat_map(|one| one["values"].as_array().unwrap());
    Ok(values.map(|value| value[1].as_str().unwrap().parse().unwrap()).collect())
}

fn start_prometheus(place: &Place, scraped: u16, listen: u16) -> Server {
    let rules = root().join("dashboards/rules/firedrill.rules.yaml");
    place.file(
        "prometheus.yml",
        format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }}\nrule_files: [ '{}', page.yml ]\n\
             scrape_configs: [ {{ job_name: drill, static_configs: [ {{ targets: [ '127.0.0.1:{scraped}' ] }} ] }} ]\n",
            rules.display()
        ),
    );
    // What calls people in this drill is a rule on the drill's own probe.
    place.file(
        "page.yml",
        "groups: [ { name: page, rules: [ { alert: CheckoutDown, expr: 'firedrill_probe_outages_total{probe=\"checkout\"} > 0' } ] } ]\n",
    );
    let mut command = Command::new(has_program("prometheus").unwrap());
    command
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", &format!("--web.listen-address=127.0.0.1:{listen}")])
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Server(command.spawn().unwrap());
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", listen)).is_err() {
        assert!(Instant::now() < end, "prometheus does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// The demonstration, to be run once a quarter, and with people who are called.
fn scenario(place: &Place, alerts: u16) {
    let demo = std::fs::read_to_string(root().join("scenarios/demo.yaml")).unwrap();
    let team = format!(
        r#"
cadence: 90d
team:
  signals:
    paging: {{ prometheus: {{ url: "http://127.0.0.1:{alerts}" }}, every: 200ms }}
  expect:
    detected: {{ alert: {{ labels: {{ alertname: CheckoutDown }} }}, within: 15s }}
    acknowledged: {{ ack: {{}}, within: 20s }}
"#
    );
    place.file("shop.yaml", demo + &team);
}

#[test]
fn every_expression_gives_a_number_during_a_real_drill() {
    if program("prometheus").is_none() || program("promtool").is_none() {
        return;
    }
    let place = Place::new();
    let [scraped, listen, balancer, a, b]: [u16; 5] = free_ports();
    let server = start_prometheus(&place, scraped, listen);
    scenario(&place, listen);
    let address = format!("127.0.0.1:{scraped}");
    let vars = [format!("balancer_port={balancer}"), format!("node_a_port={a}"), format!("node_b_port={b}")];
    let mut args = vec!["run", "shop.yaml", "--yes", "--metrics", &address, "--metrics-hold", "120s"];
    vars.iter().for_each(|var| args.extend(["--var", var]));
    let child = place.start(&args);
    place.wait_until_bitten("lose-primary", 90);
    let acknowledged = place.run(&["mark", "ack", "--as", "ops", "--text", "mine"], 20);
    let page = get(scraped, "/metrics").unwrap_or_default();
    let done = wait(child, 180);
    assert!(matches!(done.code, Some(0 | 30 | 31 | 33)), "{:?}\n{}", done.code, done.stderr);
    assert_eq!(acknowledged.code, Some(0), "{}", acknowledged.stderr);
    let judged = place.run(&["metrics", "last"], 20).expect(0).stdout;
    for page in [&page, &judged] {
        let (fine, said) = promtool(&["check", "metrics"], Some(page));
        assert!(fine && said.trim().is_empty(), "promtool check metrics: {said}");
    }
    let wall = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as f64 / 1e9;
    let anchors: Vec<f64> = place
        .journal(&place.runs().pop().unwrap())
        .iter()
        .filter(|entry| entry["event"]["type"] == "anchor")
        .map(|entry| wall(entry["event"]["wall"].as_str().unwrap()))
        .collect();
    let (from, to) = (anchors[0].floor(), anchors[anchors.len() - 1].ceil() + 10.0);
    let mut wrong = Vec::new();
    let asked = expressions();
    assert!(asked.len() > 90, "{}", asked.len());
    for Asked { at, expr } in &asked {
        match numbers(listen, expr, from, to) {
            Err(why) => wrong.push(format!("{at}: {why}: {expr}")),
            Ok(values) if !values.iter().any(|value| value.is_finite()) => {
                wrong.push(format!("{at}: {} values and no number: {expr}", values.len()));
            }
            Ok(_) => {}
        }
    }
    drop(server);
    assert!(wrong.is_empty(), "of {} expressions:\n{}", asked.len(), wrong.join("\n"));
    println!("{} expressions gave numbers", asked.len());
    place.assert_nobody_survives(10);
}
