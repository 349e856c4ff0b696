"""The purge of old markers: what it asks for, and when it stops."""

import json

import pytest

from distributary.consumer.deadline import Deadline
from distributary.errors import Unavailable
from distributary.index.opensearch.bulk_errors import Refused
from distributary.index.opensearch.purge import Purged, purge


class Engine:
    """Finds these markers at each search until they are deleted; deletes end with the statuses of `answers`."""

    def __init__(self, *hits, answers=()):
        self.hits, self.answers, self.asked, self.indices = list(hits), list(answers), [], self
        self.clock, self.refreshed, self.searches = 0.0, [], 0

    def refresh(self, *, index):
        self.refreshed.append(index)

    def search(self, *, index, body):
        assert self.refreshed[-1] == index, "what was written is found"
        self.searches += 1
        assert self.searches < 100, "it searches without end"
        return {"hits": {"hits": list(self.hits)}}

    def bulk(self, *, body, request_timeout):
        self.asked += [json.loads(line)["delete"] for line in body.splitlines()]
        self.clock += 1.0
        statuses = self.answers.pop(0) if self.answers else [200] * len(self.hits)
        self.hits = [hit for hit, status in zip(self.hits, statuses, strict=True) if status == 409]
        return {"items": [{"delete": {"status": status}} for status in statuses]}


def hit(id, **more):
    return {"_id": id, "_seq_no": 7, "_primary_term": 2, **more}


def purged(engine, seconds=60.0):
    return purge(engine, "users-g0-write-2", 1000.0, Deadline(seconds, clock=lambda: engine.clock))


def test_a_delete_names_what_the_search_found_and_is_bound_to_the_alias():
    """Without the alias, a delete would make an index of that name."""
    engine = Engine(hit("a"), hit("b", _routing="r"))
    assert purged(engine) == Purged(2, 0, True)
    found = {"_index": "users-g0-write-2", "if_seq_no": 7, "if_primary_term": 2, "require_alias": True}
    assert engine.asked == [{"_id": "a", **found}, {"_id": "b", "routing": "r", **found}]


def test_a_marker_that_is_gone_already_counts_as_deleted():
    assert purged(Engine(hit("a"), hit("b"), answers=[[404, 409], [200]])) == Purged(2, 1, True)


def test_it_stops_where_every_marker_has_changed_meanwhile():
    """A page that is found again and again would keep it until the timeout."""
    engine = Engine(hit("a"), answers=[[409]] * 200)
    assert purged(engine) == Purged(0, 1, False)


def test_it_stops_in_time():
    class Endless(Engine):
        def bulk(self, **arguments):
            answer = super().bulk(**arguments)
            self.hits = [hit("a")]
            return answer

    engine = Endless(hit("a"))
    assert purged(engine, 5.0) == Purged(5, 0, False)


def test_a_request_that_is_refused_ends_it():
    class Refusing(Engine):
        def bulk(self, **arguments):
            raise Refused(403, "security_exception")

    with pytest.raises(Unavailable, match="purge: OpenSearch answered"):
        purged(Refusing(hit("a")))
