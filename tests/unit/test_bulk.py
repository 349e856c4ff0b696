"""One outcome for each document of a bulk request, whatever OpenSearch makes of it."""

import json
import threading
import time

import pytest

from distributary.consumer.deadline import Deadline
from distributary.errors import ConfigError
from distributary.index.opensearch import bulk
from distributary.index.opensearch.bulk import Action, Bulk, chunks
from distributary.index.opensearch.bulk_errors import Refused
from distributary.index.opensearch.concurrency_limit import LANES
from tests.fakes import opensearch
from tests.fakes.faults import Faults, broken, throttled, unanswered
from tests.fakes.opensearch import OpenSearch
from tests.fakes.serial import Serial

FOREVER = Deadline(float("inf"))
PROPERTIES = {"word": {"type": "keyword"}, "count": {"type": "long"}}


@pytest.fixture
def node():
    node = OpenSearch()
    node.indices.create(index="things", body={"mappings": {"properties": PROPERTIES}})
    node.indices.update_aliases(body={"actions": [{"add": {"index": "things", "alias": "write"}}]})
    return node


def action(id, version=1, alias="write", **document):
    header = {
        "_index": alias,
        "_id": id,
        "version": version,
        "version_type": "external_gte",
        "require_alias": True,
    }
    return Action(id, f"{json.dumps({'index': header})}\n{json.dumps(document)}\n".encode())


def send(client, *actions, deadline=FOREVER):
    return [end.status.value for end in Bulk(client, lambda _: None).send(actions, deadline)]


def soon():
    return Deadline(time.monotonic() + 0.05)


def documents(node):
    return {id: version for id, (version, _) in node.state["docs"]["things"].items()}


def test_written_is_applied_and_older_is_superseded(node):
    assert send(node, action("a", 5), action("b", 5)) == ["Applied", "Applied"]
    assert send(node, action("a", 4), action("b", 6)) == ["Superseded", "Applied"]
    assert documents(node) == {"a": 5, "b": 6}


def test_a_refused_document_is_parked_and_its_neighbours_are_written(node):
    assert send(node, action("a"), action("b", count="x"), action("c")) == ["Applied", "Parked", "Applied"]


def test_a_missing_alias_fails_with_its_mend(node):
    (end,) = Bulk(node).send([action("a", alias="nowhere")], FOREVER)
    assert end.status.value == "Failed"
    assert "distributary index apply" in end.cause


@pytest.mark.parametrize("effect", [throttled, broken, unanswered], ids=lambda each: each.__name__)
def test_a_busy_request_is_tried_again(node, effect):
    faults = Faults({0: effect, 1: effect})
    assert send(faults(node, opensearch), action("a"), action("b")) == ["Applied", "Applied"]
    assert faults.calls == 3


