"""What holds for all tests: those of long files come first, and those of a GPU are left out where there is none."""

import pytest


def pytest_collection_modifyitems(items):
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    # so that no process is left alone with a long file at the end: those of whole workflows
    items.sort(key=lambda item: (item.path not in slow, "rules" not in item.path.parts))
    for item in items:
        if marker := item.get_closest_marker("gpu"):
            needed, found = marker.kwargs.get("count", 1), gpus()
            reason = f"needs {needed} GPU{'s' if needed > 1 else ''} that torch can use, and finds {found}"
            item.add_marker(pytest.mark.skipif(found < needed, reason=reason))


def gpus():
    """How many GPUs torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
