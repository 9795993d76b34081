//! Which packets are meant and what becomes of them: as a scenario writes it, checked, and as the packet filter is told.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::net::Net;
use crate::base::{Percent, Problem};

/// One peer or several: addresses, or networks in CIDR notation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Peers {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// One port or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ports {
    /// One.
    One(Port),
    /// Several.
    Several(Vec<Port>),
}

/// A port: a number, or a text, which is what a var stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Port {
    /// A number.
    Number(u16),
    /// A number as text.
    Text(String),
}

/// Which way packets go, seen from the host or namespace that is hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What arrives.
    In,
    /// What is sent.
    Out,
    /// Both ways.
    #[default]
    Both,
}

/// Which packets, by what they carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP alone.
    Tcp,
    /// UDP alone.
    Udp,
    /// Everything; with a port, what has ports.
    #[default]
    Any,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// It disappears.
    Drop,
    /// It disappears with this probability.
    Lose(Percent),
    /// Its sender is told by a TCP reset.
    Reset,
    /// Its sender is told by an ICMP message.
    Unreachable,
}

/// What a scenario asks for, the same for every kind.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// With whom.
    pub peers: Option<&'a Peers>,
    /// Which ports.
    pub ports: Option<&'a Ports>,
    /// Which way.
    pub direction: Direction,
    /// Carrying what.
    pub protocol: Protocol,
    /// What becomes of it.
    pub fate: Fate,
    /// Where: a network namespace, else this host.
    pub netns: Option<&'a str>,
}

/// The packets that are meant, and what becomes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// With whom; empty is everybody.
    pub peers: Vec<Net>,
    /// A port at either end; empty is every port.
    pub ports: Vec<u16>,
    direction: Direction,
    protocol: Protocol,
    fate: Fate,
}

/// Random numbers below this decide on losses: a hundredth of a percent is the finest.
const DICE: u32 = 10_000;

fn of_dice(loss: Percent) -> u32 {
    (loss.fraction() * f64::from(DICE)).round() as u32
}

impl Asked<'_> {
    /// The rule, or everything that is wrong with what was written.
    ///
    /// # Errors
    /// Problems at their places in the spec.
    pub fn rule(&self) -> Result<Rule, Vec<Problem>> {
        let mut problems = Vec::new();
        let peers = self.nets(&mut problems);
        let ports = self.numbers(&mut problems);
        match self.fate {
            Fate::Lose(loss) if of_dice(loss) == 0 => {
                problems.push(Problem::new("/loss", format!("{loss} is no loss")).help("at least 0.01%, for example `20%`"));
            }
            Fate::Reset if self.protocol == Protocol::Udp => {
                problems.push(Problem::new("/with", "only TCP can be reset").help("write `with: icmp`, or leave `protocol` out"));
            }
            _ => {}
        }
        if self.netns.is_some_and(|name| name.is_empty() || name.starts_with('.') || name.contains('/')) {
            problems.push(Problem::new("/netns", "this is no name of a network namespace").help("`ip netns list` shows them"));
        }
        let rule = Rule { peers, ports, direction: self.direction, protocol: self.protocol, fate: self.fate };
        if problems.is_empty() && self.netns.is_none() {
            problems.extend(super::refuse::too_much(&rule));
        }
        if problems.is_empty() { Ok(rule) } else { Err(problems) }
    }

    fn nets(&self, problems: &mut Vec<Problem>) -> Vec<Net> {
        let texts: Vec<(String, &str)> = match self.peers {
            None => return Vec::new(),
            Some(Peers::One(one)) => vec![("/peer".to_owned(), one)],
            Some(Peers::Several(several)) => several.iter().enumerate().map(|(n, peer)| (format!("/peer/{n}"), peer.as_str())).collect(),
        };
        if texts.is_empty() {
            problems.push(Problem::new("/peer", "the list of peers is empty").help("name at least one, or leave the key out"));
        }
        let mut nets: Vec<Net> = Vec::new();
        for (at, text) in texts {
            match text.parse::<Net>() {
                Err(why) => problems.push(
                    Problem::new(&at, why).help("write for example `10.0.0.7` or `10.0.0.0/24`; a name may mean another address each time"),
                ),
                // A packet that met two rules would be lost more often than was asked for.
                Ok(net) => match nets.iter().find(|other| other.meets(&net)) {
                    Some(other) => problems.push(Problem::new(&at, format!("{net} and {other} overlap")).help("leave one of them out")),
                    None => nets.push(net),
                },
            }
        }
        nets
    }

    fn numbers(&self, problems: &mut Vec<Problem>) -> Vec<u16> {
        let ports: Vec<(String, &Port)> = match self.ports {
            None => return Vec::new(),
            Some(Ports::One(one)) => vec![("/port".to_owned(), one)],
            Some(Ports::Several(several)) => several.iter().enumerate().map(|(n, port)| (format!("/port/{n}"), port)).collect(),
        };
        if ports.is_empty() {
            problems.push(Problem::new("/port", "the list of ports is empty").help("name at least one, or leave the key out"));
        }
        let mut numbers = Vec::new();
        for (at, port) in ports {
            let number = match port {
                Port::Number(number) => Some(*number),
                Port::Text(text) => text.parse().ok(),
            };
            match number.filter(|number| *number > 0) {
                None => problems.push(Problem::new(&at, "this is no port").help("1 to 65535")),
                Some(number) if !numbers.contains(&number) => numbers.push(number),
                Some(_) => {}
            }
        }
        numbers
    }
}

