"""`verify index TABLE`: 0 all equal, 1 differences remain, 2 the comparison could not be completed."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from distributary.consumer.aws import AwsError, why_no_client
from distributary.dynamodb.key_schema import key_names
from distributary.errors import ConfigError
from distributary.index.described import history
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import Declared, load
from distributary.index.verify.comparison import Comparator
from distributary.index.verify.verifier import Verify
from distributary.stream import version as versions
from distributary.stream.entity import other_keys
from distributary.verify.parked import ParkedItems
from distributary.verify.progress import Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where table and index are, and how they are read. `pause`: seconds between looks, longer than the lag. `index`:
    its name in indexes.py, if there are several. `parking`: the bucket that tells whose changes are parked; none if
    empty."""

    table: str
    endpoint: str | None = None
    service: str = "es"
    secret: str = "none"
    index: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    segments: int = 4
    pause: float = 10.0
    parking: str = ""


def build(
    options: Options,
    generation: int,
    repair: bool = False,
    progress: Progress = silent,
) -> Verify:
    """Raises ConfigError, every fault at once."""
    faults = []
    faults += [] if options.endpoint else ["--endpoint is missing: give the domain's address"]
    faults += [] if 1 <= options.segments <= 64 else ["--segments: give 1 to 64"]
    faults += [] if 0 <= options.pause <= 3600 else ["--pause: give 0 to 3600 seconds"]
    faults += [] if 0 <= generation < versions.GENERATIONS else ["--generation: give the function's GENERATION"]
    if faults:
        raise ConfigError(faults)
    indexes, search = load(options.index), connect(str(options.endpoint), options.service, options.secret)
    dynamodb = client("dynamodb", options)
    keys = key_names(dynamodb, options.table)
    if faults := other_keys({f"index '{index.name}'": index.of for index in indexes}, keys):
        raise ConfigError(faults)
    comparator = Comparator(Declared.of(indexes, search, generation), search, dynamodb, options.table, keys)
    verify = Verify(comparator, options.segments, options.pause, repair, progress)
    verify.history = history(search, indexes, generation)
    if options.parking:
        verify.parked = ParkedItems.of(client("s3", options), options.parking, "index", options.table)
    return verify


def client(service: str, options: Options) -> Any:
    """A boto3 client that is patient, for commands have time. Raises ConfigError."""
    config = Config(max_pool_connections=64, retries={"mode": "adaptive", "total_max_attempts": 10})
    session = boto3.Session(region_name=options.region)
    try:
        return session.client(service, endpoint_url=options.endpoint_url, config=config)  # type: ignore[call-overload]
    except (*AwsError, ValueError) as error:
        raise ConfigError(why_no_client(error)) from None
