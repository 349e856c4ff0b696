"""A deployed stack as an operator with read permission sees it. Each request is checked against AWS's own model."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from tests.fakes.answers import refusal
from tests.fakes.iam import Keys, ResourcePolicies, Simulator
from tests.fakes.stack import ACCOUNT

_MODELS = botocore.session.get_session()
BRANCHES = ("derive", "index", "welcome", "replicate", "archive")
TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
STREAM = f"{TABLE}/stream/2026-01-01T00:00:00.000"
ALARM = "Parked: changes were parked; see docs/alarms.md#parkedalarm"

_READS_ALL = {"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}


def role(branch: str) -> str:
    """The ARN of the role that a function of the stack has."""
    return f"arn:aws:iam::{ACCOUNT.split(':')[4]}:role/shop-{branch}"


class Checked:
    """A service's client: what botocore would refuse is an error, and so is what `denied` names."""

    def __init__(self, service: str, answers: Mapping[str, Callable[..., Any]], denied: set[str]) -> None:
        self._model = _MODELS.get_service_model(service)
        self._answers, self._denied = answers, denied
        self.called = list[str]()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._answers:
            raise AttributeError(name)

        def call(**given: Any) -> Any:
            operation = next(each for each in self._model.operation_names if each.lower() == name.replace("_", ""))
            faults = ParamValidator().validate(given, self._model.operation_model(operation).input_shape)
            assert not faults.has_errors(), faults.generate_report()
            self.called.append(operation)
            if operation in self._denied:
                raise refusal(operation, "AccessDenied", "User: arn:aws:iam::1:user/x is not authorized", 403)
            return self._answers[name](**given)

        return call

    def get_paginator(self, name: str) -> Any:
        """Of answers that have one page."""

        class Pages:
            def paginate(_, **given: Any) -> Iterable[Any]:
                yield getattr(self, name)(**given)

        return Pages()


