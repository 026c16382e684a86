"""Tables, figures and the page that a user reads."""
