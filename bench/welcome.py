"""A message to each new user, by welcome and by a handler on Powertools' Idempotency: cost, speed, and a crash."""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from bench.consume import Context
from bench.crash import Crash
from bench.harness import Row, row
from bench.meter import Meter
from distributary.consumer.aws import client
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.client import connect
from distributary.stream.change import Kind
from distributary.stream.entity import Entity
from distributary.welcome.factory import build
from distributary.welcome.messages import Content
from distributary.welcome.rules import Rule
from distributary.welcome.settings import WelcomeSettings
from local.emulators import embedded

PEER = "Powertools idempotent_function"
MESSAGES, BATCH = 500, 100
LEASE_SECONDS = 12
SENDER = "bench@example.com"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "Distributary",
    "POWERTOOLS_SERVICE_NAME": "bench",
}
USER = Entity(name="user", keys=("user_id",), attributes=("email", "name"))
RULE = Rule(name="welcome", of=USER, to="email", content={"en": Content("Welcome, {{name}}", "Hello {{name}}!")})
SETTINGS = WelcomeSettings(
    parking_bucket="bench",
    generation=0,
    claim_table="ours",
    claim_days=30,
    max_age_seconds=3600,
    event_names=frozenset(Kind),
    send_rate=1e6,
    concurrency=1,
    sender=SENDER,
    reply_to="",
    configuration_set="",
    topic_arn="",
    sms_calling_codes=(),
    event_bus="",
)

Handler = Callable[[dict[str, Any]], Mapping[str, Any]]


def rows() -> list[Row]:
    """Per 1,000 messages: requests to DynamoDB and write units; milliseconds; messages twice after a crash."""
    with embedded() as endpoints, mock.patch.dict(os.environ, {**ENVIRONMENT, "AWS_ENDPOINT_URL": endpoints.aws}):
        ours, theirs = _measured(_ours, connect(None)), _measured(_theirs, client("dynamodb"))
    figures = (
        ("requests to DynamoDB", "per 1,000"),
        ("write units", "per 1,000"),
        ("wall time per message", "ms"),
        ("messages sent twice", "after a crash"),
    )
    targets = (None, None, None, 0.0)
    return [
        row("welcome", "new users", *figure, mine, peer, PEER, target)
        for figure, mine, peer, target in zip(figures, ours, theirs, targets, strict=True)
    ]


def _measured(built: Callable[[Any, Any], Handler], dynamodb: Any) -> tuple[float, float, float, float]:
    ses, table = client("sesv2", attempts=1), built.__name__.strip("_")
    _create(client("dynamodb"), table)
    handler, meter, sent = built(dynamodb, ses), Meter(), _Sent(ses)
    _handled(handler, _event(range(1_000_000, 1_000_000 + BATCH)))
    meter.watch(dynamodb)
    began = time.perf_counter()
    for first in range(0, MESSAGES, BATCH):
        _handled(handler, _event(range(first, first + BATCH)))
    wall = (time.perf_counter() - began) * 1e3 / MESSAGES
    per = MESSAGES / 1000
    return meter.requests.total() / per, meter.write_units / per, wall, float(_twice(handler, sent))


def _twice(handler: Handler, sent: "_Sent") -> int:
    """The process dies once a message is out; its record comes again after every lease."""
    event = _event(range(2_000_000, 2_000_001))
    with contextlib.suppress(Crash), sent.dying():
        _handled(handler, event)
    time.sleep(LEASE_SECONDS + 1)
    with contextlib.suppress(AssertionError):
        _handled(handler, event)
    return max(0, sent.to["2000000@example.com"] - 1)


class _Sent:
    """Counts the messages that SES took, and can end the process behind one."""

    def __init__(self, ses: Any) -> None:
        self.to: dict[str, int] = {}
        self._dying = False
        ses.meta.events.register("provide-client-params.sesv2.SendEmail", self._asked)
        ses.meta.events.register("after-call.sesv2.SendEmail", self._taken)

    @contextlib.contextmanager
    def dying(self) -> Iterator[None]:
        """As long as the block runs, the first message is the process's last."""
        self._dying = True
        try:
            yield
        finally:
            self._dying = False

    def _asked(self, params: Mapping[str, Any], **_: Any) -> None:
        (to,) = params["Destination"]["ToAddresses"]
        self.to[to] = self.to.get(to, 0) + 1

    def _taken(self, **_: Any) -> None:
        if self._dying:
            raise Crash


class _Soon(Context):
    """An invocation with twelve seconds to go, which is how long its claims are held."""

    def get_remaining_time_in_millis(self) -> int:
        """Twelve seconds."""
        return LEASE_SECONDS * 1000


def _ours(dynamodb: Any, ses: Any) -> Handler:
    """As functions/welcome/app.py puts it together, at whatever pace."""
    parallel = Parallel()
    clients = {"dynamodb": dynamodb, "sesv2": ses}
    branch = build([RULE], SETTINGS, lambda service, *_, **__: clients[service], parallel)
    deployed = Deployment(branch, Parking(None, "bench", "welcome", parallel), Telemetry("welcome"), Streams(0))
    return lambda event: consume(event, _Soon(), deployed)


def _theirs(dynamodb: Any, ses: Any) -> Handler:
    """As Powertools' documentation shows it: an idempotent function for each record of a batch.
    https://docs.powertools.aws.dev/lambda/python/latest/utilities/idempotency/"""
    layer = DynamoDBPersistenceLayer(table_name="theirs", boto3_client=dynamodb)
    config = IdempotencyConfig(event_key_jmespath="user_id")
    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="user", persistence_store=layer, config=config
    )
    def greet(user: dict[str, Any]) -> str:
        content = {
            "Simple": {
                "Subject": {"Data": f"Welcome, {user['name']}"},
                "Body": {"Text": {"Data": f"Hello {user['name']}!"}},
            }
        }
        destination = {"ToAddresses": [user["email"]]}
        return str(ses.send_email(FromEmailAddress=SENDER, Destination=destination, Content=content)["MessageId"])

    def record_handler(record: DynamoDBRecord) -> None:
        assert record.dynamodb is not None
        new = record.dynamodb.new_image
        greet(user={name: new[name] for name in ("user_id", "email", "name")})

    def handler(event: dict[str, Any]) -> Mapping[str, Any]:
        config.register_lambda_context(_Soon())  # type: ignore[arg-type]
        return process_partial_response(event, record_handler, processor)

    return handler


def _handled(handler: Handler, event: dict[str, Any]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        answer = handler(event)
    assert not answer["batchItemFailures"], answer


def _create(dynamodb: Any, table: str) -> None:
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def _event(users: Iterable[int]) -> dict[str, Any]:
    return {"Records": [_record(user) for user in users]}


def _record(user: int) -> dict[str, Any]:
    keys = {"user_id": {"S": f"u-{user}"}}
    body = {
        "ApproximateCreationDateTime": time.time(),
        "Keys": keys,
        "NewImage": {**keys, "email": {"S": f"{user}@example.com"}, "name": {"S": "Zoë"}},
        "SequenceNumber": str(6200000000002513011398 + user),
        "SizeBytes": 80,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    return {
        "eventID": f"{user:032x}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-01T00:00:00.000",
        "dynamodb": body,
    }
