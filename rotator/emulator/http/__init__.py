"""
HTTP: requests and answers as values, which path is which operation, certificates, the TLS server.

Knows nothing of tenants; it calls what it is handed. May import nothing else of the emulator.
"""
