"""OpenSearch, as branches need it."""
