"""Insurance policies: what is covered, for how much, what it costs and until when."""
