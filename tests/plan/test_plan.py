"""`snakemake plan`: as many jobs as Snakemake would run, and network passes as many as the stages make."""

import re
from collections import Counter

import layouts
import pytest
import torch
from workflow import snakemake

from swsa_core.anomalies.diffusion_work import passes, work_of_reconstruction
from swsa_core.anomalies.source import Work
from swsa_core.basics import wording
from swsa_core.candidates.backbone import load_backbone
from swsa_core.config.config import validate
from swsa_core.config.study import study as study_of
from swsa_core.diffusion import Inversion, build_adm, diffstyle, invert
from swsa_core.diffusion.cost import DiffusionCost, diffusion_cost, diffusion_speed
from swsa_core.diffusion.generate import regenerate
from swsa_core.plan import table as plan_table
from swsa_core.plan.costs import Cost, backbone_cost, backbone_speed
from swsa_core.plan.jobs import TABLES
from swsa_core.plan.jobs import jobs as jobs_of
from swsa_core.plan.one_job import START, START_NETWORK, Job, device_seconds, to_do
from swsa_core.plan.sizes import Size, official_size, size_on_disk

TINY = {"image_size": 16, "num_channels": 32, "channel_mult": "1,1", "num_res_blocks": 1, "num_head_channels": 32}
SOURCE = {"steps": 6, "t_edit": 0, "content_h": "inversion"}
ADM = DiffusionCost(encoder=580_290_871_296, decoder=1_659_374_665_728, parameters=552_814_086, h=1024 * 8 * 8)


def candidate(model, **changes):
    return {"name": model, "model": model, "weights": None, "args": {}, "crop": None, **changes}


@pytest.mark.parametrize("changes", [{}, {"t_edit": 400}, {"t_edit": 999}, {"content_h": "reconstruction"}], ids=str)
def test_diffusion_passes_are_those_that_the_network_makes(changes):
    source, counts = SOURCE | changes, {}
    unet = build_adm(TINY).eval()
    for name in ("conv_in", "conv_out"):
        unet.get_submodule(name).register_forward_hook(
            lambda module, inputs, out, name=name: counts.__setitem__(name, counts.get(name, 0) + len(out))
        )
    found = invert(unet, torch.rand(4, 3, 16, 16), source["steps"])
    style, content = (Inversion(found.x_T[rows], found.h[:, rows], found.timesteps) for rows in (slice(2), slice(2, 4)))
    diffstyle(unet, style, content, t_edit=source["t_edit"], content_h=source["content_h"])
    assert passes(source, seeds=4) == (counts["conv_in"], counts["conv_out"])


def test_a_reconstruction_passes_once_each_way(monkeypatch):
    monkeypatch.setattr("swsa_core.anomalies.diffusion_work.find_model", lambda section: ("x.pt", TINY, 16))
    unet, calls = build_adm(TINY).eval(), []
    unet.conv_in.register_forward_hook(lambda module, inputs, out: calls.append(len(out)))
    list(regenerate(unet, torch.rand(3, 3, 16, 16), {"steps": 6, "dt_lambda": 1.0}))
    assert work_of_reconstruction({"steps": 6}, seeds=3).passes == sum(calls) == 3 * (5 + 6)


def test_diffusion_of_the_paper_costs_5_4_exaflop():
    """The published model's FLOPs and parameters, and 9,521 whole passes for the 100 anomalies of a task."""
    assert diffusion_cost("resources/weights/adm_imagenet_256.pt", None) == ADM
    encoder, decoder = passes(SOURCE | {"steps": 50}, seeds=20)
    whole = ADM.encoder + ADM.decoder
    assert (encoder * ADM.encoder + decoder * ADM.decoder) / whole == pytest.approx(9521, abs=1)


@pytest.mark.parametrize("model", ["resnet18", "vit_b_32"])
def test_backbones_cost_what_torchvision_says(model):
    from torchvision import models

    published = models.get_model_weights(model).IMAGENET1K_V1.meta
    cost = backbone_cost(candidate(f"torchvision:{model}"))
    assert cost.flops / 2e9 == pytest.approx(published["_ops"], rel=0.01)  # torchvision counts multiply-adds
    assert published["num_params"] - cost.parameters == 1000 * (cost.features + 1)


