"""What `distributary trace` gathers about one change, or about all changes of one item."""
