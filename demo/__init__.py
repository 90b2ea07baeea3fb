"""The page that an interpreter keeps open."""
