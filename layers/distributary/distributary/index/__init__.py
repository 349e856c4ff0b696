"""Declarations of OpenSearch indexes, checked as a whole before the first change."""

from distributary.index.declarations import Field, Index
from distributary.index.document import DELETED_AT, DOCUMENT_ID_BYTES, Source
from distributary.index.validation import check, whole

__all__ = ["DELETED_AT", "DOCUMENT_ID_BYTES", "Field", "Index", "Source", "check", "whole"]
