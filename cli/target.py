"""The stack that a command works on: a deployed one, or the project's functions on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from cli import project as projects
from cli.errors import UsageFault
from cli.options import checked_endpoint, table_names
from cli.running import here, local_parameters, local_project
from cli.stack import Stack, clients

if TYPE_CHECKING:
    from local.aws import Aws
    from local.stack import Stack as LocalStack

HERE = "this machine"
"""The name of the stack that runs here."""


@dataclass(frozen=True, slots=True)
class Where:
    """What a command was told of its stack. `table`: the source, or several, which a deployed stack knows by itself."""

    stack: str | None
    table: str | None
    endpoint_url: str | None
    region: str | None
    parameters: Sequence[str] = ()
    declared: Sequence[str] = ()


def stack_of(context: typer.Context, where: Where) -> Stack:
    """The stack; what runs here ends with the command. Raises UsageFault, ConfigError and LocalError."""
    endpoint = checked_endpoint(where.endpoint_url)
    if where.stack is not None:
        if where.parameters or where.declared:
            raise UsageFault("--parameter and --declared are for functions on this machine: leave them or --stack out")
        return Stack.find(where.stack, clients(endpoint, where.region))
    if endpoint is None:
        raise UsageFault(
            "give --stack NAME; for functions on this machine start `distributary up`, and set AWS_ENDPOINT_URL"
        )
    if not where.table:
        raise UsageFault("give --stack NAME; for functions on this machine give --table NAME, their source")
    return _here(context, where, endpoint, where.table)


def _here(context: typer.Context, where: Where, endpoint: str, table: str) -> Stack:
    from local.attach import source_table
    from local.aws import Aws
    from local.function_logs import LogFiles
    from local.stack import Stack as LocalStack

    aws = Aws.of_user(endpoint, where.region)
    streams = [source_table(aws, name)[0].stream_arn for name in table_names(table)]
    project = local_project(here(context, where.declared))
    parameters = local_parameters(where.parameters)
    local = context.with_resource(LocalStack(project, aws, parameters, LogFiles(project.artifacts / "logs")))
    return as_deployed(local, streams, aws)


def as_deployed(local: "LocalStack", streams: Sequence[str], aws: "Aws") -> Stack:
    """Functions of this machine as commands see those of a deployed stack. One that reads a single table reads the
    first one."""
    from local.lambda_client import LambdaClient

    functions = LambdaClient(lambda name: local.function(name, *local.readable(name, streams)))

    @cache
    def client(service: str) -> Any:
        return functions if service == "lambda" else aws.client(service)

    specs = {name: local.spec(name, *local.readable(name, streams)) for name in projects.FUNCTIONS}
    outputs = {f"{name.capitalize()}FunctionArn": spec.arn for name, spec in specs.items()}
    kept = local.spec("deferred").environment
    outputs |= {"ParkingBucketName": kept["PARKING_BUCKET"], "DeferredBucketName": kept["DEFERRED_BUCKET"]}
    return Stack(HERE, client, {**outputs, "BreakerTableName": kept["BREAKER_TABLE"]})
