"""A proxy between functions and the services that they call: it remembers their requests, and causes faults."""
