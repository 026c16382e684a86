"""A GPU that is not there: torch's FakeTensorMode computes shapes, dtypes and devices of every operation, and no numbers.

No memory is taken, so that the largest networks run on any machine.
"""

from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FREE = 70 * 2**30


class Leaving(TorchDispatchMode):
    """Counts in `counts` what leaves the GPU: numbers that the host waits for, by dtype, and tensors, by operation.

    A number that the host reads is 1 here, or True, as there are no numbers.
    """

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation is torch.ops.aten._local_scalar_dense.default:
            if args[0].device.type == "cuda":
                self.counts[str(args[0].dtype)] += 1
            return 1.0 if args[0].dtype.is_floating_point else True
        found = operation(*args, **(kwargs or {}))
        if "cuda" in _devices((args, kwargs)) and "cpu" in _devices(found):
            self.counts[str(operation)] += 1
        return found


def _devices(tree):
    return {leaf.device.type for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)}


def _moved(module, function, recurse=True):
    """`torch.nn.Module._apply` that sets new parameters: torch's own swaps fake ones in place, and cannot."""
    for child in module.children():
        child._apply(function)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = torch.nn.Parameter(function(parameter.detach()), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = function(buffer)
    return module


def _backward(loss):
    """`torch.Tensor.backward` by shapes: what the loss depends on and is no result of others gets a gradient like itself.

    torch's own engine asks the card for its streams, also where tensors are fake.
    """
    seen, coming = set(), [loss.grad_fn]
    while coming:
        node = coming.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            node.variable.grad = torch.empty_like(node.variable)
        coming += [following for following, _ in node.next_functions]


@contextmanager
def fake_gpu():
    """A block in which the device "cuda" is there, with `FREE` bytes, and tensors are fake; yields the counts of `Leaving`."""
    with pytest.MonkeyPatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True), Leaving() as leaving:
        patch.setattr(torch.nn.Module, "_apply", _moved)
        patch.setattr(torch.Tensor, "backward", _backward)
        # It draws until every number is within bounds, which fake ones never are.
        patch.setattr(torch.nn.init, "_no_grad_trunc_normal_", lambda tensor, *given, **named: tensor)
        # What autocast asks before it is on. torch.cuda.is_available itself would have fake tensors look for the card.
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
        patch.setattr(torch.cuda, "mem_get_info", lambda device=None: (FREE, FREE))
        patch.setattr(torch.cuda, "memory_reserved", lambda device=None: 0)
        patch.setattr(torch.cuda, "memory_allocated", lambda device=None: 0)
        patch.setattr(torch, "compile", lambda *given, **named: pytest.fail("compiled, though nobody asked for it"))
        yield leaving.counts
