"""
An emulated Azure AD B2C tenant: Entra login, Microsoft Graph keysets and JWKS.

It judges the daemon from outside, over real HTTPS, so it imports nothing from
the rest of the project, and nothing outside imports it at import time. What the
service is known to do is the default; what is unknown is a switch; what goes
wrong is a fault.

Where to begin::

    server.py     Emulator: start it, ask it, move its time, inject faults
    seed.py       what tenants there are (seed_file.py reads the same from YAML)
    switches.py   what nobody knows about the service, both ways
    faults.py     what can go wrong
    model.py      what a tenant is: keysets, keys, and everything that happened to them

The floors, lowest first::

    operations values material
    switches < keys < history
    seed answers < keysets < model < directory
    faults journal masks throttle tls strict_yaml
    seed_file < demo_seed; state_events < state
    tokens key_bodies < uploads credentials graph_refusals < entra graph jwks
    routes < visits; havoc framing control_bodies < control
    service < wire < server < command

Sources: what is known about ``trustFramework/keySets`` from Microsoft's reference pages for the beta API
(https://learn.microsoft.com/graph/api/resources/trustframeworkkeyset), its
policy-keys overview
(https://learn.microsoft.com/azure/active-directory-b2c/policy-keys-overview),
and what public clients of the API met in the field.
"""
