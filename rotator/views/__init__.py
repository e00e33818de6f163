"""Renders outcomes as text: table, status, page, JSON, calendar. Pure functions: values in, text out."""
