"""docs/runbooks/kinesis.md in several regions: each goes to a data stream of its own and back, at another moment than
the others, while the application writes in all of them."""

import threading
import time
from random import Random

import pytest

from local.emulators import embedded
from tests.integration.peers import DRAIN_SECONDS, TABLE, deployed
from tests.integration.runbook import enable_another_stream, make_data_stream, write_into_data_stream

US, EU = "us-east-1", "eu-west-1"
DATA_STREAM = "items-changes"
RULES = {
    "whole": 'last_writer("at", "seconds")',
    "whole-by-second": "last_writer()",
    "merged": 'by_attribute("at", "seconds")',
    "merged-by-second": "by_attribute()",
}


class Application:
    """Writes in one region as long as the block runs: to items that the others write, too, and to some of its own."""

    def __init__(self, region):
        self.region, self.random = region, Random(region.name)
        self.written, self.stopping = {}, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        self.thread.join()

    def _run(self):
        while not self.stopping.wait(0.1):
            number, at, chosen = self.random.randrange(6), int(time.time()), self.random.random()
            for name in (f"shared-{number}", f"{self.region.name}-{number}"):
                self._edit(name, at, chosen)

    def _edit(self, name, at, chosen):
        """A delete of what is not there is no edit."""
        if chosen >= 0.6:
            self._wrote(name, self.region.put(name, at, more=str(self.random.randrange(3)))["value"])
        elif chosen >= 0.2:
            self._wrote(name, self.region.update(name, at))
        elif self.region.delete(name):
            self._wrote(name, None)

    def _wrote(self, name, value):
        self.written.setdefault(name, []).append((time.monotonic(), value))

    def wrong(self, found, seconds):
        """Of the items that no other region writes, those that are none of what their last edits made of them, which
        were made within these seconds."""
        own = {name: edits for name, edits in self.written.items() if name.startswith(self.region.name)}
        last = {name: [value for at, value in edits if at >= edits[-1][0] - seconds] for name, edits in own.items()}
        assert last
        return {name: (found.get(name), values) for name, values in last.items() if found.get(name) not in values}


def catch_up(region):
    """Until the region's function has read what was written by now; a shuffled page may end with what follows it."""
    for _ in range(2):
        mark = f"mark-{time.monotonic_ns()}"
        region.put(mark, int(time.time()))
        until = time.monotonic() + DRAIN_SECONDS
        while mark not in region.ended:
            assert time.monotonic() < until, f"{region.name} does not catch up"
            time.sleep(0.05)


def to_kinesis(region):
    make_data_stream(region.aws, DATA_STREAM)
    write_into_data_stream(region.aws, TABLE, DATA_STREAM)
    catch_up(region)
    region.redeploy(1, f"{region.source}=0", kinesis=DATA_STREAM)


def back(region, first):
    second = region.source
    since = enable_another_stream(region.client, TABLE)
    catch_up(region)
    region.redeploy(2, f"{first}=0,{second}=1", since=since)


@pytest.mark.parametrize("rule", RULES)
def test_regions_go_to_kinesis_and_back_one_after_the_other_and_stay_equal(rule, tmp_path):
    """By the second alone, Kinesis does not tell which edit of a second was the last: docs/kinesis.md."""
    with embedded() as endpoints, deployed(endpoints.aws, (US, EU), RULES[rule], tmp_path) as peers:
        us, eu = peers.regions
        first = us.source
        with Application(us) as in_us, Application(eu) as in_eu:
            for region in peers.regions:
                to_kinesis(region)
            back(us, first)
            catch_up(us)
        peers.settle()
        assert us.items() == eu.items()
        found = {name: row["value"] for name, row in us.items().items()}
        for each in (in_us, in_eu):
            assert each.wrong(found, 2 if rule == "whole-by-second" else 0) == {}
        peers.check_conserved()
