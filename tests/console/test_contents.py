"""What views and indexes hold: rows, the items of a group, documents that a search finds."""

from urllib.parse import urlencode


def ask(shop, path, **query):
    return shop.ask(f"{path}?{urlencode(query)}")


def test_declarations_are_listed_with_their_write_units(shop):
    found = shop.ask("/contents")
    sales = next(each for each in found["views"] if each["name"] == "sales")
    assert (sales["kind"], sales["groups"], sales["units"]["insert"]) == ("Aggregate", True, "6")
    assert [each["name"] for each in found["indexes"]] == ["products"]


def test_a_group_is_made_up_of_its_items_and_they_add_up(shop):
    shop.order(30, "4", "ines")
    shop.order(31, "6.5", "ines")
    shop.order(32, "100", "jon")
    shop.change("ORDER%2332", derive="Applied")
    rows = ask(shop, "/rows", view="sales")["rows"]
    row = next(each for each in rows if each["pk"]["S"] == "CUSTOMER#ines")
    assert row["revenue"] == {"N": "10.5"}
    found = ask(shop, "/group", view="sales", pk="CUSTOMER#ines", sk="SALES")
    assert {each["key"]["sk"]["S"] for each in found["items"]} == {"ORDER#30", "ORDER#31"}
    assert sum(float(each["adds"]["sum:revenue"]) for each in found["items"]) == 10.5
    assert not found["more"]


def test_the_rows_of_one_view_are_not_those_of_another(shop):
    shop.order(33, "1", "kai")
    shop.change("ORDER%2333", derive="Applied")
    rows = ask(shop, "/rows", view="open-orders")["rows"]
    assert {row["pk"]["S"] for row in rows} == {"OPEN-ORDERS"}
    assert not any(row["pk"]["S"].startswith("%") for row in ask(shop, "/rows", view="sales")["rows"])


def test_rows_are_paged_from_cursor_to_cursor(shop, monkeypatch):
    monkeypatch.setattr("cli.console.contents.ROWS", 2)
    for number in range(34, 39):
        shop.order(number, "1", "lea")
    shop.change("ORDER%2338", derive="Applied")
    seen, cursor = [], ""
    while True:
        found = ask(shop, "/rows", view="open-orders", cursor=cursor)
        seen += [row["sk"]["S"] for row in found["rows"]]
        cursor = found["cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen))
    assert {f"CUSTOMER#lea/ORDER#{number}" for number in range(34, 39)} <= set(seen)


def test_a_search_finds_documents_and_never_a_marker(shop):
    for name, title in (("jar", "Glass jar"), ("lid", "Steel lid")):
        shop.put(f"PRODUCT#{name}", "PRODUCT", title={"S": title}, price={"N": "1"})
    shop.change("PRODUCT%23lid", index="Applied")
    shop.dynamodb.delete_item(TableName="shop", Key={"pk": {"S": "PRODUCT#lid"}, "sk": {"S": "PRODUCT"}})
    shop.change("PRODUCT%23lid&kind=REMOVE", index="Applied")
    shop.until(lambda: [each["id"] for each in ask(shop, "/documents", index="products", q="title:jar")["documents"]])
    everything = ask(shop, "/documents", index="products")
    titles = [each["document"].get("title") for each in everything["documents"]]
    assert "Glass jar" in titles
    assert "Steel lid" not in titles
    assert None not in titles


def test_a_name_that_is_not_declared_is_refused_with_those_that_are(shop):
    assert shop.refused("/rows?view=none") == (400, "there is no view 'none': there are open-orders, sales")
    assert shop.refused("/documents?index=none") == (400, "there is no index 'none': there are products")
    assert shop.refused("/rows?view=sales&cursor=%7B")[0] == 400
