//! CloudWatch through SNS, at the listener itself: who signs is believed, whose certificate lies elsewhere is not even asked, and a subscription is
//! confirmed where SNS says. SNS's own answers come from here.
#![cfg(feature = "sns")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may break off anywhere, and looks at the world from outside")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use firedrill::engine::drive::Command;
use firedrill::event::TeamEvent;
use firedrill::plan::TeamPlan;
use firedrill::serve::{self, Amazon, Setup};
use firedrill::sys::{Clock, Cx};
use futures_util::future::BoxFuture;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:alarms";
const CERTIFICATE: &[u8] = include_bytes!("fixtures/sns/certificate.pem");
/// The key of that certificate, which is good for nothing else.
const KEY: &[u8] = include_bytes!("fixtures/sns/key.der");

/// SNS, as far as it answers.
#[derive(Default)]
struct Double(Mutex<Vec<String>>);

impl Amazon for Double {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        self.0.lock().unwrap().push(url.to_owned());
        Box::pin(async move { if url.contains("Missing") { Err("get an answer: status 404".into()) } else { Ok(CERTIFICATE.to_vec()) } })
    }
}

fn signed(mut message: Value) -> Value {
    let keys = match message["Type"].as_str().unwrap() {
        "Notification" => vec!["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => vec!["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let text: String = keys.iter().filter_map(|key| Some(format!("{key}\n{}\n", message[*key].as_str()?))).collect();
    let key = RsaKeyPair::from_pkcs8(KEY).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    use base64::Engine as _;
    message["Signature"] = json!(base64::engine::general_purpose::STANDARD.encode(signature));
    message
}

fn message(kind: &str, id: &str, certificate: &str) -> Value {
    let alarm = json!({ "AlarmName": "db-down", "NewStateValue": "ALARM", "StateChangeTime": "2026-11-27T12:00:00.912+0000", "Region": "EU (Ireland)" });
    let mut message = json!({ "Type": kind, "MessageId": id, "TopicArn": TOPIC, "Message": alarm.to_string(), "Timestamp": jiff::Timestamp::now().to_string(),
        "SignatureVersion": "2", "SigningCertURL": certificate });
    if kind == "SubscriptionConfirmation" {
        message["Token"] = json!("t");
        message["SubscribeURL"] =
            json!(format!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t"));
    }
    message
}

async fn post(address: &str, body: &Value) -> u16 {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /v1/signals/alarms HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-type: text/plain; charset=UTF-8\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn only_what_sns_signs_is_believed() {
    let bound = serve::bind("127.0.0.1:0").unwrap();
    let address = bound.local_addr().unwrap().to_string();
    let team: TeamPlan = serde_json::from_value(json!({ "roles": {}, "expect": {},
        "listen": { "address": address }, "receive": { "alarms": { "kind": "sns", "topic": TOPIC } } }))
    .unwrap();
    let cx = Cx {
        clock: Clock::start(),
        run: "01RUN".into(),
        run_dir: Arc::new(PathBuf::from("/nowhere")),
        base_dir: Arc::new(PathBuf::from("/")),
        exe: Arc::new(PathBuf::from("/bin/firedrill")),
        secrets: Arc::default(),
        account: None,
        cancel: Default::default(),
    };
    let (ask, mut told) = mpsc::channel(64);
    let double = Arc::new(Double::default());
    let amazon: Arc<dyn Amazon> = Arc::clone(&double) as Arc<dyn Amazon>;
    let serving = tokio::spawn(serve::serve(bound, Setup { team, cx, ask, room: None, amazon }));

    let there = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc.pem";
    assert_eq!(post(&address, &signed(message("SubscriptionConfirmation", "m0", there))).await, 200);
    assert_eq!(
        double.0.lock().unwrap().as_slice(),
        [there, &format!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t")]
    );
    assert!(matches!(told.recv().await.unwrap(), Command::Note { text } if text.contains("confirmed")));

    let alarm = signed(message("Notification", "m1", there));
    assert_eq!(post(&address, &alarm).await, 200);
    let Command::Told(event) = told.recv().await.unwrap() else { panic!() };
    let TeamEvent::Alert(alert) = *event else { panic!("{event:?}") };
    assert_eq!((alert.kind.as_str(), alert.name.as_str(), alert.firing, alert.pushed), ("cloudwatch", "db-down", true, true));
    assert_eq!(post(&address, &alarm).await, 200, "SNS sends again what it believes was lost");
    assert_eq!(double.0.lock().unwrap().len(), 2, "the certificate was kept");

    let mut forged = alarm.clone();
    forged["Message"] = json!("{}");
    assert_eq!(post(&address, &forged).await, 401);
    for elsewhere in [
        "http://127.0.0.1:1/SimpleNotificationService-abc.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-abc.pem",
    ] {
        assert_eq!(post(&address, &signed(message("Notification", "m2", elsewhere))).await, 401);
    }
    assert_eq!(double.0.lock().unwrap().len(), 2, "nobody was asked");
    let missing = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-Missing.pem";
    let statuses: Vec<u16> = {
        let mut all = Vec::new();
        for n in 0..20 {
            all.push(post(&address, &signed(message("Notification", &format!("x{n}"), missing))).await);
        }
        all
    };
    assert!(statuses.iter().all(|status| *status == 502), "{statuses:?}");
    assert!(double.0.lock().unwrap().len() < 15, "whoever sends garbage makes nobody fetch for ever");
    serving.abort();
    let mut refused = 0;
    while let Ok(command) = told.try_recv() {
        let Command::Told(event) = command else { panic!("{command:?}") };
        assert!(matches!(*event, TeamEvent::Refused { .. }), "each alarm once: {event:?}");
        refused += 1;
    }
    assert!((10..=15).contains(&refused), "{refused}");
}
