//! What AWS's actions need of the role in which they act, as the actions reference of the Fault Injection Service lists it. An action that is not here
//! is not guessed at.

/// What an action calls.
pub(super) struct Needs {
    /// Calls that look, and those that are not of what is hit: AWS allows them for all resources or for none, or they make things of their own.
    pub(super) beside: &'static [&'static str],
    /// Calls that change what is hit.
    pub(super) acts: &'static [&'static str],
    /// Where what is hit cannot be narrowed by its tags: the condition that narrows these calls instead.
    pub(super) only: Option<Only>,
}

/// A condition of a policy.
#[derive(Clone, Copy)]
pub(super) struct Only {
    pub(super) operator: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
}

const fn of(beside: &'static [&'static str], acts: &'static [&'static str]) -> Option<Needs> {
    Some(Needs { beside, acts, only: None })
}

const fn only(beside: &'static [&'static str], acts: &'static [&'static str], only: Only) -> Option<Needs> {
    Some(Needs { beside, acts, only: Some(only) })
}

/// Errors of the interface of EC2 are injected for one action of FIS, and for nothing that carries a tag.
const fn injected(beside: &'static [&'static str], action: &'static str) -> Option<Needs> {
    only(beside, &["ec2:InjectApiError"], Only { operator: "StringEquals", key: "ec2:FisActionId", value: action })
}

/// Of buckets, whose tags narrow no permission: only what pauses.
const PAUSES: Only = Only { operator: "BoolIfExists", key: "s3:isReplicationPauseRequest", value: "true" };

const IN_TASKS: &[&str] = &["ecs:DescribeTasks", "ssm:CancelCommand", "ssm:ListCommands", "ssm:SendCommand"];
const ON_NETWORK_OF_TASKS: &[&str] = &[
    "ec2:DescribeInstances",
    "ec2:DescribeSubnets",
    "ecs:DescribeContainerInstances",
    "ecs:DescribeTasks",
    "ssm:CancelCommand",
    "ssm:ListCommands",
    "ssm:SendCommand",
];
/// What a pod may is the cluster's own business.
const IN_PODS: &[&str] = &["ec2:DescribeSubnets", "eks:DescribeCluster", "tag:GetResources"];
const OF_FUNCTIONS: &[&str] = &["lambda:GetFunction", "s3:DeleteObject", "s3:PutObject", "tag:GetResources"];

/// What an action needs; none where it is not known.
pub(super) fn needs(action: &str) -> Option<Needs> {
    match action.strip_prefix("aws:")?.split_once(':')? {
        ("fis", "wait") | ("eks", "inject-kubernetes-custom-resource") => of(&[], &[]),
        ("fis", "inject-api-internal-error") => of(&[], &["fis:InjectApiInternalError"]),
        ("fis", "inject-api-throttle-error") => of(&[], &["fis:InjectApiThrottleError"]),
        ("fis", "inject-api-unavailable-error") => of(&[], &["fis:InjectApiUnavailableError"]),
        ("cloudwatch", "assert-alarm-state") => of(&["cloudwatch:DescribeAlarms"], &[]),
        ("ec2" | "ebs", action) => compute(action),
        ("ecs", action) => tasks(action),
        ("eks", "terminate-nodegroup-instances") => {
            of(&["ec2:DescribeInstances", "ec2:TerminateInstances", "eks:DescribeNodegroup", "tag:GetResources"], &[])
        }
        ("eks", action) if action.starts_with("pod-") => of(IN_PODS, &[]),
        ("lambda", action) if action.starts_with("invocation-") => of(OF_FUNCTIONS, &[]),
        ("network", action) => network(action),
        ("rds", "failover-db-cluster") => of(&["rds:DescribeDBClusters", "tag:GetResources"], &["rds:FailoverDBCluster"]),
        ("rds", "reboot-db-instances") => of(&["rds:DescribeDBInstances", "tag:GetResources"], &["rds:RebootDBInstance"]),
        ("elasticache", "replicationgroup-interrupt-az-power" | "interrupt-cluster-az-power") => {
            of(&["elasticache:DescribeReplicationGroups", "tag:GetResources"], &["elasticache:InterruptClusterAzPower"])
        }
        ("s3", "bucket-pause-replication") => only(
            &["s3:ListAllMyBuckets", "s3:PauseReplication", "tag:GetResources"],
            &["s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration"],
            PAUSES,
        ),
        ("dynamodb", "global-table-pause-replication") => of(
            &[
                "dynamodb:DeleteResourcePolicy",
                "dynamodb:DescribeTable",
                "dynamodb:GetResourcePolicy",
                "dynamodb:InjectError",
                "dynamodb:PutResourcePolicy",
                "tag:GetResources",
            ],
            &[],
        ),
        ("dsql", "cluster-connection-failure") => of(&["dsql:GetCluster", "tag:GetResources"], &["dsql:InjectError"]),
        ("kinesis", "stream-provisioned-throughput-exception" | "stream-expired-iterator-exception") => {
            of(&[], &["kinesis:InjectApiError"])
        }
        ("memorydb", "multi-region-cluster-pause-replication") => {
            of(&["memorydb:DescribeMultiRegionClusters", "memorydb:PauseMultiRegionClusterReplication", "tag:GetResources"], &[])
        }
        ("arc", "start-zonal-autoshift") => of(
            &[
                "arc-zonal-shift:CancelZonalShift",
                "arc-zonal-shift:GetManagedResource",
                "arc-zonal-shift:ListManagedResources",
                "arc-zonal-shift:StartZonalShift",
                "arc-zonal-shift:UpdateZonalShift",
                "autoscaling:DescribeTags",
                "tag:GetResources",
            ],
            &[],
        ),
        ("ssm", "send-command") => of(&["ssm:CancelCommand", "ssm:ListCommands"], &["ssm:SendCommand"]),
        _ => None,
    }
}

