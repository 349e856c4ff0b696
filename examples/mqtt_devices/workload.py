"""Three nodes of a broker that write at once, each for its own devices, and what they wrote."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from examples.mqtt_devices.writer import Client, Fields, Sink, connected, disconnected, published
from local.aws import Aws

NODES, DEVICES = 3, 4
BEGIN = datetime(2026, 9, 1, 8, tzinfo=UTC)
REASONS = ("normal", "keepalive_timeout", "tcp_closed")


@dataclass(frozen=True, slots=True)
class Journal:
    """The fields of each event that was written."""

    written: list[Fields] = field(default_factory=list)


class Clock:
    """Milliseconds since the epoch. It moves on 4 minutes at each third look, so that some events, of two nodes also,
    are in one millisecond."""

    def __init__(self) -> None:
        self._lock, self._looks = threading.Lock(), 0

    def __call__(self) -> int:
        """The time at this look."""
        with self._lock:
            self._looks += 1
            return int((BEGIN + (self._looks // 3) * timedelta(minutes=4)).timestamp() * 1000)


def run(aws: Aws, calls: int, seed: int = 1) -> Journal:
    """Writes so many events."""
    sink, journal, clock = Sink(aws.client("dynamodb")), Journal(), Clock()
    with ThreadPoolExecutor(NODES) as pool:
        each = [pool.submit(_node, sink, journal, clock, n, calls // NODES, f"{seed}/{n}") for n in range(NODES)]
        for node in each:
            node.result()
    return journal


def _node(sink: Sink, journal: Journal, clock: Clock, number: int, calls: int, seed: str) -> None:
    draw, online = random.Random(seed), set[Client]()
    devices = [
        Client(
            f"sensor-{number}{n}",
            f"10.0.{number}.{n}:5{number}{n}00",
            f"emqx@10.0.0.{number}",
            f"team-{n}" if n else None,
        )
        for n in range(DEVICES)
    ]
    for _ in range(calls):
        event = _next(draw, draw.choice(devices), online, clock())
        sink.write(event)
        journal.written.append(event)


def _next(draw: random.Random, device: Client, online: set[Client], at: int) -> Fields:
    """A device that is offline connects; else it mostly publishes."""
    if device not in online:
        online.add(device)
        return connected(device, at)
    if draw.random() < 0.3:
        online.remove(device)
        return disconnected(device, at, draw.choice(REASONS))
    topic = f"t/{device.clientid}/{draw.choice(('climate', 'log'))}"
    guid = f"{draw.getrandbits(128):032X}"
    return published(device, at, guid, topic, _payload(draw), draw.randrange(3), draw.random() < 0.2)


def _payload(draw: random.Random) -> str:
    """Mostly an object in JSON; also other JSON, JSON that was cut off, and words."""
    climate = {"temperature": round(draw.uniform(-20, 40), 1), "unit": {"name": draw.choice(("hall", "roof"))}}
    text = json.dumps(climate)
    return draw.choice((text, text, text, text[:-3], str(climate["temperature"]), "battery low", "[1, 2]"))
