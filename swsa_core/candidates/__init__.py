"""Candidates: what turns an image into features, or a text into them."""
