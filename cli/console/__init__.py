"""A local web page that shows what becomes of each change, while functions are attached to a table."""
