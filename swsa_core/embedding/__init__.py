"""Images streamed through a backbone into a file of features."""
