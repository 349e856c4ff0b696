"""A region that lacks the resource types of SES deploys everything but welcome."""

import pytest

from deploy.regions import REGIONS, SES_REGIONS, faults

LINTED = {"template.yaml": REGIONS, "ses.yaml": SES_REGIONS, "readers.yaml": REGIONS, "target-role.yaml": REGIONS}


def test_only_the_nested_template_names_types_of_ses(template, mail):
    kinds = {each["Type"] for each in template.document["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith("AWS::SES::")}
    assert all(each["Type"].startswith("AWS::SES::") for each in mail.document["Resources"].values())
    assert "Transform" not in mail.document


@pytest.mark.slow
@pytest.mark.parametrize("file", LINTED)
def test_a_template_names_only_what_its_regions_have(file, root):
    assert faults(root / file, LINTED[file]) == []


@pytest.mark.slow
def test_a_type_that_a_region_lacks_is_found(root):
    assert any(
        "cn-north-1" in fault and "AWS::SES::ConfigurationSet" in fault for fault in faults(root / "ses.yaml", REGIONS)
    )
