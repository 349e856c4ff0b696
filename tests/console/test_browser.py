"""The console in a real browser: each page, each button, by keyboard, in dark and light, in a narrow window."""

import json
from urllib.parse import quote

import pytest

from tests.console.browser import axe

pytestmark = pytest.mark.browser


def expect(locator):
    """Playwright's, which is installed for these tests alone."""
    from playwright.sync_api import expect as of_playwright

    return of_playwright(locator)


HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
SECONDS = 20_000
"""Milliseconds that Playwright waits."""


@pytest.fixture
def opened(browser, shop):
    """Opens a page of the console as its link does; what the browser complains about fails the test."""
    contexts, complaints = [], []

    def open_page(route="", link="", **options):
        link = link or shop.link
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(SECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda asked: None if asked.url.startswith(link[:22]) else complaints.append(asked.url))
        page.goto(link)
        page.get_by_text("live", exact=True).wait_for()
        if route:
            page.evaluate("route => { location.hash = route }", route)
        return page

    open_page.expected = []
    yield open_page
    for context in contexts:
        context.close()
    expected = [*open_page.expected, "frame is sandboxed"]  # the mails' HTML has a script
    assert [each for each in complaints if not any(text in each for text in expected)] == []


@pytest.fixture(scope="module")
def filled(shop):
    """An order, a spoiled order, a customer with mail and a product; the event of the order."""
    shop.put("CUSTOMER#rita", "PROFILE", name={"S": "Rita"}, email={"S": "rita@example.com"}, language={"S": "en"})
    shop.put("PRODUCT#urn", "PRODUCT", title={"S": "Urn"}, price={"N": "3"})
    shop.order(80, "5", "rita")
    shop.order(81, {"S": "a lot"}, "rita")
    shop.change("ORDER%2381", derive="Parked", replicate="Applied")
    shop.change("urn", index="Applied")
    return shop.change("ORDER%2380", derive="Applied")["event"]


def changes_of(page):
    return page.locator("div[aria-label=Changes] tbody tr")


def key_route(pk, sk):
    return f"#/key/shop/{quote(json.dumps({'pk': {'S': pk}, 'sk': {'S': sk}}), safe='')}"


def routes(event):
    return {
        "stream": ("#/stream", "ORDER#80"),
        "record": (f"#/record/{event}", "Which declarations it concerns"),
        "key": (key_route("CUSTOMER#rita", "ORDER#81"), "cannot take the item"),
        "mail": (key_route("CUSTOMER#rita", "PROFILE"), "rita@example.com"),
        "choose": ("#/key", "Name the whole key"),
        "parked": ("#/parked", "only numbers add up"),
        "view": ("#/contents/view/sales", "CUSTOMER#rita / SALES"),
        "index": ("#/contents/index/products", "PRODUCT#urn"),
        "try": ("#/try", "No fault is to come."),
    }


PAGES = ("stream", "record", "key", "mail", "choose", "parked", "view", "index", "try")


