"""The manifests of an export: which files it has, and what they hold.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
"""

import base64
import hashlib
import json
import posixpath
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, code_of
from distributary.errors import ConfigError, Unavailable
from distributary.readers.lines import Expected, fault_of
from distributary.readers.place import Place

SUMMARY, FILES = "manifest-summary", "manifest-files"
CHECKSUMS = ("md5", "checksum")
"""How the files with the manifests' checksums end."""

INCREMENTAL = "INCREMENTAL_EXPORT"
FORMAT = "DYNAMODB_JSON"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file by its name below the place, and what the manifest says of it."""

    name: str
    expected: Expected


@dataclass(frozen=True, slots=True)
class Manifest:
    """An export. `folder` is where its manifests are, below the place, empty or with a `/` at the end."""

    folder: str
    summary: Mapping[str, Any]
    files: tuple[DataFile, ...]

    @property
    def incremental(self) -> bool:
        """Whether it holds changes, not items. A full export may say nothing of its type."""
        return self.summary.get("exportType") == INCREMENTAL


def find(place: Place) -> Manifest:
    """The one export below a place, its manifests checked against their checksums and each other.

    Raises ConfigError if there is none or more than one, or if something is missing, damaged or contradictory.
    """
    found = [name for name in place.names() if posixpath.basename(name) == f"{SUMMARY}.json"]
    if len(found) != 1:
        ids = ", ".join(posixpath.basename(posixpath.dirname(name)) for name in found[:5])
        raise ConfigError(
            f"{place.shown('')}: there are {len(found)} exports below it ({ids}); give the folder of one: it holds its "
            f"{SUMMARY}.json"
            if found
            else f"{place.shown('')}: there is no {SUMMARY}.json below it; without it no reader knows what is missing"
        )
    folder = found[0].removesuffix(f"{SUMMARY}.json")
    summary = _objects(place, folder, SUMMARY, lines=False)[0]
    if summary.get("outputFormat") != FORMAT:
        raise ConfigError(f"{place.shown(found[0])}: outputFormat is not {FORMAT}: export the table in that format")
    files = tuple(_file(place, folder, each) for each in _objects(place, folder, FILES, lines=True))
    total = sum(each.expected.count for each in files)
    if total != summary.get("itemCount"):
        raise ConfigError(
            f"{place.shown(found[0])}: itemCount is {summary.get('itemCount')}, and its files have {total}"
        )
    return Manifest(folder, summary, files)


def _objects(place: Place, folder: str, name: str, lines: bool) -> list[dict[str, Any]]:
    content = _content(place, f"{folder}{name}.json")
    checksum = _content(place, _checksum(place, folder, name))
    shown, digest = place.shown(f"{folder}{name}.json"), hashlib.md5(content, usedforsecurity=False)
    if checksum.decode(errors="replace").strip() not in (
        base64.b64encode(digest.digest()).decode(),
        digest.hexdigest(),
    ):
        raise ConfigError(f"{shown}: its MD5 is not the one beside it: one of them was changed")
    found = []
    for number, text in enumerate(content.splitlines() if lines else [content], 1):
        try:
            each = json.loads(text)
            if not isinstance(each, dict):
                raise ValueError("no object")
        except ValueError as error:
            raise ConfigError(f"{shown}:{number}: this is no JSON object: {error}") from None
        found.append(each)
    return found


def _checksum(place: Place, folder: str, name: str) -> str:
    """The file with a manifest's checksum. AWS documents one name, and exports have the other."""
    for ending in CHECKSUMS:
        if f"{folder}{name}.{ending}" in place.names(f"{folder}{name}."):
            return f"{folder}{name}.{ending}"
    raise ConfigError(f"{place.shown(folder + name)}: neither .{' nor .'.join(CHECKSUMS)} is there")


def _content(place: Place, name: str) -> bytes:
    try:
        with closing(place.open(name)) as file:
            return file.read()
    except AwsError as error:
        raise Unavailable(f"{place.shown(name)}: {code_of(error)}", str(error)) from error


def _file(place: Place, folder: str, entry: Mapping[str, Any]) -> DataFile:
    """A data file is found relative to the manifest, so that an export may be copied to another place. A full export
    has it in `data/` beside its manifests, an incremental one in a `data/` that all exports of a prefix share."""
    try:
        key, count, md5 = entry["dataFileS3Key"], entry["itemCount"], entry["md5Checksum"]
        if not (isinstance(key, str) and isinstance(count, int) and isinstance(md5, str)):
            raise ValueError("a value has the wrong type")
        parent = posixpath.basename(posixpath.dirname(posixpath.dirname(key)))
        base = posixpath.basename(key)
        if posixpath.basename(posixpath.dirname(key)) != "data" or not base:
            raise ValueError("dataFileS3Key names no file of a folder 'data'")
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{place.shown(folder + FILES)}.json: an entry is no data file: {fault_of(error)}") from None
    above = "../" if parent == "AWSDynamoDB" else ""
    return DataFile(posixpath.normpath(f"{folder}{above}data/{base}"), Expected(count, md5))
