//! Watching from outside: open-loop probes, conditions, ledgers. Probes run on threads of their own, apart from whoever conducts the drill,
//! so that neither a busy conductor nor a slow target moves the moment at which a sample is due.
//!
//! This room must never know the engine, the journal or faults.

mod cleanup;
#[cfg(feature = "aws")]
mod cloudwatch;
mod command;
mod condition;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod databases;
#[cfg(feature = "dns")]
mod dns;
mod error;
mod exchange;
#[cfg(feature = "grpc")]
mod grpc;
mod http;
mod judge;
mod kind;
mod ledger;
mod ledger_command;
#[cfg(feature = "redis")]
mod ledger_redis;
#[cfg(feature = "dns")]
mod names;
mod news;
mod pace;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_tls;
mod prometheus;
mod readback;
mod redirect;
#[cfg(feature = "redis")]
mod redis;
mod removers;
mod request;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod room;
mod run;
mod stall;
mod tcp;
#[cfg(feature = "tls-inspect")]
mod tls;
mod wire;

#[cfg(test)]
mod testing;

pub use cleanup::{Removal, removal};
#[cfg(feature = "aws")]
pub use cloudwatch::firing;
pub use condition::{Holds, Looked, NotHeld, look, read_text, wait_for};
pub use error::{ProbeError, Why};
pub use judge::{Answer, Judged, Wanted};
pub use kind::{Ask, Asked, ErasedProbe, Opened, Probe, Typed};
pub use ledger::{key_of, number_of_key};
pub use news::News;
pub use readback::{check_ledger_empty, read_ledger};
pub use run::{Prober, start};

/// Every kind that a probe or a condition may name. Help, schema, documentation and tests derive from this list.
pub const KINDS: &[&dyn ErasedProbe] = &[
    &http::Http,
    &tcp::Tcp,
    #[cfg(feature = "tls-inspect")]
    &tls::Tls,
    #[cfg(feature = "dns")]
    &dns::Dns,
    #[cfg(feature = "grpc")]
    &grpc::GrpcHealth,
    &command::Command,
    &prometheus::Prometheus,
    #[cfg(feature = "aws")]
    &cloudwatch::Alarm,
    #[cfg(feature = "aws")]
    &cloudwatch::Metric,
    #[cfg(feature = "redis")]
    &redis::Redis,
    #[cfg(feature = "postgres")]
    &postgres::Postgres,
    &ledger::LedgerHttp,
    &ledger_command::LedgerCommand,
    #[cfg(feature = "redis")]
    &ledger_redis::LedgerRedis,
    #[cfg(feature = "postgres")]
    &postgres::LedgerPostgres,
];

/// The kinds that this build was made without, each with the feature that brings it.
pub const LEFT_OUT: &[(&str, &str)] = &[
    #[cfg(not(feature = "tls-inspect"))]
    ("tls", "tls-inspect"),
    #[cfg(not(feature = "dns"))]
    ("dns", "dns"),
    #[cfg(not(feature = "grpc"))]
    ("grpc.health", "grpc"),
    #[cfg(not(feature = "redis"))]
    ("redis", "redis"),
    #[cfg(not(feature = "postgres"))]
    ("postgres", "postgres"),
    #[cfg(not(feature = "redis"))]
    ("ledger.redis", "redis"),
    #[cfg(not(feature = "postgres"))]
    ("ledger.postgres", "postgres"),
    #[cfg(not(feature = "aws"))]
    ("aws.cloudwatch.alarm", "aws"),
    #[cfg(not(feature = "aws"))]
    ("aws.cloudwatch.metric", "aws"),
];

/// The kind of that name.
pub fn by_kind(kind: &str) -> Option<&'static dyn ErasedProbe> {
    KINDS.iter().copied().find(|probe| probe.kind() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_describes_itself_and_its_example_checks() {
        for kind in KINDS {
            assert!(std::ptr::eq(by_kind(kind.kind()).unwrap().kind(), kind.kind()));
            assert!(!kind.about().is_empty() && kind.rate_hz() > 0.0);
            let example: serde_json::Value = serde_saphyr::from_str(kind.example()).unwrap();
            let spec = example.get(kind.kind()).unwrap_or_else(|| panic!("the example of {} lacks its key", kind.kind()));
            assert_eq!(kind.check(spec), Vec::new(), "{}", kind.kind());
            for field in ["outcome", "duration"] {
                assert!(kind.fields().iter().any(|(name, _)| *name == field), "{} lacks {field}", kind.kind());
            }
            let schema = serde_json::to_value(kind.schema()).unwrap();
            assert_eq!(schema["additionalProperties"], false, "{} takes unknown keys", kind.kind());
            assert_eq!(kind.check(&serde_json::json!({"surprise": 1})).len(), 1, "{}", kind.kind());
            assert_eq!(kind.rate_hz(), crate::plan::default_rate(kind.kind()).hz(), "{}", kind.kind());
        }
        assert!(by_kind("carrier-pigeon").is_none());
    }
}
