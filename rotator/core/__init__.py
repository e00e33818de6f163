"""
The rules: how B2C uses keys, what is configured, the decisions that follow, and their outcomes.

Only the standard library is imported. Nothing here logs or reads a clock: a function gets
all of its input, `now` included, as arguments, and returns a value.
"""
