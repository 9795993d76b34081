//! What firedrill starts itself, and targets that are only known late.

use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::Scenario;
use super::{SYSTEM, at, names, unknown};

pub(super) fn check(s: &Scenario, _: &Known) -> Vec<Finding> {
    let mut out = commands(s);
    out.extend(proxies(s));
    out.extend(targets(s));
    out
}

/// Every command has at least a program.
fn commands(s: &Scenario) -> Vec<Finding> {
    let mut all: Vec<(String, &[String])> = Vec::new();
    for (id, system) in &s.system {
        all.push((at(&["system", id.as_str(), "run"]), &system.how.run));
        for (n, step) in system.how.setup.iter().enumerate() {
            all.push((at(&["system", id.as_str(), "setup", &n.to_string()]), step));
        }
    }
    for (id, fault) in &s.faults {
        let run = fault.undo.iter().flat_map(|undo| &undo.run);
        all.extend(run.map(|run| (at(&["faults", id.as_str(), "undo", "run"]), run.as_slice())));
    }
    all.extend(s.restore.iter().map(|(id, step)| (at(&["restore", id.as_str(), "run"]), step.how.run.as_slice())));
    all.extend(s.reset.iter().map(|reset| ("/reset/run".to_owned(), reset.run.as_slice())));
    all.into_iter()
        .filter(|(_, run)| run.first().is_none_or(|program| program.trim().is_empty()))
        .map(|(place, _)| {
            Finding::error(place, "a command needs a program", "names no program").help("write for example `[pg_ctl, start]`")
        })
        .collect()
}

/// Host and port of `HOST:PORT`; `None` when it is not of that form.
fn address(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some(())?;
    Some((host, port.parse().ok()?))
}

fn every_address(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::" | "*")
}

fn this_machine(host: &str) -> bool {
    every_address(host) || matches!(host, "127.0.0.1" | "::1" | "localhost")
}

fn collide((a, port_a): (&str, u16), (b, port_b): (&str, u16)) -> bool {
    port_a == port_b
        && (a == b || every_address(a) || every_address(b) || (a, b) == ("localhost", "127.0.0.1") || (b, a) == ("localhost", "127.0.0.1"))
}

fn proxies(s: &Scenario) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut taken: Vec<(&str, (&str, u16))> = Vec::new();
    for (id, proxy) in &s.proxies {
        let id = id.as_str();
        for (key, text) in [("listen", &proxy.listen), ("upstream", &proxy.upstream)] {
            match address(text) {
                Some((_, port)) if port > 0 => {}
                found => out.push(
                    Finding::error(
                        at(&["proxies", id, key]),
                        format!("`{text}` is not `HOST:PORT`"),
                        if found.is_some() { "port 0 names no port" } else { "needs a host and a port" },
                    )
                    .help("write for example `127.0.0.1:6432`"),
                ),
            }
        }
        let Some(listen) = address(&proxy.listen) else { continue };
        if let Some((first, _)) = taken.iter().find(|(_, other)| collide(listen, *other)) {
            out.push(
                Finding::error(at(&["proxies", id, "listen"]), format!("two proxies listen on port {}", listen.1), "already taken")
                    .also(at(&["proxies", first, "listen"]), format!("`{first}` listens there"))
                    .help("give one of them another port"),
            );
        }
        taken.push((id, listen));
        if let Some(upstream) = address(&proxy.upstream)
            && upstream.1 == listen.1
            && (upstream.0 == listen.0 || (this_machine(upstream.0) && this_machine(listen.0)))
        {
            out.push(
                Finding::error(at(&["proxies", id, "upstream"]), format!("the proxy `{id}` forwards to itself"), "its own address")
                    .also(at(&["proxies", id, "listen"]), "listens here")
                    .help("`upstream` is the address of what stands behind the proxy"),
            );
        }
    }
    out
}

