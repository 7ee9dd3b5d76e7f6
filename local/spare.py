"""A stack to test or to measure against: the one that is up, else a temporary one.

with any_stack() as stack: ...  # its description, as in .local/stack.json
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local import ministack
from local.deploy import STACK_NAME, deploy, outputs, step
from local.stack import FOLDER, api_url, find_running, from_outputs, up

LOG = FOLDER / "spare.log"


@contextmanager
def any_stack() -> Iterator[dict[str, Any]]:
    if find_running():
        yield up()  # deploys what has changed since
    else:
        with spare_stack() as stack:
            yield stack


@contextmanager
def spare_stack() -> Iterator[dict[str, Any]]:
    """A stack built and deployed as by `make up`, on a free port and in memory; what `make up` keeps is not touched."""
    port = ministack.free_port()
    with step(f"Starting a ministack on {ministack.HOST}:{port}"):
        process = ministack.start(port, LOG)
    try:
        endpoint_url = f"http://{ministack.HOST}:{port}"
        deploy(endpoint_url)
        yield {
            "api_url": api_url(endpoint_url),
            "endpoint_url": endpoint_url,
            "region": ministack.REGION,
            "stack_name": STACK_NAME,
            **from_outputs(outputs(endpoint_url)),
        }
    finally:
        ministack.end(process)
