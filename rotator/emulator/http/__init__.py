"""HTTP: messages, routes, certificates and the TLS server, without tenants. May import nothing else of the emulator."""
