"""All orders, in another region."""

from distributary.replicate import Mirror

REPLICA = Mirror()
