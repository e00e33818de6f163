"""Faults (fault), and their effects on answers (fault_effects). May import http and validation."""
