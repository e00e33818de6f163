"""`python -m rotator`."""

from rotator.cli import entry

if __name__ == "__main__":
    entry()
