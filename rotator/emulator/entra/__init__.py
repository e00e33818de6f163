"""
Entra: OpenID configuration and token endpoint of a tenant, credentials of apps, access tokens.

May import model/ and http/.
"""
