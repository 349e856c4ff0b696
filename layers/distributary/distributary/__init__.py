"""Distributary: every change of a DynamoDB table, carried onward once and for good."""
