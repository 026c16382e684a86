"""How fast networks compute on the CPU where the process keeps the memory that they free, against where it does not.

    python benchmarks/allocator.py [--threads 1] [--images 96]

Each in a process of its own, in turn, three times; the fastest counts. Memory is the highest of a process.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def measured(keep, model, batch, images, threads):
    """Seconds of the passes of `images` random images, and MB of the process at its peak."""
    import timm
    import torch

    from swsa_core.basics.devices import keep_memory

    torch.set_num_threads(threads)
    network = timm.create_model(model).eval()
    given = torch.rand(batch, 3, *network.default_cfg["input_size"][1:])
    if keep:
        keep_memory()
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(images // batch):
            network.forward_features(given)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tf_efficientnet_lite2", "resnet50", "vit_base_patch16_224"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.images % options.batch:
        parser.error(f"--images: received {options.images}, expected whole batches of {options.batch}")
    context = multiprocessing.get_context("spawn")
    print("| network | freed at once, images a second | kept | ratio | MB | kept |\n|---|---:|---:|---:|---:|---:|")
    for model in options.models:
        seconds, mb = {False: [], True: []}, {False: [], True: []}
        for _ in range(3):
            for keep in (False, True):
                with context.Pool(1) as pool:
                    took, peak = pool.apply(measured, (keep, model, options.batch, options.images, options.threads))
                seconds[keep].append(took)
                mb[keep].append(peak)
        slow, fast = (options.images / min(seconds[keep]) for keep in (False, True))
        print(
            f"| {model} | {slow:.1f} | {fast:.1f} | {fast / slow:.2f} | {max(mb[False]):.0f} | {max(mb[True]):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
