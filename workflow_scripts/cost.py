from workflow_scripts.job import job

from swsa_core.candidates.backbone import load_backbone
from swsa_core.detectors import HEADS
from swsa_core.detectors.cost import COSTS, N_IMAGES, measured
from swsa_core.detectors.scores import banks_of
from swsa_core.embedding.image_stream import FileReader
from swsa_core.files import layout
from swsa_core.files.support import read_task_supports

with job(snakemake) as mine:
    settings = mine.settings
    supports = read_task_supports(mine.of_every_task(snakemake.input.supports))
    paths = [path for support in supports for path in support["paths"].values()]
    read = FileReader(paths[:: max(1, len(paths) // N_IMAGES)][:N_IMAGES])
    grid = settings.get("grid") and layout.grid_of(f"/{settings['grid']}.")
    costs = measured(
        load_backbone(settings["backbone"], mine.runtime["device"], settings["precision"], grid),
        [read(row) for row in range(len(read.paths))],
        max(len(bank) for support in supports for bank in banks_of([support]).values()),
        {head: {name: settings[f"{head}.{name}"] for name in HEADS[head].settings} for head in settings["heads"]},
    )
    COSTS.write(snakemake.output[0], costs.assign(backbone=settings["backbone"]["name"], threads=snakemake.threads))
    print(costs.to_string(index=False))
