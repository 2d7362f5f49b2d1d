"""The operator console: every tenant's rows, for the people who run the platform, and for nobody else."""
