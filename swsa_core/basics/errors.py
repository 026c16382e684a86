"""The exceptions that stand for a mistake in the user's input."""

import re

# What a batch that is too large ends in: messages of the CPU's allocator, CUDA, cuBLAS and cuDNN. cuDNN finds no algorithm
# where there is no memory for a workspace, or where a tensor has more elements than it indexes; CUDA has no grid for that.
MEMORY_MESSAGES = (
    *("out of memory", "DefaultCPUAllocator", "can't allocate memory", "ALLOC_FAILED"),
    *("unable to find an engine", "No valid execution plans built", "CUDNN_STATUS_NOT_SUPPORTED"),
    "invalid configuration argument",
)


CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing it, or what is no text: control characters other than the end of a line, those that
turn the direction of writing, and halves of characters, which stand for bytes that are not UTF-8."""
LONGEST = 4000  # letters of a line: names and values can be of any length


class InputError(ValueError):
    """A wrong config value, file or image, told in one sentence.

    The message says what was received, what was expected, which file or config key it concerns and what to do.
    Rules print it alone, without a stack of frames. Control characters of names in it are written out, as \\x1b.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    r"""`text` as a terminal and a log can show it: no control characters, no endless lines.

    >>> printable("\x1b[2Jred\ufffd"), len(printable("x" * 10_000))
    ('\\x1b[2Jred\ufffd', 4001)
    """
    shown = CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)
    return "\n".join(line if len(line) <= LONGEST else line[:LONGEST] + "…" for line in shown.split("\n"))


class NeedsKey(InputError):
    """A good image that cannot be read before a key of its data set says how, which the message names.

    It is no bad image: it ends a job also where bad images are left out.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch.OutOfMemoryError, and RuntimeErrors of libraries and the CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(message in str(error) for message in MEMORY_MESSAGES)
