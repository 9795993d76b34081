//! `postgres`: one query, and `ledger.postgres`: numbered rows of a table, read back after recovery. The connection is ours and new for each question; the
//! library speaks the protocol over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls, SimpleQueryMessage};
use tokio_util::task::AbortOnDropHandle;

use super::databases::{self, Named, Reader};
use super::error::Why;
use super::http::TlsSpec;
use super::judge::Answer;
use super::kind::{Ask, Asked, CleanUp, Keys, Probe, ReadBack, Remove, Source, expect_one, without_templates};
use super::ledger::key_of;
use super::postgres_tls::Shakes;
use super::room::{ANSWER, Bounded, KEYS, Room};
use super::tcp;
use super::wire::{Failure, Resolving, dial, of_io};
use crate::base::{Problem, Span};
use crate::event::Class;
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;

/// The kinds.
pub(super) struct Postgres;
pub(super) struct LedgerPostgres;

/// Most of a value that is kept, in bytes.
const LARGEST: usize = 64 * 1024;
/// The table of a ledger that names none.
const TABLE: &str = "firedrill_ledger";

/// Where a server is, and who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerSpec {
    /// Where to connect: `HOST:PORT`.
    pub(super) address: String,
    /// Who asks.
    pub(super) user: String,
    /// The password, by a secret: `${secret:ID}`.
    #[serde(default)]
    pub(super) password: Option<String>,
    /// The database. Default: the one of the user's name.
    #[serde(default)]
    pub(super) database: Option<String>,
    /// TLS, and a certificate for the host that is verified: `{}`, or whom to trust as for `http`. Default: none.
    #[serde(default)]
    pub(super) tls: Option<TlsSpec>,
}

/// What a scenario writes under `postgres:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PostgresSpec {
    /// Where to connect: `HOST:PORT`.
    address: String,
    /// Who asks.
    user: String,
    /// The password, by a secret: `${secret:ID}`.
    #[serde(default)]
    password: Option<String>,
    /// The database. Default: the one of the user's name.
    #[serde(default)]
    database: Option<String>,
    /// TLS, and a certificate for the host that is verified: `{}`, or whom to trust as for `http`. Default: none.
    #[serde(default)]
    tls: Option<TlsSpec>,
    /// What is asked. Default `select 1`.
    #[serde(default = "select_one")]
    query: String,
}

fn select_one() -> String {
    "select 1".into()
}

/// What a scenario writes under `ledger.postgres:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerSpec {
    /// Where rows are written.
    pub(super) write: ServerSpec,
    /// The table, which must be there: `create table firedrill_ledger (key text not null)`. Default `firedrill_ledger`.
    #[serde(default = "table")]
    pub(super) table: String,
    /// Where the rows are read back.
    pub(super) readers: Vec<Reader<ServerSpec>>,
    /// The writer's name within the keys. Default `w1`.
    #[serde(default = "super::ledger::w1")]
    pub(super) writer: String,
    /// The rows stay where they are. Default: they are removed at the end, as a fault is undone.
    #[serde(default)]
    pub(super) keep: bool,
}

fn table() -> String {
    TABLE.into()
}

impl Named for ServerSpec {
    fn check(&self, at: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(why) = tcp::split(&without_templates(&self.address)) {
            problems.push(Problem::new(format!("{at}/address"), why).help("write `HOST:PORT`, for example `127.0.0.1:5432`"));
        }
        if self.user.is_empty() {
            problems.push(Problem::new(format!("{at}/user"), "nobody asks").help("write the name of a role that may log in"));
        }
        if self.tls.as_ref().is_some_and(|tls| tls.insecure && tls.ca_file.is_some()) {
            problems.push(Problem::new(format!("{at}/tls/ca_file"), "`ca_file` has no meaning beside `insecure: true`"));
        }
        problems
    }
}

impl ServerSpec {
    pub(super) fn open(&self, cx: &Cx) -> Result<Server, Why> {
        let (host, port) = tcp::split(&cx.reveal(&self.address, None)?).map_err(Why::Spec)?;
        let mut config = Config::new();
        config.user(cx.reveal(&self.user, None)?).application_name("firedrill");
        if let Some(password) = &self.password {
            config.password(cx.reveal(password, None)?);
        }
        if let Some(database) = &self.database {
            config.dbname(cx.reveal(database, None)?);
        }
        let tls = self.tls.as_ref().map(|tls| Shakes::with(tls, &host, cx)).transpose()?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Server { host, port, config, tls })
    }
}

/// A server that can be asked.
pub(super) struct Server {
    host: String,
    port: u16,
    config: Config,
    tls: Option<Shakes>,
}

