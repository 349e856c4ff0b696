"""Your OpenSearch indexes: which items, under which id, with which fields; see README.md."""

from distributary.index import Entity, Index

USER = Entity(
    name="user", keys=("user_id",), attributes=("email", "name", "status", "balance", "avatar", "tags", "visits")
)

USERS = Index(
    name="users",
    of=USER,
    id="{user_id}",
    fields={
        "user_id": {"type": "keyword"},
        "email": {"type": "keyword"},
        "name": {"type": "text", "analyzer": "folded", "fields": {"exact": {"type": "keyword", "ignore_above": 256}}},
        "status": {"type": "keyword"},
        "balance": {"type": "keyword"},
        "visits": {"type": "long"},
        "tags": {"type": "keyword"},
        "avatar": {"type": "binary"},
    },
)

INDEXES = [USERS]
