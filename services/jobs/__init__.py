"""What runs in the background: the rows that are the only record of it, and the operations that move them."""
