//! Every AWS scenario that is shipped, as it is shipped, on a double of an account: with the resources that it asks for beside others that it must not
//! touch, and with a service that really fails when they are hit.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![cfg(feature = "aws")]

mod aws;
mod drill;
mod world_of_aws;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws::fis::has_ended;
use aws::{ACCOUNT, Double, Trouble, in_account, run};
use drill::{Done, Place, case, service, side_by_side, wait};
use world_of_aws::{Database, Names, serve};

/// A minute of an action: as long as everywhere, so that nothing ends before it is told to.
const MINUTE: Duration = Duration::from_secs(60);
/// A machine that was too busy to watch from decides nothing: such a drill is repeated, so often.
const TRIES: usize = 3;

/// What actions have done, and when.
type Hits = Arc<Mutex<Vec<(String, String, bool, Instant)>>>;

/// An account with these alarms, all of them well, that writes down what is hit.
fn account(alarms: &[&str]) -> (Double, Hits) {
    let (double, hits) = (Double::start(MINUTE), Hits::default());
    let told = Arc::clone(&hits);
    double.with(|world| {
        alarms.iter().for_each(|name| world.cloudwatch.alarm(name, "OK"));
        world.fis.effect = Some(Box::new(move |action, arn, begins| {
            told.lock().unwrap().push((action.to_owned(), arn.to_owned(), begins, Instant::now()));
        }));
    });
    (double, hits)
}

fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:eu-west-1:{ACCOUNT}:{resource}")
}

/// How long ago this action began, and whether it goes on.
fn since(hits: &Hits, action: &str) -> Option<(Duration, bool)> {
    let hits = hits.lock().unwrap();
    let begun = hits.iter().find(|(id, _, begins, _)| id.ends_with(action) && *begins)?;
    Some((begun.3.elapsed(), !hits.iter().any(|(id, _, begins, _)| id.ends_with(action) && !*begins)))
}

/// How long ago it ended.
fn over(hits: &Hits, action: &str) -> Option<Duration> {
    hits.lock().unwrap().iter().find(|(id, _, begins, _)| id.ends_with(action) && !*begins).map(|hit| hit.3.elapsed())
}

