"""Tax years: of which person and country, and how far each return has come."""
