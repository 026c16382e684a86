from pathlib import Path

from swsa_core import datasets
from swsa_core.config.study import study
from swsa_core.files import layout
from swsa_core.files.text import write_text
from swsa_core.report.inspect import lines, look
from swsa_core.report.inspect_page import Part, render
from workflow_scripts.job import job, progress

with job(snakemake):
    planned = study(snakemake.params.config)
    parts = []
    for name, spec in planned.datasets.items():
        title = datasets.kind_of(spec).title
        if name not in planned.present:
            print(f"\n{name} ({title}): {spec['root']!r} is not there yet; `snakemake datasets` fetches it")
            continue
        index = datasets.index(spec, planned.config["seed"], name)
        remarks = datasets.remarks(spec, set(index.image_id))
        groups = look(index, progress(f"{name}: looking at images"))
        part = Part(name, title, spec["root"], list(planned.tasks[name].values()), groups, remarks)
        print(f"\n{name} ({title}): {part.summary}\n", *lines(groups, remarks), sep="\n")
        parts.append(part)
    page = layout.at(planned.results, "inspect")
    write_text(page, render(parts))
    print(f"\nThe same with pictures: {Path(page).resolve()}")
