"""Which of Snakemake's benchmarks the report reads, and in which order."""

from swsa_core.basics.names import text_slugs
from swsa_core.files import gpu_memory
from swsa_core.report import tables
from swsa_core.report.read_benchmarks import read_benchmarks


def test_time_and_memory_are_those_of_the_jobs_that_the_config_has(tmp_path):
    config = {
        "datasets": {"d": {}},
        "sources": {"procedural": {}, "diffusion": {}, "text_guided": {"texts": ["a red bird"]}},
        "candidates": [{"name": "mini:a"}, {"name": "mini:b"}],
        "clip": {"model": "mini:clip", "weights": None},
    }
    supports = {("d", "t 1"): {"slug": "t-1"}}
    (text,) = text_slugs(["a red bird"])
    current = ["split_support/d/t-1", "index_pool/procedural", "diffusion/d/t-1", "reconstruct_diffusion/d/t-1"]
    current += ["invert_text_guided/d/t-1", f"train_text_guided/d/{text}"]
    current += ["sample_procedural/d", "embed_images/d/mini-clip"]
    current += ["embed_anomalies/d/mini-b/procedural", "embed_reconstructions/d/mini-b/diffusion"]
    current += ["embed_pool/procedural/mini-a", "expose/d/mini-b/0"]
    current += ["score_clip/d/mini-clip", "score_knn/d/mini-a", "cost/mini-a", "tables/tables"]
    former = ["split_support/d/t-2", "split_support/e/t-1", "cutpaste/d/t-1", "sample_tiny_imagenet/d"]
    former += ["embed_images/d/mini-c", "embed_anomalies/d/mini-a/cutpaste", "embed_pool/tiny_imagenet/mini-a"]
    former += ["no_stage/d", "split_support/d/2", "score_patch/d/mini-c", "cost/mini-c", "train_text_guided/d/other"]
    folder = tmp_path / "benchmarks"
    assert list(read_benchmarks(folder, config, supports).columns) == ["stage", "s", "max_rss", "gpu_mb"]
    for i, name in enumerate(reversed(current + former)):
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tmax_rss\n{i}\t-\n")
    log = tmp_path / "logs" / "embed_images" / "d" / "mini-clip.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"read 60 images\n{gpu_memory.as_line(5432.1)}\n")
    costs = tables.stage_costs(read_benchmarks(folder, config, supports))
    assert costs.set_index("stage")["gpu_mb"].dropna().to_dict() == {"embed_images": 5432.1}
    assert costs["stage"].tolist() == [name.split("/")[0] for name in current]
    assert (costs["jobs"] == 1).all()
