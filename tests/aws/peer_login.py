"""Logs in to the double with AWS's own client for Python: a role with a code, and the portal of a login. What its models do not read, no client would."""

import datetime
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

problems = []
config = Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20)
role, device = "arn:aws:iam::111122223333:role/drill-mfa", "arn:aws:iam::111122223333:mfa/alice"
sts = boto3.client("sts", config=config)


def good(what, holds):
    if not holds:
        problems.append(what)


def refused(what, code, **asked):
    try:
        sts.assume_role(RoleArn=role, RoleSessionName="peer", **asked)
        problems.append(f"{what} is not refused")
    except ClientError as error:
        good(f"{what}: {error}", error.response["Error"]["Code"] == code)


refused("no code", "AccessDenied")
refused("a wrong code", "AccessDenied", SerialNumber=device, TokenCode="000000")
refused("another device", "AccessDenied", SerialNumber=device + "x", TokenCode="123456")
given = sts.assume_role(RoleArn=role, RoleSessionName="peer", SerialNumber=device, TokenCode="123456", DurationSeconds=7200)
keys = given["Credentials"]
left = keys["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
good(f"it ends in {left}", datetime.timedelta(minutes=119) < left <= datetime.timedelta(minutes=120))
refused("a code that was used", "AccessDenied", SerialNumber=device, TokenCode="123456")


def whoami(token):
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], token, region_name="eu-west-1")
    return session.client("sts", config=config).get_caller_identity()["Arn"]


good("the session is another's", "assumed-role/drill-mfa" in whoami(keys["SessionToken"]))
try:
    whoami("another token")
    problems.append("any token is good")
except ClientError:
    pass


def held(operation_model, response_dict, **_):
    if response_dict["status_code"] == 200:
        body = json.loads(response_dict["body"])["roleCredentials"]
        members = operation_model.output_shape.members["roleCredentials"].members
        good(f"{set(body)} for {set(members)}", set(body) == set(members))
        good("the end is no long number", isinstance(body["expiration"], int))


sso = boto3.client("sso", config=config)
sso.meta.events.register("before-parse", held)
got = sso.get_role_credentials(roleName="Driller", accountId="111122223333", accessToken="login-hush")["roleCredentials"]
good("no token of a session", got["sessionToken"].startswith("token-of-"))
try:
    sso.get_role_credentials(roleName="Driller", accountId="111122223333", accessToken="another")
    problems.append("any login is good")
except sso.exceptions.UnauthorizedException:
    pass

print("\n".join(problems))
raise SystemExit(1 if problems else 0)
