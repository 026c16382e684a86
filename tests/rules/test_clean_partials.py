"""`snakemake clean_partials`: what interrupted jobs left goes, unless a run goes on with it."""

from workflow import snakemake

CONFIG = {
    "datasets": {"digits": {"kind": "digits", "tasks": ["0"]}},
    "sources": {"cutpaste": {}},
    "candidates": ["descriptor:hog"],
    "runtime": {"device": "cpu"},
}


def test_leftovers_go_but_not_under_a_run_that_is_going(tmp_path):
    begun = tmp_path / "results" / "digits" / "scores" / "descriptor-hog.h5.partial"
    finished = begun.with_name("descriptor-hog.h5")
    begun.parent.mkdir(parents=True)
    begun.write_bytes(bytes(1234))
    finished.touch()
    lock = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/digits/auroc.csv\n")

    refused = snakemake(tmp_path, CONFIG, "clean_partials", check=False)
    assert "wait for its end, or run with --unlock" in refused and begun.exists()
    lock.unlink(missing_ok=True)
    cleaned = snakemake(tmp_path, CONFIG, "clean_partials")
    assert (
        "1 file of interrupted jobs removed below results, 1,234 bytes. What they held of finished rows is" in cleaned
    )
    assert finished.exists() and not begun.exists()
    assert "1 job in " in cleaned  # the line that tells how far a run is, at its end
