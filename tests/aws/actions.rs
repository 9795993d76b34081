//! The actions of Fault Injection Service that the double knows, with the types of resource, as AWS's actions reference lists them.

use serde_json::Value;

/// An action of AWS.
pub struct Known {
    pub id: &'static str,
    /// What it acts on: AWS's word in an action, and the type of resource; none for actions on nothing.
    pub on: Option<(&'static str, &'static str)>,
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
    /// The parameter that says how long it lasts; without one it is over at once.
    pub lasts: Option<&'static str>,
}

const fn known(
    id: &'static str,
    on: Option<(&'static str, &'static str)>,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    lasts: Option<&'static str>,
) -> Known {
    Known { id, on, required, optional, lasts }
}

const FOR: Option<&str> = Some("duration");

pub const KNOWN: [Known; 13] = [
    known("aws:fis:wait", None, &["duration"], &[], FOR),
    known(
        "aws:ec2:stop-instances",
        Some(("Instances", "aws:ec2:instance")),
        &[],
        &["startInstancesAfterDuration", "completeIfInstancesTerminated"],
        Some("startInstancesAfterDuration"),
    ),
    known(
        "aws:ec2:asg-insufficient-instance-capacity-error",
        Some(("AutoScalingGroups", "aws:ec2:autoscaling-group")),
        &["duration", "availabilityZoneIdentifiers"],
        &["percentage"],
        FOR,
    ),
    known("aws:network:disrupt-connectivity", Some(("Subnets", "aws:ec2:subnet")), &["duration", "scope"], &["prefixListIdentifier"], FOR),
    known(
        "aws:network:route-table-disrupt-cross-region-connectivity",
        Some(("Subnets", "aws:ec2:subnet")),
        &["duration", "region"],
        &[],
        FOR,
    ),
    known(
        "aws:network:transit-gateway-disrupt-cross-region-connectivity",
        Some(("TransitGateways", "aws:ec2:transit-gateway")),
        &["duration", "region"],
        &[],
        FOR,
    ),
    known("aws:rds:failover-db-cluster", Some(("Clusters", "aws:rds:cluster")), &[], &[], None),
    known("aws:rds:reboot-db-instances", Some(("DBInstances", "aws:rds:db")), &[], &["forceFailover"], None),
    known(
        "aws:elasticache:replicationgroup-interrupt-az-power",
        Some(("ReplicationGroups", "aws:elasticache:replicationgroup")),
        &["duration"],
        &[],
        FOR,
    ),
    known("aws:ebs:pause-volume-io", Some(("Volumes", "aws:ec2:ebs-volume")), &["duration"], &[], FOR),
    known("aws:ecs:stop-task", Some(("Tasks", "aws:ecs:task")), &[], &[], None),
    known(
        "aws:s3:bucket-pause-replication",
        Some(("Buckets", "aws:s3:bucket")),
        &["duration", "region"],
        &["destinationBuckets", "prefixes"],
        FOR,
    ),
    known("aws:dynamodb:global-table-pause-replication", Some(("Tables", "aws:dynamodb:global-table")), &["duration"], &[], FOR),
];

/// An action by its id.
pub fn by_id(id: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.id == id)
}

/// What AWS's register of tags calls a type; none for what it does not keep.
pub fn registered(of: &str) -> Option<&'static str> {
    Some(match of {
        "aws:ec2:instance" => "ec2:instance",
        "aws:ec2:subnet" => "ec2:subnet",
        "aws:ec2:transit-gateway" => "ec2:transit-gateway",
        "aws:ec2:ebs-volume" => "ec2:volume",
        "aws:ec2:autoscaling-group" => "autoscaling:autoScalingGroup",
        "aws:rds:db" => "rds:db",
        "aws:rds:cluster" => "rds:cluster",
        "aws:elasticache:replicationgroup" => "elasticache:replicationgroup",
        "aws:ecs:task" => "ecs:task",
        "aws:dynamodb:global-table" => "dynamodb:table",
        "aws:s3:bucket" => "s3",
        _ => return None,
    })
}

/// What is wrong with an action of a template; `duration` tells whether a text is one.
pub fn problem(name: &str, action: &Value, targets: &Value, duration: impl Fn(&str) -> bool) -> Option<String> {
    let id = action["actionId"].as_str().unwrap_or_default();
    let Some(known) = by_id(id) else { return Some(format!("Action {name}: {id} is not a valid action ID")) };
    let empty = serde_json::Map::new();
    let given = action["parameters"].as_object().unwrap_or(&empty);
    let unknown = |key: &str| !known.required.contains(&key) && !known.optional.contains(&key);
    if let Some((key, value)) = given.iter().find(|(key, _)| unknown(key)) {
        return Some(format!("Action {name}: invalid parameter {key}: {}", value.as_str().unwrap_or_default()));
    }
    if let Some(key) = known.required.iter().find(|key| !given.contains_key(**key)) {
        return Some(format!("Action {name}: missing parameter {key}"));
    }
    if let Some(text) = known.lasts.and_then(|key| given.get(key)).and_then(Value::as_str).filter(|text| !duration(text)) {
        return Some(format!("Action {name}: invalid duration {text}"));
    }
    let on = action["targets"].as_object().unwrap_or(&empty);
    match known.on {
        None if !on.is_empty() => Some(format!("Action {name}: {id} takes no targets")),
        None => None,
        Some((key, of)) => {
            let target = on.get(key).and_then(Value::as_str).filter(|_| on.len() == 1);
            let Some(target) = target else { return Some(format!("Action {name}: {id} takes the target {key}")) };
            // Neither buckets nor replication groups may be named.
            if ["aws:s3:bucket", "aws:elasticache:replicationgroup"].contains(&of) && targets[target]["resourceArns"].is_array() {
                return Some(format!("Target {target}: {of} supports no resourceArns"));
            }
            (targets[target]["resourceType"] != of).then(|| format!("Target {target}: {id} acts on {of}"))
        }
    }
}
