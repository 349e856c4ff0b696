"""The views that the project declares, against those that the stack's rows were written under."""

from collections.abc import Iterator
from pathlib import Path

from cli import project as projects
from cli.stack import Stack
from cli.status.row import Row, attention, well, worth_knowing
from distributary.derive.described import described
from distributary.derive.table_format import ROW_ID, written_under
from distributary.stream.described import changes

_CHECK = "declarations"


def declarations(stack: Stack, folder: Path) -> Iterator[Row]:
    """The row in the ledger table is read; no function is invoked. Raises UsageFault, DeclarationFaults."""
    with projects.declarations(projects.find(folder), "derive") as found:
        now = {view.name: described(view) for view in found}
    table = stack.function("derive").environment["LEDGER_TABLE"]
    request = {"TableName": table, "Key": {"id": {"S": ROW_ID}}, "ConsistentRead": True}
    row = stack.clients("dynamodb").get_item(**request).get("Item")
    if row is None:
        yield worth_knowing(_CHECK, "derive has written no row yet", declared=sorted(now))
        return
    differing = changes(written_under(row), now)
    option = f"--stack {stack.name}"
    for name in differing.new:
        yield attention(
            _CHECK, f"view '{name}' is new in the project", f"deploy, then backfill it ({option})", view=name
        )
    for name, fields in differing.changed.items():
        said = f"view '{name}' is declared otherwise than its rows were written ({', '.join(fields)})"
        fix = f"deploy, then `distributary rebuild derive --view {name} {option}`"
        yield attention(_CHECK, said, fix, view=name, fields=fields)
    for name in differing.removed:
        fix = f"deploy, then `distributary retire {name} {option}`"
        yield attention(_CHECK, f"view '{name}' has rows, and the project does not declare it", fix, view=name)
    if not (differing.new or differing.changed or differing.removed):
        yield well(
            _CHECK, f"the rows of all {len(now)} views were written as the project declares them", views=sorted(now)
        )
