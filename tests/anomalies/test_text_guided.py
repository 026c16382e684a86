"""The source text_guided: what it makes, training on the bundled models, what an edit computes again, bad input."""

import json

import numpy as np
import pytest
import torch
from workflow import dry_run, pretend_finished

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.diffusion_model import find_model, from_network
from swsa_core.anomalies.source import Task
from swsa_core.anomalies.text_guided import number, of_epochs, read_way, rows, stream, to_train_on, ways
from swsa_core.basics.errors import InputError
from swsa_core.basics.names import text_slugs
from swsa_core.candidates.clip import embed_texts, image_encoder, load_clip
from swsa_core.candidates.section import clip_backbone
from swsa_core.config.check import check
from swsa_core.config.config import validate
from swsa_core.config.study import study
from swsa_core.datasets import digits
from swsa_core.diffusion import load_adm, reconstruct
from swsa_core.diffusion.delta_h import delta_h_for, write_delta_h
from swsa_core.diffusion.text_direction import Target, fit
from swsa_core.files import store
from swsa_core.files.images import prepared
from swsa_core.report.contact_sheets import sheet_by_text

STEPS = 5
TEXTS = ["a photo of a letter", "a red flower"]
OPENAI = {"model": "open_clip:ViT-B-16-quickgelu", "weights": "openai"}
RUNTIME = {"device": "cpu", "batch_size": 2, "compile": False}


def config(**changes):
    section = {"model": "mini:adm_32", "clip": {"model": "mini:clip"}, "texts": TEXTS, "steps": STEPS, "t_edit": 500}
    return {
        "datasets": {"digits": {"kind": "digits", "tasks": ["3", "8"]}},
        "support": {"seeds": 4},
        "sources": {"text_guided": section | changes, "cutpaste": {}},
        "candidates": ["descriptor:hog"],
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1},
        "evaluation": {"bootstrap": 100},
    }


