"""What a template names must exist in every region that it is deployed to."""

from collections.abc import Sequence
from pathlib import Path

REGIONS = ("us-east-1", "eu-west-1", "us-gov-west-1", "cn-north-1")
"""Of each partition one, and the usual ones."""

SES_REGIONS = tuple(region for region in REGIONS if region != "cn-north-1")
"""Those that have the resource types of SES."""


def faults(template: Path, regions: Sequence[str]) -> list[str]:
    """What cfn-lint finds in a template for these regions, one line each."""
    # Imported here: it takes longer than what else this module's users import.
    from cfnlint import lint_file
    from cfnlint.config import ManualArgs

    found = lint_file(template, ManualArgs(regions=list(regions)))
    return [f"{template.name}:{each.linenumber}: {each.rule.id} {each.message}" for each in found]
