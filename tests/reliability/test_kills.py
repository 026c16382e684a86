"""Jobs and Snakemakes that are killed, ended and interrupted lose nothing: the same command ends with the same results."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from reliability.faults import (
    CHECKSUMS,
    CONFIG,
    FAULTS,
    SENTENCE,
    SMALL,
    Fault,
    Workflow,
    changed,
    differences,
    disturbed,
    inject,
    take_interrupts,
    wait_for,
)

pytestmark = [
    pytest.mark.study,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find processes"),
]
SUPPORT = "results/logs/split_support/digits/0.log"
EVALUATE = "results/logs/evaluate/digits.log"
REPORT = "results/logs/report/report.log"


def finished_study(directory, config):
    workflow = Workflow(directory, config)
    status, output = workflow.run()
    assert status == 0, output
    return workflow


@pytest.fixture(scope="module", autouse=True)
def interruptible():
    take_interrupts()


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return finished_study(tmp_path_factory.mktemp("undisturbed") / "study", SMALL)


def test_a_study_that_is_killed_again_and_again_ends_with_the_same_results(reference, tmp_path):
    """A file not put in its place, Ctrl-C while a script imports, another Snakemake beside, and one that is killed alone."""
    study, finished = Workflow(tmp_path / "study", SMALL), {}

    killed = Fault("job", signal.SIGKILL, "rename")
    outcome, output = inject(study, killed, {"log": SUPPORT, "moment": "rename", "n": 1})
    assert outcome.injected and not outcome.problems, outcome
    finished |= study.finished(output)
    left = [path.name for path in (study.results / "digits" / "support").iterdir()]
    assert "0.json.tmp" in left and "0.json" not in left

    interrupted = Fault("group", signal.SIGINT, "import")
    outcome, output = inject(study, interrupted, {"log": EVALUATE, "moment": "import", "n": 500})
    assert outcome.injected and SENTENCE in output and not outcome.problems, output
    assert not changed(finished)
    finished |= study.finished(output)

    armed = {"log": REPORT, "moment": "work", "n": 0.01}
    with study.started(armed=armed) as (running, told):
        assert wait_for((study.faults / "reached").exists, 600), told.read_text()
        status, output = study.run_beside()
        assert status and "Directory cannot be locked" in output and "no other Snakemake process" in output
        assert "Traceback" not in output and running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.wait()
        job_s_log = study.directory / REPORT
        assert wait_for(lambda: "Snakemake was killed, and this job ends with it" in job_s_log.read_text(), 30)
        finished |= study.finished(told.read_text())
    status, output = study.run()
    assert status and "--unlock" in output, "what to type after Snakemake's own end"
    assert study.run("--unlock")[0] == 0

    status, output = study.run()
    assert status == 0, output
    assert len(finished) > 10 and not changed(finished), "what was finished is not computed again"
    assert not differences(reference.results, study.results)


def test_the_comparison_sees_a_changed_byte_in_every_file(reference, tmp_path):
    copy = tmp_path / "results"
    shutil.copytree(reference.results, copy)
    assert not differences(reference.results, copy)
    changed_files = []
    for path in sorted(copy.rglob("*")):
        name = path.relative_to(copy).as_posix()
        measured = (
            name.split("/")[0] in ("logs", "benchmarks", "costs") or "/cost." in name or "/recommendation." in name
        )
        if path.is_file() and path.suffix != CHECKSUMS and not measured:
            content = path.read_bytes()
            if content:
                path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
                changed_files.append(name)
    assert differences(reference.results, copy) == [f"{name} differs" for name in changed_files]
    assert {Path(name).suffix for name in changed_files} == {".h5", ".json", ".csv", ".md", ".png", ".svg", ".html"}


def test_every_stage_survives_a_random_fault(tmp_path):
    draws = np.random.default_rng(0)
    waiting = [FAULTS[i] for i in draws.permutation(len(FAULTS))]
    whole = finished_study(tmp_path / "whole", CONFIG)
    assert not differences(whole.results, finished_study(tmp_path / "again", CONFIG).results)
    outcomes = disturbed(Workflow(tmp_path / "disturbed", CONFIG), whole, waiting, draws)
    assert len(outcomes) >= 12 and len({outcome.stage for outcome in outcomes}) == len(outcomes)
    for outcome in outcomes:
        assert outcome.survived and outcome.identical, outcome
