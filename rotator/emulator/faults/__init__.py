"""What can go wrong (fault), and what a client meets then (fault_effects). May import http and validation."""
