//! `ledger.http`: numbered writes with unique keys, to be read back after recovery. When and how often is `readback`.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Why;
use super::exchange::Client;
use super::http::{FIELDS, HttpSpec, TlsSpec, check_headers, check_request, place_of_key, success};
use super::judge::{pick, plain};
use super::kind::{Ask, Asked, CleanUp, Keys, Probe, ReadBack, Remove, Source, without_templates};
use super::request::{Template, target_of};
use crate::base::{Problem, Span};
use crate::plan::Expect;
use crate::sys::Cx;
use crate::sys::http::{control_client, get_json};

/// Largest list of keys that is read, in bytes.
const LARGEST: usize = 64 << 20;

/// The kind.
pub(super) struct LedgerHttp;

/// What a scenario writes under `ledger.http:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerSpec {
    /// The write; `${key}` in its URL, headers or body is unique to each.
    pub(super) write: HttpSpec,
    /// What an acknowledgement looks like. Default: any 2xx.
    #[serde(default)]
    pub(super) acknowledged_when: Expect,
    /// Where the keys are read back.
    pub(super) readers: Vec<Reader>,
    /// The writer's name within the keys. Default `w1`.
    #[serde(default = "w1")]
    pub(super) writer: String,
    /// The request that removes what this writer wrote in this run; `${key.prefix}` is what its keys begin with. Default: it stays.
    #[serde(default)]
    pub(super) clean_up: Option<HttpSpec>,
    /// What is written stays, and nobody needs to be told so.
    #[serde(default)]
    pub(super) keep: bool,
}

pub(super) fn w1() -> String {
    "w1".into()
}

/// Where keys are read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reader {
    /// Where every key is listed, as JSON.
    pub(super) url: String,
    /// An RFC 9535 path to the keys.
    pub(super) ids: String,
    /// Whether loss is judged here. A single reader always is the authority.
    #[serde(default)]
    pub(super) authority: bool,
    /// Request headers.
    #[serde(default)]
    pub(super) headers: IndexMap<String, String>,
    /// How TLS is spoken, for `https`.
    #[serde(default)]
    pub(super) tls: TlsSpec,
}

/// The key of write `n` of this run.
pub fn key_of(run: &str, writer: &str, n: u64) -> String {
    format!("{}-{writer}-{n}", run.to_ascii_lowercase())
}

/// What every key of this run and writer begins with, and no other key.
pub fn keys_of(run: &str, writer: &str) -> String {
    format!("{}-{writer}-", run.to_ascii_lowercase())
}

/// The number in a key of this run and writer, as [`key_of`] writes it; none for any other text.
pub fn number_of_key(key: &str, run: &str, writer: &str) -> Option<u64> {
    let number = key.strip_prefix(&run.to_ascii_lowercase())?.strip_prefix('-')?.strip_prefix(writer)?.strip_prefix('-')?;
    let canonical = number.bytes().all(|digit| digit.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    number.parse().ok().filter(|_| canonical)
}

/// Whether a key has the shape of another run's: an earlier run in the same store, no business of this one.
pub(super) fn is_of_another_run(key: &str, run: &str) -> bool {
    let Some((other, rest)) = key.split_once('-') else { return false };
    let shaped = other.len() == run.len() && other.bytes().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
    let numbered =
        rest.rsplit_once('-').is_some_and(|(writer, n)| !writer.is_empty() && !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()));
    shaped && numbered && other != run.to_ascii_lowercase()
}

/// One full read: every key, with how often it was listed.
async fn read(reader: &Reader, limit: Span, cx: &Cx) -> Result<BTreeMap<String, u64>, String> {
    let reveal = |text: &str| cx.reveal(text, None).map_err(|error| error.to_string());
    let url = reveal(&reader.url)?;
    let headers = reader.headers.iter().map(|(name, value)| Ok((name.clone(), reveal(value)?))).collect::<Result<_, String>>()?;
    let trust = reader.tls.trust(cx).map_err(|why| why.to_string())?;
    let client = control_client(&trust).map_err(|error| error.to_string())?;
    let whole = get_json(&client, &url, &headers, LARGEST, limit).await.map_err(|error| error.to_string())?;
    keys_in(&whole, &reader.ids)
}

