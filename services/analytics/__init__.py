"""What the history means: totals, change between two dates, series."""
