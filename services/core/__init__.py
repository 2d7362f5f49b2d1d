"""What a person has: portfolios, assets, their values and transactions."""
