"""Sources of synthetic anomalies: one module per source, which declares all of its facts as `SOURCE`."""

from swsa_core.anomalies.source import Source
from swsa_core.basics.registry import entries

SOURCES: dict[str, Source] = entries(
    "swsa_core.anomalies",
    "SOURCE",
    "diffusion",
    "text_guided",
    "cutpaste",
    "defects",
    "perlin",
    "mix",
    "tiny_imagenet",
    "procedural",
    "hard_pool",
    "other_tasks",
    "feedback",
    "function",
)

from swsa_core.anomalies.cutpaste import cutpaste  # noqa: E402  a public function, whose module has the same name

__all__ = ["SOURCES", "Source", "cutpaste"]