def test_only_busy_documents_are_sent_again(node):
    sent = []

    class Watched:
        def bulk(self, *, body, request_timeout):
            answer = node.bulk(body=body, request_timeout=request_timeout)
            sent.append(body.count(b"\n") // 2)
            node.busy.clear()
            return answer

    node.busy = {"b"}
    assert send(Watched(), action("a"), action("b"), action("c")) == ["Applied", "Applied", "Applied"]
    assert sent == [3, 1]


def test_what_stays_busy_until_the_deadline_is_failed_and_the_rest_is_written(node):
    node.busy = {"b"}
    assert send(node, action("a"), action("b"), action("c"), deadline=soon()) == ["Applied", "Failed", "Applied"]


def test_what_stays_busy_does_not_keep_the_rest_waiting(node, monkeypatch):
    monkeypatch.setattr(bulk, "MAX_ACTIONS", 1)
    node.busy = {str(each) for each in range(LANES)}
    ends = send(node, *(action(str(each)) for each in range(20)), deadline=Deadline(time.monotonic() + 0.5))
    assert ends == ["Failed"] * LANES + ["Applied"] * (20 - LANES)


def test_whenever_the_time_ends_the_last_answer_is_the_cause():
    class Broken:
        calls = 0

        def bulk(self, **_):
            self.calls += 1
            raise opensearch.BROKEN

    for moments in range(1, 40):
        ticks, node = iter([0.0] * moments), Broken()
        deadline = Deadline(1.0, 0.0, lambda ticks=ticks: next(ticks, 2.0))
        (end,) = Bulk(node, lambda _: None, Serial()).send([action("a")], deadline)
        assert end.status.value == "Failed"
        assert ("503" in end.cause) == (node.calls > 0)


def test_after_the_deadline_nothing_is_sent(node):
    assert send(node, action("a"), deadline=Deadline(0.0)) == ["Failed"]
    assert documents(node) == {}


def test_pauses_grow_with_jitter_and_never_reach_past_the_deadline():
    class Busy:
        def bulk(self, **_):
            raise opensearch.THROTTLED

    pauses = []
    clock = iter(range(1000))
    deadline = Deadline(20.0, 0.0, lambda: float(next(clock)))
    Bulk(Busy(), pauses.append).send([action("a")], deadline)
    assert 3 < len(pauses) < 20
    assert all(0 <= pause <= 0.1 * 2**n for n, pause in enumerate(pauses))
    assert max(pauses) <= 5.0


def test_a_faulty_header_is_parked_alone(node):
    actions = [action(str(each)) for each in range(7)]
    actions[4] = action("x" * 513)
    assert send(node, *actions) == ["Applied"] * 4 + ["Parked"] + ["Applied"] * 2


def test_a_request_too_large_is_split_and_a_document_too_large_is_parked():
    node = OpenSearch(max_bytes=1000)
    node.indices.create(index="things", body={"mappings": {"properties": PROPERTIES}})
    node.indices.update_aliases(body={"actions": [{"add": {"index": "things", "alias": "write"}}]})
    actions = [action(str(each), word="x" * 200) for each in range(6)]
    actions[2] = action("2", word="x" * 2000)
    assert send(node, *actions) == ["Applied"] * 2 + ["Parked"] + ["Applied"] * 3


def test_the_search_for_a_faulty_document_ends_in_time_and_parks_no_other(node):
    times = iter([0.0, 0.0])
    deadline = Deadline(1.0, 0.0, lambda: next(times, 2.0))
    actions = [action("x" * 513), *(action(str(each)) for each in range(7))]
    assert send(node, *actions, deadline=deadline) == ["Failed"] * 8


@pytest.mark.parametrize(("status", "mend"), [(401, "credentials"), (403, "grant the function's role")])
def test_a_wrong_deployment_fails_at_once_with_its_mend(status, mend):
    class Closed:
        calls = 0

        def bulk(self, **_):
            self.calls += 1
            raise Refused(status, "security_exception")

    client = Closed()
    (end,) = Bulk(client).send([action("a")], FOREVER)
    assert end.status.value == "Failed"
    assert mend in end.cause
    assert client.calls == 1


def test_no_answer_is_busy():
    class Silent:
        def bulk(self, **_):
            raise Refused(0, "ReadTimeoutError", "read timed out")

    (end,) = Bulk(Silent(), lambda _: None).send([action("a")], soon())
    assert end.status.value == "Failed"
    assert "nothing" in end.cause


def test_an_answer_for_fewer_documents_is_no_answer():
    """Whose answer is missing, nobody can know; what was written is written again, at the same version."""

    class Short:
        def bulk(self, **_):
            return {"items": [{"index": {"status": 201}}]}

    ends = Bulk(Short(), lambda _: None).send([action("a"), action("b")], soon())
    assert {end.status.value for end in ends} == {"Failed"}


def test_credentials_that_cannot_be_had_fail_with_their_mend_and_park_nothing():
    class Keyless:
        def bulk(self, **_):
            raise ConfigError("the secret must be JSON")

    (end,) = Bulk(Keyless(), lambda _: None).send([action("a")], FOREVER)
    assert (end.status.value, end.cause) == ("Failed", "the secret must be JSON")


def test_a_400_that_is_not_opensearch_s_parks_nothing_and_is_not_divided():
    class Gate:
        calls = 0

        def bulk(self, **_):
            self.calls += 1
            raise Refused(400, "", "<html>sentinel")

    gate = Gate()
    ends = Bulk(gate, lambda _: None).send([action("a"), action("b")], FOREVER)
    assert {end.status.value for end in ends} == {"Failed"}
    assert "OpenSearchEndpoint" in ends[0].cause
    assert gate.calls == 1


class Counting:
    """A node that is busy for some requests, and notes how many came at a time and how large they were."""

    def __init__(self, busy=()):
        self.busy, self.sizes, self.at_once, self.most = set(busy), [], 0, 0
        self.lock = threading.Lock()

    def bulk(self, *, body, request_timeout):
        with self.lock:
            number = len(self.sizes)
            self.sizes.append(len(body))
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(0.01)
        with self.lock:
            self.at_once -= 1
        if number in self.busy:
            raise opensearch.THROTTLED
        return {"items": [{"index": {"status": 201}}] * (body.count(b"\n") // 2)}


def many(count, size=1000):
    return [action(str(each), word="x" * size) for each in range(count)]


def test_several_requests_are_in_flight_each_below_the_limit():
    node = Counting()
    ends = Bulk(node, max_bytes=100_000).send(many(500), FOREVER)
    assert {end.status.value for end in ends} == {"Applied"}
    assert 1 < node.most <= LANES
    assert max(node.sizes) <= 100_000


def test_after_a_429_requests_are_fewer_and_smaller_and_grow_back_later():
    node = Counting(busy={0})
    sender = Bulk(node, lambda _: None, Serial(), max_bytes=400_000)
    assert {end.status.value for end in sender.send(many(3000), FOREVER)} == {"Applied"}
    assert max(node.sizes[:LANES]) > 390_000
    assert max(node.sizes[LANES : LANES + 2]) <= 200_000
    for _ in range(3):
        node.sizes.clear()
        sender.send(many(3000), FOREVER)
    assert min(node.sizes[:LANES]) > 380_000


def test_a_fault_that_is_no_429_does_not_slow_the_pace():
    class Broken(Counting):
        def bulk(self, **arguments):
            if not self.sizes:
                self.sizes.append(0)
                raise opensearch.BROKEN
            return super().bulk(**arguments)

    node = Broken()
    Bulk(node, lambda _: None, Serial(), max_bytes=100_000).send(many(300), FOREVER)
    assert max(node.sizes[1:3]) > 90_000


def test_chunks_keep_order_and_limits(monkeypatch):
    monkeypatch.setattr(bulk, "MAX_ACTIONS", 3)
    sizes = [200, 10, 10, 10, 10, 90, 20, 85, 1]
    actions = [Action(str(at), b"x" * size) for at, size in enumerate(sizes)]
    made = list(chunks(actions, 100))
    assert [[len(each.lines) for each in chunk] for chunk in made] == [[200], [10, 10, 10], [10, 90], [20], [85, 1]]
    assert [each for chunk in made for each in chunk] == actions
    assert list(chunks([], 100)) == []


RETYPED = {"type": "illegal_argument_exception", "reason": "mapper [f.x] cannot be changed from type [long] to [float]"}


class Typing:
    """Another document is giving a new field its type meanwhile."""

    def __init__(self, times, error=RETYPED):
        self.times, self.error, self.calls = times, error, 0

    def bulk(self, *, body, request_timeout):
        self.calls += 1
        many = body.count(b"\n") // 2
        refused = {"index": {"status": 400, "error": self.error}}
        return {"items": [refused if self.calls <= self.times else {"index": {"status": 201}}] * many}


def test_a_type_that_another_document_gave_a_field_meanwhile_is_tried_again():
    node = Typing(2)
    assert send(node, action("a"), action("b")) == ["Applied", "Applied"]
    assert node.calls == 3


def test_a_type_that_keeps_contradicting_is_parked():
    node = Typing(9)
    assert send(node, action("a"), deadline=FOREVER) == ["Parked"]
    assert node.calls == 3


def test_what_was_busy_before_has_all_its_tries_of_another_type():
    class Busy(Typing):
        def bulk(self, *, body, request_timeout):
            if self.calls < 3:
                self.calls += 1
                return {"items": [{"index": {"status": 429, "error": {"type": "rejected_execution_exception"}}}]}
            return super().bulk(body=body, request_timeout=request_timeout)

    assert send(Busy(5), action("a"), deadline=FOREVER) == ["Applied"]


@pytest.mark.parametrize(("left", "waited"), [(20.0, 20.0), (0.2, 1.0)])
def test_a_request_waits_until_the_deadline_and_a_second_at_least(left, waited):
    timeouts = []

    class Noting(Typing):
        def bulk(self, *, body, request_timeout):
            timeouts.append(request_timeout)
            return super().bulk(body=body, request_timeout=request_timeout)

    send(Noting(0), action("a"), deadline=Deadline(100.0 + left, clock=lambda: 100.0))
    assert timeouts == [pytest.approx(waited)]


def test_any_other_mapping_fault_is_parked_at_once():
    node = Typing(1, {"type": "mapper_parsing_exception", "reason": "failed to parse field [x] of type [long]"})
    assert send(node, action("a")) == ["Parked"]
    assert node.calls == 1


def test_a_domain_that_refuses_named_indexes_parks_nothing():
    class Forbids:
        calls = 0

        def bulk(self, **_):
            self.calls += 1
            reason = "explicit index in bulk is not allowed"
            raise Refused(400, "illegal_argument_exception", reason, reason)

    node = Forbids()
    assert send(node, action("a"), action("b")) == ["Failed", "Failed"]
    assert node.calls == 1, "no document is looked for"