/// Runs a shipped scenario.
fn play(place: &Place, double: &Double, name: &str, vars: &[(&str, String)]) -> Done {
    let file = format!("{}/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut args = vec!["run".to_owned(), file, "--yes".into(), "--unattended".into(), "--output".into(), "json".into()];
    for (name, value) in vars {
        args.extend(["--var".to_owned(), format!("{name}={value}")]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    wait(in_account(place, double, &args).spawn().unwrap(), 300)
}

/// Whether it passed; false when its prober was in doubt, which is no result.
fn decided(done: &Done, claims: &[&str]) -> bool {
    let report = done.json();
    if matches!(done.code, Some(20 | 21 | 22 | 31 | 33)) && report["validity"]["tainted_seconds"] != 0 {
        return false;
    }
    assert_eq!(done.code, Some(0), "{}\n{:#}", done.stderr, report["claims"]);
    for claim in claims {
        assert_eq!(report["claims"][claim]["verdict"], "passed", "{claim}: {:#}", report["claims"][claim]);
    }
    true
}

fn tried(drill: impl Fn() -> bool) {
    assert!((0..TRIES).any(|_| drill()), "the machine was too busy to be evidence, {TRIES} times");
}

/// Nothing of ours goes on in the account, and nothing is left there.
fn assert_over(double: &Double, hits: &Hits) {
    let (states, templates) = double.with(|world| (world.fis.states(), world.fis.template_ids()));
    assert!(states.len() == 1 && states.values().all(|state| has_ended(state)), "{states:?}");
    assert!(templates.is_empty(), "{templates:?}");
    let hits = hits.lock().unwrap();
    for (action, arn, ..) in hits.iter().filter(|hit| hit.2) {
        assert!(hits.iter().any(|end| !end.2 && end.0 == *action && end.1 == *arn), "{action} on {arn} goes on");
    }
}

/// What was hit, once each.
fn hit(hits: &Hits) -> Vec<String> {
    let mut all: Vec<String> = hits.lock().unwrap().iter().filter(|hit| hit.2).map(|hit| hit.1.clone()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// They mostly wait.
#[test]
fn every_scenario_does_what_it_says() {
    side_by_side(vec![
        case("zone power", a_zone_loses_its_power_and_nothing_else_does),
        case("RDS failover", a_database_fails_over_by_its_name_and_no_order_is_lost),
        case("ECS task loss", a_task_is_lost_and_replaced),
        case("EC2 processor", instances_without_a_processor_to_spare_are_told_of_and_still_serve),
        case("dependency blackhole", a_dependency_that_is_swallowed_does_not_take_checkout_with_it),
        case("region isolation", a_region_that_is_cut_off_serves_alone),
    ]);
}

const POWER: &[(&str, &str)] = &[("firedrill", "allowed"), ("zone-drill", "power")];

fn a_zone_loses_its_power_and_nothing_else_does() {
    tried(|| {
        let (double, hits) = account(&["shop-lost-two-zones", "shop-zone-unhealthy"]);
        let mut lost: Vec<String> = Vec::new();
        double.with(|world| {
            for zone in ["eu-west-1a", "eu-west-1b"] {
                let all = [
                    ("aws:ec2:instance", arn("ec2", &format!("instance/i-{zone}"))),
                    ("aws:ec2:subnet", arn("ec2", &format!("subnet/subnet-{zone}"))),
                    ("aws:rds:cluster", arn("rds", &format!("cluster:orders-{zone}"))),
                    ("aws:elasticache:replicationgroup", arn("elasticache", &format!("replicationgroup:cache-{zone}"))),
                ];
                for (of, arn) in all {
                    world.fis.resource(of, &arn, Some(zone), POWER);
                    lost.extend((zone == "eu-west-1a").then_some(arn));
                }
            }
            let group = arn("autoscaling", "autoScalingGroup:1:autoScalingGroupName/shop");
            world.fis.resource("aws:ec2:autoscaling-group", &group, None, POWER);
            lost.push(group);
            // In the zone, and released by nobody.
            world.fis.resource("aws:ec2:instance", &arn("ec2", "instance/i-other"), Some("eu-west-1a"), &[("zone-drill", "power")]);
        });
        // Users notice for as long as the balancer needs to find out.
        let seen = Arc::clone(&hits);
        let shop = serve(move |method, _| match since(&seen, "stop-instances") {
            Some((ago, _)) if ago < Duration::from_secs(2) => (503, "no healthy host".into()),
            _ => (if method == "POST" { 201 } else { 200 }, "well".into()),
        });
        let place = Place::new();
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                let within = Instant::now() + Duration::from_secs(120);
                while since(&hits, "stop-instances").is_none() && Instant::now() < within {
                    std::thread::sleep(Duration::from_millis(20));
                }
                double.with(|world| world.cloudwatch.set("shop-zone-unhealthy", "ALARM", "2 of 6 hosts are unhealthy"));
            });
            play(&place, &double, "aws-zone-power", &[("shop", shop)])
        });
        assert_over(&double, &hits);
        lost.sort_unstable();
        assert_eq!(hit(&hits), lost);
        let seen = place.event("effective", "zone-power")["seen"].as_str().unwrap_or_default().to_owned();
        assert!(lost.iter().all(|arn| seen.contains(arn)), "{seen}");
        let report = done.json();
        if !decided(&done, &["a-zone-is-no-loss"]) {
            return false;
        }
        assert_eq!(report["team"]["expectations"]["detected"]["verdict"], "on_time", "{:#}", report["team"]);
        // Account, region, targets and the experiment's id stand in the report.
        let text = std::fs::read_to_string(place.runs()[0].join("report.md")).unwrap();
        let experiment = double.with(|world| world.fis.states().into_keys().next().unwrap());
        for part in [ACCOUNT, "eu-west-1", "instance/i-eu-west-1a", experiment.as_str()] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        true
    });
}

fn a_database_fails_over_by_its_name_and_no_order_is_lost() {
    let Some(programs) = Database::programs() else {
        println!("SKIPPED: no PostgreSQL is installed");
        return;
    };
    tried(|| {
        let (double, _) = account(&["orders-database-storage"]);
        let tags = [("firedrill", "allowed"), ("database", "orders")];
        double.with(|world| {
            world.fis.resource("aws:rds:db", &arn("rds", "db:orders"), None, &tags);
            world.fis.resource("aws:rds:db", &arn("rds", "db:customers"), None, &[("firedrill", "allowed"), ("database", "customers")]);
        });
        let database = Arc::new(Database::start(&programs));
        let names = Names::start("10.0.0.1");
        let (moved, to) = (Arc::clone(&database), names.clone());
        double.with(|world| {
            world.fis.effect = Some(Box::new(move |action, arn, begins| {
                assert!(action == "aws:rds:reboot-db-instances" && arn.ends_with("db:orders"), "{action} on {arn}");
                if begins {
                    let (moved, to) = (Arc::clone(&moved), to.clone());
                    // The account goes on while the standby takes over.
                    std::thread::spawn(move || {
                        moved.fail_over();
                        to.lead_to("10.0.0.2");
                    });
                }
            }));
        });
        let place = Place::new();
        let vars = [
            ("endpoint", "localhost".to_owned()),
            ("port", database.port.to_string()),
            ("resolver", names.address.clone()),
            ("password_file", place.file("password", "drill").display().to_string()),
            ("ca", format!("{}/tests/fixtures/tls/ca.pem", env!("CARGO_MANIFEST_DIR"))),
        ];
        let done = play(&place, &double, "aws-rds-failover", &vars);
        if !decided(&done, &["a-minute-and-no-order"]) {
            return false;
        }
        let states = double.with(|world| world.fis.states());
        assert!(states.len() == 1 && states.values().all(|state| state == "completed"), "{states:?}: {}", done.stderr);
        let report = done.json();
        let ledger = &report["ledgers"]["orders"];
        assert!(ledger.to_string().contains("\"lost\":0"), "{ledger:#}");
        assert!(!report["probes"]["database"]["outages"].as_array().unwrap().is_empty(), "nobody noticed anything");
        // It was seen to bite by the name, once that led elsewhere.
        let seen = place.event("effective", "fail-over").to_string();
        assert!(seen.contains("the condition of `confirm` holds"), "{seen}");
        // Nothing secret is written down, and the table is empty again.
        let journal = std::fs::read_to_string(place.runs()[0].join("events.jsonl")).unwrap();
        assert!(!journal.contains("password\":\"drill"), "the password is in the journal");
        assert_eq!(database.rows(), "0");
        true
    });
}

fn a_task_is_lost_and_replaced() {
    tried(|| {
        let (double, hits) = account(&["checkout-errors"]);
        double.with(|world| {
            for n in 1..=3 {
                let tags = [("firedrill", "allowed"), ("service", "checkout")];
                world.fis.resource("aws:ecs:task", &arn("ecs", &format!("task/shop/{n}")), None, &tags);
            }
            world.fis.resource("aws:ecs:task", &arn("ecs", "task/shop/mail"), None, &[("firedrill", "allowed"), ("service", "mail")]);
        });
        let seen = Arc::clone(&hits);
        let shop = serve(move |method, path| {
            let replaced = since(&seen, "stop-task").is_none_or(|(ago, _)| ago > Duration::from_secs(3));
            match (method, path) {
                ("POST", _) => (201, "taken".into()),
                (_, "/tasks") => (200, format!("{{\"healthy\": {}}}", if replaced { 3 } else { 2 })),
                _ => (404, String::new()),
            }
        });
        let place = Place::new();
        let done = play(&place, &double, "aws-ecs-task-loss", &[("checkout", shop)]);
        assert_over(&double, &hits);
        assert!(hit(&hits).len() == 1 && hit(&hits)[0].contains("task/shop/") && !hit(&hits)[0].ends_with("mail"), "{:?}", hit(&hits));
        decided(&done, &["customers-notice-nothing", "replaced-in-time"])
    });
}

/// A shop on the three managed instances of the double: what it answers depends on whether they are under stress.
fn on_hosts(double: &Double, answer: impl Fn(&str, &str, bool) -> (u16, String) + Send + Sync + 'static) -> (String, Arc<AtomicBool>) {
    let files: Vec<_> = (1..=3).map(|n| double.with(|world| world.ssm.dir(&format!("i-0000a00{n}"))).join("stressed")).collect();
    let ever = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ever);
    let url = serve(move |method, path| {
        let stressed = files.iter().all(|file| file.exists());
        told.fetch_or(stressed, Ordering::SeqCst);
        answer(method, path, stressed)
    });
    (url, ever)
}