@pytest.mark.parametrize("model", ["mini:resnet_s", "mini:clip", "descriptor:hog"])
def test_costs_agree_with_the_loaded_backbone(model):
    cost, backbone = backbone_cost(candidate(model)), load_backbone(candidate(model), device="cpu")
    assert (cost.features, cost.parameters) == (backbone.feature_size, backbone.n_parameters)


def test_speeds_are_measured(monkeypatch):
    monkeypatch.setattr("swsa_core.basics.speed.LEAST_SECONDS", 0.05)
    tiny = candidate("torchvision:squeezenet1_1", crop=64)
    assert backbone_speed(tiny, backbone_cost(tiny).flops, "cpu", torch.float32) > 1e6
    cost = diffusion_cost("x.pt", TINY)
    assert diffusion_speed("x.pt", TINY, cost.encoder + cost.decoder, "cpu", torch.float32) > 1e6


def study(**changes):
    return {
        "results": "results",
        "datasets": {
            "cub": {"kind": "cub", "root": "CUB_200_2011"},
            "mvtec": {"kind": "mvtec_ad", "root": "mvtec_ad", "tasks": ["bottle", "metal_nut"], "allow_missing": True},
        },
        "support": {"seeds": 4},
        "sources": {"diffusion": {"model": "mini:adm_32"}, "cutpaste": {}, "procedural": {"pool": 10}},
        "candidates": ["mini:resnet_s", "descriptor:hog"],
        "clip": {"model": "mini:clip"},
        "knn": {"k": 2},
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1, "tflops": 1},
        "evaluation": {"bootstrap": 100},
    } | changes


def planned(config, sizes):
    given = study_of(validate(config))
    costs = dict.fromkeys(given.backbones, Cost(flops=10**9, parameters=10**6, features=64))
    stages = [
        f"{before}{name}"
        for name in ("diffusion", "text_guided")
        for before in ("", "reconstruct_", "invert_", "train_")
    ]
    work = {(stage, seeds): Work(passes=10, flops=10**13, memory=10**9) for stage in stages for seeds in (4, 8, 12, 20)}
    return list(jobs_of(given, sizes, costs, work))


DIGITS = {"digits": {"kind": "digits", "tasks": ["3", "8"]}}
PUBLISHED_MODEL = {
    "sources": {"diffusion": {"model": "adm_imagenet_256"}, "cutpaste": {}},
    "preparation": {"size": 256},
}
TEXT_GUIDED = {"model": "mini:adm_32", "clip": {"model": "mini:clip"}, "texts": ["a letter", "a red flower"]}
STUDIES = {
    "the paper's data sets": {},
    "without CLIP, with weights to fetch": {"clip": None} | PUBLISHED_MODEL,
    "without the setting of Table 3": {"evaluation": {"bootstrap": 100, "settings": ["one_vs_rest"]}},
    "other data sets": {"datasets": DIGITS},
    "with exposure": {
        "datasets": {"digits": {"kind": "digits", "tasks": ["3", "5", "8"]}},
        "candidates": ["mini:resnet_s", {"model": "mini:resnet_s", "exposure": {"source": "cutpaste"}}],
        "knn": {"k": 2, "distance": "l2"},
        "runtime": {"device": "cpu", "threads": 1, "tflops": 1, "tasks_per_job": 2},
    },
    "two tasks in a job": {
        "datasets": {"digits": {"kind": "digits", "tasks": ["3", "5", "8"]}},
        "sources": {"text_guided": TEXT_GUIDED, "cutpaste": {}},
        "evaluation": {"bootstrap": 100, "protocols": ["reconstructed"]},
        "runtime": {"device": "cpu", "threads": 1, "tflops": 1, "tasks_per_job": 2},
    },
    "with reconstructions": {"evaluation": {"bootstrap": 100, "protocols": ["reconstructed"]}},
    "trained for all tasks": {"datasets": DIGITS, "sources": {"text_guided": TEXT_GUIDED, "cutpaste": {}}},
    "trained for each task": {"datasets": DIGITS, "sources": {"text_guided": TEXT_GUIDED | {"share": "task"}}},
    "with strengths": {"evaluation": {"bootstrap": 100, "severity": True}},
    "other data sets without CLIP": {"datasets": DIGITS, "clip": None},
}


