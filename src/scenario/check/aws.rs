//! The AWS account: is it well written, and does anything need it that is not given one?

use serde_json::Value;

use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{AwsDecl, Observed, Scenario};
use super::places::{Seen, looks};
use super::{GUARD, at, names, unknown};
use crate::base::{Id, Span};

/// The kind of guard whose alarm can stop an experiment.
const ALARM: &str = "aws.cloudwatch.alarm";
/// The shortest session of a role that AWS gives.
const SHORTEST_SESSION: Span = Span::secs(15 * 60);
/// … and the longest.
const LONGEST_SESSION: Span = Span::secs(12 * 3600);

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = stops(s);
    let users = users(s, known);
    match &s.aws {
        Some(aws) => out.extend(place(aws)),
        None => out.extend(users.iter().map(|(at, kind)| {
            Finding::error(at, format!("`{kind}` acts in an AWS account, and none is named"), "in no account")
                .on_key()
                .help("add `aws: { account: \"111122223333\", region: eu-west-1 }` at the top: whoever is found to act in another account is refused")
        })),
    }
    if s.aws.is_some() && users.is_empty() {
        out.push(
            Finding::warning("/aws", "nothing in this scenario acts in an AWS account", "used by nothing")
                .on_key()
                .help("remove it, or add an `aws.…` fault, or a host that is reached by `ssm`"),
        );
    }
    out
}

/// Everything that needs an account: where it stands, and its kind.
fn users(s: &Scenario, known: &Known) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut add = |needed: bool, at: String, kind: &str| {
        if needed {
            out.push((at, kind.to_owned()));
        }
    };
    let acts = |kind: &str| known.fault(kind).is_some_and(|kind| kind.in_account);
    let asks = |kind: &str| known.probe(kind).is_some_and(|kind| kind.in_account);
    for (id, fault) in &s.faults {
        add(acts(&fault.what.kind), at(&["faults", id.as_str()]), &fault.what.kind);
    }
    for (id, host) in &s.hosts {
        let ssm = host.ssm.as_ref().map(|instance| format!("ssm: {instance}"));
        add(ssm.is_some(), at(&["hosts", id.as_str()]), ssm.as_deref().unwrap_or_default());
    }
    for (id, probe) in &s.probes {
        add(asks(&probe.what.kind), at(&["probes", id.as_str()]), &probe.what.kind);
    }
    for look in looks(s) {
        if let Seen::Kind(what) = look.seen {
            add(asks(&what.kind), look.at, &what.kind);
        }
    }
    let signals = s.team.as_ref().and_then(|team| team.get("signals")).and_then(Value::as_object);
    for (id, source) in signals.into_iter().flatten() {
        add(source.get("cloudwatch").is_some(), at(&["team", "signals", id]), "cloudwatch");
    }
    out
}

/// Stop conditions that are taken from guards: the guard must be there, and be an alarm of CloudWatch.
fn stops(s: &Scenario) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, fault) in &s.faults {
        let stops = fault.what.spec.get("stop_conditions").and_then(Value::as_array);
        for (n, stop) in stops.into_iter().flatten().enumerate() {
            let Some(guard) = stop.get("guard").and_then(Value::as_str) else { continue };
            let place = at(&["faults", id.as_str(), &fault.what.kind, "stop_conditions", &n.to_string(), "guard"]);
            let found = guard.parse::<Id>().ok().and_then(|id| s.guards.get(&id));
            let Some(found) = found else {
                out.push(unknown(place, &GUARD, guard, &names(&s.guards)));
                continue;
            };
            let kind = match &found.what {
                Observed::Kind(what) => what.kind.as_str(),
                Observed::Probe(id) => s.probes.get(id).map_or("", |probe| probe.what.kind.as_str()),
            };
            if kind != ALARM {
                out.push(
                    Finding::error(
                        place,
                        format!("the guard `{guard}` is no CloudWatch alarm, and AWS can stop at nothing else"),
                        "no alarm",
                    )
                    .also(at(&["guards", guard]), "declared here")
                    .help(format!("guard with `{ALARM}: {{ name: … }}`, or write the ARN of an alarm")),
                );
            }
        }
    }
    out
}

