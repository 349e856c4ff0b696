"""One way to reach AWS, or whatever answers like it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from distributary.consumer.aws import NO_CREDENTIALS, NO_REGION, how_to_reach
from local.errors import LocalError

ACCOUNT = "000000000000"
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Aws:
    """An endpoint (None = AWS itself), a region, and credentials."""

    endpoint: str | None
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def at_emulator(cls, endpoint: str, region: str) -> "Aws":
        """An emulator, which takes any credentials."""
        return cls(endpoint, region, "test", "test")

    @classmethod
    def of_user(cls, endpoint: str | None, region: str | None) -> "Aws":
        """With the user's own region and credentials. LocalError if there are none."""
        session = boto3.Session()
        region = region or os.environ.get("AWS_REGION") or session.region_name
        if not region:
            raise LocalError(NO_REGION)
        credentials = session.get_credentials()
        if credentials is None:
            raise LocalError(NO_CREDENTIALS)
        fixed = credentials.get_frozen_credentials()
        return cls(endpoint, region, fixed.access_key or "", fixed.secret_key or "", fixed.token or "")

    def client(self, service: str, region: str | None = None, attempts: int | None = None) -> Any:
        """A boto3 client that waits at most 10 s for an answer, and asks `attempts` times (default: ATTEMPTS)."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name=region or self.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            aws_session_token=self.token or None,
            config=Config(
                connect_timeout=5,
                read_timeout=10,
                max_pool_connections=32,
                retries={"mode": "standard", "total_max_attempts": attempts or ATTEMPTS},
                s3={"addressing_style": "path"} if self.endpoint else None,
            ),
        )

    def environment(self) -> dict[str, str]:
        """What a process needs to reach the same place."""
        given = {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.token,
            "AWS_ENDPOINT_URL": self.endpoint or "",
        }
        return {name: value for name, value in given.items() if value}


@contextmanager
def said_in_one_line(doing: str) -> Iterator[None]:
    """Turns what boto3 raises within the block into a LocalError."""
    try:
        yield
    except ClientError as error:
        fault = error.response.get("Error", {})
        code = fault.get("Code")
        fix = "; correct its name, --region or --endpoint-url" if code == "ResourceNotFoundException" else ""
        raise LocalError(f"{doing}: {code}: {_line(fault.get('Message', ''))}{fix}") from error
    except BotoCoreError as error:
        why = how_to_reach(error) or f"{_line(str(error))} (check endpoint, region and credentials)"
        raise LocalError(f"{doing}: {why}") from error


def _line(text: str) -> str:
    return " ".join(text.split())
