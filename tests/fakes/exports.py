"""Exports of a table as DynamoDB writes them, in a folder.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ID = "01693685827463-2d8752fd"
FULL: Mapping[str, Any] = {
    "version": "2020-06-30",
    "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/ProductCatalog",
    "exportTime": "2020-11-04T07:28:34.028Z",
    "outputFormat": "DYNAMODB_JSON",
}
INCREMENTAL: Mapping[str, Any] = {
    "version": "2023-08-01",
    "tableArn": "arn:aws:dynamodb:us-east-1:599882009758:table/export-test",
    "exportFromTime": "2023-09-18T17:00:00.000Z",
    "exportToTime": "2023-09-19T04:00:00.000Z",
    "outputFormat": "DYNAMODB_JSON",
    "outputView": "NEW_AND_OLD_IMAGES",
    "exportType": "INCREMENTAL_EXPORT",
}


def exported(root: Path, items: Iterable[Any], **summary: Any) -> Path:
    """A full export of these items in two files and an empty one; the folder of its manifests."""
    found = list(items)
    half = len(found) // 2
    parts = [[{"Item": item} for item in part] for part in (found[:half], found[half:], [])]
    return written(root, parts, {**FULL, **summary}, f"AWSDynamoDB/{ID}/data")


def exported_changes(root: Path, lines: Sequence[Any], **summary: Any) -> Path:
    """An incremental export of these lines."""
    return written(root, [lines], {**INCREMENTAL, **summary}, "AWSDynamoDB/data")


def written(root: Path, parts: Sequence[Sequence[Any]], summary: Mapping[str, Any], data: str) -> Path:
    """Data files with these lines, and manifests about them."""
    folder, entries = root / "AWSDynamoDB" / ID, []
    for each in (folder, root / data):
        each.mkdir(parents=True)
    for at, part in enumerate(parts):
        content = gzip.compress("".join(json.dumps(line) + "\n" for line in part).encode())
        name = f"{data}/{at}sgad6417s6vss4p7owp0471bcq.json.gz"
        (root / name).write_bytes(content)
        digest = hashlib.md5(content)
        entries.append(
            {
                "itemCount": len(part),
                "md5Checksum": base64.b64encode(digest.digest()).decode(),
                "etag": f"{digest.hexdigest()}-1",
                "dataFileS3Key": name,
            }
        )
    total = sum(len(part) for part in parts)
    manifest(folder, "manifest-files", "".join(json.dumps(each) + "\n" for each in entries))
    manifest(folder, "manifest-summary", json.dumps({**summary, "itemCount": total}))
    (folder / "_started").touch()
    return folder


def manifest(folder: Path, name: str, content: str) -> None:
    """A manifest with its checksum."""
    (folder / f"{name}.json").write_text(content)
    digest = hashlib.md5(content.encode(), usedforsecurity=False).digest()
    (folder / f"{name}.md5").write_text(base64.b64encode(digest).decode())
