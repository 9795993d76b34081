//! The scenario that drills the service, and the values that make the same system strong or fragile.

/// The scenario of `firedrill demo`.
pub const SCENARIO: &str = include_str!("../../scenarios/demo.yaml");

/// Ports that the scenario uses when it is run as it stands: balancer, node a, node b.
pub const PORTS: [u16; 3] = [18080, 18081, 18082];

/// Values for `--var`. `fragile` replicates late and looks for dead nodes seldom, as many systems do as they come out of the box: then the same
/// loss breaks both claims.
pub fn vars(fragile: bool, ports: [u16; 3]) -> Vec<(String, String)> {
    let settings: [(&str, &str); 3] = if fragile {
        [("replication", "async"), ("check_every", "2s"), ("fall", "4")]
    } else {
        [("replication", "sync"), ("check_every", "100ms"), ("fall", "2")]
    };
    let ports = ["balancer_port", "node_a_port", "node_b_port"].into_iter().zip(ports.map(|port| port.to_string()));
    let settings = settings.into_iter().map(|(name, value)| (name, value.to_owned()));
    ports.chain(settings).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<(String, String)> {
        let mut lines = SCENARIO.lines().skip_while(|line| *line != "vars:").skip(1);
        let mut vars = Vec::new();
        for line in lines.by_ref().take_while(|line| line.starts_with("  ")) {
            let line = line.split(" #").next().unwrap_or_default();
            if let Some((name, value)) = line.split_once(':') {
                vars.push((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
            }
        }
        vars
    }

    #[test]
    fn the_strong_values_are_the_scenarios_own() {
        let declared = declared();
        for (name, value) in vars(false, PORTS) {
            assert!(declared.contains(&(name.clone(), value.clone())), "{name}: {value} in {declared:?}");
        }
    }

    #[test]
    fn every_value_is_declared_and_used() {
        let declared = declared();
        for (name, _) in vars(true, [1, 2, 3]) {
            assert!(declared.iter().any(|(known, _)| *known == name), "{name}");
        }
        for (name, _) in declared {
            assert!(SCENARIO.contains(&format!("${{{name}}}")), "{name} is used nowhere");
        }
    }

    #[test]
    fn fragile_differs_in_what_it_is_about_and_in_nothing_else() {
        let (strong, fragile) = (vars(false, PORTS), vars(true, PORTS));
        let differ: Vec<&str> = strong.iter().zip(&fragile).filter(|(a, b)| a.1 != b.1).map(|(a, _)| a.0.as_str()).collect();
        assert_eq!(differ, ["replication", "check_every", "fall"]);
    }
}
