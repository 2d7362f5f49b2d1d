"""What every layer may use and that uses none of them: errors, money, clock, outgoing HTTP, pagination, the PostgreSQL launcher."""
