"""Rotates the policy keysets of Azure AD B2C tenants ahead of their expiry."""

__version__ = "0.1.0"
