"""A request as the console shows it: what it does on which condition, and what the service said."""

import json

from cli.console.requests import calls, error_of


def exchange(operation, request, status=200, answer=None, service="dynamodb"):
    text = json.dumps(answer) if answer is not None else ""
    return {
        "operation": operation,
        "service": service,
        "request": json.dumps(request),
        "status": status,
        "answer": text,
    }


def test_a_transaction_is_an_action_for_each_item():
    put = {"TableName": "t", "Item": {"id": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(id)"}
    check = {"TableName": "u", "Key": {"id": {"S": "b"}}, "ConditionExpression": "#r = :r"}
    request = {"TransactItems": [{"Put": put}, {"ConditionCheck": check}]}
    found = list(calls(exchange("TransactWriteItems", request)))
    assert [(each["action"], each["table"], each["condition"]) for each in found] == [
        ("Put", "t", "attribute_not_exists(id)"),
        ("ConditionCheck", "u", "#r = :r"),
    ]
    assert [each["item"] for each in found] == [{"id": {"S": "a"}}, {"id": {"S": "b"}}]


def test_a_batch_read_names_each_key():
    request = {"RequestItems": {"t": {"Keys": [{"id": {"S": "a"}}, {"id": {"S": "b"}}]}}}
    assert [each["item"]["id"]["S"] for each in calls(exchange("BatchGetItem", request))] == ["a", "b"]


def test_a_refused_transaction_gives_the_reason_of_each_action():
    answer = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "CancellationReasons": [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}],
    }
    refused = exchange("TransactWriteItems", {}, 400, answer)
    assert error_of(refused) == "TransactionCanceledException: None, ConditionalCheckFailed"


def test_a_search_engine_says_its_own_reason():
    answer = {"error": {"type": "es_rejected_execution_exception", "reason": "busy"}, "status": 429}
    assert error_of(exchange("POST /_bulk", {}, 429, answer, "")) == "es_rejected_execution_exception"


def test_what_is_no_json_or_no_answer_is_still_told():
    assert error_of({"status": 503, "answer": "<html>"}) == "status 503"
    assert error_of({"status": 500, "answer": "[1]"}) == "status 500"
    assert error_of({"status": 0, "answer": ""}) == "there was no answer"
    assert error_of({"status": 200, "answer": "<html>"}) == ""
    assert list(calls({"service": "dynamodb", "operation": "PutItem", "request": "{"})) == []
    assert list(calls({"service": "s3", "operation": "PUT /b/k", "request": "{}"})) == []
