"""Starts a real `moto_server`, and before it a thin shim that answers what moto lacks: each answer is made of what moto knows, and nothing is kept
here. Asks moto on behalf of the test: one JSON value a line in, one out. Ends, and moto with it, when its input does.

What the shim answers, because moto 5.2.5 does not:
- FIS: GetSafetyLever (nobody has engaged it).
- CloudWatch: the protocol rpc-v2-cbor, put into moto's JSON and back by AWS's own model; what is said stays moto's.
- Systems Manager: DescribeInstanceInformation (the running instances of moto's EC2, each connected), ListCommandInvocations (moto's GetCommandInvocation
  for each instance of moto's command), CancelCommand (of a command that moto has, and which is over: moto's commands are over at once),
  DescribeDocument of AWS-RunShellScript, which moto does not have, and the platforms of the others, which moto calls "Not Implemented (moto)".
  To SendCommand with instances it adds a target that nothing matches: moto takes a command without targets for one to every instance that there is.
Everything else is handed to moto as it came, and its answers are handed back.
"""

import ctypes
import http.client
import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

KEYS = {"aws_access_key_id": "firedrill", "aws_secret_access_key": "not-a-real-secret"}
RUN_SHELL = {
    "Name": "AWS-RunShellScript", "DocumentType": "Command", "Status": "Active", "DocumentVersion": "1", "PlatformTypes": ["Linux", "MacOS"],
    "Parameters": [
        {"Name": "commands", "Type": "StringList"},
        {"Name": "workingDirectory", "Type": "String", "DefaultValue": ""},
        {"Name": "executionTimeout", "Type": "String", "DefaultValue": "3600"},
    ],
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


MOTO = free_port()
URL = f"http://127.0.0.1:{MOTO}"
clients = {}
guard = threading.Lock()


def client(service, region):
    with guard:
        if (service, region) not in clients:
            config = Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=30)
            clients[service, region] = boto3.client(service, region_name=region, endpoint_url=URL, config=config, **KEYS)
        return clients[service, region]


# CBOR (RFC 8949), as much of it as the protocol needs.


def decode(data):
    def head(at):
        major, size = data[at] >> 5, data[at] & 31
        if size < 24:
            return major, size, at + 1, size
        if size == 31:
            return major, None, at + 1, size
        width = 1 << (size - 24)
        return major, int.from_bytes(data[at + 1 : at + 1 + width], "big"), at + 1 + width, size

    def many(at, count, one):
        found = []
        while count is None or len(found) < count:
            if count is None and data[at] == 0xFF:
                return found, at + 1
            item, at = one(at)
            found.append(item)
        return found, at

    def pair(at):
        key, at = value(at)
        held, at = value(at)
        return (key, held), at

    def value(at):
        major, count, at, size = head(at)
        if major == 0:
            return count, at
        if major == 1:
            return -1 - count, at
        if major in (2, 3):
            if count is None:
                parts, at = many(at, None, value)
                return ("" if major == 3 else b"").join(parts), at
            raw = bytes(data[at : at + count])
            return (raw.decode() if major == 3 else raw), at + count
        if major == 4:
            return many(at, count, value)
        if major == 5:
            pairs, at = many(at, count, pair)
            return dict(pairs), at
        if major == 6:
            return value(at)
        if size in (25, 26, 27):
            form = {25: ">e", 26: ">f", 27: ">d"}[size]
            return struct.unpack(form, data[at - struct.calcsize(form) : at])[0], at
        return {20: False, 21: True}.get(size), at

    return value(0)[0] if data else {}


def encode(shape, value):
    def head(major, count):
        return bytes([major << 5 | 26]) + count.to_bytes(4, "big")

    kind = shape.type_name
    if kind == "structure":
        held = {name: value[name] for name in shape.members if value.get(name) is not None}
        return head(5, len(held)) + b"".join(encode_text(name) + encode(shape.members[name], inner) for name, inner in held.items())
    if kind == "list":
        return head(4, len(value)) + b"".join(encode(shape.member, inner) for inner in value)
    if kind == "map":
        return head(5, len(value)) + b"".join(encode_text(name) + encode(shape.value, inner) for name, inner in value.items())
    if kind == "timestamp":
        return b"\xc1\xfb" + struct.pack(">d", float(value))
    if kind in ("double", "float"):
        return b"\xfb" + struct.pack(">d", float(value))
    if kind == "boolean":
        return b"\xf5" if value else b"\xf4"
    if kind in ("integer", "long"):
        return head(0, int(value)) if value >= 0 else head(1, -1 - int(value))
    return encode_text(str(value))


def encode_text(text):
    raw = text.encode()
    return bytes([3 << 5 | 26]) + len(raw).to_bytes(4, "big") + raw


CLOUDWATCH = botocore.session.get_session().get_service_model("cloudwatch")


def pass_on(method, path, headers, body):
    to = http.client.HTTPConnection("127.0.0.1", MOTO, timeout=30)
    headers = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length", "connection", "transfer-encoding")}
    to.request(method, path, body=body or None, headers=headers)
    answer = to.getresponse()
    said = answer.read()
    to.close()
    return answer.status, dict(answer.getheaders()), said


