"""The template, read once."""

from pathlib import Path

import pytest

from deploy.template import Template

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def template():
    return Template.read(ROOT / "template.yaml")


@pytest.fixture(scope="session")
def mail():
    return Template.read(ROOT / "ses.yaml")
