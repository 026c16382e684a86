"""The validated config and the study that follows from it; a mistake in it ends the run with its sentence."""

import gc
import sys

from snakemake.logging import logger

from swsa_core.anomalies import SOURCES
from swsa_core.basics import status
from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import by_reason
from swsa_core.config import study
from swsa_core.config.check import check
from swsa_core.config.config import validate


def checked(function, *args):
    """Call `function`; a mistake in the user's input ends the run with its sentence."""
    try:
        return function(*args)
    except InputError as error:
        sys.exit(f"Error: {error}")


STUDY = checked(study.study, checked(validate, config))
if workflow.is_main_process:
    # Of the millions of objects of a plan nearly all stay: looking for others took a tenth of its time.
    gc.set_threshold(50_000)
    checked(check, STUDY)
    for why, names in by_reason(STUDY.left_out).items():
        print(f"Left out, as {why}: {', '.join(names)}", file=sys.stderr)
    if STUDY.config["runtime"]["status"]:
        gpus = workflow.global_resources.get("gpu")
        status.watch(logger, workflow.output_settings, gpus and gpus.value)


pathvars:
    results=STUDY.results,