/// Every command was ended, and no host is under stress.
fn assert_hosts_are_well(double: &Double) {
    for (id, comment, on) in double.with(|world| world.ssm.states()) {
        assert!(on.values().all(|state| ["Success", "Cancelled"].contains(&state.as_str())), "{id} ({comment}): {on:?}");
    }
    for n in 1..=3 {
        assert!(!double.with(|world| world.ssm.dir(&format!("i-0000a00{n}"))).join("stressed").exists());
    }
    assert!(!double.with(|world| world.ssm.dir("i-0000a009")).join("stressed").exists(), "a host that nobody released was hit");
}

fn instances_without_a_processor_to_spare_are_told_of_and_still_serve() {
    tried(|| {
        let (double, _) = account(&["shop-errors", "shop-cpu"]);
        let (shop, stressed) = on_hosts(&double, |_, _, stressed| {
            std::thread::sleep(Duration::from_millis(if stressed { 60 } else { 0 }));
            (200, "well".into())
        });
        let place = Place::new();
        let done = std::thread::scope(|scope| {
            scope.spawn(|| {
                let within = Instant::now() + Duration::from_secs(120);
                while !stressed.load(Ordering::SeqCst) && Instant::now() < within {
                    std::thread::sleep(Duration::from_millis(20));
                }
                double.with(|world| world.cloudwatch.set("shop-cpu", "ALARM", "CPUUtilization is 97"));
            });
            play(&place, &double, "aws-ec2-cpu", &[("shop", shop), ("hold", "15s".into())])
        });
        assert_hosts_are_well(&double);
        assert!(stressed.load(Ordering::SeqCst), "{}", done.stderr);
        if !decided(&done, &["stays-usable"]) {
            return false;
        }
        let report = done.json();
        assert_eq!(report["team"]["expectations"]["detected"]["verdict"], "on_time", "{:#}", report["team"]);
        true
    });
}

