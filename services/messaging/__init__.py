"""What the platform tells people: mail."""
