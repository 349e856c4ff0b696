"""Objects as documents, to search by name, size, class, type, time and metadata."""

from distributary.index import Entity, Field, Index

KEYWORD = {"type": "keyword"}


def exists(record):
    """Whether the object is in the bucket. The item of a deleted one stays for a while."""
    return record.get("state") == "present"


OBJECT = Entity(
    name="object",
    keys=("bucket", "key"),
    attributes=(
        "state",
        "size",
        "etag",
        "content_type",
        "storage_class",
        "last_modified",
        "meta_artist",
        "meta_source",
    ),
    where=exists,
)

INDEXES = [
    Index(
        name="objects",
        of=OBJECT,
        id="{bucket}/{key}",
        fields={
            "bucket": KEYWORD,
            "key": {"type": "keyword", "fields": {"words": {"type": "text"}}},
            "size": {"type": "long"},
            "etag": KEYWORD,
            "content_type": KEYWORD,
            "storage_class": KEYWORD,
            "modified": Field(mapping={"type": "date"}, of="last_modified"),
            "artist": Field(mapping=KEYWORD, of="meta_artist"),
            "source": Field(mapping=KEYWORD, of="meta_source"),
        },
    )
]
