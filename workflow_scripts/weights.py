from workflow_scripts.job import job

from swsa_core.basics.errors import InputError
from swsa_core.candidates import family_of
from swsa_core.candidates.prefetch import fetch, of_libraries
from swsa_core.files.downloads import check_file, published_at

with job(snakemake) as mine:
    for path in snakemake.input:
        published = published_at(path)
        check_file(path, published)
        print(f"{path}: {published.size:,} bytes, as published")
    wanted = [*mine.settings["candidates"].values(), *mine.settings["guides"].values()]
    optional, failed = of_libraries(mine.settings["missing"]), []
    models = [*of_libraries(wanted), *optional]
    for model in models:
        try:
            size = fetch(model)
        except InputError as error:
            if model not in optional:
                raise
            failed.append(model["name"])
            print(f"{model['name']}: {error}", flush=True)
            continue
        print(f"{model['name']}: {f'fetched {size:,} bytes' if size else 'already there'}", flush=True)
    for family in dict.fromkeys(map(family_of, models)):
        print(f"licences of {family.title}: {family.licence}")
    print("all weights that this config needs are here")
    if failed:
        raise InputError(
            f"weights of optional candidates could not be fetched: {', '.join(failed)}; the reasons stand above"
        )
