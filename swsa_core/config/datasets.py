"""The data sets of a config: one section for each kind, and the support set that a task takes of them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from swsa_core.basics.section import AnyPath, PlainPath, PositiveInt, Section, not_blank
from swsa_core.candidates.section import OwnTemplates


class Support(Section):
    seeds: Annotated[int, Field(ge=2, multiple_of=2)] = 20
    """Images of the support set that synthetic anomalies are made from; (seeds / 2)² anomalies per source."""


class Dataset(Section):
    root: AnyPath
    """Directory of the data set in its official layout, relative to the working directory."""
    tasks: Literal["all"] | Annotated[list[str], Field(min_length=1)] = "all"
    """Names of the classes or products that are tasks."""
    support: Support | None = None
    """Overrides the top-level `support` for this data set."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop, or go on without it and list it in the report."""
    allow_missing: bool = False
    """Go on with what is on disk when official files name images that are not."""
    templates: OwnTemplates = None
    """Overrides clip.templates for this data set."""


class Official(Dataset):
    archive: PlainPath | None = None
    """The official archive where `snakemake datasets` shall take a copy of your own, instead of a download."""


class Licensed(Official):
    accept_license: bool = False
    """Accept the licence that `snakemake datasets` names."""


class Cub(Official):
    kind: Literal["cub"]


class Flowers(Official):
    kind: Literal["flowers"]
    real_split: Literal["test", "val"] = "test"
    """Official split that real evaluation uses."""


class MVTecAD(Licensed):
    kind: Literal["mvtec_ad"]


class VisA(Licensed):
    kind: Literal["visa"]
    groups: Literal["exact", "atomic"] = "exact"
    """Defect types: the exact label strings, or each of their comma-separated parts."""
    min_group_size: PositiveInt = 1
    """Defect types with fewer test images are left out of one-vs-closest and one-vs-one."""


class Classes(Dataset):
    kind: Literal["classes"]


class Folder(Dataset):
    kind: Literal["folder"]
    normal: str | None = None
    """Sub-directory that holds the normal images; the other sub-directories are defect types."""
    train: PositiveInt | None = None
    """Normal images drawn for the support set where there is no train/test split."""
    class_name: Annotated[str, AfterValidator(not_blank)] | None = None
    """What the images show, for prompts; the directory's name when left out."""


class Digits(Dataset):
    kind: Literal["digits"]
    root: None = None
    """None: scikit-learn ships the images."""


AnyDataset = Annotated[
    Cub | Flowers | MVTecAD | VisA | Classes | Folder | Digits,
    Field(discriminator="kind"),
]
