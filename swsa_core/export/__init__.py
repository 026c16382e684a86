"""A detector as one file for other runtimes, with proof that it scores as before."""
