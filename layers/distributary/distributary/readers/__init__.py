"""What was written to S3 or is in a table, read back: exports, the archive, a scan. One module for each."""
