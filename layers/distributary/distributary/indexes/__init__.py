"""Declarations of OpenSearch indexes, checked as a whole before the first change."""

from distributary.indexes.checked import DELETED_AT, DOCUMENT_ID_BYTES, Source
from distributary.indexes.declarations import Field, Index
from distributary.indexes.faults import check, whole

__all__ = ["DELETED_AT", "DOCUMENT_ID_BYTES", "Field", "Index", "Source", "check", "whole"]
