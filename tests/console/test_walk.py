"""A new user's walk through the console, in a real browser: docs/walk.md shows its pictures.

Start, attach a table, find why an item is parked, correct the declaration, redrive, and see it in all branches.
"""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from cli.console.starting import Starting, starting
from local.aws import Aws
from local.emulators import embedded
from tests.console.browser import axe
from tests.console.conftest import ROOT

pytestmark = pytest.mark.browser

PICTURES = Path(os.environ.get("SCREENSHOTS") or ROOT / ".build" / "screenshots")
SECONDS = 180
"""As long as the walk may take, and as long as Playwright waits for the functions to be built."""

CAUSE = "'total' is str, and only numbers add up"


class Walk:
    """The user's table, the folder of their declarations, and the page."""

    def __init__(self, endpoints, folder, page):
        self.dynamodb = Aws.at_emulator(endpoints.aws, "us-east-1").client("dynamodb")
        self.views, self.page = folder / "derive" / "views.py", page
        PICTURES.mkdir(parents=True, exist_ok=True)

    def create_table(self):
        names = (("pk", "HASH"), ("sk", "RANGE"))
        self.dynamodb.create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in names],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )

    def order(self, customer, number, total):
        item = {"customer": customer, "email": f"{customer}@example.com", "status": "open"}
        values = {name: {"S": value} for name, value in item.items()}
        keys = {"pk": {"S": f"CUSTOMER#{customer}"}, "sk": {"S": f"ORDER#{number}"}}
        self.dynamodb.put_item(TableName="orders", Item={**keys, **values, "total": total})

    def correct(self):
        text = self.views.read_text().replace(
            '{"revenue": "total"}', '{"revenue": lambda order: Decimal(order["total"])}'
        )
        self.views.write_text(
            text.replace("from distributary.derive", "from decimal import Decimal\n\nfrom distributary.derive", 1)
        )

    def picture(self, name):
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=PICTURES / f"walk-{name}.png")


@pytest.fixture
def services():
    """With mail where `attach` looks for it, as `up` has it."""
    with embedded(outbox=ROOT / ".build" / "local" / "outbox") as endpoints:
        yield endpoints


@pytest.fixture
def walk(services, browser, tmp_path):
    folder = tmp_path / "walk"
    shutil.copytree(Path(__file__).parent / "walk", folder)
    declared = [f"{name}={folder / name}" for name in ("derive", "index", "welcome", "replicate")]
    options = ["--stack-name", "walk", *(part for each in declared for part in ("--declared", each))]
    aws = Aws.at_emulator(services.aws, "us-east-1")
    with starting(Starting(ROOT, aws, {"OPENSEARCH_ENDPOINT": services.opensearch}, options)) as link:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        page.goto(link)
        yield Walk(services, folder, page)
        context.close()


def serious(page):
    page.evaluate(axe())
    found = page.evaluate("async () => (await axe.run()).violations")
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


def test_a_new_user_gets_a_parked_item_into_all_branches_in_three_minutes(walk):
    page, began = walk.page, time.monotonic()
    page.get_by_role("heading", name="Attach functions to a table").wait_for()
    walk.create_table()
    page.get_by_role("checkbox", name="orders").check()
    for name in ("derive", "index", "welcome", "replicate", "archive"):
        page.get_by_role("checkbox", name=name, exact=True).check()
    walk.picture("start")
    assert serious(page) == []
    page.get_by_role("button", name="Attach and open the console").click()
    page.get_by_role("heading", name="Stream of orders").wait_for()

    for number in range(1, 6):
        walk.order("ada", number, {"N": str(number * 10)})
    walk.order("vera", 7, {"S": "12.50"})
    row = page.locator("tr", has_text="ORDER#7")
    row.locator(".badge.parked").wait_for()
    for _ in ("index", "welcome", "replicate", "archive"):
        row.locator(".badge.applied").nth(3).wait_for()
    walk.picture("parked")

    row.get_by_role("link").click()
    page.locator("li.lane", has_text="derive").get_by_text(CAUSE).wait_for()
    page.locator("tr", has_text="view 'sales'").locator(".fault", has_text=CAUSE).wait_for()
    walk.picture("why")

    page.get_by_role("link", name="The life of this key").click()
    page.get_by_role("heading", name="Key CUSTOMER#vera / ORDER#7").wait_for()
    page.locator("section[aria-label=Parked]").get_by_text(CAUSE).wait_for()
    page.get_by_text("cannot take the item").wait_for()
    walk.picture("key")
    walk.correct()
    redriven_once_it_can_be(page)
    sales = page.locator("li.lane", has_text="view 'sales'")
    sales.get_by_text("as it should be", exact=True).wait_for()
    sales.get_by_text("12.5").first.wait_for()
    for place in ("index 'orders'", "replicate: table"):
        page.locator("li.lane", has_text=place).get_by_text("as it should be", exact=True).wait_for()
    page.get_by_text("Thank you, vera").first.wait_for()
    assert page.locator(".holdings .badge.failed, .holdings .badge.parked").count() == 0
    sales.scroll_into_view_if_needed()
    page.screenshot(path=PICTURES / "walk-arrived.png")
    assert time.monotonic() - began < SECONDS

    page.get_by_role("link", name="Try", exact=True).click()
    page.get_by_role("button", name="Check the items that changed last").click()
    page.get_by_text(re.compile(r"6 items: ")).wait_for()
    walk.picture("converged")


def redriven_once_it_can_be(page):
    """The function restarts with the corrected declaration; a redrive before that parks the item again."""
    from playwright.sync_api import TimeoutError as TooLate

    nothing = page.get_by_text("Nothing is parked.")
    for _ in range(20):
        with contextlib.suppress(TooLate):  # the button goes when nothing is parked
            page.get_by_role("button", name="Redrive this key").click(timeout=3000)
        with contextlib.suppress(TooLate):
            nothing.wait_for(timeout=5000)
            return
    raise AssertionError("the item is parked still")
