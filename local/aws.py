"""boto3 clients for a local engine, which never use the credentials, profile or region of whoever runs this."""

from functools import cache
from typing import Any

import boto3

from local.ministack import CREDENTIALS, REGION


@cache
def client(service: str, endpoint_url: str) -> Any:  # noqa: ANN401 - boto3 makes its clients as it runs
    session: Any = boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    return session.client(service, endpoint_url=endpoint_url)
