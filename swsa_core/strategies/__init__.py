"""Strategies: how a candidate is picked, and how good the picks are."""
