"""The fake table keeps DynamoDB's rules: the same tests run on it and on ministack, by boto3 and the lean client."""

import uuid

import boto3
import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from distributary.dynamodb.client import DynamoDBClient
from tests.contract.world import create_table
from tests.fakes.dynamodb import DynamoDB

OLDER = "attribute_not_exists(#v) OR #v < :v"
NAMES = {"#v": "v"}
SCHEMA = {"id": "S"}
TEXTS = {"pk": "S", "sk": "S"}


@pytest.fixture(params=["fake", "ministack", "lean"])
def client(request):
    if request.param == "fake":
        return DynamoDB({"rows": SCHEMA, "pairs": {"a": "S", "b": "N"}, "texts": TEXTS})
    endpoint = request.getfixturevalue("emulators").aws
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    return Renamed(Lean(client, endpoint) if request.param == "lean" else client, uuid.uuid4().hex)


class Lean:
    """What the lean client can do, done by it."""

    def __init__(self, client, endpoint):
        self._client = client
        self._lean = DynamoDBClient(endpoint, "eu-west-1", lambda: ReadOnlyCredentials("test", "test", None), 4)

    def __getattr__(self, operation):
        return getattr(self._lean if hasattr(self._lean, operation) else self._client, operation)


class Renamed:
    """Tables of this test's own, under the names that it uses."""

    def __init__(self, client, suffix):
        self._client, self._suffix = client, suffix
        create_table(client, f"rows-{suffix}", SCHEMA)
        create_table(client, f"pairs-{suffix}", {"a": "S", "b": "N"})
        create_table(client, f"texts-{suffix}", TEXTS)

    def batch_get_item(self, *, RequestItems):
        request = {f"{name}-{self._suffix}": keys for name, keys in RequestItems.items()}
        answer = self._client.batch_get_item(RequestItems=request)
        return {"Responses": {name.rpartition("-")[0]: items for name, items in answer["Responses"].items()}}

    def transact_write_items(self, *, TransactItems):
        return self._client.transact_write_items(
            TransactItems=[self._renamed(*each.popitem()) for each in TransactItems]
        )

    def _renamed(self, verb, arguments):
        return {verb: {**arguments, "TableName": f"{arguments['TableName']}-{self._suffix}"}}

    def __getattr__(self, operation):
        method = getattr(self._client, operation)
        return lambda *, TableName, **rest: method(TableName=f"{TableName}-{self._suffix}", **rest)


def row(id, **attributes):
    return {"id": {"S": id}, **attributes}


def put(client, item, condition=None, **more):
    conditional = {"ConditionExpression": condition} if condition else {}
    return client.put_item(TableName="rows", Item=item, **conditional, **more)


def older(version):
    return {"ExpressionAttributeNames": NAMES, "ExpressionAttributeValues": {":v": {"S": version}}}


def found(client, id):
    return client.get_item(TableName="rows", Key=row(id), ConsistentRead=True).get("Item")


