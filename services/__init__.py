"""One Django app for each service; the same file names in each."""
