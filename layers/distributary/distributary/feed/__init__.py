"""Functions fed again: keys to reconcile, records to replay, items that a table holds."""