fn place(aws: &AwsDecl) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut refuse = |key: &str, good: bool, title: String, help: &str| {
        if !good {
            out.push(Finding::error(at(&["aws", key]), title, "not that").help(help));
        }
    };
    let AwsDecl { account, region, profile, role, external_id, mfa, session } = aws;
    let number = "it has twelve digits: `aws sts get-caller-identity` shows it";
    refuse("account", is_account(account), format!("`{account}` is no account number"), number);
    refuse("region", is_region(region), format!("`{region}` is no region"), "write for example `eu-west-1`");
    if let Some(profile) = profile {
        let known = "`aws configure list-profiles` shows those that there are";
        refuse("profile", is_word(profile), format!("`{profile}` is no profile"), known);
    }
    if let Some(role) = role {
        refuse("role", is_role(role), format!("`{role}` is no role"), "write its ARN: `arn:aws:iam::111122223333:role/NAME`");
    }
    if let Some(external) = external_id {
        refuse(
            "external_id",
            is_word(external),
            "this is no external id".to_owned(),
            "it has letters, digits and `_+=,.@:/-`, at most 128",
        );
        refuse("external_id", role.is_some(), "an external id belongs to a role".to_owned(), "add `role:`, or remove it");
    }
    if let Some(device) = mfa {
        refuse(
            "mfa",
            is_device(device),
            format!("`{device}` is no device that shows codes"),
            "write its ARN, `arn:aws:iam::111122223333:mfa/NAME`, or the serial number of a hardware device: `aws iam list-mfa-devices` shows yours",
        );
        refuse("mfa", role.is_some(), "a code is only asked for when a role is taken".to_owned(), "add `role:`, or remove it");
    }
    if let Some(session) = session {
        let given = (SHORTEST_SESSION..=LONGEST_SESSION).contains(session) && session.0.is_multiple_of(Span::secs(1).0);
        let title = format!("AWS gives no session of {}", session.human());
        refuse("session", given, title, "write 15m to 12h, in whole seconds; the role's own maximum may be less");
        refuse("session", role.is_some(), "how long a session lasts is said of a role".to_owned(), "add `role:`, or remove it");
    }
    out
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `eu-west-1`, `us-gov-east-1`: words, and a number at the end.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let short = |part: &str| (1..=12).contains(&part.len());
    (2..=4).contains(&words.len())
        && words.iter().all(|word| short(word) && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        && short(number)
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte))
}

fn is_role(text: &str) -> bool {
    is_of_iam(text, "role/")
}

