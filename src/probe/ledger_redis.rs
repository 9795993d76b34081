//! `ledger.redis`: numbered entries of a list, read back after recovery.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::Value as Reply;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::databases::{self, Reader};
use super::error::Why;
use super::kind::{Ask, Asked, CleanUp, Keys, Probe, ReadBack, Remove, Source, expect_one};
use super::ledger::key_of;
use super::redis::{FIELDS, Server, ServerSpec, of_redis};
use super::room::{KEYS, Room};
use super::wire::{Failure, Resolving};
use crate::base::{Problem, Span};
use crate::event::Class;
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;

/// The kind.
pub(super) struct LedgerRedis;

/// What a scenario writes under `ledger.redis:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerSpec {
    /// Where entries are written.
    pub(super) write: ServerSpec,
    /// The list they are added to. Default: one of this run alone, `firedrill:RUN`.
    #[serde(default)]
    pub(super) list: Option<String>,
    /// An entry counts as acknowledged when so many replicas have it as well (`WAIT`). Default 0: when the server says so.
    #[serde(default)]
    pub(super) replicas: u32,
    /// Where the entries are read back.
    pub(super) readers: Vec<Reader<ServerSpec>>,
    /// The writer's name within the keys. Default `w1`.
    #[serde(default = "super::ledger::w1")]
    pub(super) writer: String,
    /// The entries stay where they are. Default: they are removed at the end, as a fault is undone.
    #[serde(default)]
    pub(super) keep: bool,
}

/// How long the list of a run stays at most when nobody removes it.
const KEPT_S: u64 = 24 * 3600;

impl Probe for LedgerRedis {
    const KIND: &'static str = "ledger.redis";
    const ABOUT: &'static str =
        "Adds numbered entries to a list of a Redis server and reads them all back after recovery: measures what was lost.";
    const EXAMPLE: &'static str = concat!(
        "ledger.redis:\n",
        "  write: { address: \"127.0.0.1:6379\" }\n",
        "  readers: [ { server: { address: \"127.0.0.1:6379\" }, authority: true } ]\n",
        "rate: 50/s\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    const LEDGER: bool = true;
    type Spec = LedgerSpec;

    fn check(&self, spec: &LedgerSpec) -> Vec<Problem> {
        databases::check(&spec.write, &spec.readers, &spec.writer)
    }

    fn good(&self, _: &LedgerSpec) -> Expect {
        expect_one("outcome", Matcher::equals("ok"))
    }

    fn required(&self, spec: &LedgerSpec) -> Expect {
        self.good(spec)
    }

    fn open(&self, spec: LedgerSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let list = list_of(spec.list.as_deref(), cx);
        Ok(Box::new(Writes {
            server: spec.write.open(cx)?,
            list,
            expires: spec.list.is_none() && !spec.keep,
            replicas: spec.replicas,
            writer: spec.writer,
        }))
    }

    fn read_back(&self, spec: LedgerSpec) -> Option<ReadBack> {
        let list = spec.list;
        let one = |reader: Reader<ServerSpec>| {
            let (name, authority) = (reader.server.address.clone(), reader.authority);
            (name, authority, Arc::new(List { server: reader.server, list: list.clone() }) as Arc<dyn Source>)
        };
        Some(ReadBack::of(spec.writer, spec.readers.into_iter().map(one)))
    }

    fn clean_up(&self, spec: LedgerSpec) -> Option<CleanUp> {
        (!spec.keep).then(|| {
            let list = spec.list;
            databases::clean_up(spec.write, spec.readers, spec.writer, |server| {
                let list = Arc::new(List { server, list: list.clone() });
                (list.server.address.clone(), Arc::clone(&list) as Arc<dyn Remove>, list as Arc<dyn Source>)
            })
        })
    }
}

/// The list that is named, or one of this run alone.
pub(super) fn list_of(named: Option<&str>, cx: &Cx) -> String {
    named.map_or_else(|| format!("firedrill:{}", cx.run.to_ascii_lowercase()), str::to_owned)
}

/// The list at one reader.
pub(super) struct List {
    pub(super) server: ServerSpec,
    pub(super) list: Option<String>,
}

impl List {
    async fn read(&self, limit: Span, cx: &Cx) -> Result<BTreeMap<String, u64>, String> {
        let server = self.server.open(cx).map_err(|why| why.to_string())?;
        let resolving = Resolving::default();
        let reading = async {
            let room = Room::of(KEYS);
            let (mut connection, _driver) = server.connect(limit, &resolving, &room).await.map_err(|failure| failure.note)?;
            let mut command = redis::cmd("LRANGE");
            command.arg(list_of(self.list.as_deref(), cx)).arg(0).arg(-1);
            command.query_async::<Vec<String>>(&mut connection).await.map_err(|error| room.blame(of_redis(&error)).note)
        };
        let all = tokio::time::timeout(limit.std(), reading).await.map_err(|_| format!("no full answer within {limit}"))??;
        let mut keys = BTreeMap::new();
        for key in all {
            *keys.entry(key).or_insert(0) += 1;
        }
        Ok(keys)
    }
}

impl Source for List {
    fn keys<'a>(&'a self, limit: Span, cx: &'a Cx) -> Keys<'a> {
        Box::pin(self.read(limit, cx))
    }
}

struct Writes {
    server: Server,
    list: String,
    /// It is this run's alone, and goes with it.
    expires: bool,
    replicas: u32,
    writer: String,
}

impl Ask for Writes {
    fn ask<'a>(&'a self, n: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        let mut push = redis::cmd("RPUSH");
        push.arg(&self.list).arg(key_of(&cx.run, &self.writer, n));
        let mut commands = vec![push];
        if n == 0 && self.expires {
            // The server forgets by itself what nobody removes. A list that the scenario names may hold what others wrote.
            let mut expire = redis::cmd("EXPIRE");
            expire.arg(&self.list).arg(KEPT_S);
            commands.push(expire);
        }
        if self.replicas > 0 {
            let mut wait = redis::cmd("WAIT");
            wait.arg(self.replicas).arg(limit.as_millis().max(1));
            commands.push(wait);
        }
        let (replicas, last) = (i64::from(self.replicas), commands.len() - 1);
        Box::pin(async move {
            self.server
                .ask(&commands, limit, cx, move |number, reply| match reply {
                    Reply::Int(have) if replicas > 0 && number == last && *have < replicas => {
                        // It is written here, and perhaps nowhere else: nobody knows whether it will last.
                        Err(Failure::new(Class::Timeout, format!("{have} of {replicas} replicas have it")))
                    }
                    _ => Ok(()),
                })
                .await
        })
    }
}
