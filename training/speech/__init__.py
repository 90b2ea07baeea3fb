"""Synthetic speech with known spans, and what happens to speech between mouth and wire."""