fn a_dependency_that_is_swallowed_does_not_take_checkout_with_it() {
    tried(|| {
        let (double, _) = account(&["shop-orders-lost"]);
        let (shop, stressed) = on_hosts(&double, |method, path, stressed| match (method, path) {
            ("POST", _) => (201, "taken".into()),
            (_, "/payments/health") if stressed => (503, "the provider does not answer".into()),
            _ => (200, "well".into()),
        });
        let place = Place::new();
        let done = play(&place, &double, "aws-dependency-blackhole", &[("shop", shop), ("hold", "5s".into())]);
        assert_hosts_are_well(&double);
        assert!(stressed.load(Ordering::SeqCst), "{}", done.stderr);
        if !decided(&done, &["orders-are-taken-all-the-same"]) {
            return false;
        }
        assert!(!done.json()["probes"]["payments"]["outages"].as_array().unwrap().is_empty());
        true
    });
}

fn a_region_that_is_cut_off_serves_alone() {
    tried(|| {
        let (double, hits) = account(&["shop-errors"]);
        let tags = [("firedrill", "allowed"), ("region-drill", "isolate")];
        let all = [
            ("aws:ec2:subnet", arn("ec2", "subnet/subnet-1")),
            ("aws:ec2:transit-gateway", arn("ec2", "transit-gateway/tgw-1")),
            ("aws:s3:bucket", "arn:aws:s3:::orders".to_owned()),
            ("aws:dynamodb:global-table", arn("dynamodb", "table/orders")),
        ];
        double.with(|world| {
            all.iter().for_each(|(of, arn)| world.fis.resource(of, arn, None, &tags));
            world.fis.resource("aws:s3:bucket", "arn:aws:s3:::photos", None, &tags[..1]);
        });
        let seen = Arc::clone(&hits);
        let shop = serve(move |_, path| {
            let behind = over(&seen, "route-table-disrupt-cross-region-connectivity").is_some_and(|ago| ago < Duration::from_secs(2));
            let cut = since(&seen, "route-table-disrupt-cross-region-connectivity").is_some_and(|(_, goes_on)| goes_on);
            if path.starts_with("/regions/") && (cut || behind) { (503, "no word from there".into()) } else { (200, "well".into()) }
        });
        let place = Place::new();
        let done = play(&place, &double, "aws-region-isolation", &[("shop", shop), ("hold", "4s".into())]);
        assert_over(&double, &hits);
        let mut isolated: Vec<String> = all.iter().map(|(_, arn)| arn.clone()).collect();
        isolated.sort_unstable();
        assert_eq!(hit(&hits), isolated);
        decided(&done, &["this-region-serves-alone"])
    });
}

