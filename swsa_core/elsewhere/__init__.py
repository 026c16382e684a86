"""Detectors that run elsewhere: which images they are to be fitted on and to score, and the scores that come back."""
