"""Derived tables held against their source while the stream goes on.

Two comparisons, which together say that the views are what the source determines:

1. Each item: its Register rows, its Projection rows, and its ledger row against what the views make of the item as it
   is now. A difference counts if item and rows are the same at two looks, a pause apart: choose the pause longer than
   the stream's lag, or what is merely late is taken for wrong.
2. Each group (Aggregate, Latest): its row and its members against the sum of the ledger. Every transaction that changes
   a share gives the group a new revision, so a group whose revision was the same before and after the ledger was
   scanned is compared exactly, however busy the rest of the table is.
"""
