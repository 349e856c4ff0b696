"""The primitives on which branches stand in DynamoDB."""
