"""The mini CLIP: drawings with captions, its few words, its training, and the weights in models/mini."""

import csv
import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip import SimpleTokenizer
from safetensors.torch import load_file, save_file

from swsa_core.basics.errors import InputError
from swsa_core.candidates.prompts import texts_of_classes
from swsa_core.datasets import cub, digits, flowers, mvtec_ad, visa
from swsa_core.metrics import auroc
from swsa_core.mini import CLIP_MODELS, captions, clip
from swsa_core.mini.clip_words import PARTS, check_prompts
from swsa_core.mini.training import as_input

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "models" / "mini" / "clip.safetensors"
TEMPLATES = sorted((ROOT / "swsa_core" / "candidates" / "templates").glob("*.csv"))
CUB = ROOT.parent / "shared" / "data" / "CUB_200_2011" / "classes.txt"
VISA = ("candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "pcb1", "pipe_fryum")
TINY = {**clip.RECIPES["clip"], "steps": 5, "batch_size": 4, "warmup_steps": 2}


@pytest.fixture(scope="module")
def shipped():
    return clip.load_clip()


@pytest.fixture(scope="module")
def record():
    return json.loads(WEIGHTS.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def tokenize():
    return clip.make_tokenizer(clip.CONFIGS["clip"]["text_cfg"]["context_length"])


@pytest.fixture
def few_held_out(monkeypatch):
    monkeypatch.setattr("swsa_core.mini.clip.HELD_OUT", 10)
    images, labels = clip.handwritten_digits()
    monkeypatch.setattr("swsa_core.mini.clip.handwritten_digits", lambda: (images[:10], labels[:10]))


def prompts(template):
    return [template.format(word) for word in digits.WORDS]


def spoken():
    """Every word that a caption can hold."""
    names = {captions.name_of(character) for character in captions.CLASSES}
    values = [*names, *(word for slot in captions.SLOTS.values() for word in slot)]
    return [
        *values,
        *(template.format_map(dict.fromkeys([*captions.SLOTS, "name"], "")) for template in captions.templates()),
    ]


def test_the_batch_of_a_step_depends_on_the_step_alone():
    images, texts, truth = captions.batch(0, 3, 8, 2)
    again = captions.batch(0, 3, 8, 2)
    np.testing.assert_array_equal(again[0], images)
    assert again[1] == texts
    np.testing.assert_array_equal(again[2], truth)
    assert images.shape == (8, 32, 32, 3) and images.dtype == np.uint8 and truth.shape == (8, 16)
    assert not np.array_equal(images, captions.batch(0, 4, 8, 2)[0])


def test_captions_are_true_of_their_own_image_and_of_no_other_digit():
    truth = captions.batch(0, 0, 64, 2)[2].reshape(64, 64, 2)  # images, images of the captions, captions of an image
    assert truth[range(64), range(64)].all()
    assert not truth.all()
    rng = np.random.default_rng(0)
    facts = [captions.draw(rng, character)[1] for character in "0123456789"]
    named = captions.is_true(facts, [{word} for word in digits.WORDS])
    np.testing.assert_array_equal(named, np.eye(10, dtype=bool))
    assert captions.is_true(facts, [{"digit"}, {"character"}, set()]).all()
    assert not captions.is_true(facts, [{"letter"}]).any()


@pytest.mark.parametrize("seed", range(30))
def test_facts_are_of_the_known_words_and_what_can_be_measured_holds(seed):
    image, facts = captions.draw(np.random.default_rng(seed), "8")
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    assert facts["name"] == ["eight"] and facts["kind"] == ["digit", "character"]
    assert all(set(facts[slot]) <= set(words) for slot, words in captions.SLOTS.items())
    assert {"black and white", "colour"} & set(facts["look"])
    looks = set(facts["look"])
    if "noisy" not in looks:
        colours = np.ptp(image.astype(int), axis=2).max()
        assert (colours < 16) if "black and white" in looks else True
    assert image.mean() < 135 or "dark" not in looks
    assert image.mean() > 100 or "bright" not in looks
    assert not ({"blurry", "coarse", "noisy"} & looks and "inspection" in facts["use"])


@pytest.mark.parametrize("frame", ["small", "large", "cropped"])
def test_the_frame_is_what_is_drawn(frame):
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = np.asarray(captions._placed(rng, captions._handwritten(rng, "H"), frame))
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        rows = np.flatnonzero(mask.max(1) > 60)
        height = (rows[-1] - rows[0] + 1) / len(mask)
        if frame == "small":
            assert height < 0.6
        if frame == "large":
            assert height > 0.75
        if frame == "cropped":
            assert border.max() > 0


def test_captions_templates_and_class_names_use_known_words_only(tokenize):
    tokenize(spoken())
    for path in TEMPLATES:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 10
        tokenize([text.replace("{}", "") for row in rows for text in row.values()])
    longest = "a close-up photo of some large {} flower for inspection"
    tokenize([longest.format(flowers.class_name(name)) for name in flowers.names_by_label()])
    tokenize([mvtec_ad.class_name(name) for name in mvtec_ad.CATEGORIES])
    tokenize([visa.class_name(name) for name in VISA])


def test_templates_of_the_digits_are_the_captions_own_words():
    said = {word for text in spoken() for word in text.replace("-", " ").split()}
    with open(ROOT / "swsa_core" / "candidates" / "templates" / "digits.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["normal"] for row in rows}) == 10 and rows[0]["normal"] == clip.PROMPT
    for row in rows:
        assert set(" ".join(row.values()).replace("{}", " ").replace("-", " ").split()) <= said


@pytest.mark.skipif(not CUB.exists(), reason=f"no CUB class list in {CUB}")
def test_the_birds_are_known(tokenize):
    names = [cub.class_name(line.split()[1]) for line in CUB.read_text().splitlines()]
    tokenize([f"a close-up photo of some large {name} bird for inspection" for name in names])


def test_an_unknown_word_is_named(tokenize):
    with pytest.raises(InputError, match=r"the word 'birdd' of 'a photo of a birdd'.*did you mean 'bird'"):
        tokenize(["a photo of a zero", "a photo of a birdd"])
    with pytest.raises(InputError, match="the word 'giraffe'"):
        tokenize(["a giraffe"])
    with pytest.raises(InputError, match=r"102 tokens, .* at most 24"):
        tokenize(["photo " * 100])


def test_tokens_are_those_of_open_clip(tokenize):
    text = "A close-up photo of a Colt's foot"
    theirs = [token for token in open_clip.tokenize([text])[0].tolist() if token]
    ours = tokenize([text])[0]
    assert ours.dtype == torch.int64 and ours.shape == (24,)
    assert [clip.vocabulary()[row] for row in ours if row] == theirs
    assert ours.argmax() == len(theirs) - 1  # the end of the text, where open_clip takes the features


def test_one_true_caption_each_gives_clips_own_loss():
    torch.manual_seed(0)
    images, texts = F.normalize(torch.randn(2, 5, 8), dim=-1)
    expected = open_clip.loss.ClipLoss()(images, texts, torch.tensor(10.0))
    logits = 10 * images @ texts.T
    torch.testing.assert_close(clip.contrastive_loss(logits, torch.eye(5, dtype=torch.bool)), expected)
    torch.testing.assert_close(
        clip.contrastive_loss(torch.zeros(5, 5), torch.ones(5, 5).bool()), torch.tensor(5.0).log()
    )


def test_a_resumed_training_ends_with_the_same_bits(tmp_path, few_held_out):
    def interrupt(done):
        if done == 4:
            raise KeyboardInterrupt

    options, state = {"recipe": TINY, "checkpoint_every": 3}, torch.get_rng_state()
    clip.train("clip", tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        clip.train("clip", tmp_path / "resumed", progress=interrupt, **options)
    steps, lines = [], []
    clip.train("clip", tmp_path / "resumed", progress=steps.append, log=lines.append, **options)
    assert steps == [4, 5] and "going on after step 3" in lines[0]
    weights = [(tmp_path / run / "clip.safetensors").read_bytes() for run in ("whole", "resumed")]
    assert weights[0] == weights[1]
    reports = [json.loads((tmp_path / run / "clip.json").read_text()) for run in ("whole", "resumed")]
    assert all(reports[0][key] == reports[1][key] for key in ("recipe", "loss", "accuracy"))
    assert not list(tmp_path.glob("*/*.checkpoint"))
    assert torch.equal(torch.get_rng_state(), state)
    clip.load_clip(tmp_path / "whole" / "clip.safetensors")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    weights = load_file(WEIGHTS)
    weights["token_embedding.weight"] = weights["token_embedding.weight"][:-1].contiguous()
    save_file(weights, tmp_path / "clip.safetensors")
    with pytest.raises(InputError, match=r"does not fit the model.*token_embedding\.weight"):
        clip.load_clip(tmp_path / "clip.safetensors")


def test_shipped_weights_are_finite_float16_small_and_documented(shipped, record):
    weights = load_file(WEIGHTS)
    floats = [value for value in weights.values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float16}
    assert all(value.isfinite().all() for value in floats)
    assert WEIGHTS.stat().st_size <= 5 * 2**20
    assert record["model"] in CLIP_MODELS and record["config"] == clip.CONFIGS["clip"]
    assert record["recipe"] == clip.RECIPES["clip"] and record["n_tokens"] == len(clip.vocabulary())
    assert record["n_parameters"] == sum(parameter.numel() for parameter in shipped[0].parameters())
    assert record["tower_sha256"] == clip.file_sha256(WEIGHTS.with_name(f"{record['config']['tower']}.safetensors"))
    assert record["loss"][-1][0] == record["recipe"]["steps"]
    assert 0 < record["seconds"] <= 3600 and record["hardware"]


def test_shipped_weights_tell_handwritten_digits_apart(shipped, record):
    """Zero-shot, on images that no training has seen; chance is 0.1."""
    accuracy = clip.zero_shot_accuracy(*shipped, *clip.handwritten_digits())
    assert accuracy == pytest.approx(record["accuracy_on_handwritten_digits"], abs=0.005)
    assert accuracy > 0.7


def test_shipped_weights_know_how_an_image_looks(shipped):
    """AUROC of "a dark photo of something" and the like: drawings of which it is true against the others."""
    model, tokenize = shipped
    rng = np.random.default_rng(54321)
    images, facts = zip(*(captions.draw(rng) for _ in range(300)), strict=True)
    floors = {"bright": 0.6, "dark": 0.6, "blurry": 0.85, "coarse": 0.85, "cropped": 0.8, "colour": 0.95}
    with torch.inference_mode():
        texts = tokenize([f"a {look} photo of something" for look in floors])
        logits = model.get_logits(as_input(np.stack(images)), texts)[0].numpy()  # (300, looks)
    truth = captions.is_true(facts, [{look} for look in floors])
    for look, scores, right in zip(floors, logits.T, truth.T, strict=True):
        assert auroc(scores, right) > floors[look], look


def test_it_is_an_open_clip_model(shipped):
    """open_clip's own zero-shot classifier and preprocessing work with it and agree with the towers."""
    model, tokenize = shipped
    images, _ = clip.handwritten_digits()
    x = as_input(images[:4])
    with torch.inference_mode():
        weights = open_clip.build_zero_shot_classifier(
            model, tokenize, digits.WORDS, [clip.PROMPT.format], device="cpu"
        )
        expected = model.logit_scale.exp() * model.encode_image(x, normalize=True) @ weights  # (4, 10)
        logits = model.get_logits(x, tokenize(prompts(clip.PROMPT)))[0]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    preprocessing = open_clip.get_model_preprocess_cfg(model)
    assert preprocessing["size"] == 32 and preprocessing["mean"] == preprocessing["std"] == (0.5, 0.5, 0.5)


def test_prompts_are_checked_without_torch_by_the_words_that_the_tokenizer_finds():
    templates = [["a photo of a {}", "a photo of some digit"], ["a close-up photo of a {}", "a {} with defect"]]
    check_prompts(texts_of_classes(templates, ["zero", "black throated blue warbler", "colt's foot"]))
    with pytest.raises(InputError, match="does not know the word 'gizmo' of 'a photo of a gizmo 7'"):
        check_prompts(texts_of_classes(templates, ["zero", "gizmo 7"]))
    tokenizer = SimpleTokenizer()
    for text in ("a photo of a colt's foot", "pre-1900 black_throated 'n' blue", "b&w, 3x close-up!"):
        assert PARTS.findall(text) == tokenizer.pat.findall(tokenizer.clean_fn(text))
