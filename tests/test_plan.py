"""`snakemake plan`: as many jobs as Snakemake would run, and network passes as many as the stages make."""

import re

import layouts
import pytest
import torch
from workflow import dry_run, snakemake

from swsa_core import plan
from swsa_core.backbones import load_backbone
from swsa_core.config import clip_backbone, validate
from swsa_core.costs import Cost, DiffusionCost, backbone_cost, backbone_speed, diffusion_cost, diffusion_speed
from swsa_core.diffusion import Inversion, build_adm, diffstyle, invert
from swsa_core.names import unique_slugs

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
    assert plan.diffusion_passes(source, seeds=4) == (counts["conv_in"], counts["conv_out"])


def test_diffusion_of_the_paper_costs_5_4_exaflop():
    """The published model's FLOPs and parameters, and 9,521 whole passes for the 100 anomalies of a task."""
    assert diffusion_cost("resources/weights/adm_imagenet_256.pt", None) == ADM
    encoder, decoder = plan.diffusion_passes(SOURCE | {"steps": 50}, seeds=20)
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
    monkeypatch.setattr("swsa_core.costs.LEAST_SECONDS", 0.05)
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
    config = validate(config)
    clip = [clip_backbone(config["clip"])] if config["clip"] else []
    slugs = list(unique_slugs(model["name"] for model in config["candidates"] + clip))
    n = len(config["candidates"])
    costs = dict.fromkeys(slugs, Cost(flops=10**9, parameters=10**6, features=64))
    return list(plan.jobs(config, sizes, slugs[:n], slugs[n:], costs, ADM))


def test_jobs_are_those_of_a_dry_run(tmp_path):
    layouts.cub(tmp_path / "CUB_200_2011", make=layouts.touch)
    layouts.mvtec_ad(tmp_path / "mvtec_ad", make=layouts.touch)
    config = validate(study())
    specs = {name: spec | {"root": str(tmp_path / spec["root"])} for name, spec in config["datasets"].items()}
    sizes = {name: plan.size_on_disk(spec) for name, spec in specs.items()}
    jobs = planned(study(), sizes)
    expected = {stage: row["jobs"] for stage, row in plan.totals(jobs, lambda output: False).items()}
    found = dry_run(tmp_path, study())
    assert expected == {stage: found[stage] for stage in expected}
    assert set(found) - set(expected) >= {"tables", "figures", "report"}
    assert len({job.output for job in jobs}) == len(jobs)


def test_what_is_done_is_not_counted():
    sizes = {"cub": plan.Size(["a", "b"], 12, 8), "mvtec": plan.Size([None, None], 12, 10)}
    jobs = planned(study(), sizes)
    there = {"cub/anomalies/diffusion/a.h5", "cub/embeddings/mini-resnet_s/images.h5"}
    before, after = (plan.totals(jobs, is_done) for is_done in (lambda output: False, there.__contains__))
    assert (after["diffusion"]["jobs"], after["diffusion"]["done"], before["diffusion"]["jobs"]) == (3, 1, 4)
    assert after["diffusion"]["flops"] == before["diffusion"]["flops"] * 3 / 4
    assert before["embed_images"]["passes"] - after["embed_images"]["passes"] == 20
    text = plan.table(after, {"diffusion": 27_200 / 3600})
    assert len({len(line) for line in text}) == 1
    assert text[-1].split()[:3] == ["total", str(len(jobs) - 2), "2"]
    assert "7.6 h" in text[-1]


def test_official_sizes_follow_the_tasks():
    mvtec = layouts.spec("mvtec_ad", "x", tasks=["bottle"])
    assert plan.official_size(mvtec)[1:] == (242, 115)
    flowers = layouts.spec("flowers", "x", tasks=["pink primrose", "rose"])
    assert plan.official_size(flowers) == ([None, None], 20, 6149)
    assert plan.official_size(flowers | {"real_split": "val"}).test == 1020


def test_plan_of_data_sets_that_are_not_there(tmp_path):
    """The command prints the table before anything is downloaded, and writes nothing but its log."""
    config = study(datasets={"flowers": {"kind": "flowers", "root": "data/flowers102"}})
    output = snakemake(tmp_path, config, "plan", "--quiet", "all")
    assert "flowers: 102 tasks, 1,020 normal training and 6,149 test images (published numbers, not on disk)" in output
    assert re.search(r"^diffusion +102 ", output, re.M)
    assert "downloads: flowers 345 MB" in output
    assert "Time on a device of 1 TFLOP/s" in output
    assert [path.name for path in (tmp_path / "results").rglob("*") if path.is_file()] == ["plan.log"]


def test_times_and_sizes_are_short():
    assert [plan.scaled(value, "B") for value in (0, 999, 1000, 20_600, 5.44e18, 1e25)] == [
        *("", "999 B", "1.0 kB", "21 kB", "5.4 EB", "10000 ZB"),
    ]
    assert [plan.duration(seconds) for seconds in (0, 0.2, 59, 61, 3600, 7.2e6)] == [
        *("", "< 1 s", "59 s", "1.0 min", "1.0 h", "2,000 h"),
    ]
