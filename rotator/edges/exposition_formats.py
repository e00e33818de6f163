"""Which exposition formats of Prometheus a client may ask for."""

FORMATS = {"application/openmetrics-text": ("", "0.0.1", "1.0.0"), "text/plain": ("", "0.0.4", "1.0.0")}
"""The versions of each format that an Accept header may name; a request for anything else gets `text/plain`."""


def understood(accept: str) -> str:
    """
    The media types of *accept* that rotator can produce.

    prometheus-client raises for a version that is not valid, and copies the version into the content type.
    """
    kept = []
    for each in accept.split(","):
        media_type, *parameters = (part.strip() for part in each.split(";"))
        version = next((part.removeprefix("version=") for part in parameters if part.startswith("version=")), "")
        if version in FORMATS.get(media_type, ()):
            kept.append(";".join((media_type, *parameters)))
    return ",".join(kept)
