from workflow_scripts.job import job, progress

from pathlib import Path

from swsa_core import datasets
from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import transform_of
from swsa_core.config.study import study
from swsa_core.files import layout
from swsa_core.files.images import fit_of
from swsa_core.files.text import write_text
from swsa_core.report.inspect import copies_told, in_short, lines, look
from swsa_core.report.inspect_page import Part, render
from swsa_core.report.visible import remarks as remarks_on_what_is_seen

with job(snakemake):
    planned = study(snakemake.params.config)
    preparation = planned.config["preparation"]
    fit = None if preparation == "original" else fit_of(preparation)
    own = [model["name"] for model in planned.backbones.values() if model.get("fit")]
    transforms, parts = {}, []
    for model in [planned.backbones[slug] for slug in planned.heads_of] if planned.present else ():
        try:
            transforms[model["name"]] = transform_of(model)
        except InputError as error:
            # of a model of a hub nothing is known without a network, and the images are there to be told of
            print(f"how much of the images is seen is not known of one candidate: {error}")
    for name, spec in planned.datasets.items():
        title = datasets.kind_of(spec).title
        if name not in planned.present:
            print(f"\n{name} ({title}): {spec['root']!r} is not there yet; `snakemake datasets` fetches it")
            continue
        index = datasets.index(spec, planned.config["seed"], name)
        remarks = datasets.remarks(spec, set(index.image_id))
        groups = look(index, progress(f"{name}: looking at images"))
        shapes = [(one.height, one.width) for group in groups for one in group.seen]
        remarks += remarks_on_what_is_seen(shapes, fit, transforms, own)
        remarks += copies_told(groups)
        part = Part(name, title, spec["root"], list(planned.tasks[name].values()), groups, remarks)
        print(f"\n{name} ({title}): {part.summary}\n", *lines(groups, remarks), sep="\n")
        parts.append(part)
    page = layout.at(planned.results, "inspect")
    write_text(page, render(parts))
    print()
    for part in parts:
        print(f"{part.name}: {in_short(part.summary, part.groups)}")
    print(f"With pictures: {Path(page).resolve()}")
