//! Faults of the network below every program: rules of the kernel's packet filter (nftables), on this host or in one of its network
//! namespaces. Each fault is one table of its own, made in one transaction and removed as a whole; no other table is ever touched. This room
//! must never know who talks to whom, or why.

mod kinds;
mod net;
mod refuse;
mod rule;
mod table;

pub use kinds::{NetworkBlackhole, NetworkLoss, NetworkPartition, NetworkReject};
