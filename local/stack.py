"""The template's functions on this machine, put together: storage, processes, event source mappings."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributary.feed.snapshot import Table
from distributary.stream.kinesis import data_stream_of
from local import storage
from local.aws import Aws, said_in_one_line
from local.backfill import Target, backfill
from local.build import TRUNK, Built, build
from local.emulators import Endpoints, Ports, embedded
from local.errors import LocalError
from local.esm.data_stream import DataStream
from local.esm.lane import Backoff
from local.esm.mapping import EventSourceMapping, Hooks, Stream
from local.esm.settings import MappingSettings
from local.function_logs import LogFiles, Output
from local.made import Made
from local.processes import Child
from local.runtime import Function, Log, Through, as_given, command
from local.runtime_api import Answer
from local.template import STACK, FunctionSpec, Storage, TableSpec, Template, samconfig_parameters

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Project:
    """Where template.yaml and samconfig.toml are, and what is built for this machine. `declared`: by function, a folder
    whose files (such as replica.py) take the place of the function's own. `stack`: what the names of tables and buckets
    begin with."""

    folder: Path = Path()
    artifacts: Path = Path(".build/local")
    declared: Mapping[str, Path] = field(default_factory=dict)
    stack: str = STACK

    @property
    def template(self) -> Template:
        """The project's template."""
        return Template(self.folder / "template.yaml", self.stack)

    @property
    def outbox(self) -> Path:
        """Where mail is written that functions send to the embedded AWS."""
        return self.artifacts / "outbox"

    def parameters(self) -> dict[str, str]:
        """What samconfig.toml gives to the environment `local`."""
        return samconfig_parameters(self.folder / "samconfig.toml")


