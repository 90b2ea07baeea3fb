"""Audio into frames: encoders that hear blocks or whole contexts, alone and for many streams."""
