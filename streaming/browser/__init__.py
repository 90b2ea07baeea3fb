"""The client for web pages: `termcue.js`, one ES module without dependencies, served as it is."""

from pathlib import Path

CLIENT_MODULE = Path(__file__).parent / "termcue.js"
