"""What should be downstream, by plain Python over what S3 says of each object. The table is not looked at."""

from collections import Counter
from typing import Any

from examples.s3_metadata.workload import BUCKET, Journal
from local.downstream import Downstream, Rows
from local.examples import Tables

Heads = dict[str, dict[str, Any]]


def expected(_: Tables, journal: Journal) -> Downstream:
    """See `Example`."""
    return Downstream({**_totals(journal.objects), **_orphans(journal.objects)}, _documents(journal.objects))


def _class(head: dict[str, Any]) -> str:
    return str(head.get("StorageClass", "STANDARD"))


def _totals(objects: Heads) -> Rows:
    many, size = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for key, head in objects.items():
        folders = [key[: at + 1] for at, letter in enumerate(key) if letter == "/"]
        for folder in ("/", *folders):
            many[folder, _class(head)] += 1
            size[folder, _class(head)] += head["ContentLength"]
    return {
        f"FOLDER#{BUCKET}#{folder} / CLASS#{kind}": {"objects": many[folder, kind], "bytes": size[folder, kind]}
        for folder, kind in many
    }


def _orphans(objects: Heads) -> Rows:
    found: Rows = {}
    for key, head in objects.items():
        source = head["Metadata"].get("source")
        if key.startswith("previews/") and source not in objects:
            shown = {"size": head["ContentLength"], "meta_source": source}
            found[f"ORPHANS#{BUCKET} / PREVIEW#{key}"] = shown
    return found


def _documents(objects: Heads) -> Rows:
    found: Rows = {}
    for key, head in objects.items():
        found[f"objects / {key}"] = {
            "bucket": BUCKET,
            "key": key,
            "size": head["ContentLength"],
            "etag": head["ETag"].strip('"'),
            "content_type": head["ContentType"],
            "storage_class": _class(head),
            "modified": head["LastModified"].isoformat(),
            **head["Metadata"],
        }
    return found
