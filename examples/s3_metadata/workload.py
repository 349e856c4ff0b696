"""Several clients who put and delete objects of a bucket, workers who index them, and the objects at the end."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from examples.s3_metadata.writer import Audit, ObjectIndex
from local.aws import Aws

BUCKET, QUEUE = "pictures", "pictures-events"
CLIENTS, WORKERS, PICTURES, EARLY = 3, 2, 24, 3
QUIET_SECONDS = 1.0
CLASSES = ("STANDARD", "STANDARD", "STANDARD_IA", "GLACIER_IR")
FOLDERS = ("2025/12", "2026/01", "2026/02")


@dataclass(frozen=True, slots=True)
class Journal:
    """`objects`: what S3 says of each, by key. `audit`: what a comparison found at the end, before it was set right."""

    objects: dict[str, dict[str, Any]]
    audit: Audit


def run(aws: Aws, calls: int, seed: int = 1) -> Journal:
    """Makes so many calls. A few objects are there before the bucket sends notifications."""
    s3, sqs = aws.client("s3"), aws.client("sqs")
    index, done = ObjectIndex(s3, aws.client("dynamodb")), threading.Event()
    s3.create_bucket(Bucket=BUCKET)
    queue = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    for number in range(EARLY):
        s3.put_object(Bucket=BUCKET, Key=f"before/{number}.bin", Body=b"before", ContentType="image/jpeg")
    _notify(s3, sqs, queue)
    with ThreadPoolExecutor(CLIENTS + WORKERS) as pool:
        workers = [pool.submit(_worker, index, sqs, queue, done) for _ in range(WORKERS)]
        clients = [pool.submit(_client, s3, calls // CLIENTS, f"{seed}/{n}") for n in range(CLIENTS)]
        try:
            for each in clients:
                each.result()
        finally:
            done.set()
        for each in workers:
            each.result()
    audit = index.audit(BUCKET)
    for key in audit.all():
        index.look(BUCKET, key)
    return Journal(objects(s3), audit)


def objects(s3: Any) -> dict[str, dict[str, Any]]:
    """What S3 says of each object."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    return {key: s3.head_object(Bucket=BUCKET, Key=key) for key in keys}


def _notify(s3: Any, sqs: Any, queue: str) -> None:
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sent = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [sent]})


def _worker(index: ObjectIndex, sqs: Any, queue: str, done: threading.Event) -> None:
    """Until the clients are done and the queue was empty for a while."""
    last = time.monotonic()
    while not done.is_set() or time.monotonic() < last + QUIET_SECONDS:
        if index.work(sqs, queue) or not done.is_set():
            last = time.monotonic()
        else:
            time.sleep(0.05)


def _client(s3: Any, calls: int, seed: str) -> None:
    """Puts pictures, and previews that are made from them; deletes both, each on its own."""
    draw = random.Random(seed)
    for _ in range(calls):
        number = draw.randrange(PICTURES)
        name = f"{FOLDERS[number % len(FOLDERS)]}/{number}.jpg"
        original, preview = f"originals/{name}", f"previews/{name}"
        match draw.randrange(8):
            case 0 | 1 | 2:
                _put(s3, draw, original, artist=draw.choice(("ada", "bela")))
            case 3 | 4:
                _put(s3, draw, preview, source=original)
            case 5:
                _put(s3, draw, "größe.txt", artist="ada")
            case _:
                s3.delete_object(Bucket=BUCKET, Key=draw.choice((original, preview)))


def _put(s3: Any, draw: random.Random, key: str, **metadata: str) -> None:
    body = draw.randbytes(draw.randrange(1, 2000))
    kind = "text/plain" if key.endswith(".txt") else "image/jpeg"
    given = {"ContentType": kind, "StorageClass": draw.choice(CLASSES), "Metadata": metadata}
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, **given)
