"""Builds the functions and deploys the template to a running ministack, with SAM's own commands."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botocore.exceptions import ClientError

from local.aws import client
from local.ministack import CREDENTIALS, ROOT, clean_environment
from local.routes import make_routes

STACK_NAME = "connects-ledger-local"
"""As samconfig.toml has it."""
MAIL_DOMAIN = "example.com"
"""Of the sender that samconfig.toml names."""
SOURCES = ("template.yaml", "samconfig.toml", "Makefile", "functions", "shared", "local/deploy.py", "local/routes.py")
SAM = Path(sys.executable).with_name("sam")
LOG = ROOT / ".local" / "deploy.log"
LINES_OF_A_FAILURE = 12


class DeployError(Exception):
    """A build or a deployment that failed; the message is for a person."""


@contextmanager
def step(what: str) -> Iterator[None]:
    print(f"{what} ...", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", file=sys.stderr)
        raise
    print(f"{time.monotonic() - started:.1f} s", file=sys.stderr)


def deploy(endpoint_url: str) -> None:
    """Build, deploy, and add what ministack leaves out. Safe to repeat."""
    LOG.unlink(missing_ok=True)
    with step("Building the functions"):
        sam("build", endpoint_url)
    with step("Deploying the stack"):
        sam("deploy", endpoint_url)
    with step("Making the API's routes"):
        make_routes(endpoint_url, STACK_NAME)
        repair_triggers(endpoint_url)
        let_mailer_send(endpoint_url)


def sam(command: str, endpoint_url: str) -> None:
    environment = clean_environment() | {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint_url,
        "SAM_CLI_TELEMETRY": "0",
        "LAMBDA_PLATFORM": "here",  # ministack runs the functions with the Python that it runs on itself
        # The flags of a `make -s` or `make -j` around this are not meant for the builds.
        "MAKEFLAGS": "",
    }
    done = subprocess.run(
        [SAM, command, "--config-env", "local"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    with LOG.open("a") as log:
        log.write(done.stdout)
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-LINES_OF_A_FAILURE:])
        raise DeployError(f"sam {command} failed (all of it: {LOG}):\n{tail}")


def repair_triggers(endpoint_url: str) -> None:
    """Set limits as numbers: ministack turns a `!Ref` to a Number parameter into a string, and fails on it."""
    functions = client("lambda", endpoint_url)
    for trigger in functions.list_event_source_mappings()["EventSourceMappings"]:
        if limit := trigger.get("ScalingConfig", {}).get("MaximumConcurrency"):
            functions.update_event_source_mapping(
                UUID=trigger["UUID"], ScalingConfig={"MaximumConcurrency": int(limit)}
            )


def let_mailer_send(endpoint_url: str) -> None:
    """Verify the sender's domain, as an operator does once, and so all receivers in it: SES starts in its sandbox.

    SES checks the right to send on an identity, for which the template grants it; ministack checks it on `*`.
    """
    ses = client("sesv2", endpoint_url)
    with suppress(ses.exceptions.AlreadyExistsException):
        ses.create_email_identity(EmailIdentity=MAIL_DOMAIN)
    resource = client("cloudformation", endpoint_url).describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId="MailerFunctionRole"
    )
    right = {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"}
    client("iam", endpoint_url).put_role_policy(
        RoleName=resource["StackResourceDetail"]["PhysicalResourceId"],
        PolicyName="SendAsMinistackAsks",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [right]}),
    )


def is_deployed(endpoint_url: str) -> bool:
    try:
        described = client("cloudformation", endpoint_url).describe_stacks(StackName=STACK_NAME)
    except ClientError:
        return False
    return described["Stacks"][0]["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


def outputs(endpoint_url: str) -> dict[str, str]:
    described = client("cloudformation", endpoint_url).describe_stacks(StackName=STACK_NAME)
    return {each["OutputKey"]: each["OutputValue"] for each in described["Stacks"][0]["Outputs"]}


def fingerprint() -> str:
    """A hash of all that a deployment is made from, without the READMEs, which are not packaged."""
    digest = hashlib.sha256()
    for top in (ROOT / source for source in SOURCES):
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
