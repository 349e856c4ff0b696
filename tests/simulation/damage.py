"""Rows damaged as no stream would: taken away, changed, or put where nothing should stand."""

import copy
from random import Random
from typing import Any

from distributary.derive.delta import is_member
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.dynamodb import DynamoDB

VALUES = ("name", "label", "items", "revenue", "item")


class Damage:
    """Works on the fake tables of a schedule; member rows are left to `tests/scheduler/broken.py`. `forgotten`: a
    row went with its version, so that a change older than the repair wins over it until newer ones come."""

    def __init__(self, random: Random, service: DynamoDB, projections: tuple[str, ...]) -> None:
        self._random, self._projections = random, projections
        self.forgotten = False
        self._derived, self._ledger = service.state["derived"], service.state["ledger"]

    def strike(self, times: int) -> None:
        """So often, anywhere."""
        for _ in range(times):
            self._random.choice((self._lose, self._change, self._bring, self._lose_entry))()

    def _lose(self) -> None:
        if rows := self._rows():
            row = self._derived.pop(self._random.choice(rows))
            self.forgotten |= REPLICA_VERSION in row

    def _change(self) -> None:
        rows = [key for key in self._rows() if any(name in self._derived[key] for name in VALUES)]
        if rows:
            row = self._derived[self._random.choice(rows)]
            row[self._random.choice([name for name in VALUES if name in row])] = {"N": "77"}

    def _bring(self) -> None:
        """A row of an item that there is not, or of a group."""
        if rows := self._rows():
            pk, sk = key = self._random.choice(rows)
            row: dict[str, Any] = copy.deepcopy(self._derived[key])
            gone = (pk, f"{sk[:-1]}9") if sk[-2:-1] == "i" else (pk, "gone") if pk in ("SUM", "LATEST") else key
            self._derived[gone] = {**row, "pk": {"S": gone[0]}, "sk": {"S": gone[1]}}

    def _lose_entry(self) -> None:
        """Of a view that counts nothing: another's members would be counted twice."""
        own = [key for key in self._ledger if key[0].partition("|")[0] in self._projections]
        if own:
            del self._ledger[self._random.choice(own)]
            self.forgotten = True

    def _rows(self) -> list[Any]:
        return sorted(key for key, row in self._derived.items() if not is_member(row))
