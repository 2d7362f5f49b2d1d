"""How the console writes what Django formats, by language."""
