"""What `distributary costs` says a table's traffic costs each month, in each branch and view."""
