"""An event source mapping that does what Lambda's does: from a DynamoDB stream, by the template's settings."""
