"""Functions that a config names: found, loaded, tracked by what their files hold, and told in one sentence where that fails."""

import pytest
from own_functions import means

from swsa_core.basics.errors import InputError
from swsa_core.files.functions import call, digest_of, function_of, parts_of, source_of


@pytest.mark.parametrize("name", ["", "means", "a:", ":b", "a.b:c.d", "a b:c", "a-b:c", "../a:b", "a:b:c"])
def test_other_forms_are_refused(name):
    with pytest.raises(ValueError, match="expected module:function"):
        parts_of(name)
    with pytest.raises(InputError, match="expected module:function"):
        source_of(name)


def test_a_function_is_found_with_its_file():
    assert function_of("own_functions:means") is means
    assert source_of("own_functions:means").endswith("own_functions.py")


def test_a_module_of_the_working_directory_is_found_and_not_run_for_its_digest(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("raise RuntimeError('was run')\n")
    monkeypatch.chdir(tmp_path)
    before = digest_of("only_here:f")
    (tmp_path / "only_here.py").write_text("raise RuntimeError('was run once more')\n")
    assert digest_of("only_here:f") != before
    with pytest.raises(
        InputError, match=r"only_here cannot be imported: RuntimeError: was run once more \(only_here.py, line 1"
    ):
        function_of("only_here:f")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere_at_all:f", "there is no module 'nowhere_at_all'.*write nowhere_at_all.py there"),
        ("nowhere_at_all.mine:f", "there is no module 'nowhere_at_all.mine'"),
        ("own_functions:maens", "has no function 'maens': did you mean 'means'"),
        ("own_functions:NOT_CALLABLE", "has no function 'NOT_CALLABLE'"),
        ("sys:exit", "there is no module 'sys'"),
    ],
)
def test_what_is_not_there_is_told(name, told):
    with pytest.raises(InputError, match=told):
        function_of(name)


def test_an_exception_is_told_with_its_place():
    with pytest.raises(
        InputError, match=r"own_functions:fails fails for 3 images: KeyError: .*own_functions.py, line \d+"
    ):
        call("own_functions:fails", of="3 images")