@pytest.mark.parametrize("name", PAGES)
def test_each_page_loads_and_its_title_says_which(opened, filled, name):
    route, text = routes(filled)[name]
    page = opened(route)
    page.locator("main").get_by_text(text).first.wait_for()
    assert page.title().endswith("– Distributary console")
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(opened, filled, name, scheme):
    route, text = routes(filled)[name]
    page = opened(route, color_scheme=scheme)
    page.locator("main").get_by_text(text).first.wait_for()
    page.evaluate(axe())
    found = page.evaluate("async () => (await axe.run()).violations")
    serious = [
        (each["id"], node["html"][:200], node["failureSummary"][:300])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert serious == []


@pytest.mark.parametrize("name", PAGES)
def test_a_narrow_window_scrolls_in_one_direction_only(opened, filled, name):
    route, text = routes(filled)[name]
    page = opened(route, viewport={"width": 360, "height": 700})
    page.locator("main").get_by_text(text).first.wait_for()
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= seen


def test_changes_arrive_while_the_page_is_open(opened, shop):
    page = opened()
    shop.order(82, "5", "sam")
    row = page.locator("tr", has_text="ORDER#82")
    row.wait_for()
    row.locator(".badge.applied").first.wait_for()


def test_rows_that_did_not_change_keep_the_focus_when_others_arrive(opened, shop, filled):
    page = opened()
    link = page.locator("tr", has_text="ORDER#80").locator("a")
    link.focus()
    shop.order(83, "5", "sam")
    page.locator("tr", has_text="ORDER#83").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "CUSTOMER#rita / ORDER#80"


def test_filters_narrow_the_changes(opened, filled):
    page = opened()
    page.get_by_label("Key contains").fill("PRODUCT#urn")
    page.locator("tbody tr", has_text="PRODUCT#urn").wait_for()
    changes = changes_of(page)
    expect(changes).to_have_count(1)
    page.get_by_label("Kind").select_option("REMOVE")
    expect(changes).to_have_count(0)


def test_a_user_gets_from_the_address_to_a_record_by_keyboard_alone(opened, filled):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "key":
            break
    page.keyboard.type("ORDER#80")
    expect(changes_of(page)).to_have_count(1)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('tbody a')"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="INSERT of CUSTOMER#rita / ORDER#80").wait_for()
    assert page.evaluate("document.activeElement.id") == "main"


def test_what_an_item_holds_is_text_on_every_page(opened, shop):
    shop.put(HOSTILE, f"ORDER#{HOSTILE}", customer={"S": HOSTILE}, total={"S": HOSTILE}, status={"S": "open"})
    shop.put("PRODUCT#" + HOSTILE, "PRODUCT", title={"S": HOSTILE}, price={"N": "1"})
    shop.put("CUSTOMER#evil", "PROFILE", name={"S": "a<b>c"}, email={"S": "e@example.com"}, language={"S": HOSTILE})
    event = shop.change(quote("ORDER#" + HOSTILE[:9]), derive="Parked", replicate="Applied")["event"]
    shop.change("CUSTOMER%23evil", welcome="Applied")
    shop.change(quote("PRODUCT#" + HOSTILE[:9]), index="Applied")
    page = opened()
    for route, text in (
        ("#/stream", "onerror"),
        (f"#/record/{quote(event)}", "Requests that were issued"),
        (key_route(HOSTILE, f"ORDER#{HOSTILE}"), "cannot take the item"),
        (key_route("CUSTOMER#evil", "PROFILE"), "e@example.com"),
        ("#/parked", "onerror"),
        ("#/contents/view/open-orders", "onerror"),
        ("#/contents/index/products", "onerror"),
    ):
        page.evaluate("route => { location.hash = route }", route)
        page.locator("main").get_by_text(text).first.wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("window.hacked") is None, route
        assert page.locator("main img, main script").count() == 0, route


def test_an_address_that_names_nothing_says_so_as_text(opened):
    page = opened()
    opened.expected = ["status of 400"]
    for route, text in (
        (f"#/record/{quote(HOSTILE)}", "is not among the last"),
        (f"#/key/{quote(HOSTILE, safe='')}/x", "is not attached"),
    ):
        page.evaluate("route => { location.hash = route }", route)
        page.locator("main [role=alert]").get_by_text(text).wait_for()
        assert page.locator("main img, main script").count() == 0


def test_a_mails_html_is_shown_and_may_do_nothing(opened, filled):
    page = opened(key_route("CUSTOMER#rita", "PROFILE"))
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Welcome, Rita").wait_for()
    assert page.evaluate("window.hacked") is None


def test_the_token_stays_with_the_tab_and_leaves_the_address(opened, shop, browser):
    page = opened()
    assert "token" not in page.url
    page.reload()
    page.get_by_text("live", exact=True).wait_for()
    context = browser.new_context()
    other = context.new_page()
    other.goto(shop.link.partition("#")[0])
    other.locator("main").get_by_text("open the link that the console printed").wait_for()
    context.close()


def test_rewind_duplicate_and_check_say_what_they_did(opened, shop, filled):
    page = opened(f"#/record/{filled}")
    page.get_by_role("button", name="Deliver it once more").click()
    page.get_by_text("delivered once more to").wait_for()
    page.locator("li.lane", has_text="derive").get_by_text("superseded").first.wait_for()
    page.evaluate("location.hash = '#/try'")
    page.get_by_role("button", name="Rewind its shards").click()
    page.get_by_text("1 shard rewound").wait_for()
    page.get_by_role("button", name="Check the items that changed last").click()
    page.get_by_text("items: ").wait_for()


def test_a_fault_is_caused_listed_and_taken_back(opened):
    page = opened("#/try")
    faults = page.locator("section[aria-label=Faults]")
    faults.locator("select[name=reader]").select_option("archive")
    faults.locator("select[name=kind]").select_option("crash before")
    faults.get_by_role("button", name="Cause it").click()
    page.get_by_text("archive: crash before, 1 to come").wait_for()
    faults.get_by_role("button", name="Take its faults back").click()
    page.get_by_text("No fault is to come.").wait_for()


def test_an_item_is_put_edited_and_deleted_from_the_page(opened, shop):
    page = opened("#/try")
    item = {"pk": {"S": "CUSTOMER#tom"}, "sk": {"S": "ORDER#84"}, "customer": {"S": "tom"}, "total": {"N": "1"}}
    page.get_by_label("The item, as DynamoDB JSON").fill(json.dumps(item))
    page.get_by_role("button", name="Put it").click()
    page.get_by_text("written: its change comes by the stream").wait_for()
    shop.change("ORDER%2384", derive="Applied")
    page.evaluate("route => { location.hash = route }", key_route("CUSTOMER#tom", "ORDER#84"))
    page.get_by_role("link", name="Edit or delete it").click()
    page.get_by_text("You edit an item as it was loaded.").wait_for()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("deleted: its change comes by the stream").wait_for()
    shop.change("ORDER%2384&kind=REMOVE", derive="Applied")


def test_a_lost_row_is_reconciled_with_its_button(opened, shop):
    shop.order(85, "5", "uwe")
    shop.change("ORDER%2385", derive="Applied", replicate="Applied")
    names = shop.dynamodb.list_tables()["TableNames"]
    row = {"pk": {"S": "OPEN-ORDERS"}, "sk": {"S": "CUSTOMER#uwe/ORDER#85"}}
    shop.dynamodb.delete_item(TableName=next(each for each in names if each.startswith("console-Derived")), Key=row)
    page = opened(key_route("CUSTOMER#uwe", "ORDER#85"))
    page.get_by_text("missing: OPEN-ORDERS").wait_for()
    page.get_by_role("button", name="Reconcile in derive").click()
    page.get_by_text("missing: OPEN-ORDERS").wait_for(state="detached")
    page.get_by_role("button", name="Look again").click()
    page.get_by_text("as of now").wait_for()


def test_a_groups_items_and_a_search_are_shown(opened, filled):
    page = opened("#/contents/view/sales")
    row = page.locator("tr", has=page.get_by_role("rowheader", name="CUSTOMER#rita / SALES"))
    row.get_by_role("button", name="Its items").click()
    page.get_by_role("link", name="CUSTOMER#rita / ORDER#80").wait_for()
    page.get_by_role("link", name="products").click()
    page.get_by_role("searchbox").fill("title:urn")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_text("1 document found.").wait_for()


def of_stack():
    return {
        "stack": ("#/stack", "need attention"),
        "trace": ("#/trace", "It reads the archive"),
        "key": (key_route("CUSTOMER#rita", "ORDER#81"), "cannot take the item"),
        "parked": ("#/parked", "only numbers add up"),
        "view": ("#/contents/view/sales", "CUSTOMER#rita / SALES"),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", list(of_stack()))
def test_pages_of_a_stack_load_fit_and_have_nothing_serious(opened, filled, stack_link, name, scheme):
    route, text = of_stack()[name]
    page = opened(route, stack_link, color_scheme=scheme, viewport={"width": 360, "height": 700})
    page.locator("main").get_by_text(text).first.wait_for()
    assert page.locator("h1").count() == 1
    wide, seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= seen
    page.evaluate(axe())
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


def test_a_change_of_a_stack_is_traced_from_its_parked_item(opened, filled, stack_link):
    page = opened("#/parked", stack_link)
    row = page.locator("tr", has_text="ORDER#81")
    row.get_by_role("link", name="its change").first.click()
    page.get_by_role("heading", name="Trace a change or an item").wait_for()
    page.locator("div[aria-label=Steps] tbody tr").get_by_text("only numbers add up").first.wait_for()


def test_an_address_of_another_kind_of_console_opens_its_first_page(opened, stack_link):
    page = opened("#/try", stack_link)
    page.get_by_role("heading", name="Stack this machine").wait_for()
    opened("#/stack").get_by_role("heading", name="Stream of shop").wait_for()


def test_what_is_parked_is_forgotten_with_a_second_press(opened, shop):
    shop.order(96, {"S": "a lot"}, "zoe")
    shop.change("ORDER%2396", derive="Parked")
    page = opened(key_route("CUSTOMER#zoe", "ORDER#96"))
    page.get_by_text("Forget it instead").click()
    page.get_by_role("button", name="Forget what is parked").click()
    page.get_by_text("Nothing is parked.").wait_for()
