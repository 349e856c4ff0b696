"""A deployed stack against its template: every difference, in words.

What ministack takes and forgets cannot be compared there, so tests/template holds it: TTL, recovery and encryption of
tables; public access block, lifecycle and own key of the bucket; policies of roles; networks of functions; what
mappings count, and which are disabled; alarms on metric math, which it refuses; where SES reports bounces to.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.template import ALIAS, BRANCHES, METRIC_MATH, Template, resolved
from local.aws import ACCOUNT, Aws
from local.intrinsics import Scope, resolve


@dataclass(frozen=True, slots=True)
class Deployed:
    """`ids` are the stack's physical ids by logical id, `parameters` the values it was deployed with."""

    aws: Aws
    template: Template
    parameters: Mapping[str, Any]
    ids: Mapping[str, str]

    @classmethod
    def find(cls, aws: Aws, stack: str, template: Template, parameters: Mapping[str, Any]) -> "Deployed":
        """Raises botocore's ClientError if there is no such stack."""
        pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        rows = [row for page in pages for row in page["StackResourceSummaries"]]
        ids = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}
        known = {"AWS::Region": aws.region, "AWS::StackName": stack, **template.defaults(), **parameters, **ids}
        return cls(aws, template, known, ids)

    def faults(self) -> list[str]:
        """One line for each difference; none if the stack is as the template says. Mappings name consumers, and are
        compared once these are right."""
        consumers = [each.removesuffix("Consumer") for each in self.template.of_type("AWS::Kinesis::StreamConsumer")]
        if wrong := [fault for each in consumers for fault in self._consumer(each)]:
            return wrong
        names = [name for name in BRANCHES if self.parameters[f"{name}SourceArn"]]
        found = [
            f"{name}: deployed without a source"
            for name in BRANCHES
            if name not in names and f"{name}Function" in self.ids
        ]
        for name in names:
            found += [*self._function(name), *self._mapping(name), *self._logs(name), *self._alarms(name)]
        if self.parameters["TrunkSourceArn"]:
            found += [*self._function("Trunk"), *self._mapping("Trunk"), *self._logs("Trunk"), *self._alarms("Trunk")]
            found += [*self._logs("Deferred"), *self._fed("Deferred", tuple(BRANCHES), names)]
        elif "TrunkFunction" in self.ids:
            found.append("Trunk: deployed without a source")
        if "Welcome" in names:
            found += self._mail()
        elif "WelcomeMail" in self.ids:
            found.append("WelcomeMail: deployed without welcome")
        if self.parameters["Feed"] == "true":
            found += [*self._logs("Feed"), *self._feed(names)]
        elif "FeedStateMachine" in self.ids:
            found.append("FeedStateMachine: deployed without Feed=true")
        if "Replicate" in names:
            found += [*self._function("Drift"), *self._logs("Drift"), *self._schedule()]
        elif "DriftFunction" in self.ids:
            found.append("Drift: deployed without replicate")
        for table in self.template.of_type("AWS::DynamoDB::Table"):
            found += self._table(table)
        if (named := self.parameters["TombstoneTableName"]) and self.ids["TombstoneTable"] != named:
            found.append(f"TombstoneTable: is {self.ids['TombstoneTable']}, not {named}")
        return found + list(self._bucket())

    def _expect(self, where: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
        for setting, value in expected.items():
            if actual.get(setting) != value:
                yield f"{where}: {setting} is {actual.get(setting)!r}, not {value!r}"

    def _function(self, name: str) -> Iterator[str]:
        declared = self.template.function(name)
        function = self.ids[f"{name}Function"]
        actual = self.aws.client("lambda").get_function_configuration(FunctionName=function, Qualifier=ALIAS)
        same = ("Runtime", "Architectures", "Handler", "MemorySize", "Timeout")
        wanted = resolved({setting: declared[setting] for setting in same}, self.parameters)
        yield from self._expect(f"{name}Function", wanted, actual)
        variables = {
            variable: str(value) for variable, value in self._evaluated(declared["Environment"]["Variables"]).items()
        }
        yield from self._expect(f"{name}Function variables", variables, actual["Environment"]["Variables"])
        if len(actual.get("Layers", [])) != 1:
            yield f"{name}Function: has {len(actual.get('Layers', []))} layers, not 1"

    def _mapping(self, name: str) -> Iterator[str]:
        mapping = self.template.mapping(name)
        source, filters = (self._evaluated(_by_name(mapping.pop(each))) for each in ("Stream", "FilterCriteria"))
        wanted = resolved(mapping, self.parameters)
        enabled, _ = (wanted.pop(each) for each in ("Enabled", "MetricsConfig"))
        wanted |= {
            "EventSourceArn": source,
            **({"State": "Enabled"} if self._evaluated(enabled) else {}),
            "FilterCriteria": filters,
            "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:s3:::{self.ids['ParkingBucket']}"}},
        }
        lambda_ = self.aws.client("lambda")
        pages = lambda_.list_event_source_mappings(EventSourceArn=source)["EventSourceMappings"]
        function = lambda_.get_function_configuration(FunctionName=self.ids[f"{name}Function"])["FunctionArn"]
        mappings = [each for each in pages if each["FunctionArn"] == f"{function}:{ALIAS}"]
        if len(mappings) != 1:
            yield f"{name}Function: its alias has {len(mappings)} event source mappings, not 1"
        for actual in mappings:
            yield from self._expect(f"{name} event source mapping", wanted, actual)

    def _consumer(self, reader: str) -> Iterator[str]:
        """A function, or a further table of derive's, that reads by enhanced fan-out has a consumer of its own."""
        fans_out = self._evaluated(self.template.document["Conditions"][f"{reader}FansOut"])
        if fans_out != (f"{reader}Consumer" in self.ids):
            yield f"{reader}Consumer: {'is missing' if fans_out else 'deployed without enhanced fan-out'}"
        elif fans_out:
            wanted = self._evaluated(self.template.properties(f"{reader}Consumer"))
            arn = self.ids[f"{reader}Consumer"]
            found = self.aws.client("kinesis").describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]
            yield from self._expect(f"{reader}Consumer", wanted, found)

    def _evaluated(self, value: Any) -> Any:
        """With every intrinsic function, not only references."""
        given = {name: str(each) for name, each in self.parameters.items()}
        conditions, stack = self.template.document["Conditions"], self.parameters["AWS::StackName"]
        return resolve(value, Scope(given, {}, conditions, self.aws.region, ACCOUNT, stack))

    def _feed(self, names: list[str]) -> Iterator[str]:
        """The state machine invokes feed, and feed the functions that are deployed."""
        yield from self._fed("Feed", ("Derive", "Index", "Replicate"), names)
        machine = self.aws.client("stepfunctions").describe_state_machine(stateMachineArn=self.ids["FeedStateMachine"])
        if f":{self.ids['FeedFunction']}:{ALIAS}" not in machine["definition"] or "${" in machine["definition"]:
            yield "FeedStateMachine: its definition does not name the alias of FeedFunction"

    def _fed(self, feeder: str, able: tuple[str, ...], names: list[str]) -> Iterator[str]:
        """A function that feeds others knows those that are deployed."""
        function = self.aws.client("lambda").get_function_configuration(
            FunctionName=self.ids[f"{feeder}Function"], Qualifier=ALIAS
        )
        variables = function["Environment"]["Variables"]
        for name in able:
            expected = f":{self.ids[f'{name}Function']}:{ALIAS}" if name in names else ""
            if not variables.get(f"{name.upper()}_FUNCTION", "").endswith(expected):
                yield f"{feeder}Function: does not feed the alias of {name}Function"

    def _schedule(self) -> Iterator[str]:
        rule = self.aws.client("events").describe_rule(Name=self.ids["DriftFunctionSchedule"])
        expected = {"ScheduleExpression": self.parameters["DriftSchedule"], "State": "ENABLED"}
        yield from self._expect("Drift schedule", expected, rule)

    def _mail(self) -> Iterator[str]:
        """The nested stack has the configuration set that messages carry, and knows the topic of bounces."""
        client, nested = self.aws.client("cloudformation"), self.ids["WelcomeMail"]
        rows = client.list_stack_resources(StackName=nested)["StackResourceSummaries"]
        parts = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}
        yield from self._expect("WelcomeMail", {"ConfigurationSet": f"{self.parameters['AWS::StackName']}-mail"}, parts)
        if "BounceDestination" not in parts:
            yield "WelcomeMail: has no BounceDestination"
        (stack,) = client.describe_stacks(StackName=nested)["Stacks"]
        given = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        yield from self._expect("WelcomeMail parameters", {"BounceTopicArn": self.ids["BounceTopic"]}, given)

    def _logs(self, name: str) -> Iterator[str]:
        group = self.ids[f"{name}Logs"]
        groups = self.aws.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        actual: dict[str, Any] = next((dict(each) for each in groups if each["logGroupName"] == group), {})
        yield from self._expect(f"{name}Logs", {"retentionInDays": self.parameters["LogRetentionDays"]}, actual)

    def _alarms(self, name: str) -> Iterator[str]:
        client = self.aws.client("cloudwatch")
        for logical_id, alarm in self.template.of_type("AWS::CloudWatch::Alarm").items():
            if alarm["Condition"] != f"{name}Deployed" or METRIC_MATH in alarm["Properties"]:
                continue
            wanted = resolved(alarm["Properties"], self.parameters)
            same = ("Namespace", "MetricName", "Statistic", "Period", "EvaluationPeriods", "ComparisonOperator")
            expected = {setting: wanted[setting] for setting in same}
            expected |= {"Threshold": float(wanted["Threshold"]), "Dimensions": wanted["Dimensions"]}
            alarms = client.describe_alarms(AlarmNames=[self.ids[logical_id]])["MetricAlarms"]
            yield from self._expect(logical_id, expected, next(iter(alarms), {}))

    def _table(self, logical_id: str) -> Iterator[str]:
        wanted = self.template.properties(logical_id)
        actual = self.aws.client("dynamodb").describe_table(TableName=self.ids[logical_id])["Table"]
        yield from self._expect(logical_id, {"KeySchema": wanted["KeySchema"]}, actual)
        yield from self._expect(logical_id, {"BillingMode": wanted["BillingMode"]}, actual["BillingModeSummary"])

    def _bucket(self) -> Iterator[str]:
        wanted, bucket, s3 = self.template.properties("ParkingBucket"), self.ids["ParkingBucket"], self.aws.client("s3")
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        algorithm = {"SSEAlgorithm": "AES256"}
        yield from self._expect("ParkingBucket", {"ApplyServerSideEncryptionByDefault": algorithm}, rule)
        owners = s3.get_bucket_ownership_controls(Bucket=bucket)
        yield from self._expect("ParkingBucket", {"OwnershipControls": wanted["OwnershipControls"]}, owners)
        versioning = s3.get_bucket_versioning(Bucket=bucket)
        yield from self._expect("ParkingBucket", wanted["VersioningConfiguration"], versioning)
        if "aws:SecureTransport" not in s3.get_bucket_policy(Bucket=bucket)["Policy"]:
            yield "ParkingBucket: its policy does not ask for TLS"


def _by_name(value: Any) -> Any:
    """The ARN of a consumer is also what a reference to it gives, and so its physical id
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-kinesis-streamconsumer.html)."""
    match value:
        case {"Fn::GetAtt": [name, "ConsumerARN"]}:
            return {"Ref": name}
        case dict():
            return {key: _by_name(each) for key, each in value.items()}
        case list():
            return [_by_name(each) for each in value]
    return value
