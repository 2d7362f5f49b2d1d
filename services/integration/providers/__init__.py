"""One adapter per aggregator of banks; each speaks its protocol and answers in our conventions."""