@pytest.mark.parametrize("name", STUDIES)
def test_jobs_are_those_of_a_dry_run(name, tmp_path):
    layouts.cub(tmp_path / "CUB_200_2011", make=layouts.touch)
    layouts.mvtec_ad(tmp_path / "mvtec_ad", make=layouts.touch)
    config = validate(study(**STUDIES[name]))
    specs = {
        name: spec | {"root": spec["root"] and str(tmp_path / spec["root"])}
        for name, spec in config["datasets"].items()
    }
    jobs = planned(study(**STUDIES[name]), {name: size_on_disk(spec) for name, spec in specs.items()})
    printed = snakemake(tmp_path, study(**STUDIES[name]), "--dry-run")
    printed = re.sub(r"_digits_\d+\b", "", printed)  # the ending of rules for one job of several tasks
    found = Counter()
    for rule, count in re.findall(r"^(\w+) +(\d+)$", printed.partition("\ntotal ")[0], re.M):
        found[rule] += int(count)
    assert re.search(r"^total +(\d+)$", printed, re.M)[1] == str(len(jobs))
    assert Counter(job.stage for job in jobs) == found
    outputs = re.findall(r"^(?:local)?rule (\w+):$(?:\n    .*)*?\n    output: (.*)$", printed, re.M)
    outputs = {(rule, output) for rule, several in outputs for output in several.split(", ")}
    assert {(job.stage, job.output) for job in jobs if job.stage != "all"} <= outputs
    assert len({job.output for job in jobs}) == len(jobs)
    assert {job.stage for job in jobs[-len(found) :] if job.stage in TABLES} == set(found) & set(TABLES)


def test_what_is_done_is_not_counted():
    sizes = {"cub": Size(["a", "b"], 12, 8), "mvtec": Size([None, None], 12, 10)}
    jobs = planned(study(), sizes)
    there = {"results/cub/anomalies/diffusion/a.h5", "results/cub/embeddings/mini-resnet_s/images.h5"}
    before, after = (
        plan_table.totals(jobs, to_do(jobs, is_done), lambda job: 3600)
        for is_done in (lambda output: False, there.__contains__)
    )
    assert (after["diffusion"]["jobs"], after["diffusion"]["done"], before["diffusion"]["jobs"]) == (3, 1, 4)
    assert after["diffusion"]["flops"] == before["diffusion"]["flops"] * 3 / 4
    assert (before["diffusion"]["device"], after["diffusion"]["device"]) == (4 * 3600, 3 * 3600)
    assert before["embed_images"]["passes"] - after["embed_images"]["passes"] == 20
    text = plan_table.table(after)
    assert max(map(len, text)) == len(text[0]) == len(text[-1])
    assert text[-1].split()[:3] == ["total", str(len(jobs) - 2), "2"]
    assert [line.split("  ")[0] for line in text[-3:]] == ["tables, figures, report", "-" * 23, "total"]
    assert text[1] == text[-2] and set(text[1]) == {"-", " "}


def test_tasks_of_one_job_share_its_start_and_are_done_together():
    sizes = {"cub": Size(["a", "b", "c"], 12, 8), "mvtec": Size([None, None], 12, 10)}
    runtime = {"device": "cpu", "threads": 1, "tflops": 1}
    single, several = (planned(study(runtime=runtime | {"tasks_per_job": n}), sizes) for n in (1, 2))
    of_stage = {n: [job for job in jobs if job.stage == "diffusion"] for n, jobs in ((1, single), (2, several))}
    assert (len(of_stage[1]), len(of_stage[2])) == (5, 3)
    for key in ("passes", "flops", "disk"):
        assert sum(getattr(job, key) for job in of_stage[1]) == sum(getattr(job, key) for job in of_stage[2])
    starts = [sum(job.start for job in of_stage[n]) for n in (1, 2)]
    assert starts[0] - starts[1] == pytest.approx(2 * START_NETWORK)
    first = of_stage[2][0]
    assert (first.output, *first.more) == tuple(f"results/cub/anomalies/diffusion/{task}.h5" for task in "ab")
    assert first in to_do(several, {first.output}.__contains__)
    assert first not in to_do(several, {first.output, *first.more}.__contains__)