fn of_postgres(error: &tokio_postgres::Error) -> Failure {
    if let Some(told) = error.as_db_error() {
        // The server told an error: whatever it is, it is no acknowledgement.
        return Failure::new(Class::Error, format!("{} {}", told.code().code(), told.message()));
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return of_io(io);
        }
        cause = inner.source();
    }
    if error.is_closed() {
        return Failure::new(Class::Reset, "connection closed early");
    }
    // The library's own words, where a server has no TLS.
    let class = if error.to_string().contains("TLS handshake") { Class::Tls } else { Class::Error };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(class, format!("{error}{cause}"))
}

/// One connection, as long as it is held.
struct Connected {
    client: Client,
    _driver: AbortOnDropHandle<()>,
}

impl Server {
    async fn connect(&self, limit: Span, resolving: &Resolving, room: &Room) -> Result<Connected, Failure> {
        let stream = room.bound(dial(&self.host, self.port, limit, resolving).await?);
        match &self.tls {
            None => driven(self.config.connect_raw(stream, NoTls).await),
            Some(tls) => driven(self.config.connect_raw(stream, tls.clone()).await),
        }
    }

    pub(super) async fn ask(&self, query: &str, limit: Span, cx: &Cx) -> Answer {
        let resolving = Resolving::timed(cx.clock);
        let sent = cx.clock.now();
        let room = Room::of(ANSWER);
        let asking = async {
            let connected = self.connect(limit, &resolving, &room).await?;
            connected.client.simple_query(query).await.map_err(|error| room.blame(of_postgres(&error)))
        };
        let asked = tokio::time::timeout(limit.std(), asking).await;
        let done = cx.clock.now();
        let answer = match asked.unwrap_or_else(|_| Err(resolving.timed_out(limit))) {
            Ok(messages) => {
                let (fields, text) = fields_of(&messages);
                Answer { fields, text, ..Answer::of(sent, done) }
            }
            Err(failure) => Answer::failed(sent, done, failure.class, failure.note),
        };
        Answer { legs: Some(resolving.legs()), ..answer }.within(limit)
    }
}

/// A connection that goes on by itself.
fn driven<T: TlsStream + Unpin + Send + 'static>(
    connected: Result<(Client, Connection<Bounded<TcpStream>, T>), tokio_postgres::Error>,
) -> Result<Connected, Failure> {
    let (client, connection) = connected.map_err(|error| of_postgres(&error))?;
    let driver = tokio::spawn(async move {
        // What ends the connection shows in the query that waits for it.
        let _ = connection.await;
    });
    Ok(Connected { client, _driver: AbortOnDropHandle::new(driver) })
}

/// What is seen of an answer: how many rows, and the first value of the first one.
fn fields_of(messages: &[SimpleQueryMessage]) -> (Map<String, Value>, Option<String>) {
    let rows = || messages.iter().filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    let mut fields = Map::from_iter([("rows".to_owned(), Value::from(rows().count()))]);
    let value =
        rows().next().filter(|row| !row.is_empty()).and_then(|row| row.get(0)).map(|value| value.chars().take(LARGEST).collect::<String>());
    if let Some(value) = &value {
        fields.insert("value".to_owned(), Value::from(value.clone()));
    }
    (fields, value)
}

const FIELDS: &[(&str, &str)] = &[
    ("outcome", "ok, refused, reset, timeout, dns, tls or error; an error that the server tells is no good answer"),
    ("rows", "how many rows came"),
    ("value", "the first value of the first row, as text"),
    ("json", "that value as JSON"),
    ("duration", "seconds until the answer"),
];

impl Probe for Postgres {
    const KIND: &'static str = "postgres";
    const ABOUT: &'static str = "Sends one query to a PostgreSQL server, over a connection of its own, by TLS where it is asked for.";
    const EXAMPLE: &'static str =
        "postgres: { address: \"127.0.0.1:5432\", user: app, query: \"select 1\" }\nexpect: { value: { equals: \"1\" } }\n";
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    type Spec = PostgresSpec;

    fn check(&self, spec: &PostgresSpec) -> Vec<Problem> {
        let mut problems = server_of(spec).check("");
        if spec.query.trim().is_empty() {
            problems.push(Problem::new("/query", "there is no query").help("write for example `select 1`"));
        }
        problems
    }

    fn good(&self, _: &PostgresSpec) -> Expect {
        expect_one("outcome", Matcher::equals("ok"))
    }

    fn open(&self, spec: PostgresSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        Ok(Box::new(Query { server: server_of(&spec).open(cx)?, query: cx.reveal(&spec.query, None)? }))
    }
}

fn server_of(spec: &PostgresSpec) -> ServerSpec {
    ServerSpec {
        address: spec.address.clone(),
        user: spec.user.clone(),
        password: spec.password.clone(),
        database: spec.database.clone(),
        tls: spec.tls.clone(),
    }
}

struct Query {
    server: Server,
    query: String,
}

impl Ask for Query {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(self.server.ask(&self.query, limit, cx))
    }
}

/// Whether a text may stand in a statement as the name of a table, with its schema.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.len() <= 127 && text.split('.').count() <= 2 && text.split('.').all(part)
}

