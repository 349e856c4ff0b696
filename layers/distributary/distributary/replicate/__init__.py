"""The same items in another region: a mirror, or several regions that are all written to."""