class Stack:
    """Functions whose tables and buckets are at `storage`; they reach AWS there and nowhere else.

    `parameters` are the template's, over those that samconfig.toml gives to `local`. `log` takes (function, line), and
    `through` says which environment a function's processes get.
    """

    def __init__(
        self, project: Project, storage_at: Aws, parameters: Mapping[str, str], log: Log, through: Through = as_given
    ) -> None:
        self.aws = storage_at
        self._project, self._template, self._log, self._through = project, project.template, log, through
        self._parameters = {**project.parameters(), **parameters}
        self._functions: dict[str, Function] = {}
        self._mappings: list[EventSourceMapping] = []
        self._stopping = threading.Event()
        storage.create(self._template.storage(self._parameters, self.aws.region), self.aws)

    @classmethod
    @contextmanager
    def start(
        cls,
        project: Project = Project(),
        parameters: Mapping[str, str] | Callable[[Endpoints], Mapping[str, str]] | None = None,
        region: str = "us-east-1",
        ports: Ports | None = None,
        log: Log | None = None,
        outbox: Path | None = None,
        through: Through = as_given,
    ) -> Iterator["Stack"]:
        """With everything embedded in this run. Parameters may be made from the endpoints; the index is at the embedded
        OpenSearch unless they say otherwise. Logs go to .build/local/logs/<function>.log, sent mail to `outbox`."""
        with embedded(ports or Ports(), outbox=outbox) as endpoints:
            given = parameters(endpoints) if callable(parameters) else parameters or {}
            found = {"OpenSearchEndpoint": endpoints.opensearch, "OpenSearchService": "none", **given}
            lines = log or LogFiles(project.artifacts / "logs")
            with cls(project, Aws.at_emulator(endpoints.aws, region), found, lines, through) as stack:
                yield stack

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops what was attached, and ends every process."""
        self._stopping.set()
        for mapping in self._mappings:
            mapping.stop(0)
        for function in self._functions.values():
            function.close()
        for mapping in self._mappings:
            mapping.stop()

    def prepare(self, names: Sequence[str]) -> None:
        """Builds what these functions need, once for all of them."""
        self._built(names)

    def _built(self, names: Sequence[str]) -> Built:
        for name in self._project.declared:
            self._template.source(name)
        return build(self._template, names, self._project.artifacts, self._project.declared)

    def spec(self, name: str, *stream_arns: str) -> FunctionSpec:
        """A function as it is deployed on these streams. Raises LocalError for more than it can read."""
        names = self._template.source_parameters(name) if stream_arns else ()
        if len(stream_arns) > len(names):
            raise LocalError(f"{name} reads {len(names)} table{'s' * (len(names) > 1)} at most: leave out the others")
        source = dict(zip(names, stream_arns, strict=False))
        return self._template.function(name, {**self._parameters, **source}, self.aws.region)

    def readable(self, name: str, stream_arns: Sequence[str]) -> Sequence[str]:
        """As many of these streams as a function reads."""
        return stream_arns[: len(self._template.source_parameters(name))]

    def function(self, name: str, *stream_arns: str) -> Function:
        """A function, built and made when it is first asked for."""
        if name not in self._functions:
            spec = self.spec(name, *stream_arns)
            given = self.aws.environment()
            self._functions[name] = Function(spec, self._built([name]), given, self._log, self._through)
        return self._functions[name]

    def restart(self, name: str) -> None:
        """Builds a function that was made, and runs it from then on, and so does the trunk that holds it. The index
        gets what its declaration adds. LocalError if it cannot be built, or if the index cannot be changed."""
        running = [each for each in (name, TRUNK) if each in self._functions]
        built = self._built(running)
        if name == "index":
            self.apply_index()
        for each in running:
            self._functions[each].restart(built)

    def join(self, stream_arn: str, names: Sequence[str]) -> None:
        """Lets the trunk read the stream for these functions, from then on."""
        parameters = [self._template.source_parameter(name) for name in (*names, TRUNK)]
        self._parameters |= dict.fromkeys(parameters, stream_arn)

    def counted(self, name: str) -> dict[str, int]:
        """What a function counted by itself, and as a branch of the trunk."""
        own = Counter(self.function(name).metrics.counts())
        return dict(own + Counter(self._functions[TRUNK].metrics.counts(name)) if TRUNK in self._functions else own)

    def invoke(self, name: str, event: Any) -> Answer:
        """Runs a function once."""
        return self.function(name).invoke(json.dumps(event).encode())

    def attach(
        self,
        stream_arn: str,
        names: Sequence[str],
        source: Aws | None = None,
        hooks: Hooks | None = None,
        backoff: Backoff | None = None,
    ) -> dict[str, EventSourceMapping]:
        """Starts the functions' event source mappings on a stream at `source` (default: where the storage is)."""
        place = source or self.aws
        client = DataStream(place.client("kinesis")) if data_stream_of(stream_arn) else place.client("dynamodbstreams")
        stream = Stream(stream_arn, place.region, client)
        attached = {}
        for name in names:
            function = self.function(name, stream_arn)
            settings = _only(function.spec)
            mapping = EventSourceMapping(
                stream,
                function.spec.arn,
                function.invoke,
                settings,
                self.aws.client,
                hooks or Hooks(),
                backoff or Backoff(),
            )
            self._mappings.append(mapping)
            mapping.start()
            attached[name] = mapping
        return attached

    def backfill(
        self,
        table: Table,
        names: Sequence[str],
        source: Aws | None = None,
        segments: int = 2,
        progress: Callable[[int], None] | None = None,
        first_fill: bool = False,
    ) -> int:
        """Delivers what the table holds to these functions; returns how many items, once all are delivered.

        `first_fill` says that nothing was ever written downstream: then items that a function keeps nothing of write
        nothing."""
        functions = [self.function(name, table.stream_arn) for name in names]
        targets = [Target(each.spec.name, each.invoke, _only(each.spec)) for each in functions]
        with said_in_one_line(f"the backfill of {table.name}"):
            dynamodb = (source or self.aws).client("dynamodb")
            return backfill(dynamodb, table, targets, segments, self._stopping, progress, first_fill)

    def made(self, name: str, contents: bool = False) -> Made:
        """What a function makes from now on; `contents` shows rows and documents, not only their keys."""
        return Made(name, self.spec(name).environment, self.aws, self._project.outbox, contents)

    def stop_backfill(self) -> None:
        """Ends backfills after the batch they are at."""
        self._stopping.set()

    def create_replica(self, table: TableSpec) -> None:
        """Makes what is not there of the tables that replicate writes to: a mirror's one; of multi-active, which is
        known by its table of deletions, those of every region, with their streams and deletions."""
        environment = self.spec("replicate").environment
        name, regions = environment["REPLICA_TABLE"], environment["REPLICA_REGION"].split(",")
        shared = self._parameters.get("TombstoneTableName", "")
        tables = [TableSpec(name, table.key_schema, table.attributes, stream=bool(shared))]
        if shared:
            regions.append(self.aws.region)
            kept = self._template.storage(self._parameters, self.aws.region).tables
            tables += [each for each in kept if each.name == shared]
        for region in regions:
            storage.create(Storage(tuple(tables), ()), Aws.at_emulator(self.aws.endpoint or "", region))

    def apply_index(self) -> str:
        """Makes the declared index with what the built function holds; what was done."""
        spec = self.spec("index")
        built = self._built(["index"])
        given, output = spec.environment, Output()
        options = [given["OPENSEARCH_ENDPOINT"], given["OPENSEARCH_SERVICE"], given["GENERATION"]]
        run = [*command((*built.path("index"), ROOT), "local.make_index"), *options]
        child = Child(run, {"PATH": "", **self.aws.environment()}, built.functions["index"], output.file)
        try:
            status = child.wait()
            said = output.lines()
        finally:
            child.stop()
            output.close()
        if status:
            cause = said[-1] if said else f"exit status {status}"
            raise LocalError(f"the index cannot be made: {cause} (--parameter OpenSearchEndpoint=URL says where)")
        return said[-1] if said else ""


def _only(spec: FunctionSpec) -> MappingSettings:
    if len(spec.mappings) != 1:
        raise LocalError(f"{spec.name} has {len(spec.mappings)} DynamoDB event sources: give it one in template.yaml")
    return spec.mappings[0]
