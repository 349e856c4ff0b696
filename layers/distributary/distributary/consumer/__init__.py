"""How a function consumes a batch: deadline, outcomes, parking, telemetry, settings, and AWS clients."""
