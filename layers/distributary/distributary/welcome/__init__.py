"""Messages for what happens to an item, each sent once."""
