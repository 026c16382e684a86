from workflow_scripts.job import job

from functools import partial
from pathlib import Path

from swsa_core.detect import load_detector
from swsa_core.detect.evidence import anomaly_scores, scores_of_normals
from swsa_core.detect.mapping import undrawn
from swsa_core.detectors import score_knn
from swsa_core.detectors.cost import of_candidates
from swsa_core.detectors.scores import banks_of
from swsa_core.files import store
from swsa_core.files.support import read_task_supports
from swsa_core.files.text import write_text
from swsa_core.report.detector_numbers import Evidence
from swsa_core.report.detector_page import Images, render
from swsa_core.report.read_tables import read_costs
from workflow_scripts._expose import read_anomalies


def image_of(task: str, source: str, row: int):
    """The image of an anomaly, by its row within its task."""
    rows, _ = anomalies[source].of_task(task, banks[task])
    return anomalies[source].read(int(rows[row]))


def images_of(part) -> Images:
    """What the page shows of a task's images, with the maps of the members that compare patches."""
    of_members = {name: scores[name] for name in part.members if "map" in scores[name].support}
    return Images(
        partial(image_of, part.name),
        {
            name: {source: one.of_task(columns, part.name)["map"] for source, columns in one.anomalies.items()}
            for name, one in of_members.items()
        },
        {name: one.of_task(one.support, part.name)["map"] for name, one in of_members.items()},
    )


with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    folder = Path(given.detector).parent
    detector = undrawn(load_detector(folder, trust_code=True))  # as the config of this study names it
    names = {path: store.read(path, ["tasks"])[1]["candidate"] for path in given.scores}
    scores = {name: score_knn.read(path) for path, name in names.items() if name in detector.members}
    supports = read_task_supports(mine.of_every_task(given.supports))
    banks = banks_of(supports)
    anomalies = read_anomalies(given, supports, settings["preparation"])
    evidence, images = {}, {}
    for part in detector.parts.values():
        of_members = [scores[name] for name in part.members]
        evidence[part.name] = Evidence(
            scores_of_normals(of_members, part.name, part.scale), anomaly_scores(of_members, part.name, part.scale)
        )
        images[part.name] = images_of(part)
    groups = {name: settings["groups"][name] for name in detector.members}
    write_text(
        snakemake.output[0], render(detector, evidence, images, of_candidates(read_costs(given.costs), groups), folder)
    )
    print(f"The page: {Path(snakemake.output[0]).resolve()}")