class Monitored:
    """The stack `shop` with some of its functions. What a test wants to be seen, it puts into the fields."""

    def __init__(self, s3: Any, bucket: str, *branches: str) -> None:
        self.branches = branches or BRANCHES
        self.bucket, self.s3, self.denied = bucket, s3, set[str]()
        self.state, self.generation, self.latest, self.view = "UPDATE_COMPLETE", "3", STREAM, "NEW_AND_OLD_IMAGES"
        self.mappings = {branch: [self.mapping()] for branch in self.branches}
        self.alarms = {"shop-DeriveParkedAlarm-1": "OK", "shop-DeriveFailedAlarm-2": "OK"}
        self.series: dict[tuple[str, str, str], list[tuple[datetime, float]]] = {}
        self.ledger: dict[str, Any] | None = None
        self.strangers, self.is_global = list[dict[str, Any]](), False
        self.requested, self.carries = 0, tuple[str, ...]()
        self.listed, self.destinations = STREAM, dict[str, str]()
        self.precision, self.retention_hours = "MICROSECOND", 24
        self.key, self.sharing = "", ResourcePolicies()
        self.iam, self.kms = Simulator(), Keys(ACCOUNT.split(":")[4])
        self.iam.roles = {role(each): [_READS_ALL] for each in (*BRANCHES, "trunk")}
        self.claims: dict[str, Any] = {}
        self.logs: dict[str, list[tuple[datetime, str]]] = {}
        self._clients = {name: Checked(name, answers, self.denied) for name, answers in self._answers().items()}

    def mapping(self, **more: Any) -> dict[str, Any]:
        """An enabled mapping that has read."""
        return {"UUID": "uuid", "State": "Enabled", "LastProcessingResult": "OK", "EventSourceArn": STREAM, **more}

    def measured(self, who: str, name: str, *values: tuple[datetime, float], service: str = "") -> None:
        """Values of a metric of a branch's own, or of Lambda's if its name is one."""
        self.series[who, service or who, name] = list(values)

    def clients(self, service: str) -> Any:
        """See `cli.stack.Clients`."""
        return self.s3 if service == "s3" else self._clients[service]

    @property
    def called(self) -> set[str]:
        """The operations that were asked for, S3's apart."""
        return {operation for client in self._clients.values() for operation in client.called}

    def _answers(self) -> dict[str, dict[str, Callable[..., Any]]]:
        return {
            "cloudformation": {"describe_stacks": self._stacks, "list_stack_resources": self._resources},
            "lambda": {
                "get_function_configuration": self._configuration,
                "list_event_source_mappings": self._mappings,
            },
            "cloudwatch": {"get_metric_data": self._data, "describe_alarms": self._alarms},
            "dynamodb": {
                "describe_table": self._table,
                "describe_kinesis_streaming_destination": self._destinations,
                "get_item": self._item,
                "batch_get_item": self._items,
            },
            "logs": {"filter_log_events": self._lines},
            "kinesis": {
                "describe_stream_summary": self._data_stream,
                "get_resource_policy": self.sharing.get_resource_policy,
            },
            "iam": {"simulate_principal_policy": self.iam.simulate_principal_policy},
            "kms": {"describe_key": self.kms.describe_key, "get_key_policy": self.kms.get_key_policy},
        }

    def _stacks(self, *, StackName: str) -> Any:
        if StackName != "shop":
            raise refusal("DescribeStacks", "ValidationError", f"Stack with id {StackName} does not exist")
        outputs = {"ParkingBucketName": self.bucket}
        outputs |= {f"{branch.capitalize()}FunctionArn": f"{ACCOUNT}:{branch}" for branch in self.branches}
        if self.carries:
            outputs |= {"TrunkFunctionArn": f"{ACCOUNT}:trunk", "BreakerTableName": "breakers"}
            outputs["DeferredBucketName"] = self.bucket
        if "replicate" in self.branches:
            outputs["DriftFunctionArn"] = f"{ACCOUNT}:drift"
        given = {"Generation": self.generation, "IteratorAgeAlarmMilliseconds": "60000"}
        stack = {
            "StackStatus": self.state,
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        }
        return {"Stacks": [stack]}

    def _resources(self, *, StackName: str) -> Any:
        assert StackName == "shop"
        kind = {"ResourceType": "AWS::CloudWatch::Alarm"}
        rows = [{**kind, "PhysicalResourceId": name} for name in self.alarms]
        return {"StackResourceSummaries": [*rows, {"ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": "b"}]}

    def _alarms(self, *, AlarmNames: list[str], MaxRecords: int) -> Any:
        assert MaxRecords >= len(AlarmNames)
        found = [{"AlarmName": name, "StateValue": self.alarms[name], "AlarmDescription": ALARM} for name in AlarmNames]
        return {"MetricAlarms": found}

    def _configuration(self, *, FunctionName: str) -> Any:
        assert FunctionName.endswith(":live")
        variables = {"STREAMS": f"{self.listed}=3", "SOURCES": "", "LEDGER_TABLE": "ledger"}
        variables |= {"TOMBSTONE_DAYS": "8", "MARKER_DAYS": "8", "CLAIM_DAYS": "30"}
        variables |= {"ARCHIVE_BUCKET": "archive", "CLAIM_TABLE": "claims", "TRUNK_BRANCHES": ",".join(self.carries)}
        group = f"/aws/lambda/shop-{FunctionName.split(':')[-2]}"
        return {
            "Environment": {"Variables": variables},
            "Timeout": 60,
            "LoggingConfig": {"LogGroup": group},
            "Role": role(FunctionName.split(":")[-2]),
        }

    def _mappings(self, *, FunctionName: str = "", EventSourceArn: str = "") -> Any:
        if EventSourceArn:
            own = [
                {**each, "FunctionArn": f"{ACCOUNT}:shop-{branch}:live"}
                for branch, found in self.mappings.items()
                for each in found
            ]
            read = [each for each in (*own, *self.strangers) if each["EventSourceArn"] == EventSourceArn]
            return {"EventSourceMappings": read}
        *_, branch, alias = FunctionName.split(":")
        assert alias == "live"
        return {"EventSourceMappings": self.mappings[branch]}

    def _data(self, *, MetricDataQueries: list[Any], StartTime: datetime, EndTime: datetime) -> Any:
        """Sums or maxima of whole periods, as CloudWatch aligns them."""
        self.requested += len(MetricDataQueries)
        results = [self._series(each, StartTime, EndTime) for each in MetricDataQueries]
        return {"MetricDataResults": results}

    def _series(self, query: Any, start: datetime, end: datetime) -> Any:
        stat = query["MetricStat"]
        assert start.timestamp() % stat["Period"] == 0
        of = {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]}
        assert stat["Metric"]["Namespace"] == ("AWS/Lambda" if "FunctionName" in of else "Distributary")
        assert of.get("stack", "shop") == "shop"
        who = of.get("FunctionName") or of["branch"]
        periods: dict[datetime, list[float]] = {}
        for when, value in self.series.get((who, of.get("service", who), stat["Metric"]["MetricName"]), []):
            begin = when - timedelta(seconds=when.timestamp() % stat["Period"])
            if start <= begin < end:
                periods.setdefault(begin, []).append(value)
        fold = {"Sum": sum, "Maximum": max}[stat["Stat"]]
        return {"Id": query["Id"], "Timestamps": list(periods), "Values": [fold(each) for each in periods.values()]}

    def _table(self, *, TableName: str) -> Any:
        if TableName not in ("users", TABLE):
            raise refusal("DescribeTable", "ResourceNotFoundException", f"Table: {TableName} not found")
        regions = {"Replicas": [{"RegionName": "eu-west-1"}, {"RegionName": "us-east-1"}]} if self.is_global else {}
        keys = [{"AttributeName": "user_id", "KeyType": "HASH"}]
        types = [{"AttributeName": "user_id", "AttributeType": "S"}]
        stream = {"LatestStreamArn": self.latest, "StreamSpecification": {"StreamViewType": self.view}}
        return {"Table": {**regions, **stream, "KeySchema": keys, "AttributeDefinitions": types}}

    def _destinations(self, *, TableName: str) -> Any:
        assert TableName in ("users", TABLE)
        precision = {"ApproximateCreationDateTimePrecision": self.precision}
        found = [
            {"StreamArn": arn, "DestinationStatus": state, **precision} for arn, state in self.destinations.items()
        ]
        return {"TableName": TableName, "KinesisDataStreamDestinations": found}

    def _data_stream(self, *, StreamARN: str) -> Any:
        assert StreamARN in self.destinations
        encrypted = {"EncryptionType": "KMS", "KeyId": self.key} if self.key else {"EncryptionType": "NONE"}
        return {"StreamDescriptionSummary": {"RetentionPeriodHours": self.retention_hours, **encrypted}}

    def _items(self, *, RequestItems: Any) -> Any:
        ((table, asked),) = RequestItems.items()
        found = [self.claims[each["id"]["S"]] for each in asked["Keys"] if each["id"]["S"] in self.claims]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def _lines(self, *, logGroupName: str, startTime: int, filterPattern: str, nextToken: str = "") -> Any:
        """One line a page. Of terms in quotes any is enough if each begins with a question mark.
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html"""
        terms = [term.lstrip("?").strip('"') for term in filterPattern.split(" ")]
        assert len(terms) == 1 or all(term.startswith("?") for term in filterPattern.split(" "))
        found = [
            {"timestamp": int(when.timestamp() * 1000), "message": line}
            for when, line in self.logs.get(logGroupName, [])
            if when.timestamp() * 1000 >= startTime and any(term in line for term in terms)
        ]
        page = int(nextToken or 0)
        return {"events": found[page : page + 1], **({"nextToken": str(page + 1)} if page + 1 < len(found) else {})}

    def _item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> Any:
        assert (TableName, Key, ConsistentRead) == ("ledger", {"id": {"S": "%derive"}}, True)
        return {"Item": self.ledger} if self.ledger else {}