/// The keys at an RFC 9535 path, with how often each is listed.
pub(super) fn keys_in(whole: &Value, ids: &str) -> Result<BTreeMap<String, u64>, String> {
    let path = serde_json_path::JsonPath::parse(ids).map_err(|error| error.to_string())?;
    // An empty ledger may list nothing, but it must look like a list: anything else is somebody's error page.
    let parent = ids.strip_suffix("[*]").filter(|parent| !parent.is_empty());
    if let Some(parent) = parent
        && !matches!(pick(whole, Some(parent)), Some(Value::Array(_) | Value::Object(_)))
    {
        return Err(format!("find a list at {parent}"));
    }
    let mut keys = BTreeMap::new();
    for key in path.query(whole).all() {
        *keys.entry(plain(key)).or_insert(0) += 1;
    }
    Ok(keys)
}

/// What is wrong with a path to keys; `at` is where it stands.
pub(super) fn check_ids(ids: &str, at: &str) -> Option<Problem> {
    let error = serde_json_path::JsonPath::parse(ids).err()?;
    Some(Problem::new(at, format!("`{ids}` is not an RFC 9535 path: {error}")).help("for example `$.ids[*]`"))
}

impl Source for Reader {
    fn keys<'a>(&'a self, limit: Span, cx: &'a Cx) -> Keys<'a> {
        Box::pin(read(self, limit, cx))
    }
}

/// What is wrong with a writer's name.
pub(super) fn check_writer(writer: &str) -> Option<Problem> {
    let named = !writer.is_empty() && writer.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (!named).then(|| Problem::new("/writer", "a writer's name is lower-case letters and digits"))
}

/// What is wrong with what an acknowledgement looks like; `what` is what has these fields.
pub(super) fn check_acknowledgement(wanted: &Expect, what: &str, fields: &[(&str, &str)]) -> Vec<Problem> {
    let offered: Vec<String> = fields.iter().map(|(name, _)| format!("`{name}`")).collect();
    let unknown = wanted.keys().filter(|field| !fields.iter().any(|(name, _)| name == field));
    let problem = |field: &String| {
        let text = format!("{what} has no `{field}`");
        Problem::new(format!("/acknowledged_when/{field}"), text).help(format!("it has {}", offered.join(", ")))
    };
    unknown.map(problem).collect()
}

/// What is wrong with who is the authority among readers.
pub(super) fn check_authorities(readers: &[bool]) -> Option<Problem> {
    let authorities = readers.iter().filter(|authority| **authority).count();
    if readers.is_empty() {
        return Some(Problem::new("/readers", "a ledger nobody reads back measures nothing").help("give at least one reader"));
    }
    let unclear = readers.len() > 1 && authorities != 1;
    unclear.then(|| {
        Problem::new("/readers", format!("{authorities} of {} readers are the authority", readers.len()))
            .help("say `authority: true` of exactly one: loss is judged there")
    })
}

impl LedgerSpec {
    fn check_readers(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        let authorities: Vec<bool> = self.readers.iter().map(|reader| reader.authority).collect();
        problems.extend(check_authorities(&authorities));
        for (index, reader) in self.readers.iter().enumerate() {
            let at = format!("/readers/{index}");
            if let Err(why) = target_of(&without_templates(&reader.url))
                && !reader.url.starts_with("${")
            {
                problems.push(Problem::new(format!("{at}/url"), why).help("write for example `http://127.0.0.1:8080/ledger`"));
            }
            if reader.url.contains("${key}") {
                problems.push(Problem::new(format!("{at}/url"), "a reader lists every key, not one"));
            }
            problems.extend(check_ids(&reader.ids, &format!("{at}/ids")));
            problems.extend(check_headers(&reader.headers, &at));
        }
        problems
    }
}

/// What is wrong with how a ledger's writes are removed, given all that is said of it; `at` is where their names belong.
pub(super) fn check_removal(said: &str, at: &str, keep: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !said.contains("${key.prefix}") && !said.contains("${run.id}") {
        let help = "name them by `${key.prefix}`, which all keys of this run and writer begin with, or by `${run.id}`";
        problems.push(Problem::new(at, "this may remove more than the drill has written").help(help));
    }
    if keep {
        problems.push(Problem::new("/keep", "what is written is removed, or it stays").help("remove `keep` or `clean_up`"));
    }
    problems
}

