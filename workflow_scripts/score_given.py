from workflow_scripts.job import job

from swsa_core.datasets import INDEX
from swsa_core.detectors import score_knn
from swsa_core.detectors.scores import apart, check_listed
from swsa_core.elsewhere.manifest import MANIFEST
from swsa_core.elsewhere.scores import HEAD, TRANSFORM, read_scores, scores_of
from swsa_core.files import store
from swsa_core.files.provenance import file_sha256
from swsa_core.files.support import read_task_supports
from workflow_scripts._expose import read_anomalies

with job(snakemake) as mine:
    given, name = snakemake.input, snakemake.params.candidate
    supports = read_task_supports(mine.of_every_task(given.supports))
    index = INDEX.read(given.images)
    embedded, known = store.read(given.image_features, ["image_id"])
    readable = set(embedded["image_id"])
    check_listed(index, readable, known["skipped"], (given.images, given.image_features))
    test_ids = [image_id for image_id in index.image_id[index.split == "test"] if image_id in readable]
    made = read_anomalies(given, supports, "original")  # whose images are not read
    manifest = MANIFEST.read(given.manifest)
    scores = scores_of(
        supports,
        test_ids,
        {source: (one.tasks, one.parents) for source, one in made.items()},
        manifest,
        read_scores(given.scores, manifest, snakemake.wildcards.dataset),
    )
    described = {"candidate": name, "backbone": name, "head": HEAD, "model": str(given.scores), "n_parameters": 0}
    described |= {"feature_size": 0, "weights_sha256": file_sha256(given.scores), "transform": TRANSFORM}
    score_knn.write(snakemake.output[0], apart(scores), described | {"skipped": known["skipped"]})
