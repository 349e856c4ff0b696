"""What `distributary status` shows of a deployed stack, and how it is read."""
