"""Drives the double with AWS's own client for Python, and holds every answer against AWS's service models: no member that the model does not
have, none of another type, and every error one that the client knows."""

import datetime
import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

problems = []
seen = set()


def walk(shape, value, at):
    kind = shape.type_name
    good = {
        "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool,
        "integer": int, "long": int, "timestamp": (int, float), "double": (int, float), "float": (int, float),
    }[kind]
    if not isinstance(value, good):
        problems.append(f"{at}: {value!r} is no {kind}")
        return
    if kind == "structure":
        members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for key, inner in value.items():
            if key not in members:
                problems.append(f"{at}.{key}: the model has no such member")
            elif inner is not None:
                walk(members[key], inner, f"{at}.{key}")
        for name in shape.required_members:
            if name not in value:
                problems.append(f"{at}.{name}: the model requires it")
    elif kind == "map":
        for key, inner in value.items():
            walk(shape.value, inner, f"{at}[{key}]")
    elif kind == "list":
        for number, inner in enumerate(value):
            walk(shape.member, inner, f"{at}[{number}]")
    elif kind == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        problems.append(f"{at}: {value!r} is none of {shape.enum}")


def held(operation_model, response_dict, **_):
    seen.add(operation_model.name)
    if response_dict["status_code"] >= 300 or operation_model.service_model.protocol == "query":
        return
    body = json.loads(response_dict["body"])
    walk(operation_model.output_shape, body, operation_model.name)


def client(name):
    made = boto3.client(name, config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20))
    made.meta.events.register("before-parse", held)
    return made


