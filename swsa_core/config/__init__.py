"""The config: its sections, what must hold between them, and what follows from it for a study."""
