"""A table that indexes the objects of a bucket: totals of folders and storage classes, orphans, and a search."""

from pathlib import Path

from examples.s3_metadata import recompute, workload
from examples.s3_metadata.writer import TABLE
from local.examples import Example, Tier

HERE = Path(__file__).parent

EXAMPLE = Example(
    tables=(TABLE,),
    tiers=(Tier("objects", {"derive": HERE / "derive", "index": HERE / "index"}),),
    indexes=("objects",),
    document_name=("key",),
    write=workload.run,
    expected=recompute.expected,
)
