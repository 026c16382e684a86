"""A process that has imported Snakemake and the library, and forks for each call that runs no job: imports take most of it.

It reads a line of JSON for each call, {"arguments", "environment", "output"}, and answers with a line that is the exit status;
both streams of the call go to the file `output`.
"""

import json
import os
import sys
import traceback

import snakemake.cli
import snakemake.profiles
import snakemake.report.html_reporter
import snakemake.storage

import swsa_core.config.config
import swsa_core.config.study
import swsa_core.plan.jobs  # noqa: F401


def main():
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            call(**json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def call(arguments, environment, output):
    """One call of Snakemake in this process, which ends with it."""
    status = 1
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(file, stream)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["snakemake", *arguments]
        snakemake.cli.main(arguments)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()  # before this process ends without telling
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
