//! A real system that nobody here wrote: Debian's haproxy in front of two web servers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use drill::{Place, free_ports, has_program};

#[test]
fn the_shop_survives_one_lost_and_then_one_hung_server() {
    let Some(haproxy) = has_program("haproxy") else {
        println!("SKIPPED: haproxy is not installed (apt-get install haproxy); nothing was shown");
        return;
    };
    let place = Place::new();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/haproxy-backend-loss.yaml");
    let [shop, a, b] = free_ports();
    let vars = [format!("haproxy={}", haproxy.display()), format!("shop={shop}"), format!("web_a={a}"), format!("web_b={b}")];
    let mut args = vec!["run", root, "--yes", "--output", "json"];
    for var in &vars {
        args.extend(["--var", var]);
    }
    let done = place.run(&args, 150).expect(0);
    let report = done.json();
    assert_eq!(report["run"]["outcome"], "completed");
    for claim in ["survives-a-lost-server", "survives-a-hung-server"] {
        assert_eq!(report["claims"][claim]["verdict"], "passed", "{claim}");
        let rto = &report["claims"][claim]["rto"];
        let (lo, hi) = (rto["lo_us"].as_u64().unwrap(), rto["hi_us"].as_u64().unwrap());
        // The balancer needs two failed checks 200 ms apart before it looks away: it cannot be instant, and the claim bounds it above.
        assert!(lo < hi && hi <= rto["claimed_us"].as_u64().unwrap(), "{rto}");
    }
    let outages = report["probes"]["shop"]["outages"].as_array().unwrap();
    assert!(!outages.is_empty(), "half of the requests must have failed for a while");
    assert_eq!(report["faults"]["lose-a"]["phase"], "undone");
    assert_eq!(report["faults"]["hang-b"]["phase"], "undone");
    place.assert_nobody_survives(5);
}
