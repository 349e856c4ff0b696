"""What stands downstream, held against its source while the stream goes on: `distributary verify`."""
