"""
What can go wrong, where and how often (fault.py), and what a client meets then (fault_effects.py).

May import http/ and validation.py.
"""
