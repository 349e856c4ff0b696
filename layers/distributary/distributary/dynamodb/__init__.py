"""Primitives on DynamoDB tables: versioned rows, tombstones, reads, and the fast client."""