/// What each of them needs is known, down to every action, and no more than that is asked for.
#[test]
fn the_policies_and_the_runbook_of_every_scenario_are_there() {
    let place = Place::new();
    let folder = format!("{}/scenarios", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("aws-") && name.ends_with(".yaml"));
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        // The steps that it expects stand in a runbook, and somebody owns that.
        let runbooks = format!("{}/runbooks", env!("CARGO_MANIFEST_DIR"));
        place.run(&["runbook", "check", &runbooks, "--scenario", &format!("{folder}/{name}")], 60).expect(0);
        let told = place.run(&["plan", &format!("{folder}/{name}"), "--output", "iam"], 60).expect(0);
        let policies = told.json();
        assert_eq!(policies["unknown"].as_array().map(Vec::len), Some(0), "{name}: {policies:#}");
        for (of, experiment) in policies["experiments"].as_object().unwrap() {
            let statements = experiment["policy"]["Statement"].as_array().unwrap();
            assert!(!statements.is_empty(), "{name}, {of}");
            // What acts on everything is narrowed by tags, or by a condition of its own; what only looks or makes its own things need not be.
            let acts = [
                "ec2:StopInstances",
                "rds:FailoverDBCluster",
                "rds:RebootDBInstance",
                "ecs:StopTask",
                "ec2:InjectApiError",
                "s3:PutReplicationConfiguration",
            ];
            for statement in statements.iter().filter(|one| acts.iter().any(|act| one["Action"].to_string().contains(act))) {
                assert!(statement["Condition"].is_object(), "{name}: {statement:#}");
            }
        }
    }
}