def section(**changes):
    return validate(config(**changes))["sources"]["text_guided"]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Four seed images with the file of their unedited ways, and two directions with random weights."""
    folder = tmp_path_factory.mktemp("text_guided")
    ids = [row.image_id for row in digits.rows({}) if row.label == "3"][:4]
    seeds = {image_id: prepared(image_id, {"size": 32, "crop": "center", "fit": "crop"}) for image_id in ids}
    task = Task("digits", "3", seeds, {"size": 32}, 0, "float32", RUNTIME)
    found = ways(task, section())
    x_T, predicted = map(np.concatenate, zip(*found.blocks(0), strict=True))
    arrays = {"x_T": x_T, "predicted": predicted, "images": np.stack(list(seeds.values())), "image_ids": ids}
    store.write(folder / "ways.h5", arrays, found.attributes)
    again = np.concatenate([block for block, _ in found.blocks(2)])  # as a job that was killed after two images
    assert np.array_equal(again, x_T[2:]) and predicted.shape == (4, found.n_edited, 3, 32, 32)
    paths = [str(folder / f"{i}.safetensors") for i in range(2)]
    unet = load_adm(*find_model(section())[:2])
    for i, path in enumerate(paths):
        write_delta_h(path, delta_h_for(unet, i), {})
    return Task("digits", "3", seeds, {"size": 32}, 0, "float32", RUNTIME, 1, None, str(folder / "ways.h5"), paths)


def test_each_seed_is_made_with_each_text_at_each_strength(task):
    given = section(alphas=[0, 1.5])
    made = stream(task, given)
    images = np.concatenate(list(made.images(0)))
    assert len(images) == len(made.parents) == number(4, given) == 16
    assert made.columns["alpha"].tolist() == [*[0.0] * 4, *[1.5] * 4] * 2
    assert made.columns["text"].tolist() == [*[TEXTS[0]] * 8, *[TEXTS[1]] * 8]
    assert made.parents[:4, 0].tolist() == list(task.seeds) and made.unit[1] == 4
    np.testing.assert_array_equal(images[:4], images[8:12])  # without a direction
    assert (images[4:8] != images[:4]).any() and (images[4:8] != images[12:]).any()
    np.testing.assert_array_equal(np.concatenate(list(made.images(8))), images[8:])  # as a resumed job goes on
    sheet = sheet_by_text(task.seeds, images, made.parents, made.columns["text"], made.columns["alpha"])
    assert sheet.shape == (2 * (4 * 36 + 4) + 8, 3 * 36 + 8, 3)


def test_without_strength_it_is_the_reconstruction_bit_for_bit(task):
    made = next(iter(stream(task, section(alphas=[0])).images(0)))
    x_T = torch.from_numpy(store.read(task.ways, ["x_T"])[0]["x_T"])
    plain, _ = reconstruct(load_adm(*find_model(section())[:2]), x_T, STEPS, 2)
    np.testing.assert_array_equal(made, from_network(plain))


def test_training_lowers_the_loss_on_the_bundled_models(task):
    given = section()
    unet = load_adm(*find_model(given)[:2])
    clip = load_clip(clip_backbone(given["clip"]))
    text = torch.nn.functional.normalize(torch.from_numpy(embed_texts(clip, TEXTS[:1])[0]), dim=0)
    target = Target(image_encoder(clip, "cpu"), text, given["l1_weight"], given["steps"], given["t_edit"])
    delta_h, images = delta_h_for(unet, 0), to_train_on([task.ways], given, 0)
    optimizer = torch.optim.SGD(delta_h.parameters(), given["learning_rate"])
    *_, losses = fit(
        unet, delta_h, optimizer, lambda i: read_way(*images[i], "cpu"), [[0, 1], [1, 0], [0, 1]], target, []
    )
    table = of_epochs(losses, 2)
    assert table["epoch"].tolist() == [1, 2, 3] and table["loss"].iloc[-1] < table["loss"].iloc[0]
    with pytest.raises(InputError, match=r"the loss did not fall: .* in the first epoch"):
        of_epochs(losses[::-1], 2)


def test_images_to_train_on_are_drawn_of_all_tasks(task):
    assert to_train_on([task.ways] * 2, section(images=3), 0) == to_train_on([task.ways] * 2, section(images=3), 0)
    assert len(to_train_on([task.ways], section(), 0)) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": [" "]}, r"sources\.text_guided\.texts\.0: .* not blank"),
        ({"texts": []}, r"sources\.text_guided\.texts: .* at least one entry"),
        ({"texts": ["a letter", "A  letter"]}, r"stands there twice as CLIP reads it"),
        ({"texts": ["a " * 23]}, r"sources\.text_guided\.texts: .* has 23 words, the CLIP model takes at most 22"),
        ({"texts": ["a gorilla"]}, r"sources\.text_guided\.texts: mini:clip does not know the word 'gorilla'"),
        ({"texts": ["a " * 80], "clip": OPENAI}, r"has 80 words, the CLIP model takes at most 75"),
        ({"clip": {}}, r"sources\.text_guided\.clip\.model: this key is required"),
        ({"alphas": []}, r"sources\.text_guided\.alphas: .* at least one entry"),
        ({"alphas": [-1]}, r"sources\.text_guided\.alphas\.0: .* greater than or equal to 0"),
        (
            {"clip": {"model": "mini:vit_s"}},
            r"sources\.text_guided\.clip\.model: expected open_clip:<model> or mini:clip",
        ),
        ({"model": "mini:adm_64"}, r"sources\.text_guided\.model: 'mini:adm_64' is not in models/mini"),
        ({"flags": {"wrong": 1}}, r"sources\.text_guided\.flags: unknown argument 'wrong'"),
    ],
)
def test_bad_input_ends_in_a_sentence_before_any_job(changes, message):
    with pytest.raises(InputError, match=message):
        check(study(validate(config(**changes))))


def test_long_texts_have_short_names_of_their_own():
    one, other = "word " * 40 + "a", "word " * 40 + "b"
    slugs = text_slugs([one, other, "a red flower"])
    assert list(slugs.values()) == [one, other, "a red flower"] and max(map(len, slugs)) < 100 and len(slugs) == 3


BELOW = dict.fromkeys(
    ["severity", "evaluate", "select", "strategies", "tables", "figures", "report", "score_knn", "embed_anomalies"], 1
)
BELOW |= {"support_curve": 1, "recommendation": 1}


def test_an_edit_trains_only_what_hangs_on_it(tmp_path):
    pretend_finished(tmp_path, config())
    generated = {"text_guided": 2, **BELOW}
    assert dry_run(tmp_path, config(alphas=[0, 2])) == generated
    assert dry_run(tmp_path, config(texts=[*TEXTS, "a drawing"])) == generated | {"train_text_guided": 1}


def test_each_task_has_its_own_training_where_nothing_is_shared(tmp_path):
    jobs = dry_run(tmp_path, config(share="task"))
    assert (jobs["invert_text_guided"], jobs["train_text_guided"], jobs["text_guided"]) == (2, 4, 2)


def test_every_row_says_what_it_is_made_of():
    made = rows(section(alphas=[1]), ["a.png", "b.png"])
    assert list(map(len, made.values())) == [4, 4, 4] and SOURCES["text_guided"].strength in made
    assert json.dumps(made["alpha"].tolist()) == "[1.0, 1.0, 1.0, 1.0]"
