//! What would cut the drill off from itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::rule::Rule;
use crate::base::Problem;
use crate::fault::{FaultError, Scene};
use crate::sys::{env, ssh};

/// Networks with shorter prefixes than these are refused without a port.
const WIDEST: (u8, u8) = (8, 16);

/// What is wrong with a rule in the host's own namespace: the runner's control, its probes and its proxies talk there as well.
pub fn too_much(rule: &Rule) -> Option<Problem> {
    if !rule.ports.is_empty() {
        return None;
    }
    if rule.peers.is_empty() {
        return Some(
            Problem::new("", "without `peer` and `port` it would cut off the whole host, and the runner with it")
                .help("name a peer or a port, or a network namespace with `netns`"),
        );
    }
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    rule.peers.iter().find_map(|peer| {
        if peer.first.is_loopback() || loopback.iter().any(|address| peer.contains(*address)) {
            let text = format!("{peer} is the host itself: without a port it would cut off the runner, its probes and its proxies");
            return Some(Problem::new("/peer", text).help("name the service with `port` as well"));
        }
        let least = if peer.first.is_ipv4() { WIDEST.0 } else { WIDEST.1 };
        (peer.length < least).then(|| {
            Problem::new("/peer", format!("{peer} is too much to be cut off without a port"))
                .help(format!("at least /{least}, or name a port as well"))
        })
    })
}

/// Refuses a rule for the host's own namespace that would hit the session from which the drill is run, or a control probe. Sessions of others on the
/// machine are looked for nowhere: who is cut off with the service is part of what is tried, and the fault ends without them. Where a fault is held for a
/// runner elsewhere, no such session is named: that one may be cut (see `fault/host`).
pub fn ourselves(rule: &Rule, scene: &Scene<'_>) -> Result<(), FaultError> {
    if let Some((client, port)) = env::var("SSH_CONNECTION").as_deref().and_then(ssh::session)
        && rule.hits(client, port)
    {
        return Err(FaultError::Target(format!(
            "{}: the session from {client}, in which this drill is run, would be cut off",
            rule.packets()
        )));
    }
    for (id, probe) in scene.plan.probes.iter().filter(|(_, probe)| probe.control) {
        let place = ["url", "address"].iter().find_map(|key| probe.spec.get(key).and_then(Value::as_str));
        if let Some((address, port)) = place.and_then(|place| end_of(&scene.cx.fill(place)))
            && rule.hits(address, port)
        {
            return Err(FaultError::Target(format!("{}: the control probe {id} would be hit as well", rule.packets())));
        }
    }
    Ok(())
}

/// Address and port of `http://HOST:PORT/…` or `HOST:PORT`, where the host is an address.
fn end_of(place: &str) -> Option<(IpAddr, u16)> {
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, if scheme == "https" { 443 } else { 80 }),
    };
    match host {
        "localhost" => Some((Ipv4Addr::LOCALHOST.into(), port)),
        host => Some((host.trim_matches(['[', ']']).parse().ok()?, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::{Asked, Direction, Fate, Peers, Port, Ports, Protocol};
    use super::*;

    fn refused(peer: Option<&str>, port: Option<u16>, netns: Option<&str>) -> Option<String> {
        let (peers, ports) = (peer.map(|peer| Peers::One(peer.into())), port.map(|port| Ports::One(Port::Number(port))));
        let asked = Asked {
            peers: peers.as_ref(),
            ports: ports.as_ref(),
            direction: Direction::Both,
            protocol: Protocol::Any,
            fate: Fate::Drop,
            netns,
        };
        asked.rule().err().map(|problems| problems.into_iter().map(|problem| format!("{} {}", problem.at, problem.text)).collect())
    }

    #[test]
    fn nobody_cuts_the_runner_off_by_mistake() {
        assert!(refused(None, None, None).unwrap().contains("the whole host"));
        for peer in ["127.0.0.1", "127.3.0.0/16", "::1", "0.0.0.0/0", "::/0", "64.0.0.0/2"] {
            assert!(refused(Some(peer), None, None).unwrap().contains("/peer"), "{peer}");
            assert_eq!(refused(Some(peer), Some(8080), None), None, "{peer}");
            assert_eq!(refused(Some(peer), None, Some("shop")), None, "{peer}");
        }
        assert!(refused(Some("8.0.0.0/7"), None, None).unwrap().contains("too much"));
        assert_eq!(refused(Some("10.0.0.0/8"), None, None), None);
        assert_eq!(refused(None, Some(8080), None), None);
    }

    #[test]
    fn the_ends_of_probes_are_found() {
        let end = |address: &str, port| Some((address.parse().unwrap(), port));
        assert_eq!(end_of("http://127.0.0.1:8080/x?y=1:2"), end("127.0.0.1", 8080));
        assert_eq!(end_of("https://10.0.0.7/x"), end("10.0.0.7", 443));
        assert_eq!(end_of("http://[::1]/"), end("::1", 80));
        assert_eq!(end_of("[::1]:6379"), end("::1", 6379));
        assert_eq!(end_of("localhost:6379"), end("127.0.0.1", 6379));
        assert_eq!(end_of("http://shop.example:80/"), None);
    }
}
