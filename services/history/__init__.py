"""What everything was worth on each day: the rollup of values into daily rows, and its bookkeeping."""
