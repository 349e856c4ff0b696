"""Two images as a difference, with types."""

from cli.console.difference import difference


def states(old, new):
    return {"/".join(map(str, row["path"])): row["state"] for row in difference(old, new)}


def test_an_insert_adds_and_a_delete_removes_every_attribute():
    item = {"a": {"S": "x"}, "b": {"N": "1"}}
    assert states(None, item) == {"a": "added", "b": "added"}
    assert states(item, None) == {"a": "removed", "b": "removed"}


def test_a_change_of_type_alone_is_a_change():
    assert states({"a": {"S": "1"}}, {"a": {"N": "1"}}) == {"a": "changed"}


def test_only_the_part_of_a_map_or_list_that_differs_is_changed():
    old = {"a": {"M": {"x": {"N": "1"}, "y": {"L": [{"S": "p"}, {"S": "q"}]}}}}
    new = {"a": {"M": {"x": {"N": "1"}, "y": {"L": [{"S": "p"}, {"S": "r"}, {"S": "s"}]}}}}
    assert states(old, new) == {"a/x": "same", "a/y/0": "same", "a/y/1": "changed", "a/y/2": "added"}


def test_a_set_in_another_order_is_the_same():
    assert states({"a": {"SS": ["x", "y"]}}, {"a": {"SS": ["y", "x"]}}) == {"a": "same"}


def test_an_attribute_that_is_no_dynamodb_value_is_shown_as_it_came():
    rows = difference({"a": "text"}, {"a": {"X": 1}, "b": None})
    assert [(row["path"], row["state"]) for row in rows] == [(["a"], "changed"), (["b"], "added")]


def test_an_item_nested_beyond_any_limit_is_still_shown():
    def nested(end):
        value = {"S": end}
        for _ in range(5000):
            value = {"L": [value]}
        return {"a": value}

    assert [row["state"] for row in difference(nested("x"), nested("y"))] == ["changed"]


def test_an_image_that_is_none_makes_no_rows():
    assert difference("no image", None) == []
