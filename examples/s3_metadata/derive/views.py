"""What is kept of a bucket's objects: totals of each folder and storage class, and previews without their original."""

from distributary.derive import Aggregate, Entity, Join, key_prefix

KEYS = ("bucket", "key")
ATTRIBUTES = ("state", "size", "storage_class", "last_modified", "meta_source")


def exists(record):
    """Whether the object is in the bucket. The item of a deleted one stays for a while."""
    return record.get("state") == "present"


def is_preview(record):
    """Whether it is a preview in the bucket."""
    return exists(record) and PREVIEWS(record)


def folders(record):
    """All folders that an object is in, `/` for the bucket."""
    names = record["key"].split("/")[:-1]
    return ["/", *("/".join(names[: depth + 1]) + "/" for depth in range(len(names)))]


PREVIEWS = key_prefix("key", "previews/")
OBJECT = Entity(name="object", keys=KEYS, attributes=ATTRIBUTES, where=exists)
PREVIEW = Entity(name="preview", keys=KEYS, attributes=ATTRIBUTES, where=is_preview)
ORIGINAL = Entity(name="original", keys=KEYS, attributes=ATTRIBUTES, where=exists)

VIEWS = [
    Aggregate(
        name="totals",
        of=OBJECT,
        each=folders,
        pk="FOLDER#{bucket}#{each}",
        sk="CLASS#{storage_class}",
        count="objects",
        sum={"bytes": "size"},
    ),
    Join(
        name="orphans",
        of=PREVIEW,
        right=ORIGINAL,
        on={"bucket": "{bucket}", "key": "{meta_source}"},
        pk="ORPHANS#{bucket}",
        sk="PREVIEW#{key}",
        keep=("size", "meta_source"),
        where=lambda preview: "original" not in preview,
    ),
]
