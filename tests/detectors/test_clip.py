"""Zero-shot CLIP: scores are open_clip's own zero-shot probabilities, of single prompts and of their ensemble."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import tiny_clip
from scipy.stats import rankdata

from swsa_core.basics.errors import InputError
from swsa_core.candidates import open_clip as open_clip_family
from swsa_core.candidates import prompts
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.clip import embed_texts, load_clip
from swsa_core.candidates.section import clip_backbone
from swsa_core.detectors.clip import anomaly_logit, anomaly_probability, ensemble
from swsa_core.files.weights import MINI_WEIGHTS

MINI = pytest.param(
    "mini:clip",
    marks=pytest.mark.skipif(
        not (MINI_WEIGHTS / "clip.safetensors").is_file(), reason="models/mini has no clip.safetensors"
    ),
)


def record(model, weights=None):
    return clip_backbone({"model": model, "weights": weights, "tag": None})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Name of a small random model."""
    return tiny_clip.save(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module", params=["tiny", MINI])
def named(request, tiny):
    """(model's record, its towers, images (n, H, W, 3) as the backbone transforms them, pairs of texts)."""
    described = record(tiny if request.param == "tiny" else request.param)
    backbone = load_backbone(described, "cpu")
    images = np.random.default_rng(0).integers(0, 256, (20, 40, 48, 3), dtype=np.uint8)
    images = np.stack([backbone.transform(image) for image in images])
    return described, load_clip(described), images, prompts.prompts(prompts.read_set("flowers"), "rose")


def open_clip_probabilities(clip, images, sides):
    """open_clip's zero-shot softmax (n, 2) of two classes, each with its texts: [normal texts, anomalous texts]."""
    import torch
    from open_clip import build_zero_shot_classifier

    with torch.no_grad():
        weights = [build_zero_shot_classifier(clip.module, clip.tokenize, ["{}"], texts) for texts in sides]
        features = clip.module.encode_image(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1, normalize=True)
        return (clip.module.logit_scale.exp() * features @ torch.cat(weights, dim=1)).softmax(dim=-1).numpy()


def test_scores_are_open_clips_zero_shot_probabilities(named):
    described, clip, images, pairs = named
    features = load_backbone(described, "cpu").features(images)
    texts = embed_texts(clip, [text for pair in pairs for text in pair]).reshape(len(pairs), 2, -1)
    scores = anomaly_probability(features, texts, clip.logit_scale)
    assert scores.shape == (len(images), len(pairs)) and scores.dtype == np.float64
    for p, (normal, anomalous) in enumerate(pairs):
        expected = open_clip_probabilities(clip, images, [[normal], [anomalous]])
        np.testing.assert_allclose(scores[:, p], expected[:, 1], rtol=0, atol=1e-5)
    together = anomaly_probability(features, ensemble(texts)[None], clip.logit_scale)[:, 0]
    expected = open_clip_probabilities(clip, images, list(zip(*pairs, strict=True)))
    np.testing.assert_allclose(together, expected[:, 1], rtol=0, atol=1e-5)
    assert scores.std(axis=1).min() > 0, "the prompts differ"


def test_image_features_are_encode_image(named):
    import torch

    described, clip, images, _ = named
    with torch.no_grad():
        expected = clip.module.encode_image(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1).numpy()
    backbone = load_backbone(described, "cpu")
    np.testing.assert_allclose(backbone.features(images), expected, rtol=1e-4, atol=1e-5)
    assert backbone.name == described["model"]
    assert backbone.weights_sha256 == clip.weights_sha256


def test_the_logit_orders_like_the_probability_where_that_saturates():
    generator = np.random.default_rng(0)
    images, texts = generator.normal(size=(200, 8)), generator.normal(size=(3, 2, 8))
    logits = anomaly_logit(images, texts, 100)
    np.testing.assert_allclose(anomaly_probability(images, texts, 100), 1 / (1 + np.exp(-logits)))
    for mild, strong in zip(anomaly_probability(images, texts, 1).T, logits.T, strict=True):
        np.testing.assert_array_equal(rankdata(mild), rankdata(strong))
    assert len(np.unique(anomaly_probability(images, texts, 10000))) < len(
        np.unique(anomaly_logit(images, texts, 10000))
    )


def test_swapped_sides_and_lengths_of_vectors():
    generator = np.random.default_rng(0)
    images, texts = generator.normal(size=(20, 8)), generator.normal(size=(4, 2, 8))
    logits = anomaly_logit(images, texts, 10)
    np.testing.assert_array_equal(anomaly_logit(images, texts[:, ::-1], 10), -logits)
    np.testing.assert_allclose(anomaly_logit(7 * images, 0.1 * texts, 10), logits, atol=1e-9)
    np.testing.assert_allclose(anomaly_logit(images, texts, 20), 2 * logits, atol=1e-9)
    np.testing.assert_array_equal(anomaly_logit(images, texts[[2]], 10)[:, 0], logits[:, 2])


def test_equal_images_tie_wherever_they_stand():
    """Within a call; between calls they are a step apart at most."""
    generator = np.random.default_rng(0)
    image = generator.normal(size=512).astype(np.float32)
    images = generator.normal(size=(301, 512)).astype(np.float32)
    images[::7] = image
    texts = generator.normal(size=(11, 2, 512))
    scores = anomaly_logit(images, texts, 100)
    assert (scores[::7] == scores[0]).all()
    np.testing.assert_allclose(anomaly_logit(image[None], texts, 100), scores[:1], rtol=0, atol=2.0**-32)
    assert (anomaly_logit(image[None], generator.normal(size=(1, 2, 512)), 100)).shape == (1, 1)


def test_ensemble_of_one_prompt_is_that_prompt():
    texts = np.random.default_rng(0).normal(size=(1, 2, 8))
    np.testing.assert_allclose(ensemble(texts), texts[0] / np.linalg.norm(texts[0], axis=-1, keepdims=True))
    np.testing.assert_allclose(ensemble(np.repeat(texts, 3, axis=0)), ensemble(texts))


def test_each_text_is_embedded_once(tiny, monkeypatch):
    clip = load_clip(record(tiny))
    texts = ["a photo of some bird", "a photo of a wren", "a photo of some bird", "a photo of a gull"] * 50
    embedded = []
    monkeypatch.setattr(
        clip.module, "encode_text", lambda ids, of=clip.module.encode_text: embedded.append(ids) or of(ids)
    )
    features = embed_texts(clip, texts)
    assert sum(map(len, embedded)) == 3
    assert features.dtype == np.float32 and features.shape == (200, 16)
    np.testing.assert_array_equal(features[0], features[2])
    several = [f"a photo of a {number}" for number in range(150)]
    one_by_one = np.concatenate([embed_texts(clip, [text]) for text in several])
    np.testing.assert_allclose(embed_texts(clip, several), one_by_one, atol=1e-5)


def test_weights_of_a_file(tiny, tmp_path):
    """A file of the whole model, in each of the forms that checkpoints have, gives the same model and digest twice."""
    import torch
    from safetensors.torch import load_file

    directory = Path(tiny.removeprefix("open_clip:local-dir:"))
    file = directory / "open_clip_model.safetensors"
    expected = embed_texts(load_clip(record(tiny)), ["a bird"])
    torch.save({"state_dict": {f"module.{name}": value for name, value in load_file(file).items()}}, tmp_path / "w.pt")
    other = tiny_clip.save(tmp_path / "other", seed=1)
    assert not np.allclose(embed_texts(load_clip(record(other)), ["a bird"]), expected)
    for path in (file, tmp_path / "w.pt"):
        described = record(other, str(path))
        clip = load_clip(described)
        np.testing.assert_array_equal(embed_texts(clip, ["a bird"]), expected)
        assert clip.weights_sha256 == load_backbone(described, "cpu").weights_sha256


def test_mistakes_are_told(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(Path(tiny.removeprefix("open_clip:local-dir:")) / "open_clip_model.safetensors")
    tower = {name: value for name, value in state.items() if name.startswith("visual.")}
    save_file(tower, tmp_path / "tower.safetensors")
    with pytest.raises(InputError, match=r"^clip: the weights file .*tower.safetensors.* lacks \d+ \(.*positional"):
        load_clip(record(tiny, str(tmp_path / "tower.safetensors")))
    with pytest.raises(InputError, match=r"^clip: the weights file '.*absent\.pt' is not there"):
        load_clip(record(tiny, str(tmp_path / "absent.pt")))
    with pytest.raises(InputError, match=r"^clip: .*no pretrained tag 'laion400m_e33'.*did you mean 'laion400m_e32'"):
        load_clip(record("open_clip:ViT-B-16-plus-240", "laion400m_e33"))
    with pytest.raises(InputError, match=r"^clip: open_clip has no model 'ViT-B-16-plus-241': did you mean"):
        load_clip(record("open_clip:ViT-B-16-plus-241", "laion400m_e32"))


def test_a_text_that_a_tokenizer_would_cut_is_refused():
    tokenize = open_clip_family.without_cutting(open_clip.get_tokenizer("ViT-B-32"))
    with pytest.raises(InputError, match="has 82 tokens, the model takes at most 77"):
        tokenize(["a " * 80])
    assert tokenize(["a photo of a zero"]).shape == (1, 77)


class WordPieces:
    """In place of a tokenizer of Hugging Face: a token a word and one for the end."""

    def __call__(self, texts, return_tensors=None, max_length=None, padding=None, truncation=False):
        import torch

        ids = [[*map(len, text.split()), 1] for text in ([texts] if isinstance(texts, str) else texts)]
        if truncation:
            return SimpleNamespace(input_ids=torch.tensor([(one + [0] * max_length)[:max_length] for one in ids]))
        return SimpleNamespace(input_ids=ids[0])


def test_a_text_that_a_hugging_face_tokenizer_would_cut_is_refused(monkeypatch):
    auto = SimpleNamespace(from_pretrained=lambda *_, **__: WordPieces())
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(AutoTokenizer=auto))
    tokenizer = open_clip.get_tokenizer("ViT-B-16-SigLIP")
    tokenize = open_clip_family.without_cutting(tokenizer)
    assert tokenize(["word " * 63]).shape == (1, 64)
    with pytest.raises(InputError, match="has 65 tokens, the model takes at most 64"):
        tokenize(["a short text", "word " * 64])
    tokenizer.tokenizer_mode = "clips"
    with pytest.raises(InputError, match="the tokenizer HFTokenizer, which would cut long texts in silence"):
        open_clip_family.without_cutting(tokenizer)


@pytest.mark.parametrize(
    ("model", "weights", "args", "message"),
    [
        ("ViT-B-32", None, {"pretrained": "openai"}, "another activation than ViT-B-32 has: take ViT-B-32-quickgelu"),
        ("ViT-L-14", "w.safetensors", {}, "the pretrained tags of ViT-L-14 want images prepared in different ways"),
    ],
)
def test_weights_that_open_clip_would_misuse_in_silence_are_refused(model, weights, args, message):
    with pytest.raises(InputError, match=message):
        open_clip_family.create(model, weights, args)
