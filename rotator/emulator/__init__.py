"""
An emulated Azure AD B2C tenant: Entra login, Microsoft Graph keysets and JWKS.

It tests the daemon from outside, over real HTTPS, so it imports nothing from the
rest of the project. What the service is known to do is the default; what is unknown
is a switch; what goes wrong is a fault.

Where to begin::

    server.py      Emulator: start it, ask it, move its time, inject faults
    model/         tenants, keysets, keys and their history; seeds and switches
    faults/        what can go wrong
    graph/         Microsoft Graph
    entra/         access tokens
    sign_in/       JWKS
    http/          messages, routes, TLS
    service.py     the stages of a request
    control.py     the control endpoints of `rotator emulator`

The contract "emulator" in pyproject.toml says which may import which.

Sources: Microsoft's reference pages for ``trustFramework/keySets`` in the beta API
(https://learn.microsoft.com/graph/api/resources/trustframeworkkeyset), its
policy-keys overview
(https://learn.microsoft.com/azure/active-directory-b2c/policy-keys-overview),
and what public clients of the API observed.
"""
