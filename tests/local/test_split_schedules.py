"""Polls, deliveries and looks at the stream in random orders, one inside another, while shards split."""

import random
from collections import defaultdict

import pytest

from tests.local.virtual_mapping import FakeStream, Function, SteppedMapping, VirtualTime

ITEMS = "abcdef"
STEPS = 120
DEPTH = 3


class Play:
    """A mapping whose threads take turns as the seed says. An actor that is in the middle of something begins nothing
    else: the supervisor, the poller of a shard, the worker of a shard."""

    def __init__(self, seed):
        self.random, self.clock = random.Random(seed), VirtualTime()
        self.stream = FakeStream(self.clock)
        self.stream.add("s0")
        self.leaf = dict.fromkeys(ITEMS, "s0")
        self.written, self.delivered = [], []
        self.busy, self.depth, self.shards = set(), 0, 1
        self.mapping = SteppedMapping(
            self.stream, self.clock, Function(self.invoked), transform=self.between, batch_size=3, parallelization=2
        )
        self.mapping.discover()

    def step(self):
        self.clock.seconds += 0.001
        moves = (self.put, self.put, self.poll, self.poll, self.poll, self.deliver, self.deliver, self.look, self.split)
        self.random.choice((*moves, self.forget, self.judge))()

    def within(self):
        """Others run in the middle of what an actor does."""
        if self.depth < DEPTH:
            self.depth += 1
            for _ in range(self.random.randrange(3)):
                self.step()
            self.depth -= 1

    def between(self, records):
        self.within()
        return records

    def invoked(self, items):
        """A failure in three; what others do meanwhile."""
        self.within()
        if self.random.random() < 0.3:
            return True
        self.delivered += items
        return None

    def acting(self, actor, act):
        if actor not in self.busy:
            self.busy.add(actor)
            for call in ("describe_stream", "get_records"):
                self.stream.during.setdefault(call, self.within)
            act()
            self.busy.discard(actor)

    def put(self):
        item = self.random.choice(ITEMS)
        sequence = str(len(self.written) + 1)
        self.stream.put(self.leaf[item], sequence, item)
        self.written.append((self.clock.now(), sequence, item))

    def poll(self):
        shard = self.random.choice(self.mapping.shards())
        if shard not in self.stream.forgotten:
            self.acting(("poller", shard), lambda: self.mapping.poll(shard))

    def deliver(self):
        shard = self.random.choice(self.mapping.shards())
        self.acting(("worker", shard), lambda: self.mapping.deliver(shard))

    def look(self):
        self.acting("supervisor", self.mapping.discover)

    def split(self):
        shard = self.random.choice(sorted(set(self.leaf.values())))
        if self.shards < 12:
            children = [f"s{self.shards}", f"s{self.shards + 1}"]
            self.shards += 2
            self.stream.split(shard, *((each, ()) for each in children))
            self.leaf = {item: self.random.choice(children) if at == shard else at for item, at in self.leaf.items()}

    def forget(self):
        """Only what was read: the loss of unread records is a gap, and no question of order."""
        read = {shard for shard in self.mapping.shards() if self.mapping._pollers[shard]._reader.ended}
        self.stream.forgotten |= {shard for shard in read if self.random.random() < 0.5}

    def judge(self):
        """`drained` is never said too early."""
        since = self.clock.now() - 0.01
        if self.mapping.drained(since, 0.0):
            known = set(self.mapping._delivery.invoke.sequences)
            assert [each for at, each, _ in self.written if at <= since and each not in known] == []

    def rest(self):
        """Everything that is left is read and delivered."""
        self.depth = DEPTH
        for _ in range(60):
            self.look()
            for shard in self.mapping.shards():
                self.acting(("poller", shard), lambda shard=shard: self.mapping.poll(shard))
                self.deliver_of(shard)
            self.clock.seconds += 1

    def deliver_of(self, shard):
        self.acting(("worker", shard), lambda: self.mapping.deliver(shard))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("part", range(10))
def test_an_items_changes_stay_in_order_in_every_schedule(part):
    for seed in range(part * 30, part * 30 + 30):
        play = Play(seed)
        for _ in range(STEPS):
            play.step()
        since = play.clock.now()
        play.rest()
        by_item = defaultdict(list)
        items = {sequence: item for _, sequence, item in play.written}
        for sequence in play.mapping._delivery.invoke.sequences:
            if int(sequence) not in by_item[items[sequence]]:
                by_item[items[sequence]].append(int(sequence))
        for _, sequence, item in play.written:
            assert int(sequence) in by_item[item], f"seed {seed}: record {sequence} was never delivered"
        assert all(found == sorted(found) for found in by_item.values()), f"seed {seed}"
        assert play.mapping.drained(since, 1.0), f"seed {seed}"
