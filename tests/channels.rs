//! Slack, PagerDuty and Grafana are told, by their own forms: doubles of them on real sockets, and drills that end well, die, or tell somebody who never
//! answers. What is for everybody waits for the end of a blind drill.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at the world from outside, and stops where it cannot")]

mod drill;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drill::{Place, case, side_by_side, signal};
use serde_json::{Value, json};

const PATIENCE: u64 = 120;

/// One request: method, path, head, body.
type Call = (String, String, String, Value);

/// Takes whatever comes; answers with a status, and with ids that count up.
struct Double {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Double {
    fn open(status: &'static str) -> Double {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(call) = request(&stream) else { continue };
                let n = log.lock().unwrap().len() + 1;
                let answer = if call.0 == "GET" { json!([{ "id": 77 }]) } else { json!({ "id": n, "message": "ok" }) }.to_string();
                log.lock().unwrap().push(call);
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                let _ = (&stream).write_all(format!("{head}{answer}").as_bytes());
            }
        });
        Double { port, calls }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until so many came.
    fn wait_for(&self, n: usize) -> Vec<Call> {
        let end = Instant::now() + Duration::from_secs(PATIENCE);
        while self.calls().len() < n {
            assert!(Instant::now() < end, "only {:#?}", self.calls());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.calls()
    }
}

fn request(mut stream: &TcpStream) -> Option<Call> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                let mut words = head.split(' ').map(str::to_owned);
                return Some((words.next()?, words.next()?, head.to_owned(), serde_json::from_str(body).unwrap_or_default()));
            }
        }
        match stream.read(&mut part).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&part[..n]),
        }
    }
}

/// A drill that holds a mark, and tells.
fn stage(notify: &str, hold: &str, more: &str) -> Place {
    let place = Place::new();
    let fault = format!(
        r#"{{ mark: {{ command: {{ run: [touch, "${{run.dir}}/broken"] }}, for: {hold},
      confirm: {{ command: {{ run: [test, -e, "${{run.dir}}/broken"] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 50ms, within: 20s }},
      undo: {{ run: [rm, -f, "${{run.dir}}/broken"], done_when: {{ command: {{ run: [test, "!", -e, "${{run.dir}}/broken"] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 50ms, within: 1s }} }} }} }}
secrets: {{ token: {{ env: TOKEN }} }}
{more}notify:
{notify}"#
    );
    place.drill_on_a_node("A <mark> is set", &fault, "{ within: 30s, stable_for: 500ms }");
    place
}

fn start(place: &Place) -> Child {
    let mut command = place.command(&["run", "scenario.yaml", "--yes"]);
    command.env("TOKEN", "open-sesame").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn grafana(port: u16, more: &str) -> String {
    format!(
        "  graphs: {{ grafana: {{ url: \"http://127.0.0.1:{port}/\", token: \"${{secret:token}}\", dashboard: d1, tags: [shop] }}{more} }}\n"
    )
}

fn each_in_its_own_form() {
    let (slack, pager, graphs) = (Double::open("200 OK"), Double::open("202 Accepted"), Double::open("200 OK"));
    let notify = format!(
        "  chat: {{ slack: {{ url: \"http://127.0.0.1:{}/services/${{secret:token}}\" }}, on: [injected, finished] }}\n  \
         pager: {{ pagerduty.change: {{ routing_key: \"${{secret:token}}\", url: \"http://127.0.0.1:{}/v2/change/enqueue\" }}, on: [started] }}\n{}",
        slack.port,
        pager.port,
        grafana(graphs.port, "")
    );
    let place = stage(&notify, "300ms", "");
    let done = drill::wait(start(&place), PATIENCE).expect(0);
    assert!(!done.stderr.contains("notify:"), "{}", done.stderr);
    let told = slack.calls();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].1, "/services/open-sesame");
    assert_eq!(told[0].3["blocks"][0]["text"]["text"], "Drill: A <mark> is set");
    assert!(told[0].3["text"].as_str().unwrap().contains("A &lt;mark&gt; is set"), "{:#}", told[0].3);
    let change = pager.calls();
    assert_eq!(
        (change.len(), &change[0].3["routing_key"], &change[0].3["payload"]["custom_details"]["event"]),
        (1, &json!("open-sesame"), &json!("started"))
    );
    let drawn = graphs.calls();
    let outline: Vec<(String, String)> = drawn.iter().map(|call| (call.0.clone(), call.1.clone())).collect();
    let all = "/api/annotations";
    let expected = [("POST", all), ("POST", all), ("PATCH", "/api/annotations/2"), ("POST", all), ("PATCH", "/api/annotations/1")];
    assert_eq!(outline, expected.map(|(method, path)| (method.to_owned(), path.to_owned())), "{drawn:#?}");
    assert!(drawn[0].2.contains("authorization: Bearer open-sesame"), "{}", drawn[0].2);
    assert_eq!((&drawn[1].3["tags"][2], &drawn[1].3["dashboardUID"]), (&json!("fault:mark"), &json!("d1")));
    let (began, ended) = (drawn[1].3["time"].as_i64().unwrap(), drawn[2].3["timeEnd"].as_i64().unwrap());
    assert!(ended >= began + 250 && ended < began + 60_000, "{began} – {ended}");
    assert!(drawn[4].3["timeEnd"].as_i64().unwrap() >= ended);
    let run = std::fs::read_to_string(place.runs()[0].join("events.jsonl")).unwrap()
        + &std::fs::read_to_string(place.runs()[0].join("plan.json")).unwrap();
    assert!(!run.contains("open-sesame") && run.contains("graphs was told: undone"));
}

