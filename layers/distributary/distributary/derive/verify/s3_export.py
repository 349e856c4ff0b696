"""A full export of a table, read in pages from a folder or from S3."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from distributary.consumer.aws import AwsError, code_of
from distributary.derive.delta import Row
from distributary.errors import ConfigError, Unavailable

PAGE = 1000
_ENDING = ".json.gz"


def pages(place: str, s3: Callable[[], Any]) -> Iterator[list[Row]]:
    """Items of all data files below a folder or `s3://bucket/prefix`, in DynamoDB JSON.

    Raises ConfigError for what is no export, Unavailable where S3 breaks off.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html"""
    files = _objects(place, s3()) if place.startswith("s3://") else _files(Path(place))
    found = False
    for name, opened in files:
        found = True
        with closing(opened) as file:
            yield from _pages(name, file)
    if not found:
        raise ConfigError(f"--export: there is no data file (*{_ENDING}) below {place}")


def _pages(name: str, file: IO[bytes]) -> Iterator[list[Row]]:
    page: list[Row] = []
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                page.append(json.loads(line)["Item"])
                if len(page) == PAGE:
                    yield page
                    page = []
    except AwsError as error:
        raise Unavailable(f"--export: {name}: {code_of(error)}", str(error)) from error
    except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise ConfigError(f"--export: {name} is no file of a full export in DynamoDB JSON: {error!r}") from None
    yield page


def _files(folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for path in sorted(folder.rglob(f"*{_ENDING}")):
        yield path.name, path.open("rb")


def _objects(place: str, s3: Any) -> Iterator[tuple[str, IO[bytes]]]:
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                if each["Key"].endswith(_ENDING):
                    yield each["Key"], s3.get_object(Bucket=bucket, Key=each["Key"])["Body"]
    except AwsError as error:
        raise ConfigError(f"--export: {place}: {code_of(error)}; correct the address or the permissions") from None
