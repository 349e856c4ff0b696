"""What a change is: stream records, versions, exact values, keys, and entities."""
