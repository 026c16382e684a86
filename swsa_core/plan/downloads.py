"""What a study would fetch before it runs."""

from pathlib import Path

from swsa_core.anomalies import SOURCES
from swsa_core.config.study import Study
from swsa_core.datasets.fetch import is_absent, publications, published
from swsa_core.files.downloads import published_at


def downloads(study: Study) -> dict[str, int]:
    """{what `snakemake datasets weights` would fetch: bytes}: data sets whose root is empty, and published networks."""
    missing = {spec["kind"] for spec in published(study.config).values() if is_absent(spec) and not spec["archive"]}
    sizes = {kind: sum(file.size for file in publications()[kind].files) for kind in sorted(missing)}
    for name in study.generated:
        network, section = SOURCES[name].network, study.config["sources"][name]
        for path in network.files(section) if network else ():
            if (file := published_at(path)) and not Path(path).exists():
                sizes[section["model"]] = file.size
    return sizes
