"""What ran: one row for each request and each job, with its duration and how it ended."""