@pytest.mark.parametrize("missing", ["", "figures", "report.html", "tables/strategies.csv", "tables/paper/table1.csv"])
def test_the_target_comes_with_any_other_job(missing):
    jobs = planned(study(), {"cub": Size(["a"], 12, 8), "mvtec": Size(["b"], 12, 10)})
    left = to_do(jobs, lambda output: output != f"results/{missing}")
    assert [job.stage for job in left if job.output is None] == (["all"] if missing else [])
    assert len(left) == (2 if missing else 0)
    last = plan_table.totals(jobs, left, lambda job: 0)["tables, figures, report"]
    assert (last["jobs"], last["done"]) == (len(left), 11 - len(left))


def test_a_job_holds_its_device_for_the_longer_of_network_and_reading():
    job = Job("embed_images", None, flops=100, start=8, reading=60)
    assert device_seconds(job, speed=1, device="cuda", threads=4) == 8 + 100  # three processes read in 20 s
    assert device_seconds(job, speed=10, device="cuda", threads=4) == 8 + 20
    assert device_seconds(job, speed=10, device="cuda", threads=4, workers=1) == 8 + 60
    assert device_seconds(job, speed=10, device="cuda", threads=1) == 8 + 10 + 60  # one after the other
    assert device_seconds(job, speed=1, device="cpu", threads=4) == pytest.approx(8 + 100 * 4 / 3)


def test_cutpaste_costs_what_it_reads_and_makes():
    """Seconds on one core: 100 anomalies of 20 seeds took 0.65 beyond the start and the reading."""
    changes = {"support": {"seeds": 20}, "preparation": {"size": 256}, "sources": {"cutpaste": {}}}
    sizes = {"cub": Size(["a"], 30, 8), "mvtec": Size(["b"], 200, 10)}
    birds, products = (job.start for job in planned(study(**changes), sizes) if job.stage == "cutpaste")
    assert birds == pytest.approx(START + 20 * 0.007 + 0.65, abs=0.05)
    assert products - birds == pytest.approx(20 * (0.09 - 0.007))


def test_official_sizes_follow_the_tasks():
    mvtec = layouts.spec("mvtec_ad", "x", tasks=["bottle"])
    assert official_size(mvtec)[1:] == (242, 115)
    flowers = layouts.spec("flowers", "x", tasks=["pink primrose", "rose"])
    assert official_size(flowers) == ([None, None], 20, 6149)
    assert official_size(flowers | {"real_split": "val"}).test == 1020


STATED = "runtime={tflops: 200}"


def test_plan_of_data_sets_that_are_not_there(tmp_path):
    """The command prints the table before anything is downloaded, and writes nothing but its log."""
    config = study(datasets={"flowers": {"kind": "flowers", "root": "data/flowers102"}})
    config["runtime"] = {"device": "cpu", "threads": 2}
    output = snakemake(tmp_path, config, "plan", "--quiet", "all", "--config", STATED)
    assert "flowers: 102 tasks, 1,020 normal training and 6,149 test images (published numbers, not on disk)" in output
    assert re.search(r"^diffusion +102 ", output, re.M)
    assert "downloads: flowers 345 MB" in output
    assert "Time on a device of 200 TFLOP/s" in output and "read images, 1 per job" in output
    assert "These times are of a CPU" not in output
    assert [path.name for path in (tmp_path / "results").rglob("*") if path.is_file()] == ["plan.log"]


def test_plan_on_a_cpu_says_how_to_state_a_gpu(tmp_path):
    config = study(datasets=DIGITS, sources={"cutpaste": {}}, candidates=["mini:resnet_s"], clip=None)
    config["runtime"] = {"device": "cpu", "threads": 2}
    output = snakemake(tmp_path, config, "plan", "--quiet", "all")
    assert "Time on the CPU, 2 threads" in output and "These times are of a CPU" in output
    assert f"--config '{STATED}'" in output


def test_times_and_sizes_are_short():
    assert [wording.with_prefix(value, "B") for value in (0, 999, 1000, 20_600, 5.44e18, 1e25)] == [
        *("", "999 B", "1.0 kB", "21 kB", "5.4 EB", "10000 ZB"),
    ]
    assert [wording.estimated_time(seconds) for seconds in (0, 0.2, 59, 61, 3600, 7.2e6)] == [
        *("", "< 1 s", "59 s", "1.0 min", "1.0 h", "2,000 h"),
    ]
