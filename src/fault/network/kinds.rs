//! The kinds. They differ in which packets they mean and in what becomes of them; arming, undoing and looking are the same for all.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::rule::{Asked, Direction, Fate, Peers, Ports, Protocol, Rule};
use super::table::{self, TableUndo};
use crate::base::{Percent, Problem, Span};
use crate::fault::{Fault, FaultError, Permit, Prepared, Privilege, Resource, Scene, Seen};
use crate::sys::Cx;

/// With whom.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionSpec {
    /// With whom: addresses, or networks such as `10.0.0.0/24`; one or a list. On this host never loopback.
    pub peer: Peers,
    /// The network namespace that is hit, by its `ip netns` name. Default: this host's own.
    #[serde(default)]
    pub netns: Option<String>,
}

/// Which packets. On this host at least `peer` or `port`; loopback only with a port.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlackholeSpec {
    /// With whom: addresses, or networks such as `10.0.0.0/24`; one or a list. Default: everybody.
    #[serde(default)]
    pub peer: Option<Peers>,
    /// A port, or a list, at either end of the connection. Default: every port.
    #[serde(default)]
    pub port: Option<Ports>,
    /// `in` (what arrives), `out` (what is sent) or `both`. Default `both`.
    #[serde(default)]
    pub direction: Direction,
    /// `tcp`, `udp` or `any`. Default `any`.
    #[serde(default)]
    pub protocol: Protocol,
    /// The network namespace that is hit, by its `ip netns` name. Default: this host's own.
    #[serde(default)]
    pub netns: Option<String>,
}

/// Which packets and how many. On this host at least `peer` or `port`; loopback only with a port.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LossSpec {
    /// The probability that a packet is lost, each by itself; at least `0.01%`.
    pub loss: Percent,
    /// With whom: addresses, or networks such as `10.0.0.0/24`; one or a list. Default: everybody.
    #[serde(default)]
    pub peer: Option<Peers>,
    /// A port, or a list, at either end of the connection. Default: every port.
    #[serde(default)]
    pub port: Option<Ports>,
    /// `in` (what arrives), `out` (what is sent) or `both`. Default `both`.
    #[serde(default)]
    pub direction: Direction,
    /// `tcp`, `udp` or `any`. Default `any`.
    #[serde(default)]
    pub protocol: Protocol,
    /// The network namespace that is hit, by its `ip netns` name. Default: this host's own.
    #[serde(default)]
    pub netns: Option<String>,
}

/// Which packets, and what their sender is told. On this host at least `peer` or `port`; loopback only with a port.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectSpec {
    /// `reset` (a TCP reset; only TCP is hit, and resets pass) or `icmp` (port unreachable; ICMP itself passes). Default `reset`.
    #[serde(default)]
    pub with: With,
    /// With whom: addresses, or networks such as `10.0.0.0/24`; one or a list. Default: everybody.
    #[serde(default)]
    pub peer: Option<Peers>,
    /// A port, or a list, at either end of the connection. Default: every port.
    #[serde(default)]
    pub port: Option<Ports>,
    /// `in` (what arrives), `out` (what is sent) or `both`. Default `both`.
    #[serde(default)]
    pub direction: Direction,
    /// `tcp`, `udp` or `any`. Default `any`.
    #[serde(default)]
    pub protocol: Protocol,
    /// The network namespace that is hit, by its `ip netns` name. Default: this host's own.
    #[serde(default)]
    pub netns: Option<String>,
}

/// What the sender of a refused packet is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum With {
    /// A TCP reset.
    #[default]
    Reset,
    /// An ICMP message: port unreachable.
    Icmp,
}

/// What a kind of this room is, beside what all of them share.
pub trait PacketSpec: DeserializeOwned + Serialize + JsonSchema + Debug + Send + Sync + 'static {
    /// The name in scenarios.
    const KIND: &'static str;
    /// One sentence for `firedrill kinds`.
    const ABOUT: &'static str;
    /// A complete fault as YAML.
    const EXAMPLE: &'static str;
    /// What the name of its table says it does.
    const VERB: &'static str;
    /// Which packets, and what becomes of them.
    fn asked(&self) -> Asked<'_>;
}

/// What becomes of packets, on a table of our own: armed, undone and looked at in the same way for each spec.
#[derive(Debug)]
pub struct Packets<S>(PhantomData<fn() -> S>);