impl Probe for LedgerPostgres {
    const KIND: &'static str = "ledger.postgres";
    const ABOUT: &'static str = "Inserts numbered rows into a table and reads them all back after recovery: measures what was lost.";
    const EXAMPLE: &'static str = concat!(
        "ledger.postgres:\n",
        "  write: { address: \"127.0.0.1:5432\", user: app }\n",
        "  readers: [ { server: { address: \"127.0.0.1:5432\", user: app }, authority: true } ]\n",
        "rate: 20/s\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    const LEDGER: bool = true;
    type Spec = LedgerSpec;

    fn check(&self, spec: &LedgerSpec) -> Vec<Problem> {
        let mut problems = databases::check(&spec.write, &spec.readers, &spec.writer);
        if !is_name(&spec.table) {
            let help = "lower-case letters, digits and `_`, with a schema and a dot before it where needed";
            problems.push(Problem::new("/table", format!("`{}` is not the name of a table", spec.table)).help(help));
        }
        problems
    }

    fn good(&self, _: &LedgerSpec) -> Expect {
        expect_one("outcome", Matcher::equals("ok"))
    }

    fn required(&self, spec: &LedgerSpec) -> Expect {
        self.good(spec)
    }

    fn open(&self, spec: LedgerSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        Ok(Box::new(Writes { server: spec.write.open(cx)?, table: spec.table, writer: spec.writer }))
    }

    fn read_back(&self, spec: LedgerSpec) -> Option<ReadBack> {
        let table = spec.table;
        let one = |reader: Reader<ServerSpec>| {
            let (name, authority) = (reader.server.address.clone(), reader.authority);
            (name, authority, Arc::new(Table { server: reader.server, table: table.clone() }) as Arc<dyn Source>)
        };
        Some(ReadBack::of(spec.writer, spec.readers.into_iter().map(one)))
    }

    fn clean_up(&self, spec: LedgerSpec) -> Option<CleanUp> {
        (!spec.keep).then(|| {
            let table = spec.table;
            databases::clean_up(spec.write, spec.readers, spec.writer, |server| {
                let table = Arc::new(Table { server, table: table.clone() });
                (table.server.address.clone(), Arc::clone(&table) as Arc<dyn Remove>, table as Arc<dyn Source>)
            })
        })
    }
}

/// The table at one reader.
pub(super) struct Table {
    pub(super) server: ServerSpec,
    pub(super) table: String,
}

impl Table {
    async fn read(&self, limit: Span, cx: &Cx) -> Result<BTreeMap<String, u64>, String> {
        let server = self.server.open(cx).map_err(|why| why.to_string())?;
        let resolving = Resolving::default();
        let query = format!("select key from {} where key like '{}-%'", self.table, cx.run.to_ascii_lowercase());
        let reading = async {
            let room = Room::of(KEYS);
            let connected = server.connect(limit, &resolving, &room).await.map_err(|failure| failure.note)?;
            connected.client.simple_query(&query).await.map_err(|error| room.blame(of_postgres(&error)).note)
        };
        let all = tokio::time::timeout(limit.std(), reading).await.map_err(|_| format!("no full answer within {limit}"))??;
        let mut keys = BTreeMap::new();
        for message in all {
            if let SimpleQueryMessage::Row(row) = message
                && let Some(key) = row.get(0)
            {
                *keys.entry(key.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(keys)
    }
}

impl Source for Table {
    fn keys<'a>(&'a self, limit: Span, cx: &'a Cx) -> Keys<'a> {
        Box::pin(self.read(limit, cx))
    }
}

struct Writes {
    server: Server,
    table: String,
    writer: String,
}

impl Ask for Writes {
    fn ask<'a>(&'a self, n: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        // Letters, digits and dashes alone: nothing in it can end the text.
        let query = format!("insert into {} (key) values ('{}')", self.table, key_of(&cx.run, &self.writer, n));
        Box::pin(async move { self.server.ask(&query, limit, cx).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::by_kind;
    use serde_json::json;

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |kind: &str, spec: Value| by_kind(kind).unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        assert!(check("postgres", json!({"address": "db:5432", "user": "app"})).is_empty());
        assert_eq!(check("postgres", json!({"address": "db", "user": "", "query": " "})), ["/address", "/user", "/query"]);
        let server = json!({"address": "db:5432", "user": "app"});
        let reader = json!({"server": server});
        assert!(check("ledger.postgres", json!({"write": server, "readers": [reader]})).is_empty());
        assert_eq!(check("ledger.postgres", json!({"write": server, "readers": [reader], "table": "x; drop table y"})), ["/table"]);
        assert_eq!(check("ledger.postgres", json!({"write": server, "readers": [], "writer": "A"})), ["/writer", "/readers"]);
    }

    #[test]
    fn names_of_tables_end_no_statement() {
        for good in ["t", "audit.firedrill_ledger", "_x9"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "9t", "t;", "a b", "a.b.c", "a.", "\"t\"", "T", "t--", "t'"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
