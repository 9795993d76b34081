//! What AWS's actions need of the role in which they act, as the actions reference of the Fault Injection Service lists it. An action that is not here
//! is not guessed at.

/// What an action calls.
pub(super) struct Needs {
    /// Calls that look, and that AWS allows for all resources or for none.
    pub(super) reads: &'static [&'static str],
    /// Calls that change what is hit.
    pub(super) acts: &'static [&'static str],
}

const fn of(reads: &'static [&'static str], acts: &'static [&'static str]) -> Option<Needs> {
    Some(Needs { reads, acts })
}

/// What an action needs; none where it is not known.
pub(super) fn needs(action: &str) -> Option<Needs> {
    match action {
        "aws:fis:wait" => of(&[], &[]),
        "aws:cloudwatch:assert-alarm-state" => of(&["cloudwatch:DescribeAlarms"], &[]),
        "aws:ec2:stop-instances" => of(&["ec2:DescribeInstances"], &["ec2:StopInstances", "ec2:StartInstances"]),
        "aws:ec2:reboot-instances" => of(&["ec2:DescribeInstances"], &["ec2:RebootInstances"]),
        "aws:ec2:terminate-instances" => of(&["ec2:DescribeInstances"], &["ec2:TerminateInstances"]),
        "aws:ec2:send-spot-instance-interruptions" => of(&["ec2:DescribeInstances"], &["ec2:SendSpotInstanceInterruptions"]),
        "aws:ebs:pause-volume-io" => of(&["ec2:DescribeVolumes", "tag:GetResources"], &["ec2:PauseVolumeIO"]),
        "aws:rds:failover-db-cluster" => of(&["rds:DescribeDBClusters", "tag:GetResources"], &["rds:FailoverDBCluster"]),
        "aws:rds:reboot-db-instances" => of(&["rds:DescribeDBInstances", "tag:GetResources"], &["rds:RebootDBInstance"]),
        "aws:ecs:stop-task" => of(&["ecs:DescribeTasks", "ecs:ListTasks", "tag:GetResources"], &["ecs:StopTask"]),
        "aws:ecs:drain-container-instances" => {
            of(&["ecs:DescribeClusters", "ecs:ListContainerInstances", "tag:GetResources"], &["ecs:UpdateContainerInstancesState"])
        }
        // The document runs on what is hit, and the command is nobody's resource: AWS lists these three.
        "aws:ssm:send-command" => of(&["ssm:ListCommands", "ssm:CancelCommand"], &["ssm:SendCommand"]),
        "aws:fis:inject-api-internal-error" => of(&[], &["fis:InjectApiInternalError"]),
        "aws:fis:inject-api-throttle-error" => of(&[], &["fis:InjectApiThrottleError"]),
        "aws:fis:inject-api-unavailable-error" => of(&[], &["fis:InjectApiUnavailableError"]),
        "aws:network:disrupt-connectivity" => of(
            &[
                "ec2:DescribeManagedPrefixLists",
                "ec2:DescribeNetworkAcls",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "ec2:GetManagedPrefixListEntries",
                // It makes a list of its own and puts it before the subnet's.
                "ec2:CreateNetworkAcl",
                "ec2:CreateNetworkAclEntry",
                "ec2:CreateTags",
                "ec2:DeleteNetworkAcl",
                "ec2:ReplaceNetworkAclAssociation",
            ],
            &[],
        ),
        _ => None,
    }
}