fn targets(s: &Scenario) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, target) in &s.targets {
        let id = id.as_str();
        let among = &target.how.among;
        for (n, candidate) in among.iter().enumerate() {
            let place = at(&["targets", id, "among", &n.to_string()]);
            if !s.system.contains_key(candidate) {
                out.push(unknown(place, &SYSTEM, candidate.as_str(), &names(&s.system)));
            } else if among[..n].contains(candidate) {
                out.push(Finding::error(place, format!("`{candidate}` is listed twice"), "already a candidate"));
            }
        }
        if among.is_empty() {
            out.push(
                Finding::error(at(&["targets", id, "among"]), format!("the target `{id}` has no candidates"), "names nothing")
                    .help("list every `system:` process that it may turn out to be: the blast radius covers them all"),
            );
        } else if target.how.exactly == 0 || target.how.exactly > among.len() {
            let label =
                if target.how.exactly == 0 { "hits nothing".to_owned() } else { format!("more than the {} candidates", among.len()) };
            out.push(
                Finding::error(
                    at(&["targets", id, "exactly"]),
                    format!("{} of {} candidates cannot be found", target.how.exactly, among.len()),
                    label,
                )
                .also(at(&["targets", id, "among"]), "the candidates"),
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, id, refuses, scenario};
    use super::*;
    use crate::base::Span;
    use crate::scenario::model::{Kinded, ProxyDecl, TargetDecl, TargetHow};
    use serde_json::json;

    #[test]
    fn a_command_has_a_program() {
        let mut s = scenario();
        s.system[1].how.run.clear();
        refuses(&s, "/system/standby/run", "needs a program");
        let mut s = scenario();
        s.system[0].how.setup.push(vec![" ".into()]);
        refuses(&s, "/system/primary/setup/0", "needs a program");
    }

    #[test]
    fn proxies_have_ports_of_their_own() {
        let mut s = scenario();
        s.proxies.insert(id("db2"), ProxyDecl { listen: "0.0.0.0:6432".into(), upstream: "127.0.0.1:6002".into() });
        let finding = refuses(&s, "/proxies/db2/listen", "two proxies listen on port 6432");
        assert_eq!(finding.also[0].0, "/proxies/db/listen");
        s.proxies[1].listen = "10.0.0.1:6432".into();
        assert_eq!(found(&s), vec![]);
        s.proxies[1].upstream = "10.0.0.1:6432".into();
        refuses(&s, "/proxies/db2/upstream", "forwards to itself");
        s.proxies[1].upstream = "10.0.0.1".into();
        refuses(&s, "/proxies/db2/upstream", "is not `HOST:PORT`");
        s.proxies[1].upstream = "[::1]:0".into();
        assert_eq!(refuses(&s, "/proxies/db2/upstream", "is not").label, "port 0 names no port");
    }

    #[test]
    fn addresses_may_be_of_either_family() {
        assert_eq!(address("[::1]:80"), Some(("::1", 80)));
        assert_eq!(address("h:80"), Some(("h", 80)));
        assert_eq!(address(":80"), None);
        assert_eq!(address("h:x"), None);
    }

    #[test]
    fn targets_are_found_among_candidates() {
        let mut s = scenario();
        s.faults[0].what.spec = json!({ "target": "leader" });
        let how = TargetHow { pick: None, among: vec![id("primary"), id("standbi")], exactly: 1, within: Span::secs(5) };
        s.targets.insert(id("leader"), TargetDecl { what: Kinded { kind: "tcp".into(), spec: json!({}) }, how });
        assert_eq!(refuses(&s, "/targets/leader/among/1", "no system process").help.as_deref(), Some("did you mean `standby`?"));
        s.targets[0].how.among[1] = id("primary");
        refuses(&s, "/targets/leader/among/1", "listed twice");
        s.targets[0].how.among[1] = id("standby");
        assert_eq!(found(&s), vec![]);
        s.targets[0].how.exactly = 3;
        refuses(&s, "/targets/leader/exactly", "3 of 2 candidates");
        s.targets[0].how.among.clear();
        refuses(&s, "/targets/leader/among", "no candidates");
    }
}
