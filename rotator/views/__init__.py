"""Outcomes as text: a table, a status, a page, JSON. Pure: values in, text out."""
