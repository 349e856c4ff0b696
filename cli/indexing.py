"""Commands that make OpenSearch indexes and move their readers."""

import inspect
from collections.abc import Iterable
from typing import Annotated, Literal

import typer

from cli import project as projects
from cli.deployed import examined, reported
from cli.errors import UsageFault
from cli.options import (
    Endpoint,
    IndexName,
    Pause,
    Region,
    Search,
    Secret,
    Segments,
    Service,
    Table,
    checked_endpoint,
    checked_search,
)

app = typer.Typer(help="Make OpenSearch indexes, and rebuild them.", no_args_is_help=True)
reindex = typer.Typer(help="Move an index's readers to another generation, step by step.", no_args_is_help=True)
app.add_typer(reindex, name="reindex")

To = Annotated[int | None, typer.Option(help="The new generation (default: the one begun, or the readers' plus one).")]
Function = Annotated[
    str | None, typer.Option(help="The index function's name in Lambda, which is asked whether it writes to both.")
]
Both = Annotated[bool, typer.Option("--writing-both", help="State that it writes to both, and has since start.")]


@app.command()
def apply(
    context: typer.Context,
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Such as https://search.example.com")],
    service: Service = "es",
    secret: Secret = "none",
    generation: Annotated[int, typer.Option(min=0, help="The function's Generation.")] = 0,
) -> int:
    """Create the declared indexes and their aliases, or add what is new in indexes.py."""
    from distributary.index.opensearch.connect import connect
    from distributary.index.opensearch.target import make

    found = str(checked_search(endpoint))
    with projects.declarations(projects.find(context.obj), "index") as sources:
        for line in make(connect(found, service, secret), [source.declared for source in sources], generation):
            print(line)
    return 0


@app.command()
def doctor(
    context: typer.Context,
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Such as https://search.example.com")],
    service: Service = "es",
    secret: Secret = "none",
    generation: Annotated[int, typer.Option(min=0, help="The function's Generation.")] = 0,
    role: Annotated[
        str, typer.Option(metavar="ARN", help="An IAM role, to be looked up in the domain's role mapping.")
    ] = "",
    used_by: Annotated[
        Literal["function", "rebuild", "purge", "apply", "verify"], typer.Option(help="What the role is used for.")
    ] = "function",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Examine an index and the access to it. Changes nothing."""
    from distributary.index.doctor import examine
    from distributary.index.opensearch.connect import connect

    found = str(checked_search(endpoint))
    with projects.declarations(projects.find(context.obj), "index") as sources:
        declared = [source.declared for source in sources]
        return examined(list(examine(connect(found, service, secret), declared, generation, role, used_by)), as_json)


_ACCEPTS = ("differences", "refused", "moving")
_OF_SOME_STEPS = ("segments", "pause", "again", "repair", "json", *_ACCEPTS)


def _step(name: str, does: str, *more: str) -> None:
    """One step of a move as a command, with the options of all steps and `more`: what typer reads is the signature."""

    def step(
        context: typer.Context,
        table: Table,
        endpoint: Search = None,
        service: Service = "es",
        secret: Secret = "none",
        index: IndexName = None,
        endpoint_url: Endpoint = None,
        region: Region = None,
        segments: Segments = 4,
        pause: Pause = 10.0,
        to: To = None,
        function: Function = None,
        writing_both: Both = False,
        again: Annotated[bool, typer.Option("--again", help="Fill it anew.")] = False,
        repair: Annotated[bool, typer.Option("--repair", help="Repair what differs.")] = False,
        json: Annotated[str | None, typer.Option(metavar="FILE", help="Write the report there.")] = None,
        differences: Annotated[int, typer.Option(help="Accept so many differences.")] = 0,
        refused: Annotated[int, typer.Option(help="Accept so many items without a document.")] = 0,
        moving: Annotated[int, typer.Option(help="Accept so many that could not be compared.")] = 0,
    ) -> int:
        from distributary.index.reindex.move import Move, build
        from distributary.index.reindex.steps import Accepted
        from distributary.index.verify.command import Options

        if function and writing_both:
            raise UsageFault("--function and --writing-both exclude each other: give one of them")
        places = Options(
            table=table,
            endpoint=checked_search(endpoint),
            service=service,
            secret=secret,
            index=index,
            endpoint_url=checked_endpoint(endpoint_url),
            region=region,
            segments=segments,
            pause=pause,
        )
        with projects.declarations(projects.find(context.obj), "index"):
            move = build(
                Move(
                    places=places,
                    starts=name == "start",
                    to=to,
                    function=function,
                    writing_both=writing_both,
                    repair=repair,
                )
            )
            match name:
                case "plan":
                    return _said(move.plan())
                case "start":
                    return _said(move.start(segments, again))
                case "compare":
                    report = move.compare()
                    return reported(report.as_json(), [*report.lines(), move.next_step()], json, report.status)
                case "swap":
                    return _said([move.swap(Accepted(differences, refused, moving))])
            return _said([move.rollback()])

    step.__doc__ = does
    given = inspect.signature(step)
    own = [each for each in given.parameters.values() if each.name not in _OF_SOME_STEPS or each.name in more]
    step.__signature__ = given.replace(parameters=own)  # type: ignore[attr-defined]
    reindex.command(name)(step)


_step("plan", "Print where the move is, and what to do next.")
_step("start", "Create the new index and fill it.", "segments", "again")
_step("compare", "Compare the new index with the table.", "segments", "pause", "repair", "json")
_step("swap", "Move readers to the new index.", *_ACCEPTS)
_step("rollback", "Move readers back.")


def _said(lines: Iterable[str]) -> int:
    for line in lines:
        print(line, flush=True)
    return 0