/// Cuts all traffic with peers.
pub type NetworkPartition = Packets<PartitionSpec>;
/// Swallows packets.
pub type NetworkBlackhole = Packets<BlackholeSpec>;
/// Loses packets at random.
pub type NetworkLoss = Packets<LossSpec>;
/// Refuses packets, and tells their sender.
pub type NetworkReject = Packets<RejectSpec>;

impl<S> Packets<S> {
    /// The kind of that spec.
    pub const fn new() -> Packets<S> {
        Packets(PhantomData)
    }
}

impl<S> Default for Packets<S> {
    fn default() -> Packets<S> {
        Packets::new()
    }
}

/// The rule of a spec that was checked before.
fn rule_of(asked: &Asked<'_>) -> Result<Rule, FaultError> {
    asked.rule().map_err(|problems| FaultError::Target(problems.into_iter().next().map_or_else(String::new, |problem| problem.text)))
}

impl<S: PacketSpec> Fault for Packets<S> {
    const KIND: &'static str = S::KIND;
    const ABOUT: &'static str = S::ABOUT;
    const EXAMPLE: &'static str = S::EXAMPLE;
    const UNDO: &'static str = "the fault's own nftables table is removed; no other is touched";
    /// Three runs of `nft`: look, remove, look.
    const UNDO_TAKES: Span = Span::millis(40);
    const ELSEWHERE: bool = true;
    const READS_BACK: bool = true;
    type Spec = S;
    type Undo = TableUndo;

    fn check(&self, spec: &S) -> Vec<Problem> {
        spec.asked().rule().err().unwrap_or_default()
    }

    fn needs(&self, spec: &S) -> Vec<Privilege> {
        let mut needs = vec![Privilege::Program("nft".to_owned()), Privilege::NetAdmin];
        if let Some(name) = spec.asked().netns {
            needs.extend([Privilege::Program("nsenter".to_owned()), Privilege::Namespace(name.to_owned())]);
        }
        needs
    }

    fn claims(&self, spec: &S) -> Vec<Resource> {
        let asked = spec.asked();
        let place = asked.netns.map_or_else(|| "this host".to_owned(), |name| format!("network namespace {name}"));
        asked.rule().iter().map(|rule| Resource::Packets(format!("{}, of {place}", rule.packets()))).collect()
    }

    fn cuts(&self, spec: &S, client: IpAddr, port: u16) -> bool {
        let asked = spec.asked();
        asked.netns.is_none() && asked.rule().is_ok_and(|rule| rule.cuts(client, port))
    }

    fn by_hand(&self, undo: &TableUndo) -> String {
        undo.by_hand()
    }

    fn runs(&self, spec: &S, undo: &TableUndo) -> Vec<String> {
        rule_of(&spec.asked()).map(|rule| undo.command(&rule)).into_iter().collect()
    }

    async fn prepare(&self, spec: &S, scene: &Scene<'_>) -> Result<Prepared<TableUndo>, FaultError> {
        let asked = spec.asked();
        table::prepare(S::VERB, &rule_of(&asked)?, asked.netns, scene).await
    }

    async fn inject(&self, spec: &S, undo: &TableUndo, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        undo.inject(&rule_of(&spec.asked())?, cx).await
    }

    async fn observe(&self, undo: &TableUndo, cx: &Cx) -> Result<Seen, FaultError> {
        undo.observe(cx).await
    }

    async fn undo(&self, undo: &TableUndo, cx: &Cx) -> Result<(), FaultError> {
        undo.undo(cx).await
    }

    async fn verify(&self, undo: &TableUndo, cx: &Cx) -> Result<bool, FaultError> {
        undo.verify(cx).await
    }
}

impl PacketSpec for PartitionSpec {
    const KIND: &'static str = "network.partition";
    const ABOUT: &'static str = "cuts all traffic with peers, both ways, in the kernel; nothing is refused, everything waits";
    const EXAMPLE: &'static str = "network.partition: { peer: [10.0.0.7, 10.0.1.0/24] }\nfor: 30s\n";
    const VERB: &'static str = "partition";

    fn asked(&self) -> Asked<'_> {
        Asked {
            peers: Some(&self.peer),
            ports: None,
            direction: Direction::Both,
            protocol: Protocol::Any,
            fate: Fate::Drop,
            netns: self.netns.as_deref(),
        }
    }
}

