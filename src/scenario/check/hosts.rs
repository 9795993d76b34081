//! Other machines: are they well written, does something act there, and can it?

use serde_json::Value;

use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{FaultDecl, HostDecl, Scenario};
use super::{Sort, at, names, unknown};
use crate::base::{Id, Span};

const HOST: Sort = Sort { one: "host", many: "hosts", section: "hosts" };
/// The shortest and the longest lease: a short one ends with every hiccup of the network, a long one is no safety.
const LEASE: (Span, Span) = (Span::secs(5), Span::secs(600));
/// The shortest where each word of the runner is a command: three of them must find time to arrive, each of which takes seconds.
const LEASE_BY_COMMAND: Span = Span::secs(30);

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out: Vec<Finding> = s.hosts.iter().flat_map(|(id, host)| well_written(id, host)).collect();
    for (id, fault) in &s.faults {
        if let Some(host) = &fault.how.on {
            if !s.hosts.contains_key(host) {
                out.push(unknown(at(&["faults", id.as_str(), "on"]), &HOST, host.as_str(), &names(&s.hosts)));
            }
            out.extend(able(id, fault, known));
        }
    }
    let unused = s.hosts.keys().filter(|host| !s.faults.values().any(|fault| fault.how.on.as_ref() == Some(host)));
    out.extend(unused.map(|host| {
        Finding::warning(at(&["hosts", host.as_str()]), format!("nothing acts on `{host}`"), "used by nothing")
            .on_key()
            .help(format!("remove it, or write `on: {host}` in a fault"))
    }));
    out
}

/// Whether a fault can act where this machine's processes, proxies and secrets are not.
fn able(id: &Id, fault: &FaultDecl, known: &Known) -> Vec<Finding> {
    let kind = fault.what.kind.as_str();
    let place = at(&["faults", id.as_str(), "on"]);
    if known.fault(kind).is_some_and(|kind| !kind.elsewhere) {
        let able: Vec<&str> = known.faults.iter().filter(|kind| kind.elsewhere).map(|kind| kind.name.as_str()).collect();
        let finding = Finding::error(place, format!("`{kind}` cannot act on another machine"), "another machine").on_key();
        return vec![finding.help(format!("remove `on:`; what acts there: {}", able.join(", ")))];
    }
    let mut out = Vec::new();
    for (key, what) in [("system", "a process that this drill starts here"), ("target", "one of the processes that this drill starts here")]
    {
        if fault.what.spec.get(key).is_some() {
            let place = at(&["faults", id.as_str(), kind, key]);
            let finding = Finding::error(place, format!("`{key}` names {what}, and not on another machine"), "is on this machine").on_key();
            out.push(
                finding
                    .also(at(&["faults", id.as_str(), "on"]), "acts there")
                    .help("say how it is found there, for example `port: 5432`, or remove `on:`"),
            );
        }
    }
    if fault.undo.as_ref().is_some_and(|undo| undo.left_to.is_some()) {
        let place = at(&["faults", id.as_str(), "undo", "left_to"]);
        let finding = Finding::error(place, "a machine that undoes by itself leaves it to nobody", "is left to somebody").on_key();
        out.push(finding.help("write `run:` with what undoes it there"));
    }
    if has_secret(&fault.what.spec) {
        let place = at(&["faults", id.as_str(), kind]);
        let finding = Finding::error(place, "a secret of this machine is not sent to another one", "names a `${secret:…}`").on_key();
        out.push(finding.help("let the command read it there"));
    }
    out
}

fn has_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${secret:"),
        Value::Array(items) => items.iter().any(has_secret),
        Value::Object(map) => map.values().any(has_secret),
        _ => false,
    }
}

fn well_written(id: &Id, host: &HostDecl) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut refuse = |key: &str, bad: bool, title: String, help: &str| {
        if bad {
            out.push(Finding::error(at(&["hosts", id.as_str(), key]), title, "not this").help(help));
        }
    };
    // What begins with a dash would be an option of ssh.
    let word = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if let Some(ssh) = &host.ssh {
        refuse("ssh", !word(ssh), format!("`{ssh}` is no place that ssh can go to"), "write for example `ssh: user@db1`");
    }
    if let Some(ssm) = &host.ssm {
        let help = "an id begins with `i-` or `mi-`; `aws ssm describe-instance-information` shows those that there are";
        refuse("ssm", !is_managed(ssm), format!("`{ssm}` is no machine of Systems Manager"), help);
        let of_ssh = [("port", host.port.is_some()), ("config", host.config.is_some()), ("identity", host.identity.is_some())];
        for (key, there) in of_ssh {
            refuse(key, there, format!("`{key}` belongs to ssh"), "remove it: Run Command needs the account under `aws`, and nothing else");
        }
    }
    refuse("port", host.port == Some(0), "0 is no port".to_owned(), "ssh listens at 22 where nobody said otherwise");
    let (least, why) = match &host.ssm {
        Some(_) => (
            LEASE_BY_COMMAND,
            "from 30s to 10m: each word of the runner is a command, which takes seconds to arrive, and the machine must not undo before it does",
        ),
        None => (LEASE.0, "from 5s to 10m: so long the machine waits for a word before it undoes"),
    };
    let lease = host.lease();
    refuse("lease", lease < least || lease > LEASE.1, format!("{} is no lease", lease.human()), why);
    let relative = host.firedrill.as_ref().is_some_and(|path| !path.starts_with('/'));
    refuse(
        "firedrill",
        relative,
        "that path is not absolute".to_owned(),
        "write where firedrill is on that machine, for example `/usr/local/bin/firedrill`",
    );
    out.extend(reached(id, host));
    out
}

