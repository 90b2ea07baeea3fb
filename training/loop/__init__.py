"""The training spine: settings, steps, checkpoints, logs."""
