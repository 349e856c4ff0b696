"""A batch of orders as Lambda sends it, of a stream or of a Kinesis data stream: bytes, with both images."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.kinesis import MICROS, delivered, written

READ = ("email", "status", "total", "placed_at", "tags")
SIZES = {"3 KB": 5, "0.9 KB": 0}
"""The bytes of a record in the event, 0.45 KB of them around its images, and how many lines each image has beside the
first. The smaller order has the five attributes that are read, an address and one line, as short as they can be."""

STREAM, KINESIS = "stream", "kinesis"
_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"


def body(size: str, records: int, source: str = STREAM) -> bytes:
    """The event: so many changes of as many orders, each to be read for `READ`."""
    changes = [_record(i, SIZES[size]) for i in range(records)]
    batch = {"Records": on_kinesis(changes) if source == KINESIS else changes}
    return json.dumps(batch, ensure_ascii=False, separators=(",", ":")).encode()


def on_kinesis(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Changes as a data stream brings them, none of one time with another. Their sequence numbers are consecutive."""
    return [_delivered(record, int(record["dynamodb"]["SequenceNumber"]) // 10**20) for record in records]


def _delivered(record: Mapping[str, Any], place: int) -> dict[str, Any]:
    content = written(dict(record), "orders", MICROS + place)
    return delivered(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), place)


def _record(i: int, more: int) -> Mapping[str, Any]:
    keys = {"pk": {"S": f"C#{i:06d}"}}
    return {
        "eventID": f"{i:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1795341600,
            "Keys": keys,
            "NewImage": _order(keys, i, "shipped", more),
            "OldImage": _order(keys, i, "paid", more),
            "SequenceNumber": f"{6200000000002513011398 + i * 10**20}",
            "SizeBytes": 2048,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": _ARN,
    }


def _order(keys: Mapping[str, Any], i: int, status: str, more: int) -> Mapping[str, Any]:
    order = {
        **keys,
        "email": {"S": f"user-{i}@example.com"},
        "status": {"S": status},
        "total": {"N": f"{i}.90"},
        "placed_at": {"S": "2026-11-20T09:12:44Z"},
        "tags": {"SS": ["gift", "express"]},
    }
    if not more:
        short = {"email": {"S": f"u{i}@a.is"}, "placed_at": {"N": "1795341600"}, "tags": {"SS": ["gift"]}}
        city, line = {"city": {"S": "Höfn"}}, {"sku": {"N": str(i)}}
        return {**order, **short, "address": {"M": city}, "lines": {"L": [{"M": line}]}}
    address = {
        "name": "Zoë Þórsdóttir",
        "street": "Laugavegur 12",
        "zip": "101",
        "city": "Reykjavík",
        "country": "IS",
    }
    return {
        **order,
        "currency": {"S": "EUR"},
        "paid": {"BOOL": True},
        "address": {"M": {name: {"S": text} for name, text in address.items()}},
        "lines": {"L": [_line(i, n) for n in range(1 + more)]},
        "version": {"N": "3"},
        "note": {"S": "please ring twice"},
        "updated_at": {"S": "2026-11-21T10:00:00Z"},
        "shipment": {"M": {"carrier": {"S": "DHL"}, "code": {"S": "JD0146000031"}, "parcels": {"N": "2"}}},
    }


def _line(i: int, n: int) -> Mapping[str, Any]:
    line = {
        "sku": {"S": f"SKU-{i * 7 + n:06d}"},
        "title": {"S": "Trail running shoe, blue"},
        "quantity": {"N": str(n + 1)},
        "price": {"N": "129.90"},
    }
    return {"M": line}
