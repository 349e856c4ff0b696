"""Distributary: every change of a DynamoDB table, carried onward once and for good."""

__version__ = "0.2.0"
