from workflow_scripts.job import job

from swsa_core.candidates import family_of
from swsa_core.candidates.prefetch import fetch, of_libraries
from swsa_core.files.downloads import check_file, published_at

with job(snakemake) as mine:
    for path in snakemake.input:
        published = published_at(path)
        check_file(path, published)
        print(f"{path}: {published.size:,} bytes, as published")
    models = of_libraries([*mine.settings["candidates"].values(), *mine.settings["guides"].values()])
    for model in models:
        size = fetch(model)
        print(f"{model['name']}: {f'fetched {size:,} bytes' if size else 'already there'}", flush=True)
    for family in dict.fromkeys(map(family_of, models)):
        print(f"licences of {family.title}: {family.licence}")
    print("all weights that this config needs are here")