impl LedgerSpec {
    fn check_clean_up(&self) -> Vec<Problem> {
        let Some(request) = &self.clean_up else { return Vec::new() };
        let mut problems = check_request(request, "/clean_up", false);
        if ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str()) {
            let text = format!("a `{}` removes nothing", request.method);
            problems.push(Problem::new("/clean_up/method", text).help("write for example `method: DELETE`"));
        }
        problems.extend(check_removal(&serde_json::to_string(request).unwrap_or_default(), "/clean_up", self.keep));
        problems
    }
}

impl Probe for LedgerHttp {
    const KIND: &'static str = "ledger.http";
    const ABOUT: &'static str = "Writes numbered records over HTTP and reads them all back after recovery: measures what was lost.";
    const EXAMPLE: &'static str = concat!(
        "ledger.http:\n",
        "  write: { method: POST, url: \"http://127.0.0.1:8080/ledger/${key}\" }\n",
        "  acknowledged_when: { status: { equals: 201 } }\n",
        "  readers: [ { url: \"http://127.0.0.1:8080/ledger\", ids: \"$.ids[*]\", authority: true } ]\n",
        "rate: 10/s\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    const LEDGER: bool = true;
    type Spec = LedgerSpec;

    fn check(&self, spec: &LedgerSpec) -> Vec<Problem> {
        let mut problems = check_request(&spec.write, "/write", true);
        if place_of_key(&spec.write).is_none() {
            let help = "put `${key}` into the URL, a header or the body of the write";
            problems.push(Problem::new("/write", "a ledger without unique keys cannot be read back").help(help));
        }
        problems.extend(check_writer(&spec.writer));
        problems.extend(check_acknowledgement(&spec.acknowledged_when, "an HTTP answer", FIELDS));
        problems.extend(spec.check_clean_up());
        problems.extend(spec.check_readers());
        problems
    }

    fn good(&self, _: &LedgerSpec) -> Expect {
        success()
    }

    fn required(&self, spec: &LedgerSpec) -> Expect {
        if spec.acknowledged_when.is_empty() { success() } else { spec.acknowledged_when.clone() }
    }

    fn open(&self, spec: LedgerSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let template = Template::new(&spec.write, cx)?;
        template.fill(&key_of(&cx.run, &spec.writer, 0)).map_err(Why::Spec)?;
        Ok(Box::new(Writes { template, client: Client::new(&spec.write, cx)?, writer: spec.writer }))
    }

    fn read_back(&self, spec: LedgerSpec) -> Option<ReadBack> {
        let one = |reader: Reader| (reader.url.clone(), reader.authority, Arc::new(reader) as Arc<dyn Source>);
        Some(ReadBack::of(spec.writer, spec.readers.into_iter().map(one)))
    }

    fn clean_up(&self, spec: LedgerSpec) -> Option<CleanUp> {
        let request = spec.clean_up?;
        let removers = vec![(request.url.clone(), Arc::new(request) as Arc<dyn Remove>)];
        let one = |reader: Reader| (reader.url.clone(), Arc::new(reader) as Arc<dyn Source>);
        Some(CleanUp { writer: spec.writer, removers, sources: spec.readers.into_iter().map(one).collect() })
    }
}

struct Writes {
    template: Template,
    client: Client,
    writer: String,
}

