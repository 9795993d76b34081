//! What `plan` says, and what `plan --lock` holds a run to.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at the world from outside, and stops where it cannot")]

mod drill;

use std::process::{Child, Command, Stdio};

use drill::{Place, has_program};
use serde_json::json;

const PATIENCE: u64 = 120;

struct Strangers(Vec<Child>);

impl Strangers {
    /// So many processes of a name that nobody else has.
    fn start(place: &Place, name: &str, count: usize) -> Strangers {
        let program = place.path().join(name);
        if !program.exists() {
            std::os::unix::fs::symlink(has_program("sleep").unwrap(), &program).unwrap();
        }
        let one = |_| Command::new(&program).arg("1000").stdin(Stdio::null()).spawn().unwrap();
        Strangers((0..count).map(one).collect())
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn stage(name: &str) -> Place {
    let place = Place::new();
    let faults = format!("{{ held: {{ process.pause: {{ name: {name} }}, for: 200ms }} }}");
    place.drill_on_a_node("Workers are held", &faults, "{ within: 30s, stable_for: 500ms }");
    place
}

#[test]
fn targets_blast_radius_commands_and_times_are_told_to_people_and_programs() {
    let place = stage("fd-plan-worker");
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap();
    let guard = "guards: { up: { probe: shop, every: 200ms, breaches: 3, timeout: 100ms } }\n";
    place.file("scenario.yaml", text.replace("recovery:", &format!("{guard}recovery:")).replace("200ms } }", "5s } }"));
    let strangers = Strangers::start(&place, "fd-plan-worker", 2);
    let told = place.run(&["plan", "scenario.yaml", "--output", "json"], PATIENCE).expect(0).json();
    assert_eq!(told["schema"], "firedrill.plan/1");
    let held = &told["faults"]["held"];
    assert_eq!((&held["count"], &held["population"], &held["percent"]), (&json!(2), &json!(2), &json!(100.0)));
    assert_eq!(held["captured"]["processes"].as_array().unwrap().len(), 2, "{held}");
    assert!(held["by_hand"].as_str().unwrap().contains(&strangers.0[0].id().to_string()), "{held}");
    assert_eq!(held["needs"][0]["here"], true);
    // 0.2 s between looks of at most 0.1 s: three, and the one under way.
    assert_eq!(told["guards"]["up"], json!({ "after_first_bad": "400ms", "reacts_within": "700ms", "without_data_within": "900ms" }));
    assert!(told["digest"].as_str().unwrap().starts_with("sha256:") && told["worst_case"].is_string() && told["warnings"] == json!([]));
    assert_eq!(told["plan"]["faults"]["held"]["kind"], "process.pause");
    let text = place.run(&["plan", "scenario.yaml"], PATIENCE).expect(0).stdout;
    for words in
        ["blast      2 of 2 (100 %)", "does       SIGSTOP to fd-plan-worker", "by hand    kill -s CONT", "is here", "\ndigest sha256:"]
    {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
    drop(strangers);
    let done = place.run(&["plan", "scenario.yaml", "--lock"], PATIENCE).expect(11);
    assert!(done.stderr.contains("nothing like that runs") && !place.path().join("scenario.lock.json").exists(), "{}", done.stderr);
}

#[test]
fn a_lock_holds_a_run_to_what_was_looked_at() {
    let place = stage("fd-lock-worker");
    let strangers = Strangers::start(&place, "fd-lock-worker", 2);
    let lock = place.path().join("scenario.lock.json");
    let run = |code: i32, words: &str| {
        let done = place.run(&["run", "scenario.yaml", "--yes"], PATIENCE).expect(code);
        assert!(done.stderr.contains(words) || done.stdout.contains(words), "{}\n{}", done.stdout, done.stderr);
    };
    let done = place.run(&["plan", "scenario.yaml", "--lock"], PATIENCE).expect(0);
    assert!(done.stderr.contains("pinned   scenario.lock.json"), "{}", done.stderr);
    let locked: serde_json::Value = serde_json::from_slice(&std::fs::read(&lock).unwrap()).unwrap();
    assert_eq!(locked["targets"]["held"], json!(["fd-lock-worker", "fd-lock-worker"]));
    run(0, "passed");
    let plan = std::fs::read_to_string(place.runs()[0].join("plan.json")).unwrap();
    assert!(plan.contains(locked["digest"].as_str().unwrap()), "what was pinned stands in the run's plan");

    // One more of them: another blast radius than the one that was looked at.
    let more = Strangers::start(&place, "fd-lock-worker", 1);
    run(11, "its targets are not those that were pinned");
    drop(more);
    run(0, "passed");

    // Another scenario.
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap();
    place.file("scenario.yaml", text.replace("200ms", "300ms"));
    run(10, "the scenario changed since scenario was pinned");
    let done = place.run(&["plan", "scenario.yaml"], PATIENCE).expect(0);
    assert!(done.stderr.contains("the scenario changed since"), "{}", done.stderr);
    place.file("scenario.yaml", &text);
    run(0, "passed");

    // A lock that cannot be believed holds as well.
    let edited = std::fs::read_to_string(&lock).unwrap().replacen("fd-lock-worker", "fd-lock-walker", 1);
    for (bad, words) in [(edited.as_str(), "it was edited"), ("{", "is no lock file"), ("", "is no lock file")] {
        std::fs::write(&lock, bad).unwrap();
        run(10, words);
    }
    std::fs::remove_file(&lock).unwrap();
    run(0, "passed");
    drop(strangers);
}
