"""The card of a detector: what it is, what it was made of, what it promises, in Markdown."""

from collections.abc import Iterator
from typing import Any

from swsa_core.basics.wording import decimals, for_markdown, plural
from swsa_core.candidates import family_of
from swsa_core.detect.detector import Detector, Part
from swsa_core.detect.heads import COMPARING
from swsa_core.detect.level import WANTED, least_rate, level_of, realised, told
from swsa_core.strategies.verdict import CLEAR, CLOSE, NO_BASIS

VERDICTS = {
    CLEAR: "The pick is clear",
    CLOSE: "The pick is a close call",
    NO_BASIS: "There is no basis for a pick",
}


def card(detector: Detector) -> str:
    """The card of a detector, Markdown."""
    return "\n".join(_lines(detector)) + "\n"


def _lines(detector: Detector) -> Iterator[str]:
    about = detector.about
    yield f"# Anomaly detector of {for_markdown(about['dataset'])}"
    yield ""
    yield (
        f"Chosen by the strategy `{about['strategy']}` of SWSA, from normal images and the anomalies named below. It scores "
        "images by:"
    )
    yield ""
    yield "| member | network | head | licence of the weights | SHA-256 of the weights |"
    yield "|---|---|---|---|---|"
    scoring = {name for part in detector.parts.values() for name in part.members}
    for one in (one for name, one in detector.members.items() if name in scoring):
        facts = one.facts
        head = COMPARING[one.head].title
        digest = facts["weights_sha256"][:16] or "-"
        yield f"| {for_markdown(one.name)} | {facts['model']} | {head} | {facts['licence']} | {digest} |"
    yield ""
    yield "Ask it about images, where SWSA is installed:"
    yield ""
    task = " --task NAME" if len(detector.parts) > 1 else ""
    code = " --trust-code" if any(family_of(one.backbone).runs_code for one in detector.members.values()) else ""
    yield f"    python -m swsa_core.detect DETECTOR IMAGES{task}{code} -o scores.csv"
    yield ""
    yield (
        "A score is higher the more anomalous an image is. `p` is the share of normal images that are expected to look as "
        "anomalous: p = (1 + number of leave-one-out scores of the normal images that are at least as high) / (n + 1). An "
        "alarm is a p of at most the wanted share of false alarms."
    )
    for part in detector.parts.values():
        yield ""
        yield from _of_part(part)
    yield ""
    yield f"Versions it was made with: {about['versions']}."


def _of_part(part: Part) -> Iterator[str]:
    n = len(part.normals)
    rate = max(WANTED, least_rate(n))
    low, high = realised(n, rate)
    yield f"## {for_markdown(part.name)}"
    yield ""
    added = part.facts.get("added", 0)
    since = f", {added} of them added since it was chosen" if added else ""
    yield f"Made of {plural(n, 'normal image')}{since}, scored by {', '.join(map(for_markdown, part.members))}. {told(n)}"
    yield ""
    yield (
        f"Level at {rate:.1%} false alarms: {level_of(part.normals, rate):.6g}; the share that comes true lies between "
        f"{low:.1%} and {high:.1%} in 95 of 100 sets of so many normal images."
    )
    facts: dict[str, Any] = part.facts
    if facts.get("verdict"):
        yield ""
        yield f"{VERDICTS[facts['verdict']]}: {for_markdown(facts['reason'])}."
    if facts.get("sources"):
        yield ""
        yield "| anomalies | AUROC | found at this level |"
        yield "|---|---|---|"
        for source, found in facts["sources"].items():
            yield f"| {source} | {decimals(found['auroc'], 3, '-')} | {decimals(found['found'], 2, '-')} |"
