"""The anomalies of a task: its seed images are inverted, and all pairs of style and content that are missing are generated.

Or its reconstructions: the seed images are inverted, and each is generated again.
"""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from swsa_core.basics.devices import inference
from swsa_core.diffusion.batches import BatchSize, counted, decided, in_batches
from swsa_core.diffusion.ddim import Inversion, asymmetric_step, finite, invert, on_device, reverse_steps
from swsa_core.diffusion.diffstyle import diffstyle, with_reconstruction
from swsa_core.diffusion.hspace import UNet
from swsa_core.files.downloads import PUBLISHED
from swsa_core.files.provenance import file_sha256, library_versions

if TYPE_CHECKING:
    import torch

PAIR_OPTIONS = ("gamma", "interpolation", "t_edit", "dt_lambda", "content_h")


def invert_halves(
    unet: UNet,
    images: "torch.Tensor",
    n_styles: int,
    source: dict[str, Any],
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> tuple[Inversion, Inversion]:
    """(styles, contents), two `Inversion`s of images (n, 3, H, W) in [-1, 1], the first `n_styles` being the styles.

    source: the section `sources.diffusion`; its `content_h` decides on the contents' h.
    progress: called with (images done, their number); a content that is also reconstructed counts twice.
    """
    n, again = len(images), source["content_h"] == "reconstruction"
    n_contents = n - n_styles

    def tell(before):
        return (lambda done: progress(before + done, n + again * n_contents)) if progress else None

    inversion = invert(unet, images, source["steps"], batch_size, tell(0))
    style, content = inversion.pick(slice(n_styles)), inversion.pick(slice(n_styles, None))
    return style, with_reconstruction(unet, content, batch_size, tell(n)) if again else content


def generate(
    unet: UNet,
    style: Inversion,
    content: Inversion,
    source: dict[str, Any],
    done: int = 0,
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Iterator["torch.Tensor"]:
    """Yield the pairs of some whole styles with all contents, (k * n_contents, 3, H, W) float32, style by style.

    style, content: of `invert_halves`; source: the section `sources.diffusion`; done: styles that are not generated again.
    batch_size: see `in_batches`. progress: called with (pairs done, their number).
    """
    n, m = len(style.x_T), len(content.x_T)
    if progress:
        progress(done * m, n * m)  # so that the time left is that of the others
    options = {name: source[name] for name in PAIR_OPTIONS}
    gammas = gammas_of(source, n, m)
    size = decided(batch_size, unet, style.x_T)
    # A GPU gains from as many styles as fit into one batch, a CPU nothing from more than one.
    at_most = max(size.rows // m, 1) if unet.conv_in.weight.device.type == "cuda" else 1
    for styles in style_groups(n, at_most, done):
        before = styles.start * m
        tell = (lambda done, before=before: progress(before + done, n * m)) if progress else None
        mine = options if gammas is None else options | {"gamma": gammas[styles]}
        yield diffstyle(unet, style.pick(styles), content, **mine, batch_size=size, progress=tell).flatten(0, 1)


def gammas_of(source: dict[str, Any], n_styles: int, n_contents: int) -> "torch.Tensor | None":
    """The gamma of each pair (n_styles, n_contents) where the section lists several, None where all have one.

    Each style and each content meets all values, as far as there are enough pairs.
    """
    import torch

    if not (values := source.get("gammas")):
        return None
    turn = torch.arange(n_styles)[:, None] + torch.arange(n_contents)
    return torch.tensor(values, dtype=torch.float64)[turn % len(values)]


def regenerate(
    unet: UNet,
    images: "torch.Tensor",
    source: dict[str, Any],
    done: int = 0,
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Iterator["torch.Tensor"]:
    """Yield images (n, 3, H, W) in [-1, 1], inverted and generated again, (b, 3, H, W) float32: a pair's way at gamma = 0.

    source, batch_size: see `generate`; done: images that are not generated again. progress: called with (images done, n).
    """
    n, steps = len(images), reverse_steps(source["steps"])
    left = on_device(unet, images[done:])
    tell = (lambda new: progress(done + new, n)) if progress else None

    @inference
    def run(rows):
        x = invert(unet, left[rows], source["steps"], rows.stop - rows.start).x_T
        for t, t_next in counted(steps, rows, tell):
            x = asymmetric_step(unet, x, t, t_next, dt_lambda=source["dt_lambda"])
        return finite(unet, x)

    yield from in_batches(run, unet, left, batch_size)


def style_groups(n_styles: int, at_most: int, done: int = 0) -> list[slice]:
    """Slices of the styles from `done` on, `at_most` in each, of even size; their ends do not depend on `done`.

    >>> style_groups(10, 6), style_groups(10, 6, done=5)
    ([slice(0, 5, None), slice(5, 10, None)], [slice(5, 10, None)])
    """
    each = ceil(n_styles / ceil(n_styles / at_most))
    starts = range(0, n_styles, each)
    return [
        slice(max(start, done), min(start + each, n_styles)) for start in starts if min(start + each, n_styles) > done
    ]


def made_by(model: str, files: Sequence[str], dtype: "torch.dtype") -> dict[str, str]:
    """{name: str}: what a file of anomalies says about the network that made it.

    model: its name in the config; files: its files, of which the digest is that of the weights, comma-separated if several.
    """
    weights = [path for path in files if not path.endswith(".json")]
    published = PUBLISHED[model].sha256 if model in PUBLISHED else None  # compared when it was fetched
    return {
        "model": model,
        "weights_sha256": published or ", ".join(map(file_sha256, weights)),
        "precision": str(dtype).removeprefix("torch."),
        "versions": library_versions("torch", "diffusers"),
    }
