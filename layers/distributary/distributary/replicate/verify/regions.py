"""Tables of several regions that are all written: each other region held against one, by what applications see."""

from collections.abc import Sequence

from distributary.dynamodb.versioned_table import Write
from distributary.replicate.verify.comparison import Comparator
from distributary.replicate.verify.report import MirrorReport
from distributary.replicate.verify.table import Side
from distributary.stream.change import Change
from distributary.stream.codec import for_client
from distributary.stream.keys import identity


def comparator(home: Side, other: Side, keys: tuple[str, ...], attribute: str) -> Comparator:
    """Looks at both tables: their items are to be the same but for the replicator's `attribute`."""

    def as_it_is(change: Change) -> Write:
        image = change.new.raw if change.new is not None else None
        row = None if image is None else {n: for_client(typed, n) for n, typed in image.items() if n != attribute}
        return Write(identity(change.keys.raw), dict(change.keys.raw), row, change.version)

    return Comparator(home, other, keys, as_it_is, version_attribute=attribute, versioned=False)


def one_report(reports: Sequence[tuple[str, str, MirrorReport]]) -> MirrorReport:
    """One report of pairs of regions, `home` and another: which of them lacks an item, or holds another."""
    whole = MirrorReport()
    for home, other, report in reports:
        kinds = {"missing": f"missing in {other}", "dead": f"missing in {home}", "stale": f"differs in {other}"}
        for each in report.samples.get("differences", []):
            each["kind"] = kinds.get(each["kind"], each["kind"])
        for what, number in report.counts.items():
            whole.add(what, number)
        for what, samples in report.samples.items():
            whole.samples.setdefault(what, []).extend(samples)
        for region, units in report.units.items():
            whole.units[region] = whole.units.get(region, 0.0) + units
        whole.sampled = whole.sampled or report.sampled
    return whole
