"""Serves the stack's tables, queues and secret to functions that `sam local` runs, until Ctrl-C.

A container cannot reach the loopback address, on which everything else here listens. So this listens on Docker's own
bridge, which no other machine reaches. Another address can be given as the argument.
"""

import base64
import os
import signal
import socket
import subprocess
import sys
import time

from local.aws import client
from local.ministack import ROOT, EngineError, end, server_environment, wait_until_it_answers
from tests.table import LEDGER, SANDBOX, create_table, template
from tests.template.transform import unroll

BRIDGE = "172.17.0.1"
PORT = 4790
# `sam local` replaces a reference to a resource with its logical id, so that is each one's name here.
TABLES = (LEDGER, SANDBOX)
QUEUES = [name for name, each in unroll(template()["Resources"]).items() if each["Type"] == "AWS::SQS::Queue"]


def main(address: str = BRIDGE) -> None:
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)  # as Ctrl-C
    with socket.socket() as probe:
        if probe.connect_ex((address, PORT)) == 0:
            raise EngineError(f"port {PORT} of {address} is taken")
    url = f"http://{address}:{PORT}"
    environment = server_environment(PORT, None) | {"BIND_HOST": address, "MINISTACK_HOST": address}
    server = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_it_answers(server, f"{url}/_ministack/ready", f"ministack at {url}")
        for table in TABLES:
            create_table(client("dynamodb", url), table, table)
        for queue in QUEUES:
            client("sqs", url).create_queue(QueueName=queue)
        secret = base64.b64encode(os.urandom(48)).decode()
        client("secretsmanager", url).create_secret(Name="PaymentSecret", SecretString=secret)
        print(f"Tables and queues for sam local are at {url}. Ctrl-C ends and forgets them.", flush=True)
        while server.poll() is None:
            time.sleep(1)
    except KeyboardInterrupt:
        print("Ended.")
    finally:
        end(server)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except EngineError as error:
        raise SystemExit(f"{error} (is Docker running, and its bridge there?)") from None
