"""What stands downstream, held against the source table."""
