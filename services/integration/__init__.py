"""Bank links: what a tenant's banks know, brought into its portfolio."""
