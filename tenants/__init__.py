"""Who shares the system and what keeps them apart: tenants, users, memberships, isolation. Rows and isolation only."""
