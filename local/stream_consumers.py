"""Consumers of Kinesis data streams in the embedded CloudFormation, which knows no such resource.

The embedded Kinesis registers consumers, but has no SubscribeToShard: nothing is delivered by a consumer.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesis-streamconsumer.html
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import kinesis
from ministack.services.cloudformation import provisioners

TYPE = "AWS::Kinesis::StreamConsumer"


def create(_: str, properties: Mapping[str, Any], __: str) -> tuple[str, dict[str, Any]]:
    """Registers it. `Ref` is its ARN. Raises ValueError if Kinesis refuses."""
    status, _headers, body = kinesis._register_consumer(properties)
    answer = json.loads(body)
    if status != 200:
        raise ValueError(f"{TYPE}: {answer.get('message', answer)}")
    made = answer["Consumer"]
    return made["ConsumerARN"], {**made, "StreamARN": properties["StreamARN"]}


def delete(physical_id: str, _: Mapping[str, Any]) -> None:
    """Takes it away; nothing if it is gone."""
    kinesis._deregister_consumer({"ConsumerARN": physical_id})


def install() -> None:
    """Has the embedded CloudFormation take them."""
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": create, "delete": delete}
