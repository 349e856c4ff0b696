"""A source table and its index, with a way to write to either, and to lose a change between them."""

import json
import time
import uuid

from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.index import Entity, Index
from distributary.index.factory import build
from distributary.index.opensearch import reader as standing
from distributary.index.opensearch.bindings import ITEMS_ONLY
from distributary.index.opensearch.schema import apply
from distributary.index.opensearch.target import Declared, is_marker
from distributary.index.verify.comparison import Comparator
from distributary.index.verify.report import KINDS
from distributary.index.verify.verifier import Verify
from tests.fakes.scanned import Scanned
from tests.unit.index_settings import clients, settings
from tests.world import World

USER = Entity(
    name="user",
    keys=("user_id",),
    attributes=("name", "balance", "visits", "avatar"),
    where=lambda item: item.get("kind") != "robot",
)
FIELDS = {
    "name": {"type": "keyword"},
    "balance": {"type": "keyword"},
    "visits": {"type": "long"},
    "avatar": {"type": "binary"},
}


class Place(World):
    """`branch` keeps an index of the source."""

    serves, step = Scanned, 10**10

    def __init__(self, client):
        super().__init__()
        self.search = client
        self.index = Index(name=f"v{uuid.uuid4().hex[:8]}", of=USER, id="USER#{user_id}", fields=FIELDS)
        apply(client, self.index, 0)
        self.declared = Declared.of([self.index], client, 0)
        self.branch = build([self.index], settings(), clients(client), Parallel())

    def put(self, user, deliver=True, **attributes):
        return super().put(user, deliver, **{"name": {"S": user}, **attributes})

    def deliver(self, *changes):
        return self.branch.apply(changes, Deadline(time.monotonic() + 10))

    def write(self, id, version, **document):
        """What somebody else wrote."""
        header = {"_index": self.index.physical(0), "_id": id, "version": version, "version_type": "external_gte"}
        body = f"{json.dumps({'index': header})}\n{json.dumps(document)}\n".encode()
        (item,) = self.search.bulk(body=body, request_timeout=10)["items"]
        assert "error" not in item["index"], item

    def verify(self, repair=False, during=lambda: None, **more):
        eye = Comparator(self.declared, self.search, self.service, "users", ("user_id",))
        return Verify(eye, **{"segments": 2, **more}, pause=1.0, repair=repair, sleep=lambda _: during()).run()

    def found(self):
        """By kind, the users of whom it was found."""
        report = self.verify()
        return {kind: sorted(each["id"] for each in report.samples.get(kind, [])) for kind in KINDS}

    def shown(self):
        standing.refresh(self.search, self.index.name)
        hits = self.search.search(index=self.index.name, body={"size": 1000})["hits"]["hits"]
        return {hit["_id"]: hit["_source"]["name"] for hit in hits}

    def documents(self, generation):
        """Those of one generation that are no markers."""
        name = self.index.physical(generation)
        standing.refresh(self.search, name)
        hits = self.search.search(index=name, body={"size": 1000})["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits if not is_marker(hit["_source"])}


def ids_in(search, name):
    """The ids of an index's documents and markers, without the index's own."""
    standing.refresh(search, name)
    hits = search.search(index=name, body={"size": 1000, "query": ITEMS_ONLY})["hits"]["hits"]
    return sorted(hit["_id"] for hit in hits)
