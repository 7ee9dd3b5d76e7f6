"""`make up` and `make down`: the whole stack as one tree of processes, its state under .local/."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import ministack
from local.deploy import STACK_NAME, DeployError, deploy, fingerprint, is_deployed, outputs, step

FOLDER = ministack.ROOT / ".local"
DESCRIPTION = FOLDER / "stack.json"
PID = FOLDER / "ministack.pid"
LOG = FOLDER / "ministack.log"
STATE = FOLDER / "state"
DEFAULT_PORT = 4777


@dataclass(frozen=True, slots=True)
class Running:
    """The server that `up` started."""

    pid: int
    port: int


class StackError(Exception):
    """Why the stack cannot start, in a line for a person."""


def up(port: int | None = None) -> dict[str, Any]:
    """Start and deploy the stack, as far as it is not yet, and return its description."""
    before = describe()
    running = find_running()
    if running and port not in {None, running.port}:
        raise StackError(f"the stack is up on port {running.port}: `make down` before moving it to {port}")
    port = running.port if running else port or before.get("port") or DEFAULT_PORT
    if not running:
        move_state(before.get("port"), port)
        forget_stream_positions()
        running = start(port)
    endpoint_url = f"http://{ministack.HOST}:{port}"
    wanted = fingerprint()
    if before.get("fingerprint") != wanted or not is_deployed(endpoint_url):
        deploy(endpoint_url)
    description = {
        "api_url": api_url(endpoint_url),
        "endpoint_url": endpoint_url,
        "region": ministack.REGION,
        "stack_name": STACK_NAME,
        **from_outputs(outputs(endpoint_url)),
        "port": port,
        "pid": running.pid,
        "fingerprint": wanted,
    }
    DESCRIPTION.write_text(json.dumps(description, indent=2) + "\n")
    return description


def move_state(old: int | None, new: int) -> None:
    """Write the new port into the state: the URLs of queues, also in the functions' environments, contain the port."""
    if ministack.port_is_taken(new):
        raise StackError(f"port {new} is taken by another program: choose one, as in `make up PORT={new + 1}`")
    if old not in {None, new}:
        for saved in STATE.glob("services/*.json"):
            text = saved.read_text()
            saved.write_text(text.replace(f"{ministack.HOST}:{old}", f"{ministack.HOST}:{new}"))


def forget_stream_positions() -> None:
    """Have the streams read from their beginning: ministack keeps how far each was read, and not what is in it."""
    saved = STATE / "services" / "lambda.json"
    if saved.exists():
        state = json.loads(saved.read_text())
        state["payload"]["dynamodb_stream_positions"]["data"] = {}
        saved.write_text(json.dumps(state))


def start(port: int) -> Running:
    with step(f"Starting ministack on {ministack.HOST}:{port}"):
        process = ministack.start(port, LOG, STATE)
    PID.write_text(f"{process.pid} {port}\n")
    return Running(process.pid, port)


def down() -> bool:
    """End what `up` started, once it has saved its state. Returns whether anything ran."""
    running = find_running()
    if running:
        with step("Stopping the stack"):
            ministack.stop(running.pid)
    PID.unlink(missing_ok=True)
    return running is not None


def find_running() -> Running | None:
    """The server that `up` started, if it still runs and its process id has not gone to another program."""
    try:
        pid, port = map(int, PID.read_text().split())
    except (OSError, ValueError):
        return None
    return Running(pid, port) if ministack.is_running(pid) and is_ours(pid) else None


def is_ours(pid: int) -> bool:
    command_line = Path(f"/proc/{pid}/cmdline")
    if not command_line.parent.parent.joinpath("self").exists():
        return True  # no /proc here (macOS): the process id has to do
    return b"local.server" in command_line.read_bytes()


def describe() -> dict[str, Any]:
    try:
        description: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    except (OSError, ValueError):
        return {}
    return description


def api_url(endpoint_url: str) -> str:
    # The stage's name is `$default`, encoded so that no shell takes it for a variable.
    return f"{endpoint_url}/_aws/execute-api/{outputs(endpoint_url)['ApiId']}/%24default"


def from_outputs(found: dict[str, str]) -> dict[str, str]:
    return {
        "api_id": found["ApiId"],
        "table": found["TableName"],
        "sandbox_table": found["SandboxTableName"],
        "payment_secret": found["PaymentSecretArn"],
        "user_pool_id": found["UserPoolId"],
        "user_client_id": found["UserClientId"],
        "service_client_id": found["ServiceClientId"],
        "staff_client_id": found["StaffClientId"],
    }


def main(arguments: list[str]) -> None:
    match arguments:
        case ["up", *port]:
            description = up(int(port[0]) if port else None)
            print(f"The API answers at {description['api_url']}")
            print("`make -s token ACCOUNT=ann` prints a token; .local/stack.json has the rest; `make down` ends it.")
        case ["down"]:
            print("The stack is down; what it holds is kept." if down() else "The stack was not up.")
        case _:
            raise SystemExit("usage: python -m local.stack up [PORT] | down")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (StackError, DeployError, ministack.EngineError, BotoCoreError, ClientError) as error:
        raise SystemExit(str(error)) from None