fn what_is_wrong_is_not_sent_again() {
    let (wrong, busy) = (Double::open("400 Bad Request"), Double::open("429 Too Many Requests"));
    let notify = format!(
        "  chat: {{ slack: {{ url: \"http://127.0.0.1:{}/\" }}, on: [started] }}\n  other: {{ slack: {{ url: \"http://127.0.0.1:{}/\" }}, on: [started] }}\n",
        wrong.port, busy.port
    );
    let done = drill::wait(start(&stage(&notify, "300ms", "")), PATIENCE).expect(0);
    assert!(done.stderr.contains("notify: chat could not be told: started: failed to get an answer: status 400"), "{}", done.stderr);
    assert_eq!((wrong.calls().len(), busy.calls().len()), (1, 3));
}

fn what_is_for_everybody_waits_for_the_end_of_a_blind_drill() {
    let (chat, desk) = (Double::open("200 OK"), Double::open("200 OK"));
    let notify = format!(
        "  everybody: {{ slack: {{ url: \"http://127.0.0.1:{}/\" }}, audience: all }}\n  desk: {{ slack: {{ url: \"http://127.0.0.1:{}/\" }}, on: [injected] }}\n",
        chat.port, desk.port
    );
    let place = stage(&notify, "3s", "team: { mode: blind, shown_as: Drill 7 }\n");
    let run = start(&place);
    desk.wait_for(1);
    std::thread::sleep(Duration::from_secs(1));
    // That it runs, under the name that it is shown as, and nothing else.
    let told = chat.calls();
    assert!(told.len() == 1 && format!("{told:?}").contains("Drill 7: the drill has started"), "{told:#?}");
    drill::wait(run, PATIENCE).expect(0);
    assert_eq!(chat.calls().len(), 5, "started, injected, undone, recovered, finished: {:#?}", chat.calls());
}

fn a_region_ends_although_the_runner_died() {
    let graphs = Double::open("200 OK");
    let place = stage(&grafana(graphs.port, ", on: [injected]"), "60s", "");
    let mut child = start(&place);
    place.wait_until_bitten("mark", PATIENCE);
    graphs.wait_for(1);
    signal(child.id(), "KILL");
    child.wait().unwrap();
    let drawn = graphs.wait_for(3);
    assert!(drawn[1].0 == "GET" && drawn[1].1.contains("tags=fault%3Amark"), "{drawn:#?}");
    assert_eq!((drawn[2].0.as_str(), drawn[2].1.as_str()), ("PATCH", "/api/annotations/77"));
}

fn one_that_never_answers_delays_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let notify = format!(
        "  chat: {{ slack: {{ url: \"http://127.0.0.1:{port}/\" }} }}\n  pager: {{ pagerduty.change: {{ routing_key: \"${{secret:token}}\", url: \"http://127.0.0.1:{port}/\" }} }}\n{}",
        grafana(port, "")
    );
    let place = stage(&notify, "300ms", "");
    let done = drill::wait(start(&place), PATIENCE).expect(0);
    let journal = place.journal(&place.runs()[0]);
    let at = |kind: &str| {
        let entry =
            journal.iter().find(|entry| entry["event"]["type"] == kind && entry["event"]["id"].as_str().is_none_or(|id| id == "mark"));
        Duration::from_nanos(entry.unwrap()["at"].as_u64().unwrap())
    };
    // One of them alone would have needed 17 s for its first message.
    assert!(at("undone") - at("effective") < Duration::from_secs(8), "{:?}", at("undone") - at("effective"));
    assert!(at("run_finished") < Duration::from_secs(15), "{:?}", at("run_finished"));
    assert!(done.stderr.contains("notify: "), "{}", done.stderr);
}

#[test]
fn everybody_is_told_in_their_own_form() {
    side_by_side(vec![
        case("each in its own form", each_in_its_own_form),
        case("what is wrong is not sent again", what_is_wrong_is_not_sent_again),
        case("a blind drill", what_is_for_everybody_waits_for_the_end_of_a_blind_drill),
        case("a region ends although the runner died", a_region_ends_although_the_runner_died),
        case("one that never answers", one_that_never_answers_delays_nobody),
    ]);
}
