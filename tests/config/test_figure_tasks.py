"""The tasks of the paper's figures: those of the config, or the first of each data set."""

import pytest

from swsa_core.basics.errors import InputError
from swsa_core.config.figure_tasks import figure_tasks

TASKS = {"cub": {"001.Albatross": "001.Albatross", "a-b": "a b"}, "mvtec_ad": {"cable": "cable"}, "visa": {}}


def test_named_tasks_by_their_slugs():
    assert figure_tasks("tsne", {"cub": "a b"}, TASKS) == {"cub": ["a-b"]}
    assert figure_tasks("contact_sheets", {"mvtec_ad": ["cable"], "cub": ["a b", "001.Albatross"]}, TASKS) == {
        "mvtec_ad": ["cable"],
        "cub": ["a-b", "001.Albatross"],
    }


def test_the_first_of_each_data_set_on_disk_where_none_is_named():
    assert figure_tasks("tsne", {}, TASKS) == {"cub": ["001.Albatross"], "mvtec_ad": ["cable"]}


def test_an_unknown_task_is_named_with_its_key():
    with pytest.raises(InputError, match=r"figures\.tsne\.mvtec_ad: received 'cabel'.*did you mean 'cable'\?"):
        figure_tasks("tsne", {"mvtec_ad": "cabel"}, TASKS)


def test_a_data_set_that_is_not_there_yet_is_passed_over():
    assert figure_tasks("tsne", {"visa": "pcb1", "mvtec_ad": "cable"}, TASKS) == {"mvtec_ad": ["cable"]}
