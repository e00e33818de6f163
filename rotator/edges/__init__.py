"""The outside world. Each module handles one part of it, and alone imports the library for that part."""
