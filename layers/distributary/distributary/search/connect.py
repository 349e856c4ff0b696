"""A connection to OpenSearch: signed for AWS, verified, and with no retries of its own."""

from typing import Any

import boto3
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection


def connect(endpoint: str, service: str) -> Any:
    """`service`: es (OpenSearch Service), aoss (Serverless) or none (unsigned)."""
    auth = None
    if service != "none":
        session = boto3.Session()
        auth = Urllib3AWSV4SignerAuth(session.get_credentials(), session.region_name, service)
    return OpenSearch(
        hosts=[endpoint],
        http_auth=auth,
        connection_class=Urllib3HttpConnection,
        verify_certs=True,
        max_retries=0,
        retry_on_timeout=False,
        http_compress=True,
        timeout=10,
    )