/// AWS itself is asked what it would hit: an experiment that does nothing, and of which nothing stays.
#[test]
fn a_plan_shows_what_aws_itself_would_hit() {
    let (double, hits) = account(&["checkout-errors"]);
    double.with(|world| {
        for n in 1..=3 {
            let tags = [("firedrill", "allowed"), ("service", "checkout")];
            world.fis.resource("aws:ecs:task", &arn("ecs", &format!("task/shop/{n}")), None, &tags);
        }
    });
    let place = Place::new();
    let file = format!("{}/scenarios/aws-ecs-task-loss.yaml", env!("CARGO_MANIFEST_DIR"));
    let plan = |args: &[&str]| run(&place, &double, &[&["plan", file.as_str(), "--resolve"], args].concat());
    let told = plan(&[]).expect(0);
    assert!(told.stdout.contains("AWS hits   1: arn:aws:ecs:eu-west-1:111122223333:task/shop/"), "{}", told.stdout);
    let told = plan(&["--output", "json"]).expect(0);
    let resolved = told.json()["faults"]["lose-a-task"]["resolved"].clone();
    assert!(resolved.as_array().is_some_and(|list| list.len() == 1), "{resolved}");
    assert!(hits.lock().unwrap().is_empty(), "something was hit: {:?}", hits.lock().unwrap());
    let (states, templates) = double.with(|world| (world.fis.states(), world.fis.template_ids()));
    assert!(states.len() == 2 && states.values().all(|state| state == "completed") && templates.is_empty(), "{states:?} {templates:?}");
    // What AWS cannot find is said, and nothing stays of that either.
    double.with(|world| world.fis.vanished = true);
    let told = plan(&[]);
    assert_eq!(told.code, Some(11), "{}", told.stderr);
    assert!(told.stderr.contains("TargetsNotFound") || told.stdout.contains("TargetsNotFound"), "{}{}", told.stdout, told.stderr);
    assert!(double.with(|world| world.fis.template_ids()).is_empty());
    // Without an experiment there is nothing to ask.
    let port = service();
    let text = format!(
        "firedrill: 1\ntitle: x\nenvironment: test\nprobes: {{ up: {{ tcp: {{ address: '127.0.0.1:{port}' }} }} }}\nsteady_state: {{ probes: {{ up: {{ success: {{ min: 90% }} }} }} }}\nfaults: {{ n: {{ rehearse.nothing: {{}}, for: 1s }} }}\n"
    );
    place.file("none.yaml", text);
    let told = place.run(&["plan", "none.yaml", "--resolve"], 60);
    assert!(told.code == Some(2) && told.stderr.contains("no fault of this scenario is an experiment"), "{:?} {}", told.code, told.stderr);
}

/// A preview that was killed leaves a template, which the next one removes; never that of one that may still be at work, or of somebody else.
#[test]
fn what_a_preview_left_behind_the_next_one_removes() {
    let (double, hits) = account(&["checkout-errors"]);
    let left = |double: &Double, run: &str, ago: u64| {
        let body = serde_json::json!({
            "clientToken": format!("{run}-{ago}"), "description": "left", "roleArn": "arn:aws:iam::111122223333:role/fis",
            "stopConditions": [{ "source": "none" }], "actions": { "pause": { "actionId": "aws:fis:wait", "parameters": { "duration": "PT1M" } } },
            "targets": {}, "tags": { "firedrill-run": run, "firedrill-mark": format!("{run}-{ago}") },
        });
        double.with(|world| {
            let made = world.fis.act("CreateExperimentTemplate", &aws::Asked { path: vec![], query: Default::default(), body }).unwrap();
            let id = made["experimentTemplate"]["id"].as_str().unwrap().to_owned();
            world.fis.made_ago(&id, ago);
            id
        })
    };
    let abandoned = left(&double, "preview", 2_000);
    let mut kept = vec![left(&double, "preview", 10), left(&double, "01JDRUN", 90_000)];
    kept.sort_unstable();
    double.with(|world| {
        let tags = [("firedrill", "allowed"), ("service", "checkout")];
        world.fis.resource("aws:ecs:task", &arn("ecs", "task/shop/1"), None, &tags);
    });
    let place = Place::new();
    let file = format!("{}/scenarios/aws-ecs-task-loss.yaml", env!("CARGO_MANIFEST_DIR"));
    run(&place, &double, &["plan", &file, "--resolve"]).expect(0);
    assert!(double.with(|world| world.fis.template_ids()) == kept, "{abandoned} and what was made now are gone, and nothing else");
    // The network is cut before it is removed: that is said, and the next one will find it.
    double.trouble("DeleteExperimentTemplate", &[Trouble::Break; 40]);
    let told = run(&place, &double, &["plan", &file, "--resolve"]);
    assert!(told.code == Some(11) && told.stderr.contains("delete the experiment template"), "{:?} {}", told.code, told.stderr);
    assert_eq!(double.with(|world| world.fis.template_ids()).len(), kept.len() + 1);
    assert!(hits.lock().unwrap().is_empty());
}
