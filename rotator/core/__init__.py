"""
The rules: what B2C does with keys, what we want of them, and what came of it.

Standard library only, silent, without a clock: every function takes what it
judges, `now` included, and returns a value.
"""
