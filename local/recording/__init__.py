"""What functions request of services: written down in their processes. A proxy between them causes faults."""