impl Rule {
    /// Whether packets of a connection with this address and this port at either end are meant.
    pub fn hits(&self, address: IpAddr, port: u16) -> bool {
        (self.peers.is_empty() || self.peers.iter().any(|peer| peer.contains(address)))
            && (self.ports.is_empty() || self.ports.contains(&port))
    }

    /// Whether a TCP connection with this address and this port at either end would not live through it. Losing less than half makes it slow.
    pub fn cuts(&self, address: IpAddr, port: u16) -> bool {
        let hard = if let Fate::Lose(loss) = self.fate { loss.fraction() >= 0.5 } else { true };
        hard && self.protocol != Protocol::Udp && self.hits(address, port)
    }

    /// The packets, for people: `tcp with 10.0.0.7, port 5432, in and out`.
    pub fn packets(&self) -> String {
        let listed = |texts: Vec<String>| texts.join(", ");
        let what = match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Any if self.fate == Fate::Reset => "TCP",
            Protocol::Any => "everything",
        };
        let mut text = what.to_owned();
        if !self.peers.is_empty() {
            text += &format!(" with {}", listed(self.peers.iter().map(Net::to_string).collect()));
        }
        if !self.ports.is_empty() {
            text += &format!(" at port {}", listed(self.ports.iter().map(u16::to_string).collect()));
        }
        text + match self.direction {
            Direction::In => ", inbound",
            Direction::Out => ", outbound",
            Direction::Both => ", both ways",
        }
    }

    /// What becomes of them, for people.
    pub fn fate(&self) -> String {
        match self.fate {
            Fate::Drop => "drop".to_owned(),
            Fate::Lose(loss) => format!("lose {loss} of"),
            Fate::Reset => "reset".to_owned(),
            Fate::Unreachable => "reject by ICMP".to_owned(),
        }
    }

    /// What the packet filter is told, as one transaction that makes the whole table or nothing.
    pub fn commands(&self, table: &str, comment: &str) -> Value {
        let mut commands = vec![json!({ "add": { "table": { "family": "inet", "name": table } } })];
        for (chain, hook, inbound) in [("in", "input", true), ("out", "output", false)] {
            if self.direction == if inbound { Direction::Out } else { Direction::In } {
                continue;
            }
            commands.push(json!({ "add": { "chain": {
                "family": "inet", "table": table, "name": chain, "type": "filter", "hook": hook, "prio": 0, "policy": "accept",
            } } }));
            for expr in self.exprs(inbound) {
                let rule = json!({ "family": "inet", "table": table, "chain": chain, "comment": comment, "expr": expr });
                commands.push(json!({ "add": { "rule": rule } }));
            }
        }
        json!({ "nftables": commands })
    }

    /// How many rules the table has.
    pub fn count(&self) -> usize {
        let directions = if self.direction == Direction::Both { 2 } else { 1 };
        directions * self.peers.len().max(1) * if self.ports.is_empty() { 1 } else { 2 }
    }

    fn exprs(&self, inbound: bool) -> Vec<Vec<Value>> {
        let mut exprs = Vec::new();
        let peers: Vec<Option<&Net>> = if self.peers.is_empty() { vec![None] } else { self.peers.iter().map(Some).collect() };
        for peer in peers {
            for ports in self.port_matches() {
                let mut expr = Vec::new();
                if self.direction == Direction::Both && !inbound {
                    // What the host sends to itself comes by twice: it is met when it arrives.
                    expr.push(compare("!=", json!({ "meta": { "key": "oifname" } }), json!("lo")));
                }
                expr.extend(peer.map(|peer| peer_match(peer, inbound)));
                expr.extend(ports);
                // What tells the sender of another packet must get through, or nobody hears of it.
                match self.fate {
                    Fate::Reset => {
                        let flags = json!({ "&": [{ "payload": { "protocol": "tcp", "field": "flags" } }, "rst"] });
                        expr.push(compare("==", flags, json!(0)));
                    }
                    Fate::Unreachable if self.ports.is_empty() && self.protocol == Protocol::Any => {
                        let carried = json!({ "meta": { "key": "l4proto" } });
                        expr.push(compare("!=", carried, json!({ "set": ["icmp", "ipv6-icmp"] })));
                    }
                    _ => {}
                }
                if let Fate::Lose(loss) = self.fate
                    && of_dice(loss) < DICE
                {
                    let dice = json!({ "numgen": { "mode": "random", "mod": DICE, "offset": 0 } });
                    expr.push(compare("<", dice, json!(of_dice(loss))));
                }
                expr.push(json!({ "counter": null }));
                expr.push(match self.fate {
                    Fate::Drop | Fate::Lose(_) => json!({ "drop": null }),
                    Fate::Reset => json!({ "reject": { "type": "tcp reset" } }),
                    Fate::Unreachable => json!({ "reject": { "type": "icmpx", "expr": "port-unreachable" } }),
                });
                exprs.push(expr);
            }
        }
        exprs
    }

    /// The protocol, and the port at either end: no packet fits two of these.
    fn port_matches(&self) -> Vec<Vec<Value>> {
        let carried = match self.protocol {
            Protocol::Tcp => Some(json!("tcp")),
            Protocol::Udp => Some(json!("udp")),
            Protocol::Any if self.fate == Fate::Reset => Some(json!("tcp")),
            Protocol::Any if self.ports.is_empty() => None,
            Protocol::Any => Some(json!({ "set": ["tcp", "udp"] })),
        };
        let carried: Vec<Value> = carried.map(|which| compare("==", json!({ "meta": { "key": "l4proto" } }), which)).into_iter().collect();
        if self.ports.is_empty() {
            return vec![carried];
        }
        let port =
            |op: &str, end: &str| compare(op, json!({ "payload": { "protocol": "th", "field": end } }), json!({ "set": self.ports }));
        let mut there = carried.clone();
        there.push(port("==", "dport"));
        let mut here = carried;
        here.extend([port("==", "sport"), port("!=", "dport")]);
        vec![there, here]
    }
}

