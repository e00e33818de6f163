"""
What a tenant is: keys and their material, keysets, everything that happened to them, seeds and switches.

Knows nothing of requests. May import validation.py, and of http/ nothing.
"""
