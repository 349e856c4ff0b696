"""How much at a time: requests in flight and their size, less after a 429, more after success."""

from distributary.stream.struct import Struct

LANES = 4
"""Requests in flight at most, of one execution environment."""

LEAST_BYTES = 64 * 1024
_STEPS = 8


class Pace(Struct, frozen=True):
    """Additive increase, multiplicative decrease: `lanes` requests of `size` bytes, at most `most` each."""

    most: int
    size: int
    lanes: int = LANES

    @classmethod
    def full(cls, most: int) -> "Pace":
        """At full speed."""
        return cls(most, most)

    def after(self, busy: bool) -> "Pace":
        """What follows a round of requests: half of both after a 429, else one step more."""
        if busy:
            return Pace(self.most, max(min(LEAST_BYTES, self.most), self.size // 2), max(1, self.lanes // 2))
        return Pace(self.most, min(self.most, self.size + self.most // _STEPS), min(LANES, self.lanes + 1))
