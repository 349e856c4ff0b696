"""A function that does what its event asks for."""

import json
import os
import sys
import time

import boto3
import shared


def handler(event, context):
    if "Records" in event:
        return store(event["Records"])
    return globals()[event["do"]](event, context)


def store(records):
    table = boto3.client("dynamodb")
    for record in records:
        table.put_item(TableName=os.environ["TABLE"], Item={"id": {"S": record["dynamodb"]["Keys"]["id"]["S"]}})
    count("Received", len(records))
    return {"batchItemFailures": []}


def describe(event, context):
    return {
        "path": sys.path,
        "environment": dict(os.environ),
        "layer": shared.NAME,
        "function": context.function_name,
        "memory": context.memory_limit_in_mb,
        "left": context.get_remaining_time_in_millis(),
        "process": os.getpid(),
    }


def fail(event, context):
    raise ValueError("on purpose")


def leave(event, context):
    os._exit(3)


def wait(event, context):
    count("Begun", 1)
    time.sleep(event["seconds"])
    return {"process": os.getpid()}


def count_and_print(event, context):
    count("Received", event["count"])
    print("a plain line")


def echo(event, context):
    return event


def count(name, value):
    metrics = [{"Namespace": "Test", "Dimensions": [[]], "Metrics": [{"Name": name, "Unit": "Count"}]}]
    print(json.dumps({"_aws": {"Timestamp": 0, "CloudWatchMetrics": metrics}, name: [value]}))
