"""What must be true before `replicate` is attached, looked up without a change to anything."""
