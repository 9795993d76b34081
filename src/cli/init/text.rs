//! The text of a first scenario, from what was seen. Pure.

use crate::base::Span;

/// How long the fault lasts.
const HOLD: Span = Span::secs(10);
/// How long it must stay up to count as recovered.
const STABLE_FOR: Span = Span::secs(5);
/// The least bound of p99: below it, the noise of a small machine decides.
const LEAST_P99: Span = Span::millis(50);
/// The least time-out of a request.
const LEAST_TIMEOUT: Span = Span::secs(1);
/// The least time that recovery is given.
const LEAST_RTO: Span = Span::secs(5);

/// What was seen of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Where it was asked.
    pub url: String,
    /// For how long.
    pub watched: Span,
    /// How many requests there were.
    pub asked: usize,
    /// How many had a good answer.
    pub good: usize,
    /// Half of the good answers came within this.
    pub p50: Span,
    /// 99 of 100 good answers came within this.
    pub p99: Span,
}

/// What the fault will hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disturbed {
    /// Every process of this name.
    Name(String),
    /// Whoever listens on this port.
    Port(u16),
    /// Nothing: a rehearsal.
    Nothing,
}

impl Observed {
    /// One line for people.
    pub fn summary(&self) -> String {
        let (good, asked) = (self.good, self.asked);
        format!("{good} of {asked} answers were good, half of them within {}, 99 % within {}", self.p50.human(), self.p99.human())
    }

    /// A bit less than what was seen, in whole percent.
    fn success(&self) -> usize {
        (self.good * 100 / self.asked.max(1)).saturating_sub(1)
    }

    /// Three times what was seen.
    fn slowest(&self) -> Span {
        round_up(self.p99.times(3)).max(LEAST_P99)
    }

    fn timeout(&self) -> Span {
        round_up(self.slowest().times(2)).max(LEAST_TIMEOUT)
    }

    /// How long recovery may take once nothing is in the way. A request that hangs blurs its moment by a time-out.
    fn grace(&self) -> Span {
        self.timeout().times(2).max(LEAST_RTO)
    }

    fn host(&self) -> String {
        let uri = self.url.parse::<hyper::Uri>().ok();
        uri.and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_else(|| self.url.clone())
    }

