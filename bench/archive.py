"""Compaction of an archive: time and memory, and how both grow with the number of changes."""

import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.harness import Row, row

ROOT = Path(__file__).resolve().parents[1]
CREATED, SECONDS = 1_795_341_600, 3600
FIRST = 10**25
PER_OBJECT, BLOCK = 5000, 100_000
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-11-20T09:12:44.017"
GIGABYTE = 1e9
MEASURED = (100_000, 200_000)
"""Changes in `make bench`. The figures of docs/measurements.md are of 5 and 10 million: `python -m bench.archive N`."""


def rows() -> list[Row]:
    """A row for time and one for memory, each of twice as many changes beside the first."""
    (seconds, memory), (twice, more) = (measured(many) for many in MEASURED)
    of = f"compaction of {MEASURED[1]:,} changes of {MEASURED[1] // 5:,} items"
    peer = f"ours, {MEASURED[0]:,} changes"
    return [
        row("archive", of, "time", "s of a processor", twice, seconds, peer, 3.0),
        row("archive", of, "memory at most", "GB", more, memory, peer, 1.5),
    ]


def measured(changes: int, folder: Path | None = None) -> tuple[float, float]:
    """Of a process that compacts an hour with so many changes, of a fifth as many items: the processor's seconds, and
    gigabytes."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        root = Path(name)
        archived(root / "archive", changes, changes // 5)
        command = [sys.executable, "-m", "bench.archive", "--compact", str(root)]
        done = subprocess.run(command, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True)
        wall, seconds, peak, items = json.loads(done.stdout)
        figures = f"{wall:.0f} s, {seconds:.0f} s of a processor, {peak:.3f} GB"
        print(f"{changes:,} changes, {items:,} items: {figures}", file=sys.stderr, flush=True)
        return seconds, peak


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers/distributary'}", "PATH": ""}


def archived(root: Path, changes: int, items: int) -> None:
    """An archive of an hour: every item is changed about five times, at random. After the first block, each block has
    the same changes of as many other items."""
    folder = root / "users/AWSDynamoDB/data/day=2026-11-22/hour=10"
    folder.mkdir(parents=True)
    first = list(_block(min(changes, BLOCK), items * min(changes, BLOCK) // changes))
    for block in range((changes + BLOCK - 1) // BLOCK):
        for place, lines in enumerate(first):
            own = lines.replace(b"user-0000-", b"user-%04d-" % block).replace(b'"1000000', b'"1%06d' % block)
            name = f"{FIRST + block}-{FIRST + block}-{block:06d}{place:06d}.json.gz"
            (folder / name).write_bytes(gzip.compress(own, 3))


def _block(changes: int, items: int) -> Iterator[bytes]:
    numbers, seen = random.Random(1), set[int]()
    for begin in range(0, changes, PER_OBJECT):
        lines = []
        for place in range(begin, min(begin + PER_OBJECT, changes)):
            item = numbers.randrange(items)
            lines.append(_line(place, item, item in seen, changes, numbers))
            seen.add(item)
        yield "".join(lines).encode()


def _line(place: int, item: int, known: bool, changes: int, numbers: random.Random) -> str:
    keys = {"user_id": {"S": f"user-0000-{item:06d}"}}

    def image(visits: int) -> dict[str, dict[str, str]]:
        note = {"S": f"{numbers.getrandbits(128):032x}"}
        more = {"name": {"S": "Ada Lovelace"}, "status": {"S": "active"}, "visits": {"N": str(visits)}, "note": note}
        return {**keys, "email": {"S": f"user{item}@example.com"}, **more}

    metadata = {
        "WriteTimestampMicros": {"N": str((CREATED + place * SECONDS // changes) * 1_000_000)},
        "SequenceNumber": {"S": str(FIRST + place)},
        "Generation": {"N": "0"},
        "EventID": {"S": f"{place:032x}"},
        "EventName": {"S": "MODIFY" if known else "INSERT"},
        "Stream": {"S": STREAM},
    }
    old = {"OldImage": image(place - 1)} if known else {}
    body = {"Metadata": metadata, "Keys": keys, **old, "NewImage": image(place)}
    return json.dumps(body, separators=(",", ":")) + "\n"


def compacted(root: Path) -> None:
    """In this process: prints seconds, the processor's seconds, gigabytes at most, and how many items changed."""
    from distributary.archive.compact.output import sink
    from distributary.archive.compact.partitions import Window
    from distributary.archive.compact.run import compact
    from distributary.readers.archive import Archive
    from distributary.readers.place import Folder

    began = time.monotonic()
    window = Window(CREATED * 1_000_000, (CREATED + SECONDS) * 1_000_000)
    to, later = sink(str(root / "export"), None), CREATED + 86_400.0
    done = compact(Archive(Folder(root / "archive"), "users"), window, to, temporary=root, now=lambda: later)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([time.monotonic() - began, used.ru_utime + used.ru_stime, _peak(), done.items]))


def _peak() -> float:
    """Gigabytes. What getrusage says would count the memory of the process that started this one."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / GIGABYTE


if __name__ == "__main__":
    if sys.argv[1] == "--compact":
        compacted(Path(sys.argv[2]))
    else:
        for many in sys.argv[1:]:
            measured(int(many))
