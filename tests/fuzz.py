"""`make fuzz`: an event's bytes, changed by a fuzzer that sees which code they reach, end as they would without us."""

import json
import logging
import os
import sys
from pathlib import Path

import atheris  # from requirements/fuzz.txt

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/distributary")]

with atheris.instrument_imports(include=["distributary.stream", "distributary.consumer.marshaller"]):
    from distributary.consumer import marshaller  # noqa: F401

from tests.unit.hostile_bytes import check  # noqa: E402
from tests.unit.records import event, stream_record  # noqa: E402


def seeds(folder: Path) -> Path:
    """Writes the events that the fuzzer begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    image = {"x": {"S": "é"}, "y": {"N": "-1.5E3"}, "z": {"L": [{"M": {"a": {"B": "AA=="}}}]}, "s": {"SS": ["a"]}}
    for kind in ("INSERT", "MODIFY", "REMOVE"):
        body = json.dumps(event(stream_record(0, kind=kind, new=image, old=image)), separators=(",", ":"))
        (folder / kind).write_text(body)
    return folder


def _checked(body: bytes) -> None:
    check(body)


if __name__ == "__main__":
    os.environ |= {"POWERTOOLS_METRICS_NAMESPACE": "Distributary", "POWERTOOLS_SERVICE_NAME": "fuzz"}
    logging.disable()
    corpus = seeds(ROOT / ".build" / "fuzz-corpus")
    options = ["-max_len=20000", f"-max_total_time={sys.argv[1]}", f"-artifact_prefix={corpus}-"]
    atheris.Setup([sys.argv[0], str(corpus), *options], _checked)
    atheris.Fuzz()
