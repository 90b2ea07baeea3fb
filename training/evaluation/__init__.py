"""How good a retriever is: per occurrence, against distractors, on long streams; and its calibration."""
