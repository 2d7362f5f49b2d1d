"""Videos of a tenant: uploaded, made into web renditions by many small workers at once, played."""
