"""Every change of the source in S3, and what the archive makes of it."""

from typing import Any

from distributary.readers.archive import Archive, ArchivedChange, Position
from distributary.readers.place import Bucket
from tests.fakes import built, s3
from tests.fakes.s3 import S3
from tests.scheduler.choices import Choices
from tests.scheduler.world import SOURCE, Plan, World


class ArchiveWorld(World):
    """Nothing is lost, nothing is made up; and from the archive alone the source can be made again."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        super().__init__(seed, choices, plan)
        self.s3 = S3("archive")
        self.bucket = self.scheduler.client(self.s3, s3)

    def branch(self) -> Any:
        """See `World`."""
        return built.archive(self.bucket)

    def check(self, when: str) -> None:
        """Every record is there as it was delivered, and no other; the last image of each item is the source's."""
        assert not self.parked, f"{when}: parked {self.parked}"
        found: dict[Position, ArchivedChange] = {}
        for change in Archive(Bucket(self.s3, "archive", ""), SOURCE).changes():
            assert found.setdefault(change.at, change) == change, f"{when}: two changes at {change.at}"
        expected = {Position(0, int(record["dynamodb"]["SequenceNumber"])): record for record in self.records}
        assert found.keys() == expected.keys(), (
            f"{when}: lost {expected.keys() - found.keys()}, made up {found.keys() - expected.keys()}"
        )
        for at, record in expected.items():
            body, change = record["dynamodb"], found[at]
            archived = (change.kind, change.keys, change.old, change.new)
            assert archived == (record["eventName"], body["Keys"], body.get("OldImage"), body.get("NewImage")), when
        last = {change.keys["id"]["S"]: change.new for _, change in sorted(found.items())}
        left = {name: item for name, item in last.items() if item is not None}
        assert left == {name: item for (name,), item in self.service.state[SOURCE].items()}, when
