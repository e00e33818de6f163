"""Entra: OpenID configuration, token endpoint, credentials of apps, access tokens. May import model and http."""