/// A machine is reached in one way, and firedrill must get there.
fn reached(id: &Id, host: &HostDecl) -> Option<Finding> {
    let place = at(&["hosts", id.as_str()]);
    match (&host.ssh, &host.ssm) {
        (None, None) => Some(
            Finding::error(place, format!("nothing says how `{id}` is reached"), "not this")
                .on_key()
                .help("write `ssh: user@db1`, or `ssm: i-0123456789abcdef0` with `firedrill: PATH`"),
        ),
        (Some(_), Some(_)) => Some(
            Finding::error(at(&["hosts", id.as_str(), "ssm"]), format!("`{id}` is reached by `ssh` already"), "a second way")
                .on_key()
                .help("keep `ssh` or `ssm`"),
        ),
        (None, Some(_)) if host.firedrill.is_none() => Some(
            Finding::error(place, format!("firedrill does not come to `{id}` by itself: Run Command carries no files"), "not this")
                .on_key()
                .help("install the same version there, and write where: `firedrill: /usr/local/bin/firedrill`"),
        ),
        _ => None,
    }
}

/// The id of a machine that Systems Manager manages.
fn is_managed(text: &str) -> bool {
    let rest = text.strip_prefix("mi-").or_else(|| text.strip_prefix("i-"));
    rest.is_some_and(|rest| (1..=20).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, id, known, refuses, scenario, warns};
    use super::*;

    fn host() -> HostDecl {
        HostDecl { ssh: Some("ops@db1".into()), ..HostDecl::default() }
    }

    fn elsewhere() -> Scenario {
        let mut s = scenario();
        s.hosts.insert(id("db1"), host());
        s.faults[0].how.on = Some(id("db1"));
        s
    }

    fn titles(s: &Scenario, able: bool) -> Vec<String> {
        let mut known = known();
        for kind in &mut known.faults {
            kind.elsewhere = able;
        }
        check(s, &known).into_iter().map(|finding| finding.title).collect()
    }

    #[test]
    fn a_host_is_declared_used_and_well_written() {
        let mut s = scenario();
        assert!(found(&s).is_empty());
        s.hosts.insert(id("db1"), host());
        warns(&s, "/hosts/db1", "nothing acts on");
        s.hosts[0] = HostDecl {
            ssh: Some("-oProxyCommand=x".into()),
            lease: Some(Span::secs(1)),
            firedrill: Some("bin/firedrill".into()),
            ..HostDecl::default()
        };
        refuses(&s, "/hosts/db1/ssh", "no place");
        refuses(&s, "/hosts/db1/lease", "no lease");
        refuses(&s, "/hosts/db1/firedrill", "not absolute");
        s.hosts.clear();
        s.faults[0].how.on = Some(id("db1"));
        refuses(&s, "/faults/lose-primary/on", "no host is called `db1`");
    }

    #[test]
    fn a_host_of_systems_manager_has_firedrill_and_a_longer_lease() {
        let mut s = elsewhere();
        let by_ssm = HostDecl { ssm: Some("i-0123456789abcdef0".into()), firedrill: Some("/opt/firedrill".into()), ..HostDecl::default() };
        assert_eq!((by_ssm.lease(), host().lease()), (Span::secs(60), Span::secs(15)));
        assert_eq!(well_written(&id("db1"), &by_ssm), vec![]);
        s.hosts[0] = HostDecl { lease: Some(Span::secs(29)), port: Some(22), ..by_ssm.clone() };
        refuses(&s, "/hosts/db1/lease", "29 s is no lease");
        refuses(&s, "/hosts/db1/port", "belongs to ssh");
        s.hosts[0] = HostDecl { ssm: Some("web1".into()), ..by_ssm.clone() };
        refuses(&s, "/hosts/db1/ssm", "no machine of Systems Manager");
        s.hosts[0] = HostDecl { firedrill: None, ..by_ssm.clone() };
        refuses(&s, "/hosts/db1", "Run Command carries no files");
        s.hosts[0] = HostDecl { ssh: host().ssh, ..by_ssm };
        refuses(&s, "/hosts/db1/ssm", "reached by `ssh` already");
        s.hosts[0] = HostDecl::default();
        refuses(&s, "/hosts/db1", "nothing says how");
    }

    #[test]
    fn only_what_can_act_there_does() {
        let mut s = elsewhere();
        s.faults[0].what.spec = serde_json::json!({ "port": 5432 });
        assert_eq!(titles(&s, true), Vec::<String>::new());
        assert!(titles(&s, false)[0].contains("cannot act on another machine"));
        s.faults[0].what.spec = serde_json::json!({ "system": "primary" });
        assert!(titles(&s, true)[0].contains("and not on another machine"));
        s.faults[0].what.spec = serde_json::json!({ "run": ["x", "${secret:token}"] });
        assert!(titles(&s, true)[0].contains("is not sent"));
    }
}
