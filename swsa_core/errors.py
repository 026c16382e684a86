"""The one exception that stands for a mistake in the user's input."""


class InputError(ValueError):
    """A wrong config value, file or image, told in one sentence.

    The message says what was received, what was expected, which file or config key it concerns and what to do.
    Rules print it alone, without a stack of frames.
    """
