"""
Microsoft Graph: the endpoints of keysets and keys, the bodies of requests and answers, and the throttle.

May import model/ and http/.
"""
