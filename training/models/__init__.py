"""Towers, heads and the retriever that they make."""
