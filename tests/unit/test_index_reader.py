"""Reading an index: what is busy is asked again, a page that is missing is never passed over, a scroll is ended."""

from types import SimpleNamespace

import pytest
from opensearchpy.exceptions import NotFoundError, SerializationError, TransportError

from distributary.errors import ConfigError, Unavailable
from distributary.index.opensearch import reader
from distributary.index.opensearch.reader import Lost, asked


class Scrolled:
    """An index that answers these pages, and remembers what it was asked. An exception in the place of a page is
    raised."""

    def __init__(self, *pages, total=None):
        self.pages, self.asked, self.ended = list(pages), [], []
        self.total = sum(len(each) for each in pages if isinstance(each, list)) if total is None else total
        self.broken, self.spoilt = None, {}

    def search(self, **given):
        self.asked.append(given)
        return self._page()

    def scroll(self, body):
        self.asked.append(body)
        return self._page()

    def clear_scroll(self, body):
        self.ended += body["scroll_id"]
        if self.broken is not None:
            raise self.broken

    def _page(self):
        page = self.pages.pop(0) if self.pages else []
        if isinstance(page, Exception):
            raise page
        hits = [{"_id": id, "_version": 7, "_source": None} for id in page]
        whole = {"_shards": {"failed": 0}, "_scroll_id": f"s{len(self.pages)}"}
        return {**whole, "hits": {"total": {"value": self.total}, "hits": hits}, **self.spoilt}


@pytest.fixture(autouse=True)
def paused(monkeypatch):
    found = []
    monkeypatch.setattr(reader, "backoff", lambda *given: found.append(given))
    return found


def busy(status=503):
    return TransportError(status, "busy", {})


def test_what_is_busy_is_asked_again_after_a_pause(paused):
    answers = [busy(), busy(429), "done"]

    def call():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert asked("x", call) == "done"
    assert len(paused) == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [(busy(), "503"), (TransportError("N/A", "gone", {}), "nothing"), (SerializationError("no"), "nothing")],
)
def test_what_stays_busy_is_unavailable_with_what_was_answered(error, said, paused):
    def call():
        raise error

    with pytest.raises(Unavailable, match=f"x: OpenSearch answered {said}"):
        asked("x", call, tries=3)
    assert len(paused) == 2


@pytest.mark.parametrize("status", sorted(reader._WRONG))
def test_what_the_deployment_is_to_blame_for_is_not_asked_again(status, paused):
    def call():
        raise busy(status)

    with pytest.raises(ConfigError, match=f"answered {status}"):
        asked("x", call)
    assert paused == []


def test_what_the_caller_expects_is_raised_as_it_is(paused):
    def call():
        raise NotFoundError(404, "gone", {})

    with pytest.raises(NotFoundError):
        asked("x", call, missing=NotFoundError)
    assert paused == []


def test_documents_are_found_by_id_with_the_routing_that_there_is():
    seen = []

    def mget(**given):
        seen.append(given["body"]["docs"])
        return {"docs": [{"_id": "a", "found": True, "_version": 3}, {"_id": "b", "found": False}]}

    found = reader.find(SimpleNamespace(mget=mget), "i", [("a", None), ("b", "r")])
    assert ({id: each.version for id, each in found.items()}, found["a"].body) == ({"a": 3}, {})
    assert seen == [[{"_id": "a"}, {"_id": "b", "routing": "r"}]]
    assert reader.find(None, "i", []) == {}


def test_a_document_that_a_shard_could_not_read_is_not_taken_for_missing():
    answer = {"docs": [{"_id": "a", "error": {"type": "shard"}}, {"_id": "b", "found": True, "_version": 3}]}
    with pytest.raises(Unavailable, match="could not read some"):
        reader.find(SimpleNamespace(mget=lambda **_: answer), "i", [("a", None), ("b", None)])


@pytest.mark.parametrize(("slices", "sliced"), [(1, None), (3, {"id": 0, "max": 3})])
def test_every_page_is_given_and_the_scroll_is_ended(slices, sliced):
    index = Scrolled(["a", "b"], ["c"])
    assert [[each.id for each in page] for page in reader.visible(index, "i", 0, slices)] == [["a", "b"], ["c"]]
    assert index.ended == ["s0"]
    assert index.asked[0]["body"].get("slice") == sliced


def test_a_page_that_was_passed_over_is_noticed():
    index = Scrolled(["a"], total=2)
    with pytest.raises(Lost, match="a page was passed over"):
        list(reader.visible(index, "i", 0, 1))
    assert index.ended


@pytest.mark.parametrize("error", [NotFoundError(404, "scroll", {}), busy()])
def test_a_page_that_is_lost_begins_the_scan_anew_and_ends_the_scroll(error):
    index = Scrolled(["a"], error, total=2)
    with pytest.raises(Lost, match="a page was lost"):
        list(reader.visible(index, "i", 0, 1))
    assert index.ended == ["s1"]


@pytest.mark.parametrize("spoilt", [{"_shards": {"failed": 1}}, {"timed_out": True}])
def test_a_page_without_one_of_the_shards_is_asked_for_again(spoilt, paused):
    index = Scrolled(["a"])
    index.spoilt = spoilt
    with pytest.raises(Unavailable, match="answered 503"):
        list(reader.visible(index, "i", 0, 1))
    assert paused


def test_a_scroll_that_cannot_be_ended_ends_by_itself():
    index = Scrolled(["a"])
    index.broken = busy()
    assert [len(page) for page in reader.visible(index, "i", 0, 1)] == [1]


def test_pages_one_by_one_end_as_a_scan_does():
    index = Scrolled(["a", "b"], ["c"])
    first, after = reader.page(index, "i", 0, 1, None, 2)
    second, last = reader.page(index, "i", 0, 1, after, 2)
    assert ([each.id for each in (*first, *second)], index.ended) == (["a", "b", "c"], [])
    assert reader.page(index, "i", 0, 1, last, 2) == ([], None)
    assert index.ended == ["s0"]
    short = Scrolled(["a"], total=2)
    _, after = reader.page(short, "i", 0, 1, None, 2)
    with pytest.raises(Lost, match="a page was passed over"):
        reader.page(short, "i", 0, 1, after, 2)
    assert short.ended