/// A device that shows codes: a security key (`u2f/`) shows none. A hardware device has a serial number of at least nine characters.
fn is_device(text: &str) -> bool {
    let serial = (9..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=/,.@-".contains(&byte));
    if text.starts_with("arn:") { is_of_iam(text, "mfa/") } else { serial }
}

/// An ARN of IAM whose resource begins like this.
fn is_of_iam(text: &str, kind: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let [arn, partition, service, "", account, resource] = parts[..] else { return false };
    let named = resource.strip_prefix(kind).is_some_and(|name| !name.is_empty());
    arn == "arn"
        && partition.starts_with("aws")
        && service == "iam"
        && is_account(account)
        && named
        && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, refuses, scenario, warns};
    use super::*;

    fn aws() -> AwsDecl {
        AwsDecl {
            account: "111122223333".into(),
            region: "eu-west-1".into(),
            profile: Some("drills".into()),
            role: Some("arn:aws:iam::111122223333:role/firedrill".into()),
            external_id: Some("shop-7".into()),
            mfa: Some("arn:aws:iam::111122223333:mfa/alice".into()),
            session: Some(Span::secs(3600)),
        }
    }

    #[test]
    fn an_account_is_well_written() {
        assert_eq!(place(&aws()), vec![]);
        assert_eq!(place(&AwsDecl { region: "us-gov-west-1".into(), profile: None, ..aws() }), vec![]);
        let mut s = scenario();
        assert!(found(&s).is_empty());
        s.aws = Some(AwsDecl { account: "1111".into(), region: "Ireland".into(), ..aws() });
        refuses(&s, "/aws/account", "no account number");
        refuses(&s, "/aws/region", "no region");
        s.aws = Some(AwsDecl { role: Some("firedrill".into()), profile: Some("a b".into()), ..aws() });
        refuses(&s, "/aws/role", "no role");
        refuses(&s, "/aws/profile", "no profile");
        s.aws = Some(AwsDecl { role: None, ..aws() });
        refuses(&s, "/aws/external_id", "belongs to a role");
        refuses(&s, "/aws/mfa", "only asked for when a role is taken");
        refuses(&s, "/aws/session", "is said of a role");
        s.aws = Some(AwsDecl { mfa: Some("arn:aws:iam::111122223333:u2f/alice".into()), session: Some(Span::secs(60)), ..aws() });
        refuses(&s, "/aws/mfa", "no device that shows codes");
        refuses(&s, "/aws/session", "no session of 60 s");
        for device in ["GAHT12345678", "arn:aws-cn:iam::111122223333:mfa/team/bob"] {
            assert_eq!(place(&AwsDecl { mfa: Some(device.into()), session: Some(Span::secs(900)), ..aws() }), vec![], "{device}");
        }
        s.aws = Some(aws());
        warns(&s, "/aws", "nothing in this scenario");
    }

    #[test]
    fn what_acts_in_an_account_is_given_one() {
        let mut s = scenario();
        s.faults[0].what.kind = "cloud.break".into();
        let mut known = super::super::sample::known();
        known.faults.push(crate::scenario::known::KnownKind {
            in_account: true,
            ..crate::scenario::known::KnownKind::plain("cloud.break", "breaks", serde_json::json!({}))
        });
        assert!(check(&s, &known).iter().any(|finding| finding.title.contains("none is named")));
        s.aws = Some(aws());
        assert_eq!(check(&s, &known), vec![]);
    }

    #[test]
    fn a_stop_condition_is_taken_from_a_guard_that_is_an_alarm() {
        use crate::scenario::model::Kinded;
        use serde_json::json;
        let mut s = scenario();
        s.faults[0].what.spec = json!({ "stop_conditions": [{ "guard": "neighbour" }] });
        assert!(stops(&s)[0].title.contains("no guard is called `neighbour`"), "{:?}", stops(&s));
        s.faults[0].what.spec = json!({ "stop_conditions": ["arn:x", { "guard": "neighbours" }] });
        assert!(stops(&s)[0].title.contains("is no CloudWatch alarm"), "{:?}", stops(&s));
        assert!(stops(&s)[0].at.ends_with("/stop_conditions/1/guard"), "{:?}", stops(&s));
        s.guards[0].what = Observed::Kind(Kinded { kind: ALARM.into(), spec: json!({ "name": "errors" }) });
        assert_eq!(stops(&s), vec![]);
    }

    #[test]
    fn alarms_sources_of_alarms_and_hosts_need_an_account_too() {
        use crate::scenario::model::HostDecl;
        let mut s = scenario();
        let known = super::super::sample::known();
        s.hosts.insert(super::super::sample::id("web1"), HostDecl { ssm: Some("i-0abc1".into()), ..HostDecl::default() });
        assert!(check(&s, &known)[0].title.contains("`ssm: i-0abc1` acts in an AWS account, and none is named"));
        s.hosts.clear();
        s.team = Some(serde_json::json!({ "signals": { "alarms": { "cloudwatch": {} } } }));
        assert!(check(&s, &known)[0].title.contains("`cloudwatch` acts in an AWS account"));
        s.aws = Some(aws());
        assert_eq!(check(&s, &known), vec![]);
    }
}