impl Ask for Writes {
    fn ask<'a>(&'a self, n: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(self.client.ask(self.template.fill(&key_of(&cx.run, &self.writer, n)), limit, cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Class, Verdict};
    use crate::probe::by_kind;
    use crate::probe::testing::{cx, expect, reply, serve};
    use serde_json::json;

    #[test]
    fn keys_come_back_as_numbers_and_nothing_else_does() {
        let key = key_of("01JD", "w1", 42);
        assert_eq!(key, "01jd-w1-42");
        assert_eq!(number_of_key(&key, "01JD", "w1"), Some(42));
        assert_eq!(number_of_key("01jd-w1-0", "01jd", "w1"), Some(0));
        for foreign in
            ["01jd-w1-042", "01jd-w1-+4", "01jd-w1-", "01jd-w10-4", "01jd-w2-4", "02jd-w1-4", "01jd-w1-4x", "", "99999999999999999999"]
        {
            assert_eq!(number_of_key(foreign, "01jd", "w1"), None, "{foreign}");
        }
        assert!(is_of_another_run("02jd-w1-4", "01jd"));
        for ours in ["01jd-w1-4", "01jd-w9-4", "order-7", "02jd-4", "02JD-w1-4", "x"] {
            assert!(!is_of_another_run(ours, "01jd"), "{ours}");
        }
    }

    #[test]
    fn a_ledger_needs_keys_and_one_authority() {
        let check = |spec: Value| by_kind("ledger.http").unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        let reader = |authority| json!({"url": "http://h/l", "ids": "$.ids[*]", "authority": authority});
        let write = json!({"url": "http://h/${key}"});
        assert!(check(json!({"write": write, "readers": [reader(false)]})).is_empty());
        assert!(check(json!({"write": write, "readers": [reader(false), reader(true)]})).is_empty());
        assert_eq!(check(json!({"write": write, "readers": [reader(true), reader(true)]})), ["/readers"]);
        assert_eq!(check(json!({"write": write, "readers": [reader(false), reader(false)]})), ["/readers"]);
        assert_eq!(check(json!({"write": write, "readers": []})), ["/readers"]);
        assert_eq!(check(json!({"write": {"url": "http://h/"}, "readers": [reader(true)]})), ["/write"]);
        let bad = json!({"url": "h", "ids": "ids"});
        assert_eq!(check(json!({"write": write, "readers": [bad], "writer": "a-b"})), ["/writer", "/readers/0/url", "/readers/0/ids"]);
        let acknowledged = json!({"write": write, "readers": [reader(true)], "acknowledged_when": {"exit": {"equals": 0}}});
        assert_eq!(check(acknowledged), ["/acknowledged_when/exit"]);
    }

    #[test]
    fn a_removal_removes_no_more_than_was_written() {
        let check = |clean_up: Value, keep: bool| {
            let spec = json!({
                "write": {"url": "http://h/${key}"}, "readers": [{"url": "http://h/l", "ids": "$.ids[*]"}], "clean_up": clean_up, "keep": keep,
            });
            by_kind("ledger.http").unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>()
        };
        let by_keys = json!({"method": "DELETE", "url": "http://h/l?prefix=${key.prefix}"});
        assert!(check(by_keys.clone(), false).is_empty());
        assert!(check(json!({"method": "POST", "url": "http://h/purge", "json": {"run": "${run.id}"}}), false).is_empty());
        assert!(check(Value::Null, true).is_empty());
        assert_eq!(check(by_keys, true), ["/keep"]);
        assert_eq!(check(json!({"method": "DELETE", "url": "http://h/l"}), false), ["/clean_up"]);
        assert_eq!(check(json!({"url": "http://h/l/${key.prefix}"}), false), ["/clean_up/method"]);
    }

    #[tokio::test]
    async fn a_write_is_good_only_when_acknowledged() {
        let url = serve(|request| {
            let acknowledged = request.starts_with("POST /ledger/01jd0000000000000000000000-w1-7 ");
            reply(if acknowledged { "201 Created" } else { "200 OK" }, "x-node: a\r\n", "")
        })
        .await;
        let spec = json!({
            "write": {"method": "POST", "url": format!("{url}ledger/${{key}}")},
            "acknowledged_when": {"status": {"equals": 201}},
            "readers": [{"url": format!("{url}ledger"), "ids": "$.ids[*]"}],
        });
        let cx = cx();
        // What else is expected comes on top of the acknowledgement, never in its place.
        let wanted = expect(json!({"headers": {"path": "$['x-node']", "equals": "a"}}));
        let opened = by_kind("ledger.http").unwrap().open(&spec, &wanted, None, &cx).unwrap();
        for (n, verdict, class) in [(7, Verdict::Ok, Class::Ok), (8, Verdict::Bad, Class::Status)] {
            let judged = opened.wanted.judge(&opened.ask.ask(n, Span::millis(500), &cx).await, None);
            assert_eq!((judged.verdict, judged.class), (verdict, class), "{n}");
        }
    }
}
