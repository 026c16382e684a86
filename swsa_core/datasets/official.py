"""Where the official data sets are published, what their files are and under which licence, and how they are fetched."""

from typing import NamedTuple

from swsa_core.basics.errors import InputError
from swsa_core.files.downloads import Published, download


class License(NamedTuple):
    """A licence that a user accepts before the data set is fetched."""

    name: str
    terms: str
    url: str


class Official(NamedTuple):
    """A published data set: the directory `root` is `inside` of the archive `files[0]`, with the other files in it."""

    title: str
    page: str
    files: tuple[Published, ...]
    inside: str = ""
    license: License | None = None


FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
# Sizes are those of the publishers' servers, digests those that torchvision, anomalib or the publisher give.
OFFICIAL = {
    "cub": Official(
        "CUB-200-2011",
        "https://data.caltech.edu/records/65de6-vp158",
        (
            Published(
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                1_150_585_339,
                md5="97eceeb196236b17998738112f37df78",
            ),
        ),
        inside="CUB_200_2011",
    ),
    "flowers": Official(
        "Oxford Flowers-102",
        FLOWERS,
        (
            Published(FLOWERS + "102flowers.tgz", 344_862_509, md5="52808999861908f626f3c1f4e79d11fa"),
            Published(FLOWERS + "imagelabels.mat", 502, md5="e0620be6f572b9609742df49c70aed4d"),
            Published(FLOWERS + "setid.mat", 14_989, md5="a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
    ),
    "mvtec_ad": Official(
        "MVTec-AD",
        "https://www.mvtec.com/company/research/datasets/mvtec-ad",
        (
            Published(
                "https://www.mydrive.ch/shares/150996/b52ecdcbf521176e9db9c731f2304b27/"
                "download/420938113-1629960298/mvtec_anomaly_detection.tar.xz",
                5_264_982_680,
                sha256="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
            ),
        ),
        license=License(
            "CC BY-NC-SA 4.0",
            "attribution, no commercial use, share alike",
            "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        ),
    ),
    "visa": Official(
        "VisA",
        "https://github.com/amazon-science/spot-diff",
        (
            Published(
                "https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
                1_929_840_640,
                sha256="2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
            ),
        ),
        license=License("CC BY 4.0", "attribution", "https://creativecommons.org/licenses/by/4.0/"),
    ),
    "tiny_imagenet": Official(
        "Tiny-ImageNet",
        "https://cs231n.stanford.edu",
        (
            Published(
                "https://cs231n.stanford.edu/tiny-imagenet-200.zip",
                248_100_043,
                md5="90528d7ca1a48142e341f4ef8d21d0de",
            ),
        ),
        inside="tiny-imagenet-200",
    ),
}
FILES = [file.name for official in OFFICIAL.values() for file in official.files]


def fetch_archive(name, path, progress=None):
    """Download the official file `name` to `path`; see `downloads.download`."""
    official, file = next((known, file) for known in OFFICIAL.values() for file in known.files if file.name == name)
    try:
        return download(file.url, path, file.size, file.sha256, md5=file.md5, progress=progress)
    except InputError as error:
        where = f"{official.title} is published at {official.page}; `archive` in the config names a copy of your own"
        raise InputError(f"{error} ({where})") from None