def code(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def test_a_conditional_put_makes_what_is_absent_and_replaces_what_is_older(client):
    for version in ("1", "2"):
        put(client, row("a", v={"S": version}), OLDER, **older(version))
        assert found(client, "a") == row("a", v={"S": version})


@pytest.mark.parametrize("late", ["1", "2"])
def test_a_conditional_put_leaves_what_is_as_new(client, late):
    put(client, row("a", v={"S": "2"}))
    assert code(lambda: put(client, row("a", v={"S": late}), OLDER, **older(late))) == "ConditionalCheckFailedException"
    assert found(client, "a") == row("a", v={"S": "2"})


def test_a_row_that_was_never_versioned_is_older_than_any(client):
    put(client, row("a", name={"S": "there before"}))
    put(client, row("a", v={"S": "0"}), OLDER, **older("0"))
    assert found(client, "a") == row("a", v={"S": "0"})


def test_another_type_is_not_older(client):
    put(client, row("a", v={"N": "1"}))
    assert code(lambda: put(client, row("a"), OLDER, **older("2"))) == "ConditionalCheckFailedException"


def test_a_conditional_delete_takes_what_is_older_and_leaves_the_rest(client):
    put(client, row("a", v={"S": "2"}))

    def delete(version):
        client.delete_item(TableName="rows", Key=row("a"), ConditionExpression=OLDER, **older(version))

    assert code(lambda: delete("2")) == "ConditionalCheckFailedException"
    assert found(client, "a")
    delete("3")
    assert found(client, "a") is None
    delete("3")


def test_a_failed_condition_returns_the_item_that_stands_there(client):
    put(client, row("a", v={"S": "2"}))
    with pytest.raises(ClientError) as caught:
        put(client, row("a"), "attribute_not_exists(id)", ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert caught.value.response["Item"] == row("a", v={"S": "2"})


def test_an_update_changes_what_meets_its_condition_and_makes_what_is_absent(client):
    def confirm(id, condition):
        client.update_item(
            TableName="rows",
            Key=row(id),
            UpdateExpression="SET #s = :sent, m = :m",
            ConditionExpression=condition,
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":sent": {"S": "sent"}, ":m": {"S": "1"}},
        )

    put(client, row("a", state={"S": "sending"}))
    confirm("a", "attribute_exists(#s) AND (NOT #s = :sent)")
    assert found(client, "a") == row("a", state={"S": "sent"}, m={"S": "1"})
    assert code(lambda: confirm("a", "#s <> :sent")) == "ConditionalCheckFailedException"
    assert code(lambda: confirm("b", "#s = :sent")) == "ConditionalCheckFailedException"
    confirm("b", "attribute_not_exists(#s)")
    assert found(client, "b") == row("b", state={"S": "sent"}, m={"S": "1"})


@pytest.mark.parametrize(
    "item",
    [
        row(""),
        {"id": {"N": "1"}},
        {"name": {"S": "no key"}},
        row("a", s={"SS": []}),
        row("a", s={"SS": ["x", "x"]}),
        row("a", n={"N": "1" * 39}),
        row("a", n={"N": "1E126"}),
        row("a", n={"N": "x"}),
        row("a", s={"S": "x" * 410_000}),
        row("k" * 2049),
    ],
    ids=lambda item: str(item)[:40],
)
def test_what_is_no_item_is_refused(client, item):
    assert code(lambda: put(client, item)) == "ValidationException"
    assert client.scan(TableName="rows")["Items"] == []


@pytest.mark.parametrize(
    "request_",
    [
        {"condition": "state = :v", "ExpressionAttributeValues": {":v": {"S": "1"}}},
        {"condition": "#x = :v", "ExpressionAttributeValues": {":v": {"S": "1"}}},
        {"condition": "v = :missing"},
        {"condition": "attribute_not_exists(v)", "ExpressionAttributeValues": {":v": {"S": "1"}}},
        {"condition": "attribute_not_exists(v)", "ExpressionAttributeNames": {"#v": "v"}},
    ],
    ids=lambda each: each["condition"],
)
def test_an_expression_with_a_fault_is_refused(client, request_):
    assert code(lambda: put(client, row("a"), **request_)) == "ValidationException"
    assert found(client, "a") is None


@pytest.mark.parametrize("empty", ["ExpressionAttributeNames", "ExpressionAttributeValues"])
def test_what_is_given_and_empty_is_refused_where_ministack_takes_it(empty):
    service = DynamoDB({"rows": SCHEMA})
    refused = lambda: put(service, row("a"), "attribute_not_exists(id)", **{empty: {}})  # noqa: E731
    assert code(refused) == "ValidationException"


def test_numbers_are_kept_to_38_digits_and_normalized(client):
    digits = "12345678901234567890123456789012345678"
    put(client, row("a", n={"N": digits}, m={"N": "1.50"}, o={"N": "1E-130"}))
    assert found(client, "a")["n"] == {"N": digits}
    assert found(client, "a")["m"] == {"N": "1.5"}


def test_binaries_sets_and_nested_values_are_kept(client):
    item = row("a", b={"B": b"\x00\xff"}, s={"BS": [b"\x00"]}, m={"M": {"l": {"L": [{"NULL": True}]}}}, e={"S": ""})
    put(client, item)
    assert found(client, "a") == item


def test_a_key_is_of_two_attributes_where_the_table_says_so(client):
    for number in ("1", "2"):
        client.put_item(TableName="pairs", Item={"a": {"S": "x"}, "b": {"N": number}})
    client.put_item(TableName="pairs", Item={"a": {"S": "x"}, "b": {"N": "1.0"}})
    assert len(client.scan(TableName="pairs")["Items"]) == 2
    assert code(lambda: client.get_item(TableName="pairs", Key={"a": {"S": "x"}})) == "ValidationException"


def test_a_batch_get_finds_what_exists_with_what_was_asked_for(client):
    put(client, row("a", v={"S": "1"}, w={"S": "2"}))
    request = {"Keys": [row("a"), row("b")], "ConsistentRead": True, "ProjectionExpression": "id, v"}
    assert client.batch_get_item(RequestItems={"rows": request})["Responses"] == {"rows": [row("a", v={"S": "1"})]}


@pytest.mark.parametrize("ids", [["a", "a"], [str(i) for i in range(101)]], ids=["duplicates", "101"])
def test_a_batch_get_of_duplicates_or_over_a_hundred_keys_is_refused(client, ids):
    request = {"Keys": [row(id) for id in ids], "ProjectionExpression": "id"}
    assert code(lambda: client.batch_get_item(RequestItems={"rows": request})) == "ValidationException"


def test_a_table_that_is_not_there_is_said_to_be_missing(client):
    calls = [
        lambda: client.put_item(TableName="nowhere", Item=row("a")),
        lambda: client.delete_item(TableName="nowhere", Key=row("a")),
        lambda: client.batch_get_item(RequestItems={"nowhere": {"Keys": [row("a")], "ProjectionExpression": "id"}}),
    ]
    assert {code(call) for call in calls} == {"ResourceNotFoundException"}


def text(sk, **more):
    return {"pk": {"S": "p"}, "sk": {"S": sk}, **{name: {"S": value} for name, value in more.items()}}


def update(sk, condition="", **more):
    """Sets `a` and removes `b`."""
    return {
        "TableName": "texts",
        "Key": text(sk),
        "UpdateExpression": "SET #a = :a REMOVE #b",
        "ExpressionAttributeNames": {"#a": "a", "#b": "b", **more},
        "ExpressionAttributeValues": {":a": {"S": "new"}},
        **({"ConditionExpression": condition} if condition else {}),
    }


def texts(client):
    return client.scan(TableName="texts", ConsistentRead=True)["Items"]


def test_an_update_sets_some_attributes_and_removes_others(client):
    client.put_item(TableName="texts", Item=text("1", a="old", b="old", c="old"))
    client.update_item(**update("1"))
    assert texts(client) == [text("1", a="new", c="old")]


def test_an_update_whose_condition_is_not_met_returns_the_item(client):
    client.put_item(TableName="texts", Item=text("1", a="old"))
    with pytest.raises(ClientError) as error:
        client.update_item(**update("1", "#a < #b"), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert error.value.response["Item"] == text("1", a="old")


def test_an_update_on_condition_creates_no_item(client):
    with pytest.raises(ClientError):
        client.update_item(**update("1", "attribute_exists(#a)"))
    assert texts(client) == []


def test_a_transaction_updates_beside_puts_and_deletes(client):
    client.put_item(TableName="texts", Item=text("1", a="old", b="old"))
    client.put_item(TableName="texts", Item=text("2"))
    put = {"Put": {"TableName": "texts", "Item": text("3")}}
    delete = {"Delete": {"TableName": "texts", "Key": text("2")}}
    client.transact_write_items(TransactItems=[{"Update": update("1")}, put, delete])
    assert sorted(texts(client), key=lambda item: item["sk"]["S"]) == [text("1", a="new"), text("3")]


@pytest.mark.parametrize("prefix", ["", "o|"])
def test_a_query_gives_a_partition_by_pages(client, prefix):
    for sk in ("!", "o|1", "o|2", "o|3"):
        client.put_item(TableName="texts", Item=text(sk))
    condition, values = "pk = :pk", {":pk": {"S": "p"}}
    if prefix:
        condition, values = f"{condition} AND begins_with(sk, :sk)", {**values, ":sk": {"S": prefix}}
    request = {"TableName": "texts", "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    found, start = [], {"ExclusiveStartKey": text("!")} if not prefix else {}
    while True:
        answer = client.query(**request, **start, Limit=2, ConsistentRead=True)
        found.append([item["sk"]["S"] for item in answer["Items"]])
        if "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    assert found == [["o|1", "o|2"], ["o|3"]]
