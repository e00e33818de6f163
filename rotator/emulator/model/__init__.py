"""Tenants, keysets, keys and their history; seeds and switches, without requests. May import validation."""
