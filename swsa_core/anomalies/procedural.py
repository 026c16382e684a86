"""A pool of drawn letters over dead leaves (`swsa_core.files.drawings`): the demo's stand-in for natural images."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from swsa_core.anomalies.source import Pool, Source
from swsa_core.basics.look import Look
from swsa_core.basics.section import Section

if TYPE_CHECKING:
    import pandas as pd


class Procedural(Section):
    pool: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Number of drawn letters, which stand in for Tiny-ImageNet if you do not have it."""


def pool(spec: dict[str, Any], seed: int) -> "pd.DataFrame":
    """`spec["pool"]` images: DataFrame(image_id, path), both `procedural:<seed>:<row>`, which `read_image` draws."""
    import pandas as pd

    image_ids = [f"procedural:{seed}:{row}" for row in range(spec["pool"])]
    return pd.DataFrame({"image_id": image_ids, "path": image_ids})


def inputs(spec: dict[str, Any]) -> list[str]:
    """Nothing: the images are drawn."""
    return []


SOURCE = Source(
    Procedural,
    title="procedural",
    about="Procedurally drawn letters, as unrelated images without a download.",
    look=Look("#56B4E9", "p"),
    pool=Pool(inputs, pool),
    note="Procedural anomalies are drawn letters and digits, the kind of images that the bundled mini: models "
    "were trained on, so those models find them easy.",
)