impl PacketSpec for BlackholeSpec {
    const KIND: &'static str = "network.blackhole";
    const ABOUT: &'static str = "swallows packets by peer, port and direction, in the kernel";
    const EXAMPLE: &'static str = "network.blackhole: { peer: 10.0.0.7, port: 5432, direction: out, protocol: tcp }\nfor: 30s\n";
    const VERB: &'static str = "blackhole";

    fn asked(&self) -> Asked<'_> {
        let BlackholeSpec { peer, port, direction, protocol, netns } = self;
        asked(peer, port, (*direction, *protocol), Fate::Drop, netns)
    }
}

impl PacketSpec for LossSpec {
    const KIND: &'static str = "network.loss";
    const ABOUT: &'static str = "loses packets at random, by peer, port and direction, in the kernel";
    const EXAMPLE: &'static str = "network.loss: { loss: 20%, peer: 10.0.0.0/24, netns: shop }\nfor: 30s\n";
    const VERB: &'static str = "loss";

    fn asked(&self) -> Asked<'_> {
        let LossSpec { loss, peer, port, direction, protocol, netns } = self;
        asked(peer, port, (*direction, *protocol), Fate::Lose(*loss), netns)
    }
}

impl PacketSpec for RejectSpec {
    const KIND: &'static str = "network.reject";
    const ABOUT: &'static str = "refuses packets by peer, port and direction, in the kernel, and tells their sender";
    const EXAMPLE: &'static str = "network.reject: { with: reset, port: [80, 443], direction: in }\nfor: 10s\n";
    const VERB: &'static str = "reject";

    fn asked(&self) -> Asked<'_> {
        let RejectSpec { with, peer, port, direction, protocol, netns } = self;
        let fate = match with {
            With::Reset => Fate::Reset,
            With::Icmp => Fate::Unreachable,
        };
        asked(peer, port, (*direction, *protocol), fate, netns)
    }
}

/// What the specs with all keys ask for.
fn asked<'a>(
    peers: &'a Option<Peers>,
    ports: &'a Option<Ports>,
    (direction, protocol): (Direction, Protocol),
    fate: Fate,
    netns: &'a Option<String>,
) -> Asked<'a> {
    Asked { peers: peers.as_ref(), ports: ports.as_ref(), direction, protocol, fate, netns: netns.as_deref() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::{ErasedFault, by_kind};

    fn kind(name: &str) -> &'static dyn ErasedFault {
        by_kind(name).unwrap()
    }

    #[test]
    fn what_is_needed_depends_on_the_place() {
        let fault = kind("network.blackhole");
        assert_eq!(fault.needs(&json!({ "port": 80 })), [Privilege::Program("nft".into()), Privilege::NetAdmin]);
        assert_eq!(fault.needs(&json!({ "port": 80, "netns": "shop" })).len(), 4);
    }

    #[test]
    fn the_same_packets_are_claimed_once_and_others_commute() {
        let claims = |kind_of: &str, spec| kind(kind_of).claims(&spec).remove(0);
        let first = claims("network.blackhole", json!({ "port": 80 }));
        assert!(first.overlaps(&claims("network.loss", json!({ "port": "80", "loss": "20%" }))));
        assert!(!first.overlaps(&claims("network.blackhole", json!({ "port": 81 }))));
        assert!(!first.overlaps(&claims("network.blackhole", json!({ "port": 80, "netns": "shop" }))));
    }

    #[test]
    fn only_what_hits_the_caller_here_cuts_it_off() {
        let cuts = |kind_of: &str, spec| kind(kind_of).cuts(&spec, "10.0.0.9".parse().unwrap(), 22);
        assert!(cuts("network.partition", json!({ "peer": "10.0.0.0/24" })) && cuts("network.reject", json!({ "port": 22 })));
        assert!(!cuts("network.partition", json!({ "peer": "10.0.0.8" })) && !cuts("network.blackhole", json!({ "port": 80 })));
        assert!(!cuts("network.blackhole", json!({ "port": 22, "netns": "shop" })));
        assert!(!cuts("disk.fill", json!({ "path": "/srv", "size": "1MiB" })));
    }

    #[test]
    fn checks_reach_the_rule() {
        for (name, spec, at) in [
            ("network.partition", json!({ "peer": "127.0.0.1" }), "/peer"),
            ("network.blackhole", json!({}), ""),
            ("network.loss", json!({ "loss": "0%", "port": 80 }), "/loss"),
            ("network.reject", json!({ "protocol": "udp", "port": 53 }), "/with"),
        ] {
            assert_eq!(kind(name).check(&spec).remove(0).at, at, "{name}");
        }
    }
}
