"""docs/tutorial.md from beginning to end: its declarations, its program and its commands, on embedded services."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from local.aws import Aws
from local.emulators import embedded
from tests.docs.pages import DOCS, ROOT, argv, blocks, commands

PAGE = DOCS / "tutorial.md"
FILES = {code.split("\n", 1)[0].removeprefix("# "): code for code in blocks(PAGE, "python")}
FUNCTIONS = ("derive", "index", "welcome", "replicate")


class Shop:
    """The tutorial's second shell. The declarations are in folders of the test; the project keeps its own."""

    def __init__(self, folder, endpoints):
        self.folder = folder
        for file, code in FILES.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(code)
        shutil.copy(ROOT / "template.yaml", folder)
        found = [str(ROOT / "layers" / "distributary"), *(str(folder / "functions" / each) for each in FUNCTIONS)]
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(found),
            "OPENSEARCH_ENDPOINT": endpoints.opensearch,
            **Aws.at_emulator(endpoints.aws, "us-east-1").environment(),
        }

    def run(self, arguments):
        return subprocess.run(
            arguments, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def step(self, name):
        done = self.run([sys.executable, str(self.folder / "shop.py"), name])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attach(self):
        """The counts of each function: received, applied, superseded, ignored, parked, failed."""
        done = self.feed("attach")
        self.status, self.said = done.returncode, done.stdout
        rows = [line.split() for line in done.stdout.splitlines()]
        return {row[0]: [int(each) for each in row[2:8]] for row in rows if row and row[0] in FUNCTIONS}

    def feed(self, form):
        """A command that runs functions, which find the test's own declarations."""
        (command,) = {each for each in commands(PAGE) if each.startswith(f"distributary {form} ")}
        declared = [f"--declared={each}={self.folder / 'functions' / each}" for each in FUNCTIONS]
        return self.run([*argv(command), *declared])

    def verify(self, form, *more):
        command = next(each for each in commands(PAGE) if each.startswith(f"distributary verify {form}"))
        project = [f"--project={self.folder}"]
        return self.run([*argv(command.replace("distributary", shlex.join(["distributary", *project]), 1)), *more])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with embedded() as endpoints:
        yield Shop(tmp_path_factory.mktemp("shop"), endpoints)


def test_the_tutorial_from_beginning_to_end(shop):
    shop.step("create")
    shop.step("fill")
    assert shop.attach() == {
        "derive": [7, 3, 0, 4, 0, 0],
        "index": [7, 2, 0, 5, 0, 0],
        "welcome": [7, 2, 0, 5, 0, 0],
        "replicate": [7, 3, 0, 4, 0, 0],
    }
    assert "'orders': Decimal('2'), 'revenue': Decimal('25')" in shop.step("rows")
    assert "Green tea" in shop.step("search")
    assert shop.step("messages").count(" sent") == 2
    assert len(shop.step("replica").splitlines()) == 3

    shop.step("change")
    counts = shop.attach()
    assert all(counts[each][2] > 0 for each in FUNCTIONS), "what came again is superseded"
    rows = shop.step("rows")
    assert "'orders': Decimal('1'), 'revenue': Decimal('24.9')" in rows
    assert "OPEN-ORDERS" in rows
    assert "CUSTOMER#ada/ORDER#1001" not in rows
    assert "Green tea from Uji" in shop.step("search")

    shop.step("spoil")
    assert shop.attach()["derive"][4] == 1
    assert shop.status == 1, "a change was parked"
    assert re.search(r"^derive: parked: event \S+: view 'sales'", shop.said, re.MULTILINE)
    assert re.search(
        r"^derive: rows in table \S+; parked changes in s3://\S+/parked/derive/; log in ", shop.said, re.MULTILINE
    )
    shop.step("correct")
    shop.attach()
    assert "'revenue': Decimal('50')" in shop.step("rows")
    assert re.search(r"1  derive .*only numbers add up", shop.feed("parked list").stdout)
    assert shop.feed("parked redrive").stdout == "1 redriven, 0 left\n"
    assert shop.feed("parked list").stdout == "nothing is parked\n"

    for form in ("derive", "index", "replicate"):
        done = shop.verify(form)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"differences 0|missing 0, dead 0, different 0", done.stdout)
    shop.step("damage")
    assert shop.verify("derive").returncode == 1
    assert shop.verify("derive", "--repair").returncode == 0
    assert "'revenue': Decimal('50')" in shop.step("rows")
    assert shop.feed("backfill").stdout.splitlines()[-1] == "7 items, 0 left"
