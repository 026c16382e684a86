"""Names and numbers as they are written for people.

Names of strategies and sources have titles of their own: `swsa_core.strategies.wording`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from reprlib import Repr

SHORT = Repr()  # of values of a config
SHORT.maxlevel, SHORT.maxdict, SHORT.maxlist, SHORT.maxstring, SHORT.maxother = 3, 6, 6, 200, 200
LONGEST = 500  # letters of such a value
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")


def words(name: str) -> str:
    """A name of the config as it is written for people.

    >>> words("one_vs_rest"), words("leave_one_out")
    ('one-vs-rest', 'leave one out')
    """
    return name.replace("_", "-" if "_vs_" in name else " ")


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """{reason: the names that have it}, of {name: reason}, so that a reason is told once.

    >>> by_reason({"a": "too dear", "b": "too slow", "c": "too dear"})
    {'too dear': ['a', 'c'], 'too slow': ['b']}
    """
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        found.setdefault(reason, []).append(name)
    return found


def shortened(name: str, length: int) -> str:
    """`name` without its middle where it is longer: names of models and tasks differ at both ends."""
    half = length // 2
    return name if len(name) <= length else name[: length - half - 1] + "…" + name[-half:]


def shown(value: object) -> str:
    """A value of a config as a sentence shows it, however long and deep it is; aliases of YAML can make it endless.

    >>> shown("a"), shown([[[["deep"]]]]), len(shown(["x" * 300] * 6))
    ("'a'", '[[[[...]]]]', 501)
    """
    text = SHORT.repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def for_markdown(text: str) -> str:
    """A name without what Markdown or HTML would take for markup.

    >>> for_markdown("a_<b>"), for_markdown("lite_2")
    ('a&#95;&#60;b&#62;', 'lite_2')
    """
    plain = (f"&#{ord(sign)};" if sign in "<>&|`*[]\\#" or not sign.isprintable() else sign for sign in text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", "&#95;", "".join(plain))  # within a word it is no markup


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names as a part of a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def plural(n: int, noun: str, several: str = "") -> str:
    """A count and what is counted.

    >>> plural(1, "task"), plural(1200, "task"), plural(2, "copy", "copies")
    ('1 task', '1,200 tasks', '2 copies')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {several or noun + 's'}"


def decimals(value: float | None, digits: int, undefined: str = "") -> str:
    """A number with so many digits after the point; `undefined` for None or NaN.

    >>> decimals(0.87654, 3), decimals(math.nan, 3, "-"), decimals(None, 2)
    ('0.877', '-', '')
    """
    return undefined if value is None or math.isnan(value) else f"{value:.{digits}f}"


def count(value: float | None) -> str:
    """A count; an expected one, which is no whole number, with a digit after the point.

    >>> count(3.0), count(2.345), count(math.nan)
    ('3', '2.3', '')
    """
    return decimals(value, 0 if value is not None and float(value).is_integer() else 1)


def difference(value: float) -> str:
    """A difference in parentheses, with its sign and a space before it; "" for NaN.

    >>> difference(0.0123), difference(math.nan)
    (' (+0.012)', '')
    """
    return "" if math.isnan(value) else f" ({value:+.3f})"


def with_interval(value: float, low: float, high: float) -> str:
    """A mean with the bounds of its interval in parentheses, where there is one.

    >>> with_interval(0.5, 0.25, 0.75), with_interval(0.5, math.nan, math.nan), with_interval(math.nan, 0, 1)
    ('0.500 (0.250 to 0.750)', '0.500', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"


def two_digits(value: float) -> str:
    """A measured number with two digits at least, no more than are sure; "" for NaN.

    >>> two_digits(0.01234), two_digits(4.56), two_digits(123.4), two_digits(math.nan)
    ('0.012', '4.6', '123', '')
    """
    if math.isnan(value) or not value:
        return ""
    return f"{value:.{max(0, 1 - math.floor(math.log10(abs(value))))}f}"


def chance(value: float) -> str:
    """A probability from a bootstrap, never rounded to certainty.

    >>> chance(0.871), chance(0.998), chance(0.001)
    ('0.87', '> 0.99', '< 0.01')
    """
    if math.isnan(value):
        return "not known"
    return "> 0.99" if value > 0.99 else "< 0.01" if value < 0.01 else f"{value:.2f}"


def part(share: float) -> str:
    """A share from 0 to 1 in percent, rounded down, so that 100 % is all of it; "" for NaN.

    >>> part(0.999), part(1.0), part(math.nan)
    ('99 %', '100 %', '')
    """
    if math.isnan(share):
        return ""
    return f"{math.floor(100 * share)} %"


def three_digits(value: float) -> str:
    """A count of parameters in three digits.

    >>> three_digits(632_045_800), three_digits(11_176_512), three_digits(950), three_digits(0)
    ('632 M', '11.2 M', '950', 'none')
    """
    if not value:
        return "none"
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:#.3g}".rstrip(".") + unit
    return f"{value:.0f}"


def with_prefix(value: float, unit: str = "") -> str:
    """A number with two or three digits and the prefix of its thousands; "" for nothing.

    >>> with_prefix(5.44e18), with_prefix(2_470_000_000, "B"), with_prefix(0)
    ('5.4 E', '2.5 GB', '')
    """
    if not value:
        return ""
    prefix = min(int(math.log10(max(value, 1)) // 3), len(PREFIXES) - 1)
    number = value / 1000**prefix
    return f"{number:.{int(number < 10)}f} {PREFIXES[prefix]}{unit}".strip()


def megabytes(value: float) -> str:
    """Memory that was measured, in MB.

    >>> megabytes(1234.5), megabytes(math.nan)
    ('1,234 MB', 'not measured')
    """
    return "not measured" if math.isnan(value) else f"{value:,.0f} MB"


def measured_time(seconds: float) -> str:
    """A time that was measured, to the second where it is longer than a minute.

    >>> measured_time(4.25), measured_time(75), measured_time(7384)
    ('4.2 s', '1 min 15 s', '2 h 3 min')
    """
    if math.isnan(seconds):
        return "not measured"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def estimated_time(seconds: float) -> str:
    """A time that was estimated, in two digits or whole units of what suits it; "" for nothing.

    >>> estimated_time(27_200), estimated_time(90), estimated_time(5)
    ('7.6 h', '1.5 min', '5 s')
    """
    if seconds < 1:
        return "< 1 s" if seconds else ""
    size, unit = next(
        (size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds >= size or size == 1
    )
    number = seconds / size
    return f"{number:,.{int(number < 10 and size > 1)}f} {unit}"
