"""The exceptions that stand for a mistake in the user's input."""

# What a batch that is too large ends in: messages of the CPU's allocator, CUDA, cuBLAS and cuDNN. cuDNN finds no algorithm
# where there is no memory for a workspace, or where a tensor has more elements than it indexes; CUDA has no grid for that.
MEMORY_MESSAGES = (
    *("out of memory", "DefaultCPUAllocator", "can't allocate memory", "ALLOC_FAILED"),
    *("unable to find an engine", "No valid execution plans built", "CUDNN_STATUS_NOT_SUPPORTED"),
    "invalid configuration argument",
)


class InputError(ValueError):
    """A wrong config value, file or image, told in one sentence.

    The message says what was received, what was expected, which file or config key it concerns and what to do.
    Rules print it alone, without a stack of frames.
    """


class NeedsKey(InputError):
    """A good image that cannot be read before a key of its data set says how, which the message names.

    It is no bad image: it ends a job also where bad images are left out.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch.OutOfMemoryError, and RuntimeErrors of libraries and the CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(message in str(error) for message in MEMORY_MESSAGES)
