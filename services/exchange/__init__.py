"""Foreign exchange: the rates of the European Central Bank, and conversion by them."""
