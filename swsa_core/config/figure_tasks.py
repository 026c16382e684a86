"""The tasks that the paper's figures show; apart from what draws them, for it is read with the Snakefile."""

from collections.abc import Mapping

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean


def figure_tasks(
    key: str, given: Mapping[str, str | list[str]], tasks: Mapping[str, Mapping[str, str]]
) -> dict[str, list[str]]:
    """{data set: slugs of its tasks that `figures.<key>` of the config names}; where it names none at all, the first of each.

    given: {data set: name or list of names} of the config; tasks: {data set: {slug: name}} on disk, {} for a data set
    that is not there. Raises InputError for a name that is none of its data set's tasks.
    """
    if not given:
        return {dataset: list(slugs)[:1] for dataset, slugs in tasks.items() if slugs}
    chosen = {}
    for dataset, wanted in given.items():
        slugs = {name: slug for slug, name in tasks[dataset].items()}
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if not slugs:
            continue
        if strangers := [name for name in wanted if name not in slugs]:
            raise InputError(
                f"figures.{key}.{dataset}: received {strangers[0]!r}, not a task of this data set, "
                f"{did_you_mean(strangers[0], slugs)}"
            )
        chosen[dataset] = [slugs[name] for name in wanted]
    return chosen