def until(what, condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    sys.exit(f"never came: {what}")


sts, tags, fis = client("sts"), client("resourcegroupstaggingapi"), client("fis")
who = sts.get_caller_identity()
assert who["Account"] == "111122223333" and who["Arn"], who

found = tags.get_resources(ResourceTypeFilters=["ec2:instance"], TagFilters=[{"Key": "firedrill", "Values": ["allowed"]}])
arns = [one["ResourceARN"] for one in found["ResourceTagMappingList"]]
assert len(arns) == 3, found
named = tags.get_resources(ResourceARNList=arns[:1])["ResourceTagMappingList"]
assert {"Key": "firedrill", "Value": "allowed"} in named[0]["Tags"], named

assert fis.get_safety_lever(id="default")["safetyLever"]["state"]["status"] == "disengaged"


def template(token):
    return fis.create_experiment_template(
        clientToken=token,
        description="held against the model",
        roleArn="arn:aws:iam::111122223333:role/fis",
        stopConditions=[{"source": "none"}],
        targets={"shop": {"resourceType": "aws:ec2:instance", "resourceTags": {"app": "shop"}, "selectionMode": "COUNT(1)"}},
        actions={"stop": {"actionId": "aws:ec2:stop-instances", "parameters": {"startInstancesAfterDuration": "PT1M"}, "targets": {"Instances": "shop"}}},
        tags={"mine": "yes"},
    )["experimentTemplate"]


made = template("one")
assert template("one")["id"] == made["id"], "a client token makes one template"
assert fis.get_experiment_template(id=made["id"])["experimentTemplate"]["tags"] == {"mine": "yes"}
assert [one["id"] for one in fis.list_experiment_templates(maxResults=10)["experimentTemplates"]] == [made["id"]]

first = fis.start_experiment(clientToken="s", experimentTemplateId=made["id"], tags={"mine": "yes"})["experiment"]
assert fis.start_experiment(clientToken="s", experimentTemplateId=made["id"], tags={"mine": "yes"})["experiment"]["id"] == first["id"]
status = lambda id: fis.get_experiment(id=id)["experiment"]["state"]["status"]
until("it runs", lambda: status(first["id"]) == "running")
hit = fis.list_experiment_resolved_targets(experimentId=first["id"])["resolvedTargets"]
assert hit[0]["targetInformation"]["arn"] in arns, hit
until("it completes", lambda: status(first["id"]) == "completed")

second = fis.start_experiment(clientToken="t", experimentTemplateId=made["id"], tags={"mine": "yes"})["experiment"]
until("it runs", lambda: status(second["id"]) == "running")
fis.stop_experiment(id=second["id"])
until("it is stopped", lambda: status(second["id"]) == "stopped")
listed = fis.list_experiments(experimentTemplateId=made["id"], maxResults=1)
assert len(listed["experiments"]) == 1 and listed["nextToken"], listed
rest = fis.list_experiments(experimentTemplateId=made["id"], maxResults=1, nextToken=listed["nextToken"])
assert {one["id"] for one in listed["experiments"] + rest["experiments"]} == {first["id"], second["id"]}

watch = client("cloudwatch")
both = watch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
assert [one["AlarmName"] for one in both["MetricAlarms"]] == ["shop-errors"], both
assert [one["AlarmName"] for one in both["CompositeAlarms"]] == ["shop"], both
assert not watch.describe_alarms(AlarmNames=["shop"])["CompositeAlarms"], "without types only alarms of metrics are told"
assert not watch.describe_alarms(AlarmNames=["gone"])["MetricAlarms"]
now = datetime.datetime.now(datetime.timezone.utc)
back = datetime.timedelta(minutes=10)
stat = {"Metric": {"Namespace": "Shop", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
asked = {"StartTime": now - back, "EndTime": now + back, "ScanBy": "TimestampDescending"}
data = watch.get_metric_data(MetricDataQueries=[{"Id": "errors", "MetricStat": stat}], **asked)["MetricDataResults"]
assert data[0]["Values"] == [7.0] and len(data[0]["Timestamps"]) == 1, data

ssm = client("ssm")
document = ssm.describe_document(Name="AWS-RunShellScript")["Document"]
assert document["DocumentType"] == "Command" and {one["Name"]: one["Type"] for one in document["Parameters"]}["commands"] == "StringList", document
released = [{"Key": "tag:firedrill", "Values": ["allowed"]}, {"Key": "tag:app", "Values": ["shop"]}]
hosts = ssm.describe_instance_information(Filters=released, MaxResults=5)["InstanceInformationList"]
ids = sorted(one["InstanceId"] for one in hosts if one["PingStatus"] == "Online")
assert len(ids) == 3, hosts
one = ssm.describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": ids[:1]}])["InstanceInformationList"]
assert [host["InstanceId"] for host in one] == ids[:1], one


def command(lines, to, **more):
    given = {"DocumentName": "AWS-RunShellScript", "InstanceIds": to, "Parameters": {"commands": lines}, "TimeoutSeconds": 30, "Comment": "held", **more}
    return ssm.send_command(**given)["Command"]["CommandId"]


def told(id):
    return ssm.list_command_invocations(CommandId=id)["CommandInvocations"]


short = command(["echo said; echo complained >&2; exit 3"], ids, MaxConcurrency="2", MaxErrors="3")
until("it ends", lambda: all(one["Status"] == "Failed" for one in told(short)))
result = ssm.get_command_invocation(CommandId=short, InstanceId=ids[0])
assert (result["ResponseCode"], result["StandardOutputContent"], result["StandardErrorContent"]) == (3, "said\n", "complained\n"), result
assert len(told(short)) == 3
long = command(["sleep 600"], ids[:1])
until("it runs", lambda: told(long)[0]["Status"] == "InProgress")
ssm.cancel_command(CommandId=long)
until("it is cancelled", lambda: told(long)[0]["Status"] == "Cancelled")
since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
listed = ssm.list_commands(Filters=[{"key": "InvokedAfter", "value": since}], MaxResults=1)
rest = ssm.list_commands(Filters=[{"key": "InvokedAfter", "value": since}], MaxResults=1, NextToken=listed["NextToken"])
assert [one["CommandId"] for one in listed["Commands"] + rest["Commands"]] == [long, short], "newest first"
for call, code in [
    (lambda: ssm.describe_document(Name="AWS-Gone"), "InvalidDocument"),
    (lambda: ssm.describe_document(Name="AWS-RunShellScript", DocumentVersion="7"), "InvalidDocumentVersion"),
    (lambda: command(["x"], ["i-0000affe"]), "InvalidInstanceId"),
    (lambda: command(["x"], ids, Parameters={"comands": ["x"]}), "InvalidParameters"),
    (lambda: ssm.get_command_invocation(CommandId=long, InstanceId=ids[2]), "InvocationDoesNotExist"),
    (lambda: ssm.cancel_command(CommandId="0" * 36), "InvalidCommandId"),
]:
    try:
        call()
        problems.append(f"no {code}")
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            problems.append(f"{error.response['Error']} is no {code}")
        if not hasattr(ssm.exceptions, code):
            problems.append(f"the model of Systems Manager has no {code}")

fis.delete_experiment_template(id=made["id"])
for call, code in [
    (lambda: fis.get_experiment_template(id=made["id"]), "ResourceNotFoundException"),
    (lambda: fis.stop_experiment(id=first["id"]), "ValidationException"),
    (lambda: fis.start_experiment(clientToken="u", experimentTemplateId="EXTgone"), "ResourceNotFoundException"),
]:
    try:
        call()
        problems.append(f"no {code}")
    except ClientError as error:
        if error.response["Error"]["Code"] != code or not error.response["Error"]["Message"]:
            problems.append(f"{error.response['Error']} is no {code}")
        if not hasattr(fis.exceptions, code):
            problems.append(f"the model of FIS has no {code}")

if problems:
    sys.exit("\n".join(problems))
print(f"{len(seen)} operations as the models say")
