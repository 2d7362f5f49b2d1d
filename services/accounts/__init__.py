"""How people and programs get in: tenants, members, API keys."""