def cloudwatch(handler, path, body):
    operation = path.rsplit("/", 1)[-1]
    headers = {**handler.headers, "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{CLOUDWATCH.metadata['targetPrefix']}.{operation}"}
    headers = {name: value for name, value in headers.items() if name.lower() not in ("smithy-protocol", "accept") and name != "content-type"}
    status, _, said = pass_on("POST", "/", headers, json.dumps(decode(body)).encode())
    told = json.loads(said or b"{}")
    if status < 300:
        said = encode(CLOUDWATCH.operation_model(operation).output_shape, told)
    else:
        error = {"__type": str(told.get("__type", "InternalFailure")), "message": str(told.get("message", told.get("Message", "")))}
        said = bytes([5 << 5 | 2]) + b"".join(encode_text(name) + encode_text(text) for name, text in error.items())
    return status, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, said


def instances(asked, region):
    filters = [{"Name": "instance-state-name", "Values": ["running"]}]
    for one in asked.get("Filters", []):
        name = "instance-id" if one["Key"] == "InstanceIds" else one["Key"]
        filters.append({"Name": name, "Values": one["Values"]})
    found = client("ec2", region).describe_instances(Filters=filters)
    hosts = [host for reservation in found["Reservations"] for host in reservation["Instances"]]
    return {
        "InstanceInformationList": [
            {"InstanceId": host["InstanceId"], "PingStatus": "Online", "PlatformType": "Linux", "ComputerName": host["PrivateDnsName"]} for host in hosts
        ]
    }


def invocations(asked, region):
    ssm = client("ssm", region)
    command = ssm.list_commands(CommandId=asked["CommandId"])["Commands"][0]
    told = [ssm.get_command_invocation(CommandId=asked["CommandId"], InstanceId=host) for host in command["InstanceIds"]]
    at = command["RequestedDateTime"].timestamp()
    names = ("CommandId", "InstanceId", "Comment", "DocumentName", "Status", "StatusDetails")
    return {"CommandInvocations": [{**{name: one[name] for name in names}, "RequestedDateTime": at} for one in told]}


def systems_manager(operation, asked, region):
    """The answer of an operation that moto lacks; None for those that it has."""
    if operation == "DescribeInstanceInformation":
        return instances(asked, region)
    if operation == "ListCommandInvocations":
        return invocations(asked, region)
    if operation == "CancelCommand":
        client("ssm", region).list_commands(CommandId=asked["CommandId"])
        return {}
    if operation == "DescribeDocument" and asked["Name"] == RUN_SHELL["Name"]:
        return {"Document": RUN_SHELL}
    return None


class Shim(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, headers, said = self.made_of_moto(body) or pass_on(self.command, self.path, self.headers, body)
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_DELETE = do_PATCH = answer

    def made_of_moto(self, body):
        if self.command == "GET" and self.path.startswith("/safetyLevers/"):
            lever = {"id": "default", "arn": "arn:aws:fis:::safety-lever/default", "state": {"status": "disengaged", "reason": ""}}
            return 200, {"Content-Type": "application/json"}, json.dumps({"safetyLever": lever}).encode()
        if self.headers.get("smithy-protocol") == "rpc-v2-cbor":
            return cloudwatch(self, self.path, body)
        service, _, operation = self.headers.get("x-amz-target", "").partition(".")
        if service != "AmazonSSM":
            return None
        kind = {"Content-Type": "application/x-amz-json-1.1"}
        region = self.headers["authorization"].split("Credential=")[1].split("/")[2]
        asked = json.loads(body)
        try:
            made = systems_manager(operation, asked, region)
        except ClientError as error:
            told = error.response["Error"]
            return 400, kind, json.dumps({"__type": told["Code"], "message": told["Message"]}).encode()
        if made is not None:
            return 200, kind, json.dumps(made).encode()
        if operation == "SendCommand" and asked.get("InstanceIds") and not asked.get("Targets"):
            asked["Targets"] = [{"Key": "instance-id", "Values": ["i-nothing"]}]
            return pass_on(self.command, self.path, self.headers, json.dumps(asked).encode())
        if operation != "DescribeDocument":
            return None
        status, headers, said = pass_on(self.command, self.path, self.headers, body)
        return status, headers, said.replace(b"Not Implemented (moto)", b"Linux")

    def log_message(self, *_):
        pass


def asked(order):
    """One order of the test."""
    if "state" in order:
        body = json.dumps({"model_name": "fis::experiment", "transition": {"progression": "time", "seconds": order["state"]}}).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{URL}/moto-api/state-manager/set-transition", data=body, headers=headers), timeout=10)
        return None
    answer = getattr(client(order["service"], order["region"]), order["call"])(**order.get("with", {}))
    answer.pop("ResponseMetadata", None)
    return answer


def main():
    server = shutil.which("moto_server")
    dies_with_us = ctypes.CDLL(None).prctl
    moto = subprocess.Popen(
        [server, "-H", "127.0.0.1", "-p", str(MOTO)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: dies_with_us(1, signal.SIGKILL),
    )
    end = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", MOTO), 1).close()
            break
        except OSError:
            if moto.poll() is not None or time.monotonic() > end:
                sys.exit("moto_server does not come up")
            time.sleep(0.05)
    shim = ThreadingHTTPServer(("127.0.0.1", 0), Shim)
    shim.daemon_threads = True
    threading.Thread(target=shim.serve_forever, daemon=True).start()
    print(json.dumps({"moto": URL, "shim": f"http://127.0.0.1:{shim.server_address[1]}"}), flush=True)
    for line in sys.stdin:
        try:
            answer = {"ok": asked(json.loads(line))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)
    moto.kill()
    moto.wait()


main()
