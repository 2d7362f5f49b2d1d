"""What every layer may use: errors, money, clock, outgoing HTTP, pagination, the PostgreSQL launcher."""
