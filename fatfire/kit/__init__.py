"""What every layer may use, and what uses none of them: errors, money, clock, HTTP, pagination, a PostgreSQL launcher."""
