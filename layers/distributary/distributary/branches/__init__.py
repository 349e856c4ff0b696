"""What is kept in step with the table; each branch is one method over a batch."""
