"""Two consumers of one item, or of one group, in every order of their calls, with crashes between any two."""

import copy

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.derive import Aggregate, Entity, Projection
from distributary.derive.branch import unchecked
from distributary.stream.codec import decode_item
from tests.fakes import dynamodb
from tests.fakes.built import DERIVED, derive
from tests.fakes.interleavings import Interleavings
from tests.replaced import replace
from tests.unit.records import change

ORDER = Entity(name="order", keys=("user_id",), attributes=("day", "total"))
SALES = Aggregate(name="sales", of=ORDER, pk="{day}", sk="SALES", count="n", sum={"s": "total"}, max={"most": "total"})
BY_DAY = Projection(name="by-day", of=ORDER, pk="{day}", sk="ORDER#{user_id}")


class Tables:
    """See `interleavings.State`."""

    def __init__(self):
        self.client = dynamodb.DynamoDB(DERIVED)

    def freeze(self):
        return repr({name: sorted(rows.items()) for name, rows in self.client.state.items()})

    def thaw(self, frozen):
        self.client.state = {name: dict(copy.deepcopy(rows)) for name, rows in eval(frozen).items()}


def consumer(tables, name, view, changes):
    """Applies its batch until nothing fails, whatever happens meanwhile."""

    def program(wrap, lives):
        client, revisions = wrap(tables.client, dynamodb), iter(range(1000))
        built = derive([view], client, revision=lambda: f"{name}-{lives}-{next(revisions)}")
        branch = replace(built, check_tables=unchecked)
        while any(end.status is Status.FAILED for end in branch.apply(changes, FOREVER)):
            pass

    return program


def inserted(place, user="u", day="mon", total="1"):
    return change(place, user=user, new={"day": {"S": day}, "total": {"N": total}})


def edited(place, day, total):
    return change(place, "MODIFY", user="u", new={"day": {"S": day}, "total": {"N": total}}, old={"day": {"S": "mon"}})


def removed(place):
    return change(place, "REMOVE", user="u", old={"day": {"S": "mon"}})


def shown(frozen):
    rows = {}
    for key, row in eval(frozen)["derived"]:
        rows[key] = {n: v for n, v in decode_item(row).items() if n[0] != "_" and n not in ("pk", "sk")}
    return {key: row for key, row in rows.items() if not key[0].startswith("%")}


CASES = {
    "the same change twice": ([[inserted(1)], [inserted(1)]], {"mon": (1, 1)}),
    "an edit overtakes the insert": ([[inserted(1)], [edited(2, "tue", "5")]], {"tue": (1, 5)}),
    "a delete overtakes the insert": ([[inserted(1)], [removed(2)]], {}),
    "a zombie and its successor": ([[inserted(1), edited(2, "tue", "5")], [edited(2, "tue", "5"), removed(3)]], {}),
    "two items of one group": ([[inserted(1, "a", total="2")], [inserted(2, "b", total="3")]], {"mon": (2, 5)}),
}


@pytest.mark.parametrize("view", [SALES, BY_DAY], ids=["aggregate", "projection"])
@pytest.mark.parametrize("case", CASES)
def test_every_interleaving_ends_in_what_the_newest_changes_determine(case, view):
    batches, groups = CASES[case]
    tables = Tables()
    programs = [consumer(tables, name, view, batch) for name, batch in zip("xy", batches, strict=True)]
    endings = [state for state, _ in Interleavings(tables, programs, crashes=2).endings]
    right = [sorted((day, n, s) for day, (n, s) in groups.items())]
    if view is BY_DAY:
        ends = [
            sorted((day, sum(pk == day for pk, _ in rows)) for day in {pk for pk, _ in rows})
            for rows in map(shown, endings)
        ]
        right = [sorted((day, n) for day, (n, _) in groups.items())]
    else:
        ends = [sorted((pk, int(row["n"]), int(row["s"])) for (pk, _), row in shown(f).items()) for f in endings]
    assert endings
    assert all(end in right for end in ends), ends
