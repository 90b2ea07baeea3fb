"""Checkpoint -> model folder."""