    fn is_local(&self) -> bool {
        let uri = self.url.parse::<hyper::Uri>().ok();
        let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default().trim_matches(['[', ']']).to_owned();
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The port of a service on this machine: whoever listens there can be disturbed.
    fn local_port(&self) -> Option<u16> {
        let uri = self.url.parse::<hyper::Uri>().ok().filter(|_| self.is_local())?;
        uri.port_u16().or(Some(if uri.scheme_str() == Some("https") { 443 } else { 80 }))
    }
}

/// The next of 1, 2, 3, 5, 10, 20 … milliseconds.
fn round_up(span: Span) -> Span {
    let steps = (0..8).flat_map(|power| [1, 2, 3, 5].map(|step| Span::millis(step * 10_u64.pow(power))));
    steps.into_iter().find(|step| *step >= span).unwrap_or(span)
}

/// Text as YAML: JSON's quotes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A complete scenario, with comments for somebody who never saw one.
pub fn scenario_text(observed: &Observed, disturbed: &Disturbed, file: &str) -> String {
    let parts = [head(observed, disturbed, file), watching(observed), fault(observed, disturbed), judging(observed, disturbed)];
    parts.concat().lines().map(|line| aligned(line) + "\n").collect()
}

/// A line whose comment, if it has one beside it, begins in the same column as the others.
fn aligned(line: &str) -> String {
    const COLUMN: usize = 36;
    match line.split_once("  # ") {
        // Within quotes it is no comment.
        Some((code, comment)) if !code.trim().is_empty() && !code.starts_with('#') && code.matches('"').count() % 2 == 0 => {
            format!("{:COLUMN$}# {comment}", format!("{}  ", code.trim_end()))
        }
        _ => line.to_owned(),
    }
}

fn head(observed: &Observed, disturbed: &Disturbed, file: &str) -> String {
    let host = observed.host();
    let (title, why) = match disturbed {
        Disturbed::Nothing => (
            format!("Rehearsal: nothing happens to {host}"),
            "Shows that this service can be watched, and that it is steady while nothing is wrong.",
        ),
        _ => (
            format!("The process behind {host} hangs for {}", HOLD.human()),
            "Nobody has shown yet that users are served again by themselves once a hanging process goes on.",
        ),
    };
    let commands = [
        (format!("firedrill check {file}"), "is it still a scenario? every problem in one go"),
        (format!("firedrill plan {file}"), "what would happen, with every default"),
        (format!("firedrill run {file}"), "the drill itself; Ctrl-C ends it early and undoes everything"),
        ("firedrill kinds".to_owned(), "what else can be broken and watched"),
        ("firedrill schema > scenario.schema.json".to_owned(), "lets an editor complete and check the keys of this file"),
    ];
    let width = commands.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let commands: String = commands.iter().map(|(command, about)| format!("#   {command:width$}   {about}\n")).collect();
    format!(
        "# yaml-language-server: $schema=./scenario.schema.json
#
# A first drill, written by `firedrill init` after it had watched the service for {watched}:
# {seen}.
#
{commands}firedrill: 1
title: {title}
why: {why}
owner: you  # who answers for this drill
environment: {environment}  # laptop | test | staging | production: what its evidence is worth
test: recovery  # it may break, but it must come back

vars:
  url: {url}  # another place: `--var url=…`
",
        environment = if observed.is_local() { "laptop" } else { "test" },
        watched = observed.watched.human(),
        seen = observed.summary(),
        title = quoted(&title),
        url = quoted(&observed.url),
    )
}

fn watching(observed: &Observed) -> String {
    format!(
        "
# What is watched, from outside, the way a user would. Add more: another page, a login, a write.
probes:
  service:
    http: {{ url: \"${{url}}\" }}  # also: method, headers, json, body
    rate: 10/s  # every 100 ms; an outage is known as exactly as that, so raise it where the service can take it
    timeout: {timeout}  # an answer that comes later is none, as for a user
    expect: {{ status: {{ between: [200, 299] }} }}   # also of the body: json: {{ path: $.state, equals: ok }}
    # served_by: {{ header: x-node }}   # if answers say who gave them: tells a failover from a restart

# The one definition of normal: shown before anything is broken, asked for again to call it recovered, and once more at the end.
steady_state:
  over: 10s
  probes:
    service: {{ success: {{ min: {success}% }}, p99: {{ max: {slowest} }} }}   # seen: {good} of {asked}, p99 {p99}
",
        timeout = observed.timeout(),
        success = observed.success(),
        slowest = observed.slowest(),
        good = observed.good,
        asked = observed.asked,
        p99 = observed.p99.human(),
    )
}

fn fault(observed: &Observed, disturbed: &Disturbed) -> String {
    let selector = match disturbed {
        Disturbed::Name(name) => format!("name: {}", quoted(name)),
        Disturbed::Port(port) => format!("port: {port}"),
        Disturbed::Nothing => return rehearsal(observed),
    };
    format!(
        "
# What is broken. Firedrill writes down how to undo it before it touches anything, and undoes it whatever happens: at the end, on Ctrl-C,
# and by a watchdog if firedrill itself is killed.
faults:
  hang:
    # Stopped, not ended: connections stay open and nobody answers. Undone by letting it go on.
    process.pause: {{ {selector} }}
    at: 5s  # after steady state was shown
    for: {HOLD}
"
    )
}

fn rehearsal(observed: &Observed) -> String {
    let process = observed.local_port().map_or_else(|| "name: my-service".to_owned(), |port| format!("port: {port}"));
    format!(
        "
# What is broken: nothing yet. This rehearses the drill, so that watching and judging are known to work before anything is at stake.
# To go on, put one of these in its place, and let the claim say what the service is said to survive:
#   process.pause: {{ {process} }}   its process hangs: connections stay open and nobody answers (undone by letting it go on)
#   proxy.latency: {{ proxy: db, delay: 200ms }}   a dependency is slow; declare its path under `proxies:` (firedrill kinds proxy.latency)
#   command: {{ run: [./break.sh] }}   anything else, with an `undo:` of your own (firedrill kinds command)
faults:
  rehearse:
    rehearse.nothing: {{}}
    at: 5s  # after steady state was shown
    for: {HOLD}
"
    )
}

fn judging(observed: &Observed, disturbed: &Disturbed) -> String {
    let lost = HOLD + observed.grace();
    let recovery = format!(
        "
# When it counts as recovered: steady state holds again, and goes on to hold. Counted from when the fault takes effect.
recovery: {{ within: {within}, stable_for: {STABLE_FOR} }}
",
        within = lost + STABLE_FOR + Span::secs(10),
    );
    let service = quoted(&observed.host());
    let promised = match disturbed {
        Disturbed::Nothing => format!(
            "
# What is promised. A rehearsal is no evidence, so there is nothing to promise yet; with a fault it might be:
# claims:
#   served-again:
#     service: {service}
#     disruption: process-hang
#     measured_by: [service]
#     rto: {{ max: {grace}, from: effect }}
",
            grace = observed.grace(),
        ),
        Disturbed::Name(_) | Disturbed::Port(_) => format!(
            "
# What is promised: a hang of {hold} costs users no more than {lost_human}. A service with a second instance can promise more, that it is
# back while the process still hangs: write `rto: {{ max: 5s }}` instead; how long it took is measured and reported either way.
claims:
  a-hang-costs-little:
    service: {service}
    disruption: process-hang
    measured_by: [service]
    availability: {{ min: 50%, over: {over} }}  # counted from when it hangs
",
            hold = HOLD.human(),
            lost_human = lost.human(),
            over = lost.times(2),
        ),
    };
    recovery + &promised
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::args::Colour;
    use crate::cli::known::known;
    use crate::cli::load::load_bytes;
    use crate::cli::out::Voice;
    use crate::plan::{Mode, Plan};
    use crate::scenario::check::check;

    fn observed(url: &str) -> Observed {
        Observed { url: url.into(), watched: Span::secs(30), asked: 300, good: 299, p50: Span::micros(900), p99: Span::micros(21_300) }
    }

    fn accepted(text: &str) -> Plan {
        let known = known();
        let found = crate::scenario::read(text.as_bytes(), "s.yaml", known, &indexmap::IndexMap::new(), &|_: &str| Err(String::new()));
        let found = found.unwrap_or_else(|_| panic!("refused:\n{text}"));
        let findings = check(&found.scenario, known);
        assert!(findings.is_empty(), "{findings:#?}\n{text}");
        load_bytes(text.as_bytes(), Path::new("s.yaml"), Path::new("."), &[], Mode::Normal, known, &Voice::new(Colour::Never)).unwrap().plan
    }

    #[test]
    fn a_hang_reads_well() {
        insta::assert_snapshot!(scenario_text(&observed("http://127.0.0.1:8080/health"), &Disturbed::Port(8080), "scenario.yaml"));
    }

    #[test]
    fn a_rehearsal_reads_well() {
        insta::assert_snapshot!(scenario_text(&observed("https://shop.example.org/"), &Disturbed::Nothing, "drills/first.yaml"));
    }

    #[test]
    fn whatever_was_seen_is_accepted_without_a_warning() {
        let names = [Disturbed::Nothing, Disturbed::Port(1), Disturbed::Name("it's \"my\" # service: {x}".into())];
        for disturbed in names {
            for p99 in [Span(1), Span::millis(16), Span::millis(17), Span::millis(400), Span::secs(5)] {
                for good in [150, 299, 300] {
                    let seen = Observed { p99, good, ..observed("http://[::1]:9/a?b='c'&d={e}") };
                    accepted(&scenario_text(&seen, &disturbed, "a b.yaml"));
                }
            }
        }
    }

    #[test]
    fn bounds_leave_room_for_what_was_seen() {
        let plan = accepted(&scenario_text(&observed("http://localhost/"), &Disturbed::Port(80), "s.yaml"));
        let bounds = plan.steady.probes.values().next().unwrap();
        assert_eq!(bounds.success.unwrap().min.to_string(), "98%");
        assert_eq!(bounds.p99.unwrap().max, Span::millis(100));
        assert_eq!(plan.faults.values().next().unwrap().spec["port"], 80);
    }

    #[test]
    fn numbers_are_rounded_up() {
        let up = |ms| round_up(Span::millis(ms)).as_millis();
        assert_eq!([1, 4, 50, 51, 201, 5_001].map(up), [1, 5, 50, 100, 300, 10_000]);
    }

    #[test]
    fn a_place_elsewhere_is_no_laptop() {
        assert!(
            observed("http://[::1]:80/").is_local() && observed("http://localhost/").is_local() && observed("http://127.0.0.2/").is_local()
        );
        assert!(!observed("http://127.example.org/").is_local());
        assert_eq!(observed("https://localhost/").local_port(), Some(443));
        assert_eq!(observed("https://example.org/").local_port(), None);
    }
}
