"""Losses as pure functions of tensors, and how they are spread over micro-batches and ranks."""
