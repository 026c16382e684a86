"""What the report reads of results that lie on the disk."""

import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files.text import write_text
from swsa_core.report.read_pictures import read_drawn, read_figures


def test_drawn_files_that_were_deleted_are_missed(tmp_path):
    figure, sheet = tmp_path / "figures" / "birds" / "roc.svg", tmp_path / "birds" / "anomalies" / "mix" / "a.png"
    write_text(figure, "<svg/>")
    assert read_figures(tmp_path / "figures") == {("birds", "roc"): "<svg/>"}
    figure.unlink()
    with pytest.raises(InputError, match=r"roc\.svg is not there: delete the folder .*figures and run again"):
        read_figures(tmp_path / "figures")
    with pytest.raises(InputError, match=r"a\.png is not there: delete .*a\.h5, too, and run again"):
        read_drawn(sheet)
