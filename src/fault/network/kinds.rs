//! The kinds. They differ in which packets they mean and in what becomes of them; arming, undoing and looking are the same for all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{Asked, Direction, Fate, Peers, Ports, Protocol, Rule};
use super::table::{self, TableUndo};
use crate::base::{Percent, Problem};
use crate::fault::{Fault, FaultError, Permit, Prepared, Privilege, Resource, Scene, Seen};
use crate::sys::Cx;

/// Cuts all traffic with peers.
#[derive(Debug)]
pub struct NetworkPartition;

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

/// Swallows packets.
#[derive(Debug)]
pub struct NetworkBlackhole;

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

/// Loses packets at random.
#[derive(Debug)]
pub struct NetworkLoss;

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

/// Refuses packets, and tells their sender.
#[derive(Debug)]
pub struct NetworkReject;

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

impl PartitionSpec {
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

/// What the specs with all keys ask for.
macro_rules! asks {
    ($spec:ty, $fate:expr) => {
        impl $spec {
            fn asked(&self) -> Asked<'_> {
                let fate: fn(&$spec) -> Fate = $fate;
                Asked {
                    peers: self.peer.as_ref(),
                    ports: self.port.as_ref(),
                    direction: self.direction,
                    protocol: self.protocol,
                    fate: fate(self),
                    netns: self.netns.as_deref(),
                }
            }
        }
    };
}

asks!(BlackholeSpec, |_| Fate::Drop);
asks!(LossSpec, |spec| Fate::Lose(spec.loss));
asks!(RejectSpec, |spec| match spec.with {
    With::Reset => Fate::Reset,
    With::Icmp => Fate::Unreachable,
});

/// The rule of a spec that was checked before.
fn rule_of(asked: &Asked<'_>) -> Result<Rule, FaultError> {
    asked.rule().map_err(|problems| FaultError::Target(problems.into_iter().next().map_or_else(String::new, |problem| problem.text)))
}

/// Everything that is the same for every kind of this room.
macro_rules! one_table {
    ($verb:literal) => {
        type Undo = TableUndo;
        const UNDO: &'static str = "the fault's own nftables table is removed; no other is touched";
        const READS_BACK: bool = true;

        fn check(&self, spec: &Self::Spec) -> Vec<Problem> {
            spec.asked().rule().err().unwrap_or_default()
        }

        fn needs_declared_undo(&self, _: &Self::Spec) -> bool {
            false
        }

        fn needs(&self, spec: &Self::Spec) -> Vec<Privilege> {
            let mut needs = vec![Privilege::Program("nft".to_owned()), Privilege::NetAdmin];
            if let Some(name) = &spec.netns {
                needs.extend([Privilege::Program("nsenter".to_owned()), Privilege::Namespace(name.clone())]);
            }
            needs
        }

        fn claims(&self, spec: &Self::Spec) -> Vec<Resource> {
            let place = spec.netns.as_ref().map_or_else(|| "this host".to_owned(), |name| format!("network namespace {name}"));
            spec.asked().rule().iter().map(|rule| Resource::Packets(format!("{}, of {place}", rule.packets()))).collect()
        }

        fn by_hand(&self, undo: &TableUndo) -> String {
            undo.by_hand()
        }

        async fn prepare(&self, spec: &Self::Spec, scene: &Scene<'_>) -> Result<Prepared<TableUndo>, FaultError> {
            table::prepare($verb, &rule_of(&spec.asked())?, spec.netns.as_deref(), scene).await
        }

        async fn inject(&self, spec: &Self::Spec, undo: &TableUndo, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
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
    };
}

impl Fault for NetworkPartition {
    const KIND: &'static str = "network.partition";
    const ABOUT: &'static str = "cuts all traffic with peers, both ways, in the kernel; nothing is refused, everything waits";
    const EXAMPLE: &'static str = "network.partition: { peer: [10.0.0.7, 10.0.1.0/24] }\nfor: 30s\n";
    type Spec = PartitionSpec;
    one_table!("partition");
}

impl Fault for NetworkBlackhole {
    const KIND: &'static str = "network.blackhole";
    const ABOUT: &'static str = "swallows packets by peer, port and direction, in the kernel";
    const EXAMPLE: &'static str = "network.blackhole: { peer: 10.0.0.7, port: 5432, direction: out, protocol: tcp }\nfor: 30s\n";
    type Spec = BlackholeSpec;
    one_table!("blackhole");
}

impl Fault for NetworkLoss {
    const KIND: &'static str = "network.loss";
    const ABOUT: &'static str = "loses packets at random, by peer, port and direction, in the kernel";
    const EXAMPLE: &'static str = "network.loss: { loss: 20%, peer: 10.0.0.0/24, netns: shop }\nfor: 30s\n";
    type Spec = LossSpec;
    one_table!("loss");
}

impl Fault for NetworkReject {
    const KIND: &'static str = "network.reject";
    const ABOUT: &'static str = "refuses packets by peer, port and direction, in the kernel, and tells their sender";
    const EXAMPLE: &'static str = "network.reject: { with: reset, port: [80, 443], direction: in }\nfor: 10s\n";
    type Spec = RejectSpec;
    one_table!("reject");
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
