from workflow_scripts.job import job

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.made import read_origins
from swsa_core.detectors import score_knn
from swsa_core.evaluation.severity import SEVERITY, severity

with job(snakemake) as mine:
    scores = {one.attributes["candidate"]: one for one in map(score_knn.read, snakemake.input.scores)}
    strengths: dict = {}
    for path in snakemake.input.anomalies:
        columns, attributes = read_origins(path)
        source = attributes["source"]
        graded = columns.get(SOURCES[source].strength)
        if graded is None:
            print(f"{path} was made before {SOURCES[source].strength!r} was recorded: {source} is left out")
        strengths.setdefault(source, {})[attributes["task"]] = graded
    whole = {source: of for source, of in strengths.items() if not any(one is None for one in of.values())}
    SEVERITY.write(snakemake.output[0], severity(scores, whole, mine.settings["protocols"]))
