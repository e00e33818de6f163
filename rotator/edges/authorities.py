"""Certificate authorities that are trusted in addition to those of the system."""

import ssl
from pathlib import Path

from rotator.edges.files import read_file


def add_authorities(context: ssl.SSLContext, path: Path) -> None:
    """
    Trust the certificates in *path*, a PEM bundle, which may have comments.

    Raises:
        OSError: the file cannot be read, or holds no certificate.

    """
    bundle = read_file(path).decode("ascii", "ignore")
    try:
        context.load_verify_locations(cadata=bundle)
    except (ssl.SSLError, ValueError) as error:
        raise OSError("it has no certificate that can be parsed") from error
