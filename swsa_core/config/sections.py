"""The sections of a config but its data sets and candidates: keys, types, defaults, and what must hold within each."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, create_model, field_validator

from swsa_core.anomalies import SOURCES
from swsa_core.basics.section import LeftOutIfNull, PositiveInt, Removable, Section, Several
from swsa_core.evaluation.known import MAX_MEMBERS
from swsa_core.files.images import Fit

if TYPE_CHECKING:

    class Sources(Section):
        """A key for each entry of SOURCES."""
else:
    Sources = create_model(
        "Sources",
        __base__=Section,
        **{
            name: (source.section | None, Field(default=None, description=source.about))
            for name, source in SOURCES.items()
        },
    )


class KNN(Section):
    k: PositiveInt = 3
    """Number of neighbours whose distances are summed (Eq. 4)."""
    distance: Literal["squared_l2", "l2"] = "squared_l2"
    """The distance that is summed: squared, as in Eq. 4 (`squared_l2`), or Euclidean, as in the text on it (`l2`)."""
    l2_normalize: bool = False
    """Whether each feature vector is scaled to unit length first."""


class Patch(Section):
    grid: Annotated[int, Field(ge=2, le=64)] = 14
    """Side of the grid of patches into which an image is divided. An edit embeds the images for this head again."""
    bank: PositiveInt = 20_000
    """The most patches that the bank of a task keeps, as many of each of its images, drawn at random."""


class Selection(Section):
    max_members: PositiveInt = MAX_MEMBERS
    """Number of candidates at most that the strategy swsa_ensemble combines to one detector."""
    max_ms: Annotated[Annotated[float, Field(gt=0)] | None, LeftOutIfNull] = None
    """Milliseconds at most that one image may cost what swsa and swsa_ensemble recommend, network and heads, as measured on the
    machine that runs the study; null for any. With a limit the pick can depend on the machine, and `strategies` must list swsa
    before others that recommend."""
    max_mb: Annotated[Annotated[float, Field(gt=0)] | None, LeftOutIfNull] = None
    """Megabytes at most of what swsa and swsa_ensemble recommend: the weights of its networks, 4 bytes for each parameter, and
    what it keeps of the normal images; null for any. Images on their way and the libraries are not counted, which take a few
    hundred more whatever is picked. `strategies` must list swsa before others that recommend."""
    close_call: Annotated[Literal["best", "cheapest"], Field(exclude_if=lambda value: value == "best")] = "best"
    """What swsa picks where the verdict is a close call: the candidate that is best by the synthetic anomalies, or of those
    that cannot be told apart the one that takes the fewest milliseconds. The latter costs real AUROC (docs/selection.md)."""


class Preparation(Section):
    size: Annotated[int, Field(ge=16, le=8192)] = 256
    """Side of the images that synthetic anomalies are made from and compared with, in pixels."""
    crop: Literal["center"] = "center"
    """Which part of an image is kept by `fit: crop`: the central square, as large as the short side allows."""
    fit: Fit = "crop"
    """How an image fits: `crop` keeps the centre alone; `squash` makes the whole image a square of `size`; `pad` keeps its
    shape, and its longer side becomes `size`. Candidates that have no `fit` of their own follow, and see the whole image with
    the last two."""


class Runtime(Section):
    """Settings whose edit computes nothing again, but for `tasks_per_job`. They change no number beyond rounding, but for
    `device` with `precision: auto`, which decides between bfloat16 and float32."""

    device: str = "auto"
    """Where networks run: auto (a GPU if there is one), cpu, cuda or cuda:<index>."""
    batch_size: Literal["auto"] | PositiveInt = "auto"
    """Number of images that go through a network at a time."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 4
    """Number of CPU cores of one embedding job, for reading images and for the network together."""
    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=1024)] = "auto"
    """Number of processes that read images; they are part of `threads`."""
    tasks_per_job: Literal["auto"] | PositiveInt = "auto"
    """Tasks of one job that draws support sets, makes synthetic anomalies or fine-tunes a network (`exposure`), so that they
    share one start and one load of the network (docs/scale.md). auto is 1, and 10 where a network is fine-tuned. After an edit
    finished anomalies are looked at and taken as they are, what depends on them is computed again, and networks are fine-tuned
    anew."""
    compile: bool = False
    """Whether the diffusion network is compiled with torch.compile. This takes minutes at first; whether it pays was not
    measured."""
    tflops: Annotated[float, Field(gt=0)] | None = None
    """TFLOP/s that one GPU sustains, for the estimate of `snakemake plan`. If left out, this machine is measured."""
    status: bool = True
    """Whether a line tells how far a run is. On a terminal it stays at the bottom, and each finished job gets one line in place
    of what Snakemake prints of it; elsewhere it comes at most every 30 seconds."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, value):
        if value not in ("auto", "cpu", "cuda") and not (value.startswith("cuda:") and value[5:].isdigit()):
            raise ValueError("expected auto, cpu, cuda or cuda:<index>")
        return value


class Evaluation(Section):
    protocols: Annotated[list[Literal["leave_one_out", "paired", "paper", "reconstructed"]], *Several] = [
        "leave_one_out",
        "paired",
        "paper",
    ]
    """Which normal images anomalies are compared with, and what the bank holds (docs/protocols.md). The first one makes the
    recommendation."""
    settings: Annotated[list[Literal["one_vs_closest", "one_vs_rest", "one_vs_one"]], *Several] = [
        "one_vs_closest",
        "one_vs_rest",
    ]
    """What the normal test images of a task are compared with: the hardest class or defect type, all anomalies together, or
    each class on average. The first one is shown in the recommendations."""
    hardest: Annotated[list[Literal["all"] | PositiveInt], *Several] = ["all", 10, 5]
    """Sizes of the synthetic validation set: `all` anomalies, or a number of those with the lowest scores."""
    hardest_by: Literal["candidate", "mean_rank"] = "candidate"
    """Whose scores say which anomalies are hard: those of each candidate itself, or the mean rank over all candidates."""
    closest: Literal["candidate", "shared"] = "candidate"
    """The closest class: the worst one of each candidate itself, or the one that is worst on average over all candidates."""
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Number of bootstrap resamples behind each probability and interval."""
    severity: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Whether the synthetic AUROC is told by the strength of the anomalies too, of the sources that grade theirs. It always is
    where a source takes its strengths from the config."""

    @field_validator("hardest")
    @classmethod
    def _with_all(cls, value):
        if "all" not in value:
            raise ValueError("expected a list with 'all', by which candidates are picked")
        return value


class Figures(Section):
    """Tasks that the paper's figures show."""

    space: str | None = None
    """The candidate whose features Figure 4 (t-SNE) and Table 3 (total variation) use. If left out, the first one
    that `licences` leave."""
    tsne: Annotated[dict[str, str], Removable] = {}
    """The task of each data set in Figure 4 and Table 3, as {data set: task}. If a data set is not named, its first task."""
    contact_sheets: Annotated[dict[str, Annotated[list[str], *Several]], Removable] = {}
    """The tasks that Figure 2 shows with their style and content images and what diffusion made of them, as
    {data set: [task, ...]}. If left out, the first task of each data set."""
    rows: Annotated[int, Field(ge=1, le=100)] = 5
    """The largest number of content images in a contact sheet of Figure 2."""
    columns: Annotated[int, Field(ge=1, le=100)] = 3
    """The largest number of style images in a contact sheet of Figure 2."""
