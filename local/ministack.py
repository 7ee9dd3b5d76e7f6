"""ministack as a process of ours: how it is configured, started, awaited and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
REGION = "us-east-1"
ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 30
# What clients sign requests to the local engines with. No real credentials are read or needed.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class EngineError(Exception):
    """An engine that does not start; the message is one line for a person."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False


def clean_environment() -> dict[str, str]:
    """This process's environment without anything that could lead an AWS client to a real account."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def server_environment(port: int, state: Path | None) -> dict[str, str]:
    environment = clean_environment() | {
        **CREDENTIALS,
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "INFO",
        # Listeners and a container daemon that nothing here needs.
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if state is None:
        return environment
    return environment | {
        "AUTH": "true",  # a function may do what its role allows and nothing else, as on AWS
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
    }


def start(port: int, log: Path, state: Path | None = None) -> subprocess.Popen[bytes]:
    """Start ministack on loopback and return once it answers; with `state` it keeps its data across runs."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.server"],
            cwd=ROOT,
            env=server_environment(port, state),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C on `make demo` must not end the stack in the middle of a save
        )
    try:
        wait_until_it_answers(process, f"http://{HOST}:{port}/_ministack/ready", f"ministack (log: {log})")
    except BaseException:
        end(process)
        raise
    return process


def wait_until_it_answers(process: subprocess.Popen[bytes], url: str, name: str) -> None:
    """Any HTTP answer but 503 counts: DynamoDB Local answers an unsigned request with 400."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EngineError(f"{name} ended as it started, with status {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
                return
        except urllib.error.HTTPError as answer:
            if answer.code != 503:  # noqa: PLR2004
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise EngineError(f"{name} did not answer within {START_SECONDS} s")


def stop(pid: int) -> None:
    """End what `start` started: first the server, so that it saves its state, then the workers that it leaves."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and is_running(pid):
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    stop(process.pid)
    process.wait()  # it has ended by now; this updates the Popen object


def is_running(pid: int) -> bool:
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