fn compute(action: &str) -> Option<Needs> {
    match action {
        "stop-instances" => of(&["ec2:DescribeInstances"], &["ec2:StopInstances", "ec2:StartInstances"]),
        "reboot-instances" => of(&["ec2:DescribeInstances"], &["ec2:RebootInstances"]),
        "terminate-instances" => of(&["ec2:DescribeInstances"], &["ec2:TerminateInstances"]),
        "send-spot-instance-interruptions" => of(&["ec2:DescribeInstances"], &["ec2:SendSpotInstanceInterruptions"]),
        "api-insufficient-instance-capacity-error" => injected(&[], "aws:ec2:api-insufficient-instance-capacity-error"),
        "asg-insufficient-instance-capacity-error" => {
            injected(&["autoscaling:DescribeAutoScalingGroups"], "aws:ec2:asg-insufficient-instance-capacity-error")
        }
        "pause-volume-io" => of(&["ec2:DescribeVolumes", "tag:GetResources"], &["ec2:PauseVolumeIO"]),
        "volume-io-latency" => of(&["ec2:DescribeVolumes", "tag:GetResources"], &["ec2:InjectVolumeIOLatency"]),
        _ => None,
    }
}

fn tasks(action: &str) -> Option<Needs> {
    match action {
        "stop-task" => of(&["ecs:DescribeTasks", "ecs:ListTasks", "tag:GetResources"], &["ecs:StopTask"]),
        "drain-container-instances" => {
            of(&["ecs:DescribeClusters", "ecs:ListContainerInstances", "tag:GetResources"], &["ecs:UpdateContainerInstancesState"])
        }
        "task-cpu-stress" | "task-io-stress" | "task-kill-process" | "task-network-blackhole-port" => of(IN_TASKS, &[]),
        "task-network-latency" | "task-network-packet-loss" => of(ON_NETWORK_OF_TASKS, &[]),
        _ => None,
    }
}

/// All of these make lists, tables and groups of their own, and put them in the place of those of what is hit.
fn network(action: &str) -> Option<Needs> {
    match action {
        "disrupt-connectivity" => of(
            &[
                "ec2:CreateNetworkAcl",
                "ec2:CreateNetworkAclEntry",
                "ec2:CreateTags",
                "ec2:DeleteNetworkAcl",
                "ec2:DescribeManagedPrefixLists",
                "ec2:DescribeNetworkAcls",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "ec2:GetManagedPrefixListEntries",
                "ec2:ReplaceNetworkAclAssociation",
            ],
            &[],
        ),
        "route-table-disrupt-cross-region-connectivity" => of(
            &[
                "ec2:AssociateRouteTable",
                "ec2:CreateManagedPrefixList",
                "ec2:CreateNetworkInterface",
                "ec2:CreateRoute",
                "ec2:CreateRouteTable",
                "ec2:CreateTags",
                "ec2:DeleteManagedPrefixList",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteRouteTable",
                "ec2:DescribeManagedPrefixLists",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcPeeringConnections",
                "ec2:DescribeVpcs",
                "ec2:DisassociateRouteTable",
                "ec2:GetManagedPrefixListEntries",
                "ec2:ModifyManagedPrefixList",
                "ec2:ModifyVpcEndpoint",
                "ec2:ReplaceRouteTableAssociation",
            ],
            &[],
        ),
        "transit-gateway-disrupt-cross-region-connectivity" => of(
            &[
                "ec2:AssociateTransitGatewayRouteTable",
                "ec2:DescribeTransitGatewayAttachments",
                "ec2:DescribeTransitGatewayPeeringAttachments",
                "ec2:DescribeTransitGateways",
                "ec2:DisassociateTransitGatewayRouteTable",
            ],
            &[],
        ),
        "disrupt-vpc-endpoint" => of(
            &[
                "ec2:CreateSecurityGroup",
                "ec2:CreateTags",
                "ec2:DeleteSecurityGroup",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeVpcEndpoints",
                "ec2:ModifyVpcEndpoint",
                "ec2:RevokeSecurityGroupEgress",
                "vpce:AllowMultiRegion",
            ],
            &[],
        ),
        _ => None,
    }
}