fn compare(op: &str, left: Value, right: Value) -> Value {
    json!({ "match": { "op": op, "left": left, "right": right } })
}

fn peer_match(peer: &Net, inbound: bool) -> Value {
    let family = if peer.first.is_ipv4() { "ip" } else { "ip6" };
    let field = if inbound { "saddr" } else { "daddr" };
    let right = if peer.is_one() { json!(peer.first) } else { json!({ "prefix": { "addr": peer.first, "len": peer.length } }) };
    compare("==", json!({ "payload": { "protocol": family, "field": field } }), right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(peers: Option<&'a Peers>, ports: Option<&'a Ports>, fate: Fate) -> Asked<'a> {
        Asked { peers, ports, direction: Direction::Both, protocol: Protocol::Any, fate, netns: Some("shop") }
    }

    fn places(asked: &Asked<'_>) -> Vec<String> {
        asked.rule().unwrap_err().into_iter().map(|problem| problem.at).collect()
    }

    #[test]
    fn every_wrong_peer_and_port_is_told_at_its_place() {
        let peers = Peers::Several(vec!["10.0.0.0/8".into(), "db.example".into(), "10.1.0.1".into()]);
        let ports = Ports::Several(vec![Port::Number(80), Port::Text("http".into()), Port::Number(0)]);
        assert_eq!(places(&asked(Some(&peers), Some(&ports), Fate::Drop)), ["/peer/1", "/peer/2", "/port/1", "/port/2"]);
        let (none, nothing) = (Peers::Several(Vec::new()), Ports::Several(Vec::new()));
        assert_eq!(places(&asked(Some(&none), Some(&nothing), Fate::Drop)), ["/peer", "/port"]);
        let loss = Fate::Lose("0.001%".parse().unwrap());
        assert_eq!(places(&Asked { netns: Some("../shop"), ..asked(None, None, loss) }), ["/loss", "/netns"]);
        assert_eq!(places(&Asked { protocol: Protocol::Udp, ..asked(None, None, Fate::Reset) }), ["/with"]);
    }

    #[test]
    fn no_packet_meets_two_rules() {
        let peers = Peers::Several(vec!["10.0.0.7".into(), "2001:db8::/32".into()]);
        let ports = Ports::Several(vec![Port::Text("5432".into()), Port::Number(5432), Port::Number(6379)]);
        let rule = asked(Some(&peers), Some(&ports), Fate::Lose("20%".parse().unwrap())).rule().unwrap();
        let commands = rule.commands("t", "c");
        let rules: Vec<&Value> =
            commands["nftables"].as_array().unwrap().iter().map(|command| &command["add"]["rule"]).filter(|rule| !rule.is_null()).collect();
        assert_eq!(rules.len(), rule.count());
        assert_eq!(rules.len(), 8);
        let outbound = rules.iter().filter(|rule| rule["chain"] == "out");
        assert!(outbound.clone().count() == 4 && outbound.clone().all(|rule| rule["expr"][0]["match"]["right"] == "lo"));
        let text = rules[0]["expr"].to_string();
        assert!(text.contains(r#""set":[5432,6379]"#) && text.contains(r#""right":2000"#) && text.contains(r#""field":"saddr""#), "{text}");
        assert_eq!(rule.packets(), "everything with 10.0.0.7, 2001:db8::/32 at port 5432, 6379, both ways");
    }

    #[test]
    fn one_direction_makes_one_chain() {
        let peers = Peers::One("10.0.0.0/8".into());
        for (direction, hook) in [(Direction::In, "input"), (Direction::Out, "output")] {
            let rule = Asked { direction, ..asked(Some(&peers), None, Fate::Reset) }.rule().unwrap();
            let commands = rule.commands("t", "c");
            let commands = commands["nftables"].as_array().unwrap();
            assert_eq!(commands.len(), 3);
            assert_eq!(commands[1]["add"]["chain"]["hook"], hook);
            assert_eq!(rule.count(), 1);
            assert!(commands[2].to_string().contains("tcp reset") && commands[2].to_string().contains(r#""right":"tcp""#));
        }
    }

    #[test]
    fn what_is_hit_is_told_from_what_is_not() {
        let (peers, ports) = (Peers::One("10.0.0.0/8".into()), Ports::One(Port::Number(80)));
        let rule = asked(Some(&peers), Some(&ports), Fate::Drop).rule().unwrap();
        assert!(rule.hits("10.1.1.1".parse().unwrap(), 80));
        assert!(!rule.hits("10.1.1.1".parse().unwrap(), 81) && !rule.hits("11.1.1.1".parse().unwrap(), 80));
        let cuts = |fate, protocol| {
            let asked = Asked { protocol, ..asked(Some(&peers), Some(&ports), fate) };
            asked.rule().unwrap().cuts("10.1.1.1".parse().unwrap(), 80)
        };
        let lose = |share: &str| Fate::Lose(share.parse().unwrap());
        assert!(cuts(Fate::Drop, Protocol::Any) && cuts(Fate::Unreachable, Protocol::Tcp) && cuts(Fate::Reset, Protocol::Any));
        assert!(cuts(lose("50%"), Protocol::Any) && !cuts(lose("49%"), Protocol::Any) && !cuts(Fate::Drop, Protocol::Udp));
        assert!(!rule.cuts("10.1.1.1".parse().unwrap(), 81));
    }
}
